//! Why a gateway cannot start.

use keyfold_net::tls::TlsError;
use keyfold_storage::{MigrateError, OpenError, StorageError};

use crate::config::ConfigError;

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The TLS key, or the relayer's pin.
    #[error("the TLS key cannot be used")]
    Tls(#[from] TlsError),
    /// The database file.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The stored realm record cannot be read.
    #[error("the stored realm record cannot be read")]
    Storage(#[from] StorageError),
    /// A file or socket.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl GatewayError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
