//! The intent: what a key holder may know of a request, and all it needs to know.
//!
//! A Dictionary Structured Field (RFC 9651) in the header `keyfold-intent`, covered by the device's
//! signature. The enclave checks that the body asks for exactly this; a holder releases only the
//! key named here, and only for an operation that needs it.

use core::str::FromStr;

use keyfold_crypto::jwk::Thumbprint;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::config::update_digest;
use crate::ids::{AddressId, Digest32, KeyId, RequestId, SessionId};

/// Longest accepted field, bytes.
pub const MAX_INTENT_LEN: usize = 512;

/// What a request asks the enclave to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Begin a sign-in.
    SignInStart,
    /// Finish a sign-in.
    SignInFinish,
    /// Renew the session attestation.
    Renew,
    /// End the session.
    SignOut,
    /// Make a wallet.
    CreateWallet,
    /// List the account's wallets.
    ListWallets,
    /// List the account's devices.
    ListDevices,
    /// Let a pending device act for the account.
    ApproveDevice,
    /// Sign a transaction of a wallet.
    SignTransaction,
    /// Sign a message of a wallet.
    SignMessage,
    /// Make a project.
    CreateProject,
    /// Change a wallet's configuration.
    UpdateConfig,
    /// Show a wallet's configurations.
    ShowConfig,
    /// Attest a wallet's latest root.
    AttestConfig,
    /// Make the key that is to be a wallet's next owner.
    PrepareOwner,
    /// Step the session up by a fresh proof.
    StepUp,
    /// Link an identity to the account.
    LinkIdentity,
    /// Take an identity off the account.
    UnlinkIdentity,
    /// List the account's identities.
    ListIdentities,
    /// Make the secret of a second factor.
    BeginTotp,
    /// Enrol a second factor.
    ConfirmTotp,
    /// Remove the second factor.
    RemoveTotp,
    /// Ask for more step-up than the project does.
    SetStepUpRules,
    /// Take a device off the account.
    RevokeDevice,
    /// Take every other device off the account.
    RevokeDevices,
    /// List the account's sessions.
    ListSessions,
    /// End another session of the account.
    RevokeSession,
    /// Change a project's settings.
    ChangeProject,
    /// Show a project's settings to an administrator.
    ShowProject,
    /// Make an ID token for the app's server.
    IssueIdToken,
    /// Ask whether a session stands, as the app's server.
    Introspect,
}

impl Operation {
    const ALL: [(Self, &'static str); 31] = [
        (Self::SignInStart, "sign-in-start"),
        (Self::SignInFinish, "sign-in-finish"),
        (Self::Renew, "renew"),
        (Self::SignOut, "sign-out"),
        (Self::CreateWallet, "create-wallet"),
        (Self::ListWallets, "list-wallets"),
        (Self::ListDevices, "list-devices"),
        (Self::ApproveDevice, "approve-device"),
        (Self::SignTransaction, "sign-transaction"),
        (Self::SignMessage, "sign-message"),
        (Self::CreateProject, "create-project"),
        (Self::UpdateConfig, "update-config"),
        (Self::ShowConfig, "show-config"),
        (Self::AttestConfig, "attest-config"),
        (Self::PrepareOwner, "prepare-owner"),
        (Self::StepUp, "step-up"),
        (Self::LinkIdentity, "link-identity"),
        (Self::UnlinkIdentity, "unlink-identity"),
        (Self::ListIdentities, "list-identities"),
        (Self::BeginTotp, "begin-totp"),
        (Self::ConfirmTotp, "confirm-totp"),
        (Self::RemoveTotp, "remove-totp"),
        (Self::SetStepUpRules, "set-step-up-rules"),
        (Self::RevokeDevice, "revoke-device"),
        (Self::RevokeDevices, "revoke-devices"),
        (Self::ListSessions, "list-sessions"),
        (Self::RevokeSession, "revoke-session"),
        (Self::ChangeProject, "change-project"),
        (Self::ShowProject, "show-project"),
        (Self::IssueIdToken, "issue-id-token"),
        (Self::Introspect, "introspect"),
    ];

    /// Returns the token that stands for the operation on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(op, _)| *op == self)
            .map_or("", |(_, name)| name)
    }

    /// Tells whether the operation uses a key, so that holders may release its leaf share.
    pub fn releases_leaf_key(self) -> bool {
        matches!(
            self,
            Self::SignTransaction | Self::SignMessage | Self::UpdateConfig
        )
    }

    /// Tells whether the operation runs before there is a session.
    pub fn precedes_session(self) -> bool {
        matches!(
            self,
            Self::SignInStart
                | Self::SignInFinish
                | Self::CreateProject
                | Self::ChangeProject
                | Self::ShowProject
                | Self::Introspect
        )
    }
}

