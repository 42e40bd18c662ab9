//! Commands about who somebody is: signing in, step-up, identities, second factors.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use keyfold_client::ids::{Digest32, ProjectId};
use keyfold_protocol::project::{StepUp, StepUpRules as Rules};

pub(super) const SIGN_IN_HELP: &str = "\
Examples:
  keyfold sign-in --email you@example.org
  keyfold sign-in --email you@example.org --password
  keyfold sign-in --email you@example.org --set-password        new, by a code that is mailed
  keyfold sign-in --email you@example.org --password --set-password    another one, by the old one
  keyfold sign-in --provider google --redirect-uri https://app.example/callback
  keyfold sign-in --token-file token.jwt --issuer app
  echo 12345678 | keyfold sign-in --email you@example.org --code-from-stdin
  keyfold sign-in --email you@example.org --new-credential      where this device was revoked

Codes and passwords are asked for on the terminal, passwords without showing them; never give one as
an argument. The mail comes from the enclave; nobody else sees the code. For a provider an address is
printed, on standard error: open it in a browser, and paste the address that you came back to. With
--set-password and both --…-from-stdin, the password is the first line and the code the second; with
--password too, the password that there is comes first, then the new one.";

pub(super) const TOKEN_NONCE_HELP: &str = "\
Example:
  keyfold token-nonce
  keyfold sign-in --token-file token.jwt --issuer app --token-salt 9c1f…

Prints a nonce, and the salt that it was made with. Have the app's own issuer write the nonce into
the token: then nobody else's device can show it, and key holders that trust the issuer let this
device in at once, where the account linked such a token before.";

pub(super) const STEP_UP_HELP: &str = "\
Examples:
  keyfold step-up --email you@example.org
  keyfold step-up --email you@example.org --password
  keyfold step-up --totp
  echo 123456 | keyfold --json step-up --totp --code-from-stdin
  keyfold step-up --recovery-code

A fresh proof of who you are, which counts for some minutes: repeat then what was refused with
step_up_needed. Email, password, provider and token must be the account's own.";

pub(super) const IDENTITIES_HELP: &str = "\
Examples:
  keyfold identities
  keyfold identities link --email second@example.org
  keyfold identities link --provider google --redirect-uri https://app.example/callback
  keyfold identities unlink 5f0c…

Each identity of the account signs in to it. To link one both are proved: the account by a fresh
sign-in or keyfold step-up, the identity by its own code, password or provider. The last one stays.";

pub(super) const TOTP_HELP: &str = "\
Examples:
  keyfold totp begin          prints the otpauth:// address for an app of codes
  keyfold totp confirm        asks for the first code; prints recovery codes, once
  keyfold totp remove

The address has the secret in it: show it to the app, and keep it nowhere else.";

pub(super) const STEP_UP_RULES_HELP: &str = "\
Examples:
  keyfold step-up-rules --signing second-factor
  keyfold step-up-rules --signing passkey --new-device second-factor
  keyfold step-up-rules --as-project        nothing beyond what the project asks for

Replaces what you asked for before: what is not named is as the project has it. You can ask for more
than the project does, never for less.";

/// Of whom, and how it is proved.
#[derive(Debug, Args)]
pub struct Identity {
    /// An address; a code is sent there.
    #[arg(long, conflicts_with_all = ["provider", "token_file"])]
    pub email: Option<String>,
    /// By the address's password, and not by a code.
    #[arg(long, requires = "email")]
    pub password: bool,
    /// A provider, by its name in the project's settings.
    #[arg(
        long,
        value_name = "NAME",
        requires = "redirect_uri",
        conflicts_with = "token_file"
    )]
    pub provider: Option<String>,
    /// Where the provider sends you back to; one of the project's.
    #[arg(long, value_name = "URI", requires = "provider")]
    pub redirect_uri: Option<String>,
    /// File with a token of the app's own issuer; - for standard input.
    #[arg(long, value_name = "FILE", requires = "issuer")]
    pub token_file: Option<PathBuf>,
    /// The issuer, by its name in the project's settings.
    #[arg(long, value_name = "NAME", requires = "token_file")]
    pub issuer: Option<String>,
    /// What `keyfold token-nonce` printed with the token's nonce.
    #[arg(long, value_name = "SALT", requires = "token_file")]
    pub token_salt: Option<Digest32>,
    /// Read the code from standard input instead of asking.
    #[arg(long)]
    pub code_from_stdin: bool,
    /// Read the password from standard input instead of asking.
    #[arg(long)]
    pub password_from_stdin: bool,
    /// Read the address that you came back to from standard input instead of asking.
    #[arg(long, requires = "provider")]
    pub callback_from_stdin: bool,
}

