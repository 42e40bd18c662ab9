//! Whom to take for a server by its name.

use std::sync::Arc;

use keyfold_net::tls::{TlsError, client_config_public, client_config_with_roots};
use rustls::ClientConfig;

/// Makes a client of servers whose certificate for their name leads to the given roots, or to the
/// public ones.
///
/// # Errors
///
/// [`TlsError`] if the PEM has no certificate, or one that cannot be a root.
///
/// # Security
///
/// The usual WebPKI checks. Revocation is not checked. TLS 1.3 only.
pub(crate) fn client_config(roots_pem: Option<&str>) -> Result<Arc<ClientConfig>, TlsError> {
    match roots_pem {
        Some(pem) => client_config_with_roots(pem.as_bytes()),
        None => client_config_public(),
    }
}
