//! Why a request is not answered with what it asks for.

use ::http::StatusCode;
use keyfold_chain::{FeesTooHigh, RpcError};
use keyfold_net::Problem;
use keyfold_protocol::error_code::Code;
use keyfold_storage::StorageError;

use crate::keys::SigningFailed;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// A refusal, with what is particular to it and safe to show.
    #[error("{code}: {detail}")]
    Refused { code: Code, detail: String },
    #[error("the node")]
    Node(#[from] RpcError),
    #[error("the database")]
    Storage(#[from] StorageError),
    #[error("the key")]
    Signing(#[from] SigningFailed),
}

impl RelayError {
    pub(crate) fn refused(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
        }
    }
}

impl From<Code> for RelayError {
    fn from(code: Code) -> Self {
        Self::refused(code, code.sentence())
    }
}

impl From<FeesTooHigh> for RelayError {
    fn from(error: FeesTooHigh) -> Self {
        tracing::warn!(%error, "gas is too expensive");
        Self::refused(
            Code::Unavailable,
            "Gas costs more now than this relayer pays; try again later.",
        )
    }
}

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Refused { code, detail } => {
                let status = StatusCode::from_u16(code.status())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Self::new(status, code.as_str(), detail)
            }
            RelayError::Node(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a node failed");
                RelayError::from(Code::ChainUnavailable).into()
            }
            RelayError::Storage(error) => Self::internal(&error),
            RelayError::Signing(error) => Self::internal(&error),
        }
    }
}
