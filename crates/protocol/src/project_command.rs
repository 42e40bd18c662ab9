//! Commands of a project's administrators, and how many of them must have signed one.
//!
//! A command changes one thing: the settings as a whole, one secret, or the administrators. It names
//! the version that it changes, so of two that follow the same version one takes effect, and none
//! does twice. It ends after a week at most.
//!
//! # What is signed
//!
//! The canonical encoding of [`ProjectCommand`], with the realm in it. The settings are in it as the
//! text that travels: the bytes that administrators sign are the bytes that the enclave reads, and
//! nothing is written anew in between. A secret is in it as a commitment ([`SecretReveal`]); its
//! value travels beside the command, in the request that is sealed to the enclave.
//!
//! # Security
//!
//! [`ApprovedCommand`] has private fields and no constructor but [`SignedCommand::verify`].

use keyfold_crypto::hash::{constant_time_eq, hmac_sha256};
use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk, Thumbprint};
use keyfold_crypto::{Canonical, Encoder};
use keyfold_wallet::ContextName;
use serde::{Deserialize, Serialize};

use crate::client_api::GuardSettings;
use crate::ids::{Digest32, ProjectId, RealmId, Signature64};
use crate::project::ProjectSettings;
use crate::secret_text::SecretText;

/// Longest time until a command ends, seconds: a week.
pub const MAX_COMMAND_SECONDS: u64 = 7 * 86_400;
/// Most administrators of a project.
pub const MAX_ADMINISTRATORS: usize = 16;
/// Longest text of a project's settings, bytes.
pub const MAX_SETTINGS_LEN: usize = 40 * 1024;
/// Longest name of a secret, bytes.
pub const MAX_SECRET_NAME_LEN: usize = 64;
/// Longest secret, bytes.
pub const MAX_SECRET_LEN: usize = 4 * 1024;
/// Most secrets of a project.
pub const MAX_SECRETS: usize = 32;

/// Says why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// For another realm.
    #[error("the command is for another realm")]
    WrongRealm,
    /// For another project.
    #[error("the command is for another project")]
    WrongProject,
    /// Follows another version than the current one.
    #[error("the command follows version {follows}, and the project is at version {version}")]
    Stale {
        /// The version that it names.
        follows: u64,
        /// The current one.
        version: u64,
    },
    /// Its time is over.
    #[error("the command has expired; make it again")]
    Expired,
    /// It would last too long.
    #[error("the command lasts longer than a week")]
    LastsTooLong,
    /// Too few of those who are administrators now have signed it.
    #[error("{good} of the administrators have signed this, and {needed} must")]
    TooFew {
        /// How many have.
        good: usize,
        /// How many must.
        needed: usize,
    },
    /// More signatures than there can be administrators.
    #[error("a command has at most 16 signatures")]
    TooMany,
    /// What it changes is not of its form.
    #[error("{0}")]
    Malformed(String),
}

/// What administrators command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectCommand {
    /// The realm.
    pub realm: RealmId,
    /// The project.
    pub project: ProjectId,
    /// The version of the project that this changes.
    pub follows: u64,
    /// Unix seconds after which it is refused.
    pub expires: u64,
    /// What it changes.
    pub change: ProjectChange,
}

/// A change of a project, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProjectChange {
    /// New settings in place of all that were.
    Settings {
        /// [`ProjectSettings`] as JSON text; at most [`MAX_SETTINGS_LEN`].
        settings: String,
    },
    /// A secret, new or in place of the one of that name.
    Secret {
        /// Its name.
        name: String,
        /// What its value is committed to by.
        commitment: Digest32,
    },
    /// A secret less.
    RemoveSecret {
        /// Its name.
        name: String,
    },
    /// Other administrators.
    Administrators {
        /// All of them from now on; 1 to [`MAX_ADMINISTRATORS`], each once.
        keys: Vec<PublicJwk>,
        /// How many must sign from now on.
        threshold: u8,
    },
}

/// A change of a project, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadChange {
    /// New settings. What they may say, the enclave knows.
    Settings(Box<ProjectSettings>),
    /// A secret.
    Secret {
        /// Its name: visible ASCII.
        name: String,
        /// What its value is committed to by.
        commitment: Digest32,
    },
    /// A secret less.
    RemoveSecret {
        /// Its name: visible ASCII.
        name: String,
    },
    /// Other administrators: 1 to 16 distinct keys, of which 1 to all must sign.
    Administrators {
        /// All of them.
        keys: Vec<PublicJwk>,
        /// How many must sign.
        threshold: u8,
    },
}

