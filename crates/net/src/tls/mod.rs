//! TLS 1.3 and nothing older, on aws-lc.

mod client;
mod server;
mod spki;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::{client_config_pinned, client_config_public, client_config_with_roots};
pub use server::ServerTls;
pub use spki::{SpkiPin, SpkiPinError};

/// What can go wrong around certificates and keys, before any connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate or key file cannot be read or written.
    #[error("cannot read or write {path}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The private key can be opened by others than its owner, or is not a regular file.
    #[error("the TLS key {path} must be a regular file with mode 600")]
    KeyNotPrivate {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The private key belongs to another user.
    #[error("the TLS key {path} belongs to user {owner}, not to the user that runs this program")]
    KeyNotOurs {
        /// The file.
        path: std::path::PathBuf,
        /// User id of its owner.
        owner: u32,
    },
    /// There is neither key nor certificate.
    #[error("there is no TLS key at {path}; make one with the init command")]
    Missing {
        /// Where the key should be.
        path: std::path::PathBuf,
    },
    /// Of key and certificate only one is there. Nothing is made in place of the other: that would
    /// replace what somebody put there, and the key that clients know.
    #[error(
        "there is {present} but no {absent}: put that back, or remove the one to have both made anew"
    )]
    Incomplete {
        /// The file that is there.
        present: std::path::PathBuf,
        /// The file that is missing.
        absent: std::path::PathBuf,
    },
    /// PEM or DER that is none, or holds nothing of what is needed.
    #[error("the certificates or the key are malformed")]
    Malformed,
    /// A key or certificate could not be made.
    #[error("cannot make a TLS key and certificate")]
    Generate(#[source] rcgen::Error),
    /// Key, certificate or roots do not fit together.
    #[error("TLS cannot be set up")]
    Config(#[source] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
