//! How a command fails: a sentence, what to do next, a stable code, an exit code.

use std::fmt::Display;

use keyfold_client::{ClientCode, ClientError, ProblemCode};
use keyfold_protocol::error_code::Code;
use serde_json::{Value, json};

use crate::code::CliCode;

/// Exit codes; `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything that has no code of its own.
    Failed = 1,
    /// The command line or a file it names is not acceptable.
    Usage = 2,
    /// Not signed in, or not any more.
    SignIn = 3,
    /// Somebody or something could not be verified. Nothing was believed.
    Unverified = 4,
    /// Somebody does not answer; try again.
    Unavailable = 5,
    /// What was asked was refused.
    Refused = 6,
    /// A transaction was handed over, or may have been, and is in no block yet. Ask for it; sending
    /// it anew could pay twice.
    Pending = 7,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// Stable code.
    pub code: String,
    /// What happened: one sentence.
    pub message: String,
    /// What to do next: one sentence.
    pub what_to_do: String,
    /// Finds the occurrence in the operator's logs.
    pub request_id: Option<String>,
    /// Exit code.
    pub exit: Exit,
    /// The transaction that it is about, where there is one: id, hash and nonce as far as known.
    pub transaction: Option<Box<Value>>,
}

impl CliError {
    /// Makes an error of the program's own.
    pub fn new(code: CliCode, message: impl Display, what_to_do: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            message: message.to_string(),
            what_to_do: what_to_do.into(),
            request_id: None,
            exit: code.exit(),
            transaction: None,
        }
    }

    pub(crate) fn usage(message: impl Display, what_to_do: impl Into<String>) -> Self {
        Self::new(CliCode::Usage, message, what_to_do)
    }

    /// Refuses here what the enclave would refuse, under its code.
    pub(crate) fn refused(
        code: Code,
        message: impl Display,
        what_to_do: impl Into<String>,
    ) -> Self {
        Self {
            code: code.as_str().to_owned(),
            exit: exit_of(code),
            ..Self::usage(message, what_to_do)
        }
    }

    pub(crate) fn not_signed_in() -> Self {
        Self::new(
            CliCode::NotSignedIn,
            "nobody is signed in",
            "Sign in: keyfold sign-in --email you@example.org",
        )
    }

    pub(crate) fn of(error: &ClientError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: chain_of(error),
            what_to_do: match error.is(Code::StepUpNeeded) {
                true => {
                    "Prove afresh who you are, then repeat the command: keyfold step-up --email \
                         you@example.org, or --totp; keyfold step-up --help shows all ways."
                        .to_owned()
                }
                false => error.what_to_do().to_owned(),
            },
            request_id: innermost(error)
                .problem()
                .and_then(|problem| problem.request_id.clone()),
            exit: Exit::of(error),
            transaction: None,
        }
    }

    /// Returns the error as it is printed with `--json`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "what_to_do": self.what_to_do,
        });
        if let Some(map) = error.as_object_mut() {
            if let Some(id) = &self.request_id {
                map.insert("request_id".to_owned(), json!(id));
            }
            if let Some(transaction) = &self.transaction {
                map.insert("transaction".to_owned(), Value::clone(transaction));
            }
        }
        json!({ "ok": false, "error": error })
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::of(&error)
    }
}

impl Exit {
    pub(crate) fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Refused(problem) | ClientError::Gateway(problem) => match &problem.code {
                ProblemCode::Known(code) => exit_of(*code),
                ProblemCode::Unknown(_) if problem.status >= 500 => Self::Unavailable,
                ProblemCode::Unknown(_) => Self::Refused,
            },
            ClientError::Payload(_) | ClientError::Change(_) | ClientError::Unsendable(_) => {
                Self::Usage
            }
            own => own.own_code().map_or(Self::Failed, Self::of_code),
        }
    }

    /// Returns the exit code that goes with a code of the client's own.
    pub fn of_code(code: ClientCode) -> Self {
        match code {
            ClientCode::GatewayUnreachable | ClientCode::NoInstance => Self::Unavailable,
            ClientCode::GatewayUnverified
            | ClientCode::UnexpectedReply
            | ClientCode::RealmUnverified
            | ClientCode::RootMismatch
            | ClientCode::InstanceUnverified
            | ClientCode::ReplyUnverified
            | ClientCode::AccountChanged
            | ClientCode::WalletChanged
            | ClientCode::WalletUnverified
            | ClientCode::ConfigUnverified
            | ClientCode::SignatureUnverified
            | ClientCode::RelayerConfused => Self::Unverified,
            ClientCode::SignInGone | ClientCode::SessionEnded | ClientCode::SessionForeign => {
                Self::SignIn
            }
            ClientCode::TransactionReverted | ClientCode::TransactionLost => Self::Refused,
            ClientCode::TransactionPending | ClientCode::TransactionUnconfirmed => Self::Pending,
            _ => Self::Failed,
        }
    }
}

/// What is behind an error that only says what it means for a transaction.
fn innermost(error: &ClientError) -> &ClientError {
    match error {
        ClientError::Unconfirmed { source, .. } => innermost(source),
        error => error,
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::SessionMissing
        | Code::SessionInvalid
        | Code::SessionExpired
        | Code::SessionRevoked
        | Code::SignInRefused
        | Code::DeviceRevoked
        | Code::DeviceUnknown => Exit::SignIn,
        _ if code.status() >= 500 || code.status() == 429 => Exit::Unavailable,
        _ => Exit::Refused,
    }
}

/// Writes an error with its causes, each once.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_an_error_has_one_shape() {
        let error = CliError::not_signed_in();
        assert_eq!(
            error.to_json(),
            json!({
                "ok": false,
                "error": {
                    "code": "not_signed_in",
                    "message": "nobody is signed in",
                    "what_to_do": "Sign in: keyfold sign-in --email you@example.org",
                },
            })
        );
        let with_id = CliError {
            request_id: Some("r1".into()),
            ..error
        };
        assert_eq!(with_id.to_json()["error"]["request_id"], "r1");
    }

    #[test]
    fn exit_codes_tell_what_a_script_can_do() {
        assert_eq!(exit_of(Code::SessionExpired), Exit::SignIn);
        assert_eq!(exit_of(Code::HoldersUnavailable), Exit::Unavailable);
        assert_eq!(exit_of(Code::RateLimited), Exit::Unavailable);
        assert_eq!(exit_of(Code::GuardDenied), Exit::Refused);
        assert_eq!(CliError::from(ClientError::Root).exit, Exit::Unverified);
        assert_eq!(
            CliError::from(ClientError::NoInstance).exit,
            Exit::Unavailable
        );
    }
}
