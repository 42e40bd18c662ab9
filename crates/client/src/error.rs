//! What went wrong, and what to do about it.

use std::fmt;

use keyfold_protocol::client_api::PayloadError;
use keyfold_protocol::config::ChangeError;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{InstanceId, RequestId};
use keyfold_protocol::ohttp::ResponseError;
use keyfold_protocol::realm::RealmError;
use keyfold_protocol::registration::RegistrationError;
use keyfold_protocol::text::printable;
use serde::Deserialize;

use crate::code::ClientCode;
use crate::config::ConfigRefused;
use crate::environment::{CredentialError, EnvironmentError, TransportError};
use crate::signing::SignatureRefused;
use crate::wallet::WalletRefused;

/// Longest text of a problem that is kept, characters.
const MAX_TEXT: usize = 500;
/// Longest code of a problem that is kept, bytes.
const MAX_CODE: usize = 64;

/// The code of a problem, which may be one that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemCode {
    /// A documented code.
    Known(Code),
    /// A code of a later release, or of somebody between here and there.
    Unknown(String),
}

impl ProblemCode {
    /// Returns the code as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(code) => code.as_str(),
            Self::Unknown(text) => text,
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem document, in the form that may be shown: bounded, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: ProblemCode,
    /// HTTP status.
    pub status: u16,
    /// The public sentence.
    pub title: String,
    /// What is particular to this occurrence.
    pub detail: Option<String>,
    /// Finds the occurrence in the logs.
    pub request_id: Option<String>,
}

#[derive(Deserialize)]
struct WireProblem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

impl Problem {
    /// Reads an answer that is no success, however little it says.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        let wire: WireProblem = serde_json::from_slice(body).unwrap_or(WireProblem {
            code: String::new(),
            title: String::new(),
            detail: None,
            request_id: None,
        });
        let code = match wire.code.parse::<Code>() {
            Ok(code) => ProblemCode::Known(code),
            Err(_) if is_code(&wire.code) => ProblemCode::Unknown(wire.code),
            Err(_) => ProblemCode::Unknown(format!("http_{status}")),
        };
        let title = match &code {
            ProblemCode::Known(code) => code.sentence().to_owned(),
            ProblemCode::Unknown(_) if wire.title.is_empty() => {
                format!("The request was refused with status {status}.")
            }
            ProblemCode::Unknown(_) => printable(&wire.title, MAX_TEXT),
        };
        Self {
            code,
            status,
            title,
            detail: wire
                .detail
                .map(|text| printable(&text, MAX_TEXT))
                .filter(|text| !text.is_empty()),
            request_id: wire.request_id.map(|text| printable(&text, MAX_TEXT)),
        }
    }

    /// Tells whether it has this code.
    pub fn is(&self, code: Code) -> bool {
        self.code == ProblemCode::Known(code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        match &self.detail {
            Some(detail) if *detail != self.title => write!(f, " ({detail})"),
            _ => Ok(()),
        }
    }
}

