//! Commands for an app's own server.

use std::path::PathBuf;

use clap::Args;
use keyfold_client::ids::ProjectId;
use keyfold_protocol::session::Nonce;

pub(super) const ID_TOKEN_HELP: &str = "\
Examples:
  keyfold id-token --nonce n-0S6_WzA2Mj
  keyfold --json id-token

A bearer token: whoever has it is the person, for the minutes that it lasts. Its issuer is in the
project's settings; any OpenID library verifies it.";

pub(super) const INTROSPECT_HELP: &str = "\
Examples:
  keyfold introspect --key server.key --token-file token.jwt
  keyfold --json introspect --key server.key --token-file - < token.jwt

Takes session attestations and ID tokens of the server's own project. A token that is good for
nothing is inactive, whatever the reason.";

pub(super) const SERVER_KEY_HELP: &str = "\
Example:
  keyfold server-key server.key

Prints the public key, which the project's administrators list in its settings.";

/// Which ID token.
#[derive(Debug, Args)]
pub struct IdToken {
    /// What the app's server gave for this token: at most 128 visible ASCII characters.
    #[arg(long)]
    pub nonce: Option<Nonce>,
}

/// Which token, asked by whom.
#[derive(Debug, Args)]
pub struct Introspect {
    /// File with the server's key, which the project's settings list.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// File with the token; - for standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// The app's domain; the profile's where absent.
    #[arg(long)]
    pub project: Option<ProjectId>,
}

/// Which key.
#[derive(Debug, Args)]
pub struct ServerKey {
    /// The file; made where it is not there.
    pub file: PathBuf,
}
