//! Why a call failed, by what the caller may do about it.

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The request cannot be sent as it is: a defect of the caller.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
    /// No connection; nothing was sent, and repeating is safe.
    #[error("cannot connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the connector said.
        #[source]
        source: std::io::Error,
    },
    /// No connection in time; nothing was sent, and repeating is safe.
    #[error("connecting to {authority} took too long")]
    ConnectTimeout {
        /// Host and port.
        authority: String,
    },
    /// The connection broke. The other side may have acted on the request.
    #[error("the connection to {authority} broke during the request")]
    Exchange {
        /// Host and port.
        authority: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time. The other side may have acted on the request.
    #[error("{authority} did not answer in time")]
    Timeout {
        /// Host and port.
        authority: String,
    },
    /// The answer was larger than allowed. The other side has acted on the request.
    #[error("the answer of {authority} is too large")]
    ResponseTooLarge {
        /// Host and port.
        authority: String,
    },
}

impl ClientError {
    /// Tells whether the other side may have seen the request, so that only an idempotent one may
    /// be repeated.
    pub const fn may_have_been_sent(&self) -> bool {
        matches!(
            self,
            Self::Exchange { .. } | Self::Timeout { .. } | Self::ResponseTooLarge { .. }
        )
    }

    /// Tells whether somebody answered whose certificate or key is not the one that was expected.
    /// Nothing was sent.
    pub fn is_unverified(&self) -> bool {
        let Self::Connect { source, .. } = self else {
            return false;
        };
        source
            .get_ref()
            .and_then(|error| error.downcast_ref::<rustls::Error>())
            .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
    }
}