impl ProjectChange {
    /// Reads a change within its bounds.
    ///
    /// # Errors
    ///
    /// [`CommandError::Malformed`].
    pub fn read(&self) -> Result<ReadChange, CommandError> {
        let malformed = |why: &str| CommandError::Malformed(why.to_owned());
        let name = |name: &String| {
            let good = (1..=MAX_SECRET_NAME_LEN).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_graphic());
            let named = good.then(|| name.clone());
            named.ok_or_else(|| malformed("that is not the name of a secret"))
        };
        Ok(match self {
            Self::Settings { settings } => {
                if settings.len() > MAX_SETTINGS_LEN {
                    return Err(malformed("the settings are longer than 40 KiB"));
                }
                let read: ProjectSettings = serde_json::from_str(settings)
                    .map_err(|error| CommandError::Malformed(format!("the settings: {error}")))?;
                if read.mail.password.is_some() {
                    return Err(malformed(
                        "a password is not a setting: it is the secret `mail`",
                    ));
                }
                ReadChange::Settings(Box::new(read))
            }
            Self::Secret {
                name: of,
                commitment,
            } => ReadChange::Secret {
                name: name(of)?,
                commitment: *commitment,
            },
            Self::RemoveSecret { name: of } => ReadChange::RemoveSecret { name: name(of)? },
            Self::Administrators { keys, threshold } => {
                if !(1..=MAX_ADMINISTRATORS).contains(&keys.len()) {
                    return Err(malformed("a project has 1 to 16 administrators"));
                }
                let names = distinct(keys.iter().map(PublicJwk::thumbprint));
                if names.len() != keys.len() {
                    return Err(malformed("an administrator is there twice"));
                }
                if !(1..=keys.len()).contains(&usize::from(*threshold)) {
                    return Err(malformed(
                        "at least one administrator must sign, and no more than there are",
                    ));
                }
                ReadChange::Administrators {
                    keys: keys.clone(),
                    threshold: *threshold,
                }
            }
        })
    }
}

fn distinct(names: impl Iterator<Item = Thumbprint>) -> Vec<Thumbprint> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Canonical for ProjectCommand {
    const LABEL: &'static str = "keyfold/project-command/v1";

    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.realm.as_bytes());
        out.str(self.project.as_str());
        out.u64(self.follows);
        out.u64(self.expires);
        match &self.change {
            ProjectChange::Settings { settings } => {
                out.u8(1);
                out.str(settings);
            }
            ProjectChange::Secret { name, commitment } => {
                out.u8(2);
                out.str(name);
                out.bytes(commitment.as_bytes());
            }
            ProjectChange::RemoveSecret { name } => {
                out.u8(3);
                out.str(name);
            }
            ProjectChange::Administrators { keys, threshold } => {
                out.u8(4);
                out.list(keys.len());
                for key in keys {
                    out.bytes(&key.thumbprint().0);
                }
                out.u8(*threshold);
            }
        }
    }
}

impl ProjectCommand {
    /// Hashes what is signed: the command's name in logs.
    pub fn digest(&self) -> Digest32 {
        Digest32::from_bytes(keyfold_crypto::hash::sha256(&self.to_signed_bytes()))
    }

    /// Approves the command with a key.
    pub fn approve(&self, key: &DeviceSigningKey) -> Approval {
        Approval {
            key: key.public_jwk().thumbprint(),
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }
}

/// An administrator's signature under a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Thumbprint of the key.
    pub key: Thumbprint,
    /// ES256 (`r || s`) or Ed25519, as the key is.
    pub signature: Signature64,
}

/// A command with the signatures under it, in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCommand {
    /// The command.
    pub command: ProjectCommand,
    /// At most [`MAX_ADMINISTRATORS`].
    pub approvals: Vec<Approval>,
}

/// What a command is held against: the project as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The realm.
    pub realm: RealmId,
    /// The project.
    pub project: &'a ProjectId,
    /// Its version.
    pub version: u64,
    /// Its administrators.
    pub administrators: &'a [PublicJwk],
    /// How many of them must have signed.
    pub threshold: u8,
    /// Unix seconds.
    pub now_unix_seconds: u64,
}

/// A command that enough of the current administrators have signed, for the current version.
#[derive(Debug, Clone)]
pub struct ApprovedCommand {
    change: ReadChange,
    digest: Digest32,
}

impl SignedCommand {
    /// Says who of these administrators has signed, each once: neither a signature of somebody else
    /// nor a second one of the same key counts.
    pub fn approved_by(&self, administrators: &[PublicJwk]) -> Vec<Thumbprint> {
        let message = self.command.to_signed_bytes();
        let signed = |key: &&PublicJwk| {
            let name = key.thumbprint();
            let mut approvals = self.approvals.iter();
            approvals.any(|a| a.key == name && key.verify(&message, &a.signature.0).is_ok())
        };
        let signers = administrators.iter().filter(signed);
        distinct(signers.map(PublicJwk::thumbprint))
    }

