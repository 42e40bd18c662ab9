//! Whom a client takes for the server it wants.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore,
    SignatureScheme, version,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::tls::{SpkiPin, TlsError, provider};

/// Makes a client that talks to the holder of one key and to nobody else.
///
/// # Errors
///
/// [`TlsError::Config`] if TLS 1.3 is not available.
///
/// # Security
///
/// The server must prove possession of the key whose SubjectPublicKeyInfo has this hash. Its
/// certificate's names, dates and issuer mean nothing: the pin comes from somewhere that is
/// trusted more, such as the realm record. TLS 1.3 only, no resumption across configurations.
pub fn client_config_pinned(pin: SpkiPin) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier = Arc::new(PinnedKey {
        pin,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Makes a client that talks to servers with a certificate for their name under the given roots.
///
/// # Errors
///
/// [`TlsError::Malformed`] if the PEM has no certificate or one that cannot be a root.
///
/// # Security
///
/// The usual WebPKI checks, with exactly these roots. Revocation is not checked. TLS 1.3 only.
pub fn client_config_with_roots(roots_pem: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem) {
        let certificate = certificate.map_err(|_| TlsError::Malformed)?;
        roots.add(certificate).map_err(|_| TlsError::Malformed)?;
    }
    if roots.is_empty() {
        return Err(TlsError::Malformed);
    }
    of_roots(roots)
}

/// Makes a client that talks to servers with a certificate for their name under the public roots,
/// those that Mozilla's browser trusts.
///
/// # Errors
///
/// [`TlsError::Config`] if TLS 1.3 is not available.
///
/// # Security
///
/// As [`client_config_with_roots`]. The roots are those of this release.
pub fn client_config_public() -> Result<Arc<ClientConfig>, TlsError> {
    of_roots(RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    })
}

fn of_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct PinnedKey {
    pin: SpkiPin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = SpkiPin::of_certificate(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if shown.matches(&self.pin) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    // A certificate is public: without this, whoever has seen it could show it.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
