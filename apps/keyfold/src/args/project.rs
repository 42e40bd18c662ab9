//! Commands of projects' administrators.

use std::path::PathBuf;

use alloy_primitives::Address;
use clap::{Args, Subcommand};
use keyfold_client::client_api::MailSecurity;
use keyfold_client::ids::{Digest32, ProjectId};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_wallet::ContextName;

use super::user::{address, contracts};

pub(super) const PROJECT_HELP: &str = "\
Examples:
  keyfold project create --project app.example --name \"Example\" \\
      --mail-host smtp.example --mail-from codes@app.example --mail-username codes \\
      --mail-password-file ./smtp-password \\
      --guard-address guard.example:7200 --guard-spki 3a… --guard-signer 0x…
  keyfold project show --toml > settings.toml        the settings, in the form that set takes
  keyfold project set --file settings.toml
  keyfold project secret set provider:google < client-secret
  keyfold project admins --add anna.jwk --add boris.jwk --threshold 2
  keyfold project approve app.example-4.json         where more than one must sign
  keyfold project submit app.example-4.json

A project's first administrator is the device that made it. `keyfold project key` prints the key of
another one, for --add. Where more than one must sign, set, admins and secret write a command to a
file instead of changing anything: hand it around, approve it on enough devices, submit it within its
time. A secret is sealed to the enclave by the command that enters it; nobody is shown it again.

Secrets: mail (the password at the mail server), webhook, provider:NAME.

Contracts are chosen once, since addresses come from them. Apps pin the same name in their profiles:
  keyfold              Keyfold's own
  keyfold-4337         the same, for ERC-4337 bundlers too
  sequence-rc5         the audited ones on the public chains; a queued recovery cannot be cancelled
  sequence-rc5-4337    the same, for ERC-4337 bundlers too";

const SET_HELP: &str = "\
Examples:
  keyfold project set --file settings.toml
  keyfold project set --file settings.json --out change.json --days 2

The file holds all settings: what it leaves out is off or as it is by default, not as it was. Begin
with what `keyfold project show --toml` prints. A line of it, for Google:
  [sign_in.providers.google]
  kind = { name = \"google\" }
  client_id = \"…apps.googleusercontent.com\"
  redirect_uris = [\"https://app.example/signed-in\"]
  client_auth = { how = \"secret-post\" }";

const ADMINS_HELP: &str = "\
Examples:
  keyfold project admins
  keyfold project admins --add anna.jwk --add boris.jwk --threshold 2
  keyfold project admins --remove 3Yk6…

A file to add is what `keyfold project key` prints on the other device. Take it from its owner's hand:
whoever has the key administers the project.";

const SECRET_HELP: &str = "\
Examples:
  keyfold project secret set mail --from-file ./smtp-password
  keyfold project secret set provider:google < ./client-secret
  keyfold project secret remove provider:google";

const APPROVE_HELP: &str = "\
Examples:
  keyfold project approve app.example-4.json --look     show what it changes, and sign nothing
  keyfold project approve app.example-4.json            show it, ask, sign";

const SUBMIT_HELP: &str = "\
Examples:
  keyfold project submit app.example-4.json
  keyfold project submit app.example-5.json --from-file ./client-secret

For a secret, on the device that made the command: what hides it is in that device's state.";

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Make a project, administered by this device.
    Create(CreateProject),
    /// Show a project that this device administers. No secret is shown, only their names.
    #[command(
        after_help = "Examples:\n  keyfold project show\n  keyfold project show --toml > settings.toml"
    )]
    Show(ShowProject),
    /// Put other settings in place of those that are.
    #[command(after_help = SET_HELP)]
    Set(SetProject),
    /// List the administrators, or change who they are and how many must sign.
    #[command(after_help = ADMINS_HELP)]
    Admins(Administrators),
    /// Secrets: set, remove.
    #[command(subcommand, after_help = SECRET_HELP)]
    Secret(SecretCommand),
    /// Sign a command that somebody else made.
    #[command(after_help = APPROVE_HELP)]
    Approve(Approve),
    /// Hand in a command that enough administrators have signed.
    #[command(after_help = SUBMIT_HELP)]
    Submit(Submit),
    /// Print this device's public key, as a JWK.
    #[command(after_help = "Example:\n  keyfold project key > anna.jwk")]
    Key,
}