    /// Verifies the command against the project as it is now.
    ///
    /// Does not check whether settings may say what they say, nor a secret's value.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; [`CommandError::TooFew`] before [`CommandError::Stale`], so that whoever has
    /// not enough signatures learns no version.
    ///
    /// # Security
    ///
    /// For untrusted input; at most 16 signatures are looked at, under at most 16 keys.
    pub fn verify(&self, standing: &Standing<'_>) -> Result<ApprovedCommand, CommandError> {
        let command = &self.command;
        if command.realm != standing.realm {
            return Err(CommandError::WrongRealm);
        }
        if command.project != *standing.project {
            return Err(CommandError::WrongProject);
        }
        if self.approvals.len() > MAX_ADMINISTRATORS {
            return Err(CommandError::TooMany);
        }
        let good = self.approved_by(standing.administrators).len();
        // No project may be left to nobody, whatever its record says.
        let needed = usize::from(standing.threshold).max(1);
        if good < needed {
            return Err(CommandError::TooFew { good, needed });
        }
        if command.follows != standing.version {
            return Err(CommandError::Stale {
                follows: command.follows,
                version: standing.version,
            });
        }
        if command.expires <= standing.now_unix_seconds {
            return Err(CommandError::Expired);
        }
        if command.expires - standing.now_unix_seconds > MAX_COMMAND_SECONDS {
            return Err(CommandError::LastsTooLong);
        }
        Ok(ApprovedCommand {
            change: command.change.read()?,
            digest: command.digest(),
        })
    }
}

impl ApprovedCommand {
    /// Returns what it changes.
    pub fn change(&self) -> &ReadChange {
        &self.change
    }

    /// Returns the command's name in logs.
    pub fn digest(&self) -> Digest32 {
        self.digest
    }
}

/// A secret's value, and what hides it in its commitment.
///
/// # Security
///
/// Redacted in `Debug`. The salt must be random: a password that somebody could guess is otherwise
/// confirmed by the commitment, which is in a file that people hand around.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretReveal {
    /// The value; 1 to [`MAX_SECRET_LEN`] bytes.
    pub value: SecretText,
    /// 32 random bytes.
    pub salt: Digest32,
}

impl SecretReveal {
    /// Commits to the value, as this secret of this project.
    pub fn commitment(&self, project: &ProjectId, name: &str) -> Digest32 {
        let hidden = hmac_sha256(self.salt.as_bytes(), self.value.as_bytes());
        let mut encoder = Encoder::new("keyfold/project-secret/v1");
        encoder.str(project.as_str()).str(name).fixed(&hidden);
        Digest32::from_bytes(encoder.sha256())
    }

    /// Says whether the value is within its bounds and the one that was committed to.
    pub fn opens(&self, project: &ProjectId, name: &str, commitment: &Digest32) -> bool {
        (1..=MAX_SECRET_LEN).contains(&self.value.len())
            && constant_time_eq(
                self.commitment(project, name).as_bytes(),
                commitment.as_bytes(),
            )
    }
}

/// Changes a project. Whoever asks is one of its administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeProject {
    /// The key that signed this request.
    pub administrator: PublicJwk,
    /// What is to be changed, and who agreed.
    pub signed: SignedCommand,
    /// The secret's value, where the command is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretReveal>,
}

/// A project was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectChanged {
    /// Its version from now on.
    pub version: u64,
}

/// Shows a project to one of its administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowProject {
    /// The key that signed this request.
    pub administrator: PublicJwk,
}

/// A project, as its administrators may see it. Secrets have names here and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectShown {
    /// The app's domain.
    pub project: ProjectId,
    /// Counts its changes, from 1.
    pub version: u64,
    /// The current settings.
    pub settings: ProjectSettings,
    /// Names of the secrets that are there.
    pub secrets: Vec<String>,
    /// Names of the secrets that the settings need, and that are missing or of another form.
    pub wanting: Vec<String>,
    /// Its administrators.
    pub administrators: Vec<PublicJwk>,
    /// How many of them must sign a command.
    pub threshold: u8,
    /// The guard, where there is one; no command changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardSettings>,
    /// The contracts of its wallets; no command changes them.
    pub contracts: ContextName,
    /// Unix seconds.
    pub created: u64,
}

#[cfg(test)]
mod tests;