fn is_code(text: &str) -> bool {
    (1..=MAX_CODE).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Why a call of the client did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The enclave refused, inside the sealed channel.
    #[error("{0}")]
    Refused(Problem),
    /// The gateway or the relayer refused. Nobody vouches for what they say.
    #[error("{0}")]
    Gateway(Problem),
    /// An answer is not of the shape that the protocol says.
    #[error("the answer to {0} is not what the protocol says")]
    UnexpectedReply(&'static str),
    /// The gateway's realm record is not the pinned realm's.
    #[error("the gateway's realm record was refused: {0}")]
    Realm(#[from] RealmError),
    /// The realm names another root of attestation documents than is pinned.
    #[error("the realm's enclaves are attested by another root than this program trusts")]
    Root,
    /// No enclave instance is running.
    #[error("the gateway knows no running enclave")]
    NoInstance,
    /// The instance's document or keys were refused.
    #[error("the enclave {instance} was not verified: {source}")]
    Instance {
        /// Which instance.
        instance: InstanceId,
        /// Why.
        #[source]
        source: RegistrationError,
    },
    /// The instance's document is good, but the gateway routed to another instance, or the key
    /// configuration that it binds cannot be used.
    #[error("the enclave {0} showed keys that are not its own or cannot be used")]
    InstanceKeys(InstanceId),
    /// The reply was not sealed by who opened the request.
    #[error("the reply does not come from the verified enclave: {0}")]
    Reply(#[from] ResponseError),
    /// The instance that keeps the pending sign-in has ended.
    #[error("the enclave that sent the code is gone, and the code with it")]
    SignInGone,
    /// The session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The session is another realm's or another device's.
    #[error("the session does not belong to this realm and device")]
    ForeignSession,
    /// This device signed in to another account with the same address before.
    #[error("the address belonged to another account before")]
    AccountChanged,
    /// The wallet is not what it should be.
    #[error("the wallet was refused: {0}")]
    Wallet(#[from] WalletRefused),
    /// The signature is not the wallet's over what was asked.
    #[error("the signature was refused: {0}")]
    Signature(#[from] SignatureRefused),
    /// What is to be signed cannot be.
    #[error("it cannot be signed: {0}")]
    Payload(#[from] PayloadError),
    /// The wallet's configurations are not what they should be.
    #[error("the wallet's configurations were refused: {0}")]
    Config(#[from] ConfigRefused),
    /// The change of a configuration makes no good configuration.
    #[error("the configuration cannot be changed so: {0}")]
    Change(#[from] ChangeError),
    /// A value given to the client cannot be sent.
    #[error("{0} cannot be sent as it is")]
    Unsendable(&'static str),
    /// The device's key did not sign.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// There is no randomness.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The relayer answered about something else than it was asked.
    #[error("the relayer answered about another transaction")]
    OtherTransaction,
    /// The transaction was handed over, or may have been, and nobody says what became of it.
    #[error("what became of the transaction {id} is not known: {source}")]
    Unconfirmed {
        /// Names it at the relayer.
        id: RequestId,
        /// Its hash, where the relayer said it.
        hash: Option<alloy_primitives::B256>,
        /// Why nobody says.
        source: Box<ClientError>,
    },
    /// The transaction reverted.
    #[error("the transaction {hash} reverted in block {}", .block.map_or("?".to_owned(), |b| b.to_string()))]
    Reverted {
        /// Its hash.
        hash: alloy_primitives::B256,
        /// Its block, where the relayer says so.
        block: Option<u64>,
    },
    /// The relayer could not bring the transaction to the chain, or lost sight of it.
    #[error("the transaction {hash} was lost on its way")]
    Lost {
        /// Names it at the relayer.
        id: RequestId,
        /// Its hash.
        hash: alloy_primitives::B256,
    },
    /// The transaction was sent and is in no block yet.
    #[error("the transaction {hash} is not in a block yet")]
    NotMined {
        /// Names it at the relayer.
        id: RequestId,
        /// Its hash.
        hash: alloy_primitives::B256,
    },
}

impl ClientError {
    /// Returns a stable code: the problem's, or the client's own.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(problem) | Self::Gateway(problem) => problem.code.as_str(),
            // What somebody would have refused is refused here, under the same code.
            Self::Payload(_) => Code::PayloadInvalid.as_str(),
            Self::Change(_) => Code::ConfigInvalid.as_str(),
            Self::Unsendable(_) => Code::InvalidRequest.as_str(),
            own => own.own_code().map_or("internal", ClientCode::as_str),
        }
    }

    /// Returns the code where it is the client's own.
    pub fn own_code(&self) -> Option<ClientCode> {
        Some(match self {
            Self::Refused(_)
            | Self::Gateway(_)
            | Self::Payload(_)
            | Self::Change(_)
            | Self::Unsendable(_) => return None,
            Self::Transport(error) if error.unverified => ClientCode::GatewayUnverified,
            Self::Transport(_) => ClientCode::GatewayUnreachable,
            Self::UnexpectedReply(_) => ClientCode::UnexpectedReply,
            Self::Realm(_) => ClientCode::RealmUnverified,
            Self::Root => ClientCode::RootMismatch,
            Self::NoInstance => ClientCode::NoInstance,
            Self::Instance { .. } | Self::InstanceKeys(_) => ClientCode::InstanceUnverified,
            Self::Reply(_) => ClientCode::ReplyUnverified,
            Self::SignInGone => ClientCode::SignInGone,
            Self::SessionEnded => ClientCode::SessionEnded,
            Self::ForeignSession => ClientCode::SessionForeign,
            Self::AccountChanged => ClientCode::AccountChanged,
            Self::Wallet(WalletRefused::Changed { .. }) => ClientCode::WalletChanged,
            Self::Wallet(_) => ClientCode::WalletUnverified,
            Self::Config(_) => ClientCode::ConfigUnverified,
            Self::Signature(_) => ClientCode::SignatureUnverified,
            Self::Credential(_) => ClientCode::CredentialFailed,
            Self::Environment(_) => ClientCode::NoRandomness,
            Self::OtherTransaction => ClientCode::RelayerConfused,
            Self::Unconfirmed { .. } => ClientCode::TransactionUnconfirmed,
            Self::Reverted { .. } => ClientCode::TransactionReverted,
            Self::Lost { .. } => ClientCode::TransactionLost,
            Self::NotMined { .. } => ClientCode::TransactionPending,
        })
    }

    /// Returns the problem document, where somebody sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) | Self::Gateway(problem) => Some(problem),
            _ => None,
        }
    }

    /// Tells whether somebody answered with this code.
    pub fn is(&self, code: Code) -> bool {
        self.problem().is_some_and(|problem| problem.is(code))
    }

    /// Says what a person can do next.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::Transport(error) if error.unverified => {
                "Do not go on. Compare the gateway's address and TLS key with the operator's."
            }
            Self::Transport(_) => "Check the network and the gateway's address, then try again.",
            Self::Refused(problem) | Self::Gateway(problem) => match &problem.code {
                ProblemCode::Known(code) => what_to_do(*code),
                ProblemCode::Unknown(_) => {
                    "Try again; if it stays, a newer release may know this code."
                }
            },
            Self::UnexpectedReply(_) => {
                "Check that the address is a Keyfold gateway, and that this release is not older."
            }
            Self::Realm(_) | Self::Root => {
                "Do not go on. Compare the realm id and root with the operator's by another way."
            }
            Self::NoInstance => "Try again when the operator has started an enclave.",
            Self::Instance { .. } | Self::InstanceKeys(_) => {
                "Do not go on. Check this device's clock, and whether the operator announced \
                 another enclave image; its measurements are public."
            }
            Self::Reply(_) => "Nothing was believed. Try again; if it stays, tell the operator.",
            Self::SignInGone => "Start the sign-in again.",
            Self::SessionEnded | Self::ForeignSession => "Sign in again.",
            Self::Wallet(_) | Self::Signature(_) | Self::Config(_) => {
                "Do not use it and send nothing to it; tell the operator."
            }
            Self::AccountChanged => {
                "Do not go on, and send nothing to its wallets; tell the operator."
            }
            Self::Payload(_) | Self::Change(_) | Self::Unsendable(_) => {
                "Correct the input and try again."
            }
            Self::Credential(_) => "Unlock the device's key and try again.",
            Self::Environment(_) => "Restart the device.",
            Self::OtherTransaction => "Look the wallet up on the chain before you try again.",
            Self::Unconfirmed { .. } => {
                "Do not send it anew. Ask for it by its id, or hand the same signed transaction \
                 over again; neither sends it twice."
            }
            Self::Reverted { .. } => "Look the transaction up on the chain to see why.",
            Self::Lost { .. } => {
                "Look at the wallet's nonce: while it has not moved, send the transaction again under a new id."
            }
            Self::NotMined { .. } => {
                "Ask for it again later; asking with the same id sends nothing twice."
            }
        }
    }
}

fn what_to_do(code: Code) -> &'static str {
    match code {
        Code::RateLimited | Code::ReleaseLimit => "Wait some minutes and try again.",
        Code::MailLimit => {
            "A code that was sent and not mistyped too often is still good. Else wait an hour."
        }
        Code::UnknownKey | Code::UnknownInstance | Code::NotReady | Code::Unavailable => {
            "Wait a little and try again."
        }
        Code::SignatureExpired => "Set this device's clock, then try again.",
        Code::EmailInvalid => "Check the address.",
        Code::SignInRefused => "Ask for a new code and type it on the same device.",
        Code::MailFailed => "Try again; if it stays, tell the operator of the project.",
        Code::SessionMissing
        | Code::SessionInvalid
        | Code::SessionExpired
        | Code::SessionRevoked
        | Code::DeviceUnknown => "Sign in again.",
        Code::StepUpNeeded => "Prove afresh who you are, then repeat it.",
        Code::ServerUnknown => {
            "Have the project's administrators list this key as one of its servers'."
        }
        Code::MethodOff => "Sign in in another way; this project does not offer this one.",
        Code::PasswordUnsuitable => "Choose another password.",
        Code::IdentityTaken => {
            "Sign in with it to see whose it is; it can be linked when that account lets it go."
        }
        Code::IdentityUnknown => "List the identities, and name one of them.",
        Code::LastIdentity => "Link another identity first.",
        Code::DevicePending => {
            "Approve this device from one you already use, or wait until it becomes active."
        }
        Code::DeviceLimit => {
            "Use one of the account's devices, or take one off that you do not use."
        }
        Code::DeviceRevoked => "Sign in with a new credential: this one never comes back.",
        Code::ProjectUnknown => {
            "Check the project's name; it is shown to the devices that administer it, and to no other."
        }
        Code::NotAdministrator => {
            "Have more of the project's administrators approve it, then submit it again."
        }
        Code::ProjectStale => "Look at the project again, then make the change anew.",
        Code::ProjectExists => "Choose another name, or use the project that exists.",
        Code::ProjectInvalid
        | Code::PayloadInvalid
        | Code::ConfigInvalid
        | Code::InvalidRequest => "Correct the input and try again.",
        Code::WalletUnknown => "List the wallets, or create one.",
        Code::ConfigStale => "Look at the configuration again, then repeat the change.",
        Code::ConfigLimit => "Make a new wallet and move what this one has.",
        Code::WalletLimit => "Use one of the wallets that exist.",
        Code::GuardDenied => "Change what is asked, or ask the project to change its policy.",
        Code::HoldersUnavailable | Code::GuardUnavailable | Code::ChainUnavailable => {
            "Nothing was signed or sent twice; try again when they are back."
        }
        Code::RecordConflict | Code::RecordPending => "Try again.",
        Code::RecordRolledBack => "Tell the operator: its store is older than it should be.",
        Code::ChainUnknown => "Choose a chain that the relayer serves.",
        Code::ContractsMissing => {
            "Choose a chain that has the wallet's contracts, or ask the relayer's operator for them."
        }
        Code::CallReverts => "Check balance, recipient and amount.",
        Code::IdempotencyConflict => "Send it as a new transaction.",
        Code::Timeout => "Ask for the outcome before you repeat it.",
        _ => "Try again; if it stays, tell the operator the code and the request id.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_and_has_something_to_do() {
        for code in Code::ALL {
            let body = format!(r#"{{"code":"{code}","title":"","status":400}}"#);
            let problem = Problem::read(code.status(), body.as_bytes());
            assert!(problem.is(*code));
            assert_eq!(problem.title, code.sentence());
            assert!(ClientError::Refused(problem).what_to_do().ends_with('.'));
        }
    }

    #[test]
    fn codes_of_later_releases_and_answers_that_are_no_problem_are_tolerated() {
        let later = br#"{"code":"quota_spent","title":"Spent.","extra":[1]}"#;
        let problem = Problem::read(429, later);
        assert_eq!(problem.code, ProblemCode::Unknown("quota_spent".into()));
        assert_eq!(problem.to_string(), "Spent.");
        for body in [
            &b"<html>"[..],
            b"",
            b"{}",
            b"null",
            br#"{"code":"No Code!"}"#,
        ] {
            let problem = Problem::read(502, body);
            assert_eq!(problem.code.as_str(), "http_502");
            assert!(problem.to_string().contains("502"));
        }
    }

    #[test]
    fn a_detail_that_only_repeats_the_sentence_is_not_shown_again() {
        let sentence = Code::ChainUnknown.sentence();
        let read = |detail: &str| {
            let body = serde_json::json!({ "code": "chain_unknown", "detail": detail });
            Problem::read(422, body.to_string().as_bytes()).to_string()
        };
        assert_eq!(read(sentence), sentence);
        assert_eq!(read("Chain 5."), format!("{sentence} (Chain 5.)"));
    }

    #[test]
    fn a_problem_cannot_move_the_cursor_or_fill_the_screen() {
        let body = serde_json::json!({
            "code": "x", "title": "a\u{1b}[2Jb\n\u{202e}\u{2060}\u{feff}c", "detail": "d".repeat(10_000),
        });
        let problem = Problem::read(400, body.to_string().as_bytes());
        assert_eq!(problem.title, "a[2Jbc");
        assert_eq!(problem.detail.map(|text| text.len()), Some(MAX_TEXT));
    }
}
