//! What goes wrong, as a client or the host is told.

use keyfold_protocol::error_code::{Code, ProblemBody};

use crate::platform::PlatformError;

/// A stable code, with what is particular to this occurrence and safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }

    /// Something that no input causes. `what` goes to the log, not to the client.
    pub(crate) fn internal(what: &'static str) -> Self {
        tracing::error!(what, "internal failure");
        Self {
            code: Code::Internal,
            detail: None,
        }
    }

    pub(crate) fn body(self) -> ProblemBody {
        ProblemBody::new(self.code, self.detail)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self { code, detail: None }
    }
}

impl From<PlatformError> for Problem {
    fn from(error: PlatformError) -> Self {
        tracing::error!(%error, "the platform failed");
        Self {
            code: Code::Internal,
            detail: None,
        }
    }
}