/// Which project.
#[derive(Debug, Args)]
pub struct WhichProject {
    /// The app's domain; the profile's where absent.
    #[arg(long)]
    pub project: Option<ProjectId>,
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowProject {
    /// Which project.
    #[command(flatten)]
    pub which: WhichProject,
    /// Print the settings alone, as `set` takes them.
    #[arg(long)]
    pub toml: bool,
}

/// What becomes of a change that more than one must sign.
#[derive(Debug, Args)]
pub struct Proposal {
    /// File for the command where more than one must sign it; named after project and version where
    /// absent.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// How long it may be submitted.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=7))]
    pub days: u64,
}

/// New settings.
#[derive(Debug, Args)]
pub struct SetProject {
    /// Which project.
    #[command(flatten)]
    pub which: WhichProject,
    /// The settings, TOML or JSON.
    #[arg(long)]
    pub file: PathBuf,
    /// What becomes of it.
    #[command(flatten)]
    pub proposal: Proposal,
}

/// Other administrators.
#[derive(Debug, Args)]
pub struct Administrators {
    /// Which project.
    #[command(flatten)]
    pub which: WhichProject,
    /// File with the public key of a new one; as often as there are.
    #[arg(long, value_name = "FILE")]
    pub add: Vec<PathBuf>,
    /// Thumbprint of one who is none from then on; as often as there are.
    #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true)]
    pub remove: Vec<Thumbprint>,
    /// How many must sign a command from then on.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub threshold: Option<u8>,
    /// What becomes of it.
    #[command(flatten)]
    pub proposal: Proposal,
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Enter a secret, new or in place of the one of that name.
    Set(SetSecret),
    /// Remove a secret.
    Remove(RemoveSecret),
}

/// Where a secret comes from: never from the command line, which others can see.
#[derive(Debug, Args)]
pub struct SecretSource {
    /// File with the secret; standard input where absent. An end of line after it is not part of it.
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// A secret.
#[derive(Debug, Args)]
pub struct SetSecret {
    /// Which project.
    #[command(flatten)]
    pub which: WhichProject,
    /// mail, webhook or provider:NAME.
    pub name: String,
    /// Where it comes from.
    #[command(flatten)]
    pub source: SecretSource,
    /// What becomes of it.
    #[command(flatten)]
    pub proposal: Proposal,
}

/// A secret that goes.
#[derive(Debug, Args)]
pub struct RemoveSecret {
    /// Which project.
    #[command(flatten)]
    pub which: WhichProject,
    /// mail, webhook or provider:NAME.
    pub name: String,
    /// What becomes of it.
    #[command(flatten)]
    pub proposal: Proposal,
}

/// A command to sign.
#[derive(Debug, Args)]
pub struct Approve {
    /// The file; the signature is added to it.
    pub file: PathBuf,
    /// Show what it changes, and sign nothing.
    #[arg(long)]
    pub look: bool,
    /// Sign without asking.
    #[arg(long, conflicts_with = "look")]
    pub yes: bool,
}

/// A command to hand in.
#[derive(Debug, Args)]
pub struct Submit {
    /// The file.
    pub file: PathBuf,
    /// Where the secret comes from, for a command that sets one.
    #[command(flatten)]
    pub source: SecretSource,
}

/// A new project.
#[derive(Debug, Args)]
pub struct CreateProject {
    /// The app's domain; the profile's where absent.
    #[arg(long)]
    pub project: Option<ProjectId>,
    /// All settings, TOML or JSON, as `show --toml` prints them.
    #[arg(long, conflicts_with_all = ["name", "mail_host", "mail_from", "mail_port", "mail_starttls", "mail_roots"])]
    pub settings: Option<PathBuf>,
    /// Shown in mails.
    #[arg(long, required_unless_present = "settings")]
    pub name: Option<String>,
    /// SMTP server, as in its certificate.
    #[arg(long, required_unless_present = "settings")]
    pub mail_host: Option<String>,
    /// Port; 465 where absent, 587 with --mail-starttls.
    #[arg(long)]
    pub mail_port: Option<u16>,
    /// TLS begins after the command STARTTLS, not with the first byte. A server that does not offer
    /// it gets no mail.
    #[arg(long)]
    pub mail_starttls: bool,
    /// Sender address.
    #[arg(long, required_unless_present = "settings")]
    pub mail_from: Option<String>,
    /// User name at the server.
    #[arg(long, requires = "mail_password_file", conflicts_with = "settings")]
    pub mail_username: Option<String>,
    /// File with the password at the server: the secret `mail`.
    #[arg(long)]
    pub mail_password_file: Option<PathBuf>,
    /// PEM file with the roots of the server's certificate; the public ones where absent.
    #[arg(long)]
    pub mail_roots: Option<PathBuf>,
    /// Checkpointer contract of every new wallet.
    #[arg(long, value_parser = address)]
    pub checkpointer: Option<Address>,
    /// Contracts of every new wallet: keyfold, keyfold-4337, sequence-rc5 or sequence-rc5-4337. They
    /// cannot be changed later.
    #[arg(long, value_name = "NAME", value_parser = contracts, default_value_t = ContextName::Keyfold)]
    pub contracts: ContextName,
    /// `host:port` of the guard.
    #[arg(long, requires_all = ["guard_spki", "guard_signer"])]
    pub guard_address: Option<String>,
    /// SHA-256 of the guard's TLS key.
    #[arg(long, requires = "guard_address")]
    pub guard_spki: Option<Digest32>,
    /// The project's signer in the guard.
    #[arg(long, value_parser = address, requires = "guard_address")]
    pub guard_signer: Option<Address>,
}

impl CreateProject {
    /// How TLS with the mail server begins, and at which port.
    pub(crate) fn mail_security(&self) -> (MailSecurity, u16) {
        let (security, port) = match self.mail_starttls {
            false => (MailSecurity::ImplicitTls, 465),
            true => (MailSecurity::Starttls, 587),
        };
        (security, self.mail_port.unwrap_or(port))
    }
}