impl FromStr for Operation {
    type Err = IntentError;

    fn from_str(text: &str) -> Result<Self, IntentError> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(op, _)| *op)
            .ok_or(IntentError::UnknownOperation)
    }
}

/// Says why an intent was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// Not a structured field, too long, or not in its canonical form.
    #[error("the intent is not a canonical structured field")]
    Malformed,
    /// The operation is not one this version knows.
    #[error("the intent names an unknown operation")]
    UnknownOperation,
    /// A member is missing, unexpected, or not of its type, for this operation.
    #[error("the intent's members do not fit its operation")]
    WrongMembers,
    /// The digest is not that of the update that is named.
    #[error("the intent's digest is not that of the update it names")]
    OtherDigest,
}

/// A use of one key of one wallet for one digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The wallet.
    pub wallet: AddressId,
    /// The key whose shares are needed.
    pub key: KeyId,
    /// The hash of what is signed: the wallet's EIP-712 digest of the payload.
    pub digest: Digest32,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// An operation that needs no further words.
    Plain {
        /// The operation.
        operation: Operation,
        /// The request's id.
        id: RequestId,
    },
    /// A signature with a wallet's key.
    Sign {
        /// [`Operation::SignTransaction`] or [`Operation::SignMessage`].
        operation: Operation,
        /// The request's id.
        id: RequestId,
        /// Which key, for which digest.
        key_use: KeyUse,
    },
    /// A change of a wallet's configuration.
    ///
    /// What is signed follows from the wallet and the next root, so everybody who reads the intent
    /// knows that the digest is an update and nothing else.
    UpdateConfig {
        /// The request's id.
        id: RequestId,
        /// Which key, for which digest.
        key_use: KeyUse,
        /// Root of the configuration that is changed.
        previous: Digest32,
        /// Root of the configuration that follows.
        next: Digest32,
    },
    /// Approval of another device.
    ApproveDevice {
        /// The request's id.
        id: RequestId,
        /// The device that is let in.
        device: Thumbprint,
    },
    /// The end of another device.
    RevokeDevice {
        /// The request's id.
        id: RequestId,
        /// The device that is taken off.
        device: Thumbprint,
    },
    /// The end of another session.
    RevokeSession {
        /// The request's id.
        id: RequestId,
        /// The session that is ended.
        session: SessionId,
    },
    /// A sign-in whose proof the device names, so that holders, who are shown it, know that the
    /// device showed it. [`Intent::Plain`] names none: a digest of a password tells too much.
    FinishSignIn {
        /// The request's id.
        id: RequestId,
        /// [`Proof::digest`](crate::sign_in::Proof::digest).
        proof: Digest32,
    },
    /// An identity that is to belong to the account no more.
    UnlinkIdentity {
        /// The request's id.
        id: RequestId,
        /// From [`IdentityInfo`](crate::account::IdentityInfo).
        identity: Digest32,
    },
    /// An identity that is to belong to the account, by a proof that holders are shown too.
    /// [`Intent::Plain`] names none: a digest of a password or code tells too much.
    LinkIdentity {
        /// The request's id.
        id: RequestId,
        /// Digest of what proves it: [`Proof::digest`](crate::sign_in::Proof::digest).
        proof: Digest32,
    },
}

