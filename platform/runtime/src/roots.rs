//! Whom to take for a server by its name.

use std::sync::Arc;

use keyfold_net::tls::{TlsError, client_config_with_roots};
use rustls::{ClientConfig, RootCertStore, version};

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
    if let Some(pem) = roots_pem {
        return client_config_with_roots(pem.as_bytes());
    }
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