/// For which project.
#[derive(Debug, Args)]
pub struct TokenNonce {
    /// The app's domain; the profile's where absent.
    #[arg(long)]
    pub project: Option<ProjectId>,
}

/// How to sign in.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true).args(["email", "provider", "token_file"]))]
pub struct SignIn {
    /// As whom.
    #[command(flatten)]
    pub identity: Identity,
    /// Set a new password for the address: on the word of the code, or of the password there is.
    #[arg(long, requires = "email")]
    pub set_password: bool,
    /// The app's domain; the profile's where absent.
    #[arg(long)]
    pub project: Option<ProjectId>,
    /// What the device is called in lists.
    #[arg(long, default_value = "keyfold command line")]
    pub device_name: String,
    /// Draw a new credential, for one that was taken off the account never comes back. The old one
    /// is kept beside it: it may administer projects.
    #[arg(long)]
    pub new_credential: bool,
}

/// How to step up.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true)
    .args(["email", "provider", "token_file", "totp", "recovery_code"]))]
pub struct StepUpBy {
    /// By an identity of the account.
    #[command(flatten)]
    pub identity: Identity,
    /// By a code of your app.
    #[arg(long)]
    pub totp: bool,
    /// By a code on paper.
    #[arg(long)]
    pub recovery_code: bool,
}

/// What to do with identities.
#[derive(Debug, Subcommand)]
pub enum IdentitiesCommand {
    /// List the account's identities and second factors.
    List,
    /// Link another identity to the account.
    #[command(after_help = IDENTITIES_HELP)]
    Link(Link),
    /// Take an identity off the account.
    Unlink(Unlink),
}

/// Which identity to link.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true).args(["email", "provider", "token_file"]))]
pub struct Link {
    /// Which.
    #[command(flatten)]
    pub identity: Identity,
}

/// Which identity goes.
#[derive(Debug, Args)]
pub struct Unlink {
    /// Its id, as the list shows it.
    pub id: Digest32,
}

/// What to do with the second factor.
#[derive(Debug, Subcommand)]
pub enum TotpCommand {
    /// Make a secret for an app of codes.
    Begin,
    /// Enrol it by its first code.
    Confirm(TotpConfirm),
    /// Remove it, and the codes on paper with it.
    Remove,
}

/// How the code comes.
#[derive(Debug, Args)]
pub struct TotpConfirm {
    /// Read the code from standard input instead of asking.
    #[arg(long)]
    pub code_from_stdin: bool,
}

/// What needs a fresh proof.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rules").required(true).multiple(true)
    .args(["export", "recovery", "new_device", "guard_review", "signing", "end_sessions", "as_project"]))]
pub struct StepUpRules {
    /// To take a key out.
    #[arg(long, value_name = "PROOF")]
    pub export: Option<Proof>,
    /// To change identities, second factors or a wallet's recovery.
    #[arg(long, value_name = "PROOF")]
    pub recovery: Option<Proof>,
    /// To let another device in.
    #[arg(long, value_name = "PROOF")]
    pub new_device: Option<Proof>,
    /// To answer a guard's question.
    #[arg(long, value_name = "PROOF")]
    pub guard_review: Option<Proof>,
    /// To sign anything.
    #[arg(long, value_name = "PROOF")]
    pub signing: Option<Proof>,
    /// To end other sessions, or take other devices off.
    #[arg(long, value_name = "PROOF")]
    pub end_sessions: Option<Proof>,
    /// Nothing beyond what the project asks for.
    #[arg(long, conflicts_with_all = ["export", "recovery", "new_device", "guard_review", "signing", "end_sessions"])]
    pub as_project: bool,
}

/// The weakest proof that suffices.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Proof {
    /// Any identity of the account, proved again.
    Code,
    /// A code of an app or on paper, or a passkey with user verification.
    SecondFactor,
    /// A passkey with user verification.
    Passkey,
}

impl StepUpRules {
    /// Returns them as the enclave takes them.
    pub(crate) fn rules(&self) -> Rules {
        let level = |proof: Option<Proof>| {
            proof.map(|proof| match proof {
                Proof::Code => StepUp::Code,
                Proof::SecondFactor => StepUp::SecondFactor,
                Proof::Passkey => StepUp::Passkey,
            })
        };
        Rules {
            export: level(self.export),
            recovery: level(self.recovery),
            new_device: level(self.new_device),
            guard_review: level(self.guard_review),
            signing: level(self.signing),
            end_sessions: level(self.end_sessions),
        }
    }
}