impl Intent {
    /// Returns the operation.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Plain { operation, .. } | Self::Sign { operation, .. } => *operation,
            Self::UpdateConfig { .. } => Operation::UpdateConfig,
            Self::ApproveDevice { .. } => Operation::ApproveDevice,
            Self::RevokeDevice { .. } => Operation::RevokeDevice,
            Self::RevokeSession { .. } => Operation::RevokeSession,
            Self::LinkIdentity { .. } => Operation::LinkIdentity,
            Self::UnlinkIdentity { .. } => Operation::UnlinkIdentity,
            Self::FinishSignIn { .. } => Operation::SignInFinish,
        }
    }

    /// Returns the request's id.
    pub fn request_id(&self) -> RequestId {
        match self {
            Self::Plain { id, .. }
            | Self::Sign { id, .. }
            | Self::UpdateConfig { id, .. }
            | Self::ApproveDevice { id, .. }
            | Self::RevokeDevice { id, .. }
            | Self::RevokeSession { id, .. }
            | Self::LinkIdentity { id, .. }
            | Self::UnlinkIdentity { id, .. }
            | Self::FinishSignIn { id, .. } => *id,
        }
    }

    /// Returns the key use, where the operation is one.
    pub fn key_use(&self) -> Option<&KeyUse> {
        match self {
            Self::Sign { key_use, .. } | Self::UpdateConfig { key_use, .. } => Some(key_use),
            _ => None,
        }
    }

    /// Writes the field value: `op=sign-transaction, id="…", wallet="…", key="…", digest="…"`.
    ///
    /// Every value is hexadecimal, base64url or a fixed name, so it is a valid sf-string as it is.
    pub fn to_field(&self) -> String {
        let head = format!(
            "op={}, id=\"{}\"",
            self.operation().as_str(),
            self.request_id()
        );
        match self {
            Self::Plain { .. } => head,
            Self::Sign { key_use, .. } => format!(
                "{head}, wallet=\"{}\", key=\"{}\", digest=\"{}\"",
                key_use.wallet, key_use.key, key_use.digest
            ),
            Self::UpdateConfig {
                key_use,
                previous,
                next,
                ..
            } => format!(
                "{head}, wallet=\"{}\", key=\"{}\", digest=\"{}\", previous=\"{previous}\", next=\"{next}\"",
                key_use.wallet, key_use.key, key_use.digest
            ),
            Self::ApproveDevice { device, .. } | Self::RevokeDevice { device, .. } => {
                format!("{head}, device=\"{device}\"")
            }
            Self::RevokeSession { session, .. } => format!("{head}, session=\"{session}\""),
            Self::LinkIdentity { proof, .. } | Self::FinishSignIn { proof, .. } => {
                format!("{head}, proof=\"{proof}\"")
            }
            Self::UnlinkIdentity { identity, .. } => format!("{head}, identity=\"{identity}\""),
        }
    }

    /// Parses a field value; only the text that [`Intent::to_field`] writes is accepted.
    ///
    /// # Errors
    ///
    /// [`IntentError`]. Duplicates, unknown members and other spellings of the same dictionary are
    /// refused, so that what was signed and what was understood are one text.
    pub fn parse(text: &str) -> Result<Self, IntentError> {
        if text.len() > MAX_INTENT_LEN {
            return Err(IntentError::Malformed);
        }
        let members: Dictionary = Parser::new(text)
            .parse()
            .map_err(|_| IntentError::Malformed)?;
        let string = |name: &str| match members.get(name) {
            Some(ListEntry::Item(item)) => match &item.bare_item {
                BareItem::String(value) => Ok(value.as_str()),
                _ => Err(IntentError::WrongMembers),
            },
            _ => Err(IntentError::WrongMembers),
        };
        let operation: Operation = match members.get("op") {
            Some(ListEntry::Item(item)) => match &item.bare_item {
                BareItem::Token(token) => token.as_str().parse()?,
                _ => return Err(IntentError::WrongMembers),
            },
            _ => return Err(IntentError::WrongMembers),
        };
        let id = string("id")?
            .parse()
            .map_err(|_| IntentError::WrongMembers)?;
        let digest = |name: &str| -> Result<Digest32, IntentError> {
            string(name)?.parse().map_err(|_| IntentError::WrongMembers)
        };
        let device = || -> Result<Thumbprint, IntentError> {
            string("device")?
                .parse()
                .map_err(|_| IntentError::WrongMembers)
        };
        let key_use = || -> Result<KeyUse, IntentError> {
            Ok(KeyUse {
                wallet: string("wallet")?
                    .parse()
                    .map_err(|_| IntentError::WrongMembers)?,
                key: string("key")?
                    .parse()
                    .map_err(|_| IntentError::WrongMembers)?,
                digest: digest("digest")?,
            })
        };
        let intent = match operation {
            Operation::SignTransaction | Operation::SignMessage => Self::Sign {
                operation,
                id,
                key_use: key_use()?,
            },
            Operation::UpdateConfig => {
                let (key_use, next) = (key_use()?, digest("next")?);
                let wallet = (*key_use.wallet.as_bytes()).into();
                if update_digest(&wallet, &(*next.as_bytes()).into()) != key_use.digest {
                    return Err(IntentError::OtherDigest);
                }
                Self::UpdateConfig {
                    id,
                    key_use,
                    previous: digest("previous")?,
                    next,
                }
            }
            Operation::ApproveDevice => Self::ApproveDevice {
                id,
                device: device()?,
            },
            Operation::RevokeDevice => Self::RevokeDevice {
                id,
                device: device()?,
            },
            Operation::RevokeSession => Self::RevokeSession {
                id,
                session: string("session")?
                    .parse()
                    .map_err(|_| IntentError::WrongMembers)?,
            },
            Operation::LinkIdentity if members.contains_key("proof") => Self::LinkIdentity {
                id,
                proof: digest("proof")?,
            },
            Operation::UnlinkIdentity => Self::UnlinkIdentity {
                id,
                identity: digest("identity")?,
            },
            Operation::SignInFinish if members.contains_key("proof") => Self::FinishSignIn {
                id,
                proof: digest("proof")?,
            },
            _ => Self::Plain { operation, id },
        };
        if intent.to_field() != text {
            return Err(IntentError::WrongMembers);
        }
        Ok(intent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign() -> Intent {
        Intent::Sign {
            operation: Operation::SignTransaction,
            id: RequestId::from_bytes([1; 16]),
            key_use: KeyUse {
                wallet: AddressId::from_bytes([2; 20]),
                key: KeyId::from_bytes([3; 16]),
                digest: Digest32::from_bytes([4; 32]),
            },
        }
    }

    fn update() -> Intent {
        let (wallet, next) = ([2; 20], Digest32::from_bytes([6; 32]));
        Intent::UpdateConfig {
            id: RequestId::from_bytes([1; 16]),
            key_use: KeyUse {
                wallet: AddressId::from_bytes(wallet),
                key: KeyId::from_bytes([3; 16]),
                digest: update_digest(&wallet.into(), &(*next.as_bytes()).into()),
            },
            previous: Digest32::from_bytes([5; 32]),
            next,
        }
    }

    #[test]
    fn an_update_with_the_digest_of_something_else_is_refused() {
        let text = update().to_field();
        assert!(Intent::parse(&text).is_ok());
        let digest = update().key_use().unwrap().digest.to_string();
        let (next, wallet) = ("06".repeat(32), "02".repeat(20));
        for other in [
            text.replace(&digest, &"04".repeat(32)),
            text.replace(&next, &"07".repeat(32)),
            text.replace(&wallet, &"03".repeat(20)),
        ] {
            assert_ne!(other, text);
            assert_eq!(Intent::parse(&other), Err(IntentError::OtherDigest));
        }
        // As a message it would be any digest.
        let as_message = text.replace("update-config", "sign-message");
        assert_eq!(Intent::parse(&as_message), Err(IntentError::WrongMembers));
    }

    #[test]
    fn intents_round_trip() {
        let all = [
            sign(),
            Intent::Plain {
                operation: Operation::Renew,
                id: RequestId::from_bytes([9; 16]),
            },
            Intent::ApproveDevice {
                id: RequestId::from_bytes([1; 16]),
                device: Thumbprint([7; 32]),
            },
            Intent::RevokeDevice {
                id: RequestId::from_bytes([1; 16]),
                device: Thumbprint([7; 32]),
            },
            Intent::RevokeSession {
                id: RequestId::from_bytes([1; 16]),
                session: SessionId::from_bytes([7; 16]),
            },
            Intent::LinkIdentity {
                id: RequestId::from_bytes([1; 16]),
                proof: Digest32::from_bytes([7; 32]),
            },
            Intent::UnlinkIdentity {
                id: RequestId::from_bytes([1; 16]),
                identity: Digest32::from_bytes([7; 32]),
            },
            Intent::FinishSignIn {
                id: RequestId::from_bytes([1; 16]),
                proof: Digest32::from_bytes([7; 32]),
            },
            Intent::Plain {
                operation: Operation::SignInFinish,
                id: RequestId::from_bytes([1; 16]),
            },
            Intent::Plain {
                operation: Operation::LinkIdentity,
                id: RequestId::from_bytes([1; 16]),
            },
            update(),
        ];
        for intent in all {
            let text = intent.to_field();
            assert!(text.len() <= MAX_INTENT_LEN);
            assert_eq!(Intent::parse(&text), Ok(intent), "{text}");
        }
    }

    #[test]
    fn a_second_spelling_of_the_same_intent_is_refused() {
        let text = sign().to_field();
        let op = "op=sign-transaction";
        for bad in [
            format!("{text} "),
            format!(" {text}"),
            format!("{text}, extra=1"),
            format!("{text}, op=sign-message"),
            text.replace(", ", ","),
            text.replace(op, "op=\"sign-transaction\""),
            text.replace(op, "op=export"),
            text.replace(op, "op=renew"),
            text.replace(op, "op=sign-transaction;q=1"),
            format!("op=renew, {text}"),
            text.replace("op=sign-transaction, ", "") + ", op=sign-transaction",
            String::new(),
            "op=sign-transaction".to_owned(),
            "x".repeat(MAX_INTENT_LEN + 1),
        ] {
            assert!(Intent::parse(&bad).is_err(), "{bad}");
        }
    }
}
