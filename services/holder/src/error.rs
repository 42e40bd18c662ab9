//! What an enclave is answered when the holder refuses, and what only the log hears.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keyfold_net::Problem;
use keyfold_protocol::error_code::Code;
use keyfold_storage::{AppendError, StorageError};

/// An error of one operation that has a stable code.
///
/// Its `Display` is shown to the caller, so it names rules and never values of secrets.
pub(crate) trait Coded: std::error::Error {
    /// Returns the stable code.
    fn code(&self) -> Code;
}

/// Why a call was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The holder decided against it. Nothing was changed.
    #[error("{code}: {detail}")]
    Refused {
        /// The stable code.
        code: Code,
        /// What may be shown.
        detail: String,
    },
    /// The database failed or contradicts itself. Nothing was changed.
    #[error("the database failed")]
    Storage(#[source] StorageError),
    /// The batch could not be committed.
    #[error("the log cannot be written")]
    Log(#[source] Arc<StorageError>),
    /// Something that cannot be, was.
    #[error("{0}")]
    Broken(&'static str),
    /// The holder is ending.
    #[error("the holder is shutting down")]
    Ending,
}

impl ApiError {
    pub(crate) fn refused(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
        }
    }

    /// Refuses with nothing to add to the code's own sentence.
    pub(crate) fn code(code: Code) -> Self {
        Self::refused(code, "")
    }
}

impl<E: Coded> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::refused(error.code(), error.to_string())
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl From<AppendError<Self>> for ApiError {
    fn from(error: AppendError<Self>) -> Self {
        match error {
            AppendError::Refused(refused) => refused,
            AppendError::Storage(error) => Self::Log(error),
            AppendError::Stopped => Self::Ending,
            _ => Self::Broken("work on the log panicked"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, detail) = match self {
            Self::Refused { code, detail } => (code, detail),
            Self::Ending => (Code::Unavailable, String::new()),
            internal => {
                // Logs the chain of causes under the request's id; shows none of it.
                let _ = Problem::internal(&internal);
                (Code::Internal, String::new())
            }
        };
        let status = StatusCode::from_u16(code.status()).unwrap_or_default();
        let mut problem = Problem::new(status, code.as_str(), detail);
        problem.title = code.sentence().into();
        problem.into_response()
    }
}
