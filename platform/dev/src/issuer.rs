//! The development issuer: attestation documents shaped like AWS's, from a root of one's own.
//!
//! A real P-384 key signs a real chain (root, three intermediates, a leaf that lives three hours),
//! so the production verifier runs unchanged; only its root differs. Whoever holds an issuer can
//! make up any enclave. That is why this crate is in no release and its root in no release binary.
//!
//! [`DevIssuer::issue`] is all that development needs. For attacks the same work is done in steps
//! whose parts can be changed: [`DevIssuer::draft`], [`Draft::certify`], [`Certified::seal`].

pub mod cbor;
mod certificate;
mod der;
mod document;

use std::collections::BTreeMap;
use std::fmt;

use keyfold_attest::{RootError, TrustRoot};
use p384::SecretKey;
use p384::ecdsa::SigningKey;
use p384::elliptic_curve::Generate;
use p384::pkcs8::der::pem;
use p384::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

pub use certificate::{
    BasicConstraints, CertificateDraft, ECDSA_WITH_SHA256, ECDSA_WITH_SHA384, Extension, key_usage,
};
pub use document::{Certified, Draft, Module};

const CERTIFICATE_LABEL: &str = "CERTIFICATE";
const ROOT_NAME: &str = "development.nitro-enclaves.invalid";
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
const ROOT_LIFE_SECONDS: u64 = 3650 * SECONDS_PER_DAY;

/// Why the issuer could not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// A time that no certificate can express.
    #[error("the time cannot be written into a certificate")]
    Time,
    /// The text is not what [`DevIssuer::to_pem`] wrote.
    #[error("not the PEM of a development issuer: a private key, then its certificate")]
    Pem,
    /// The certificate is no root.
    #[error("the certificate of the development issuer is no root: {0}")]
    Root(#[from] RootError),
    /// The key is not the one in the certificate.
    #[error("the key of the development issuer is not the one in its certificate")]
    KeyMismatch,
}

/// What a document shall say.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// The name of the enclave.
    pub module_id: String,
    /// When the document is made, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The registers, by index.
    pub pcrs: BTreeMap<u8, [u8; 48]>,
    /// The verifier's challenge.
    pub nonce: Option<Vec<u8>>,
    /// Data the enclave binds to the document.
    pub user_data: Option<Vec<u8>>,
    /// A key the enclave binds to the document.
    pub public_key: Option<Vec<u8>>,
}

/// A root of its own, with its key.
///
/// # Security
///
/// Anyone with this key forges documents for every verifier that trusts this root. `Debug` shows
/// the certificate's name alone; the key is wiped when dropped.
pub struct DevIssuer {
    key: SigningKey,
    root_der: Vec<u8>,
}

impl fmt::Debug for DevIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevIssuer")
            .field("root", &ROOT_NAME)
            .finish_non_exhaustive()
    }
}

impl DevIssuer {
    /// Draws a root key and signs its certificate, valid for ten years from a day before
    /// `now_unix_ms`.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Time`] where the certificate would end after the year 9999.
    pub fn generate(rng: &mut impl CryptoRng, now_unix_ms: u64) -> Result<Self, IssuerError> {
        let now_seconds = now_unix_ms / 1000;
        Self::generate_as(
            rng,
            CertificateDraft::authority(
                ROOT_NAME,
                None,
                now_seconds.saturating_sub(SECONDS_PER_DAY),
                now_seconds.saturating_add(ROOT_LIFE_SECONDS),
            ),
        )
    }

    /// Draws a root key and signs the given certificate with it: for tests that need a root with a
    /// defect. Its name is always the same.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Time`] where the draft's times cannot be written.
    pub fn generate_as(
        rng: &mut impl CryptoRng,
        certificate: CertificateDraft,
    ) -> Result<Self, IssuerError> {
        let certificate = CertificateDraft {
            subject: ROOT_NAME.to_owned(),
            ..certificate
        };
        let key = SigningKey::generate_from_rng(rng);
        let root_der = certificate.sign(key.verifying_key(), ROOT_NAME, &key, rng)?;
        Ok(Self { key, root_der })
    }

    /// Reads what [`DevIssuer::to_pem`] wrote.
    ///
    /// # Errors
    ///
    /// [`IssuerError`] where the text is malformed, or key and certificate do not belong together.
    pub fn from_pem(text: &str) -> Result<Self, IssuerError> {
        let split = text
            .find("-----BEGIN CERTIFICATE-----")
            .ok_or(IssuerError::Pem)?;
        let (key, certificate) = text.split_at(split);
        let key = SecretKey::from_pkcs8_pem(key.trim()).map_err(|_| IssuerError::Pem)?;
        let (label, root_der) =
            pem::decode_vec(certificate.trim().as_bytes()).map_err(|_| IssuerError::Pem)?;
        if label != CERTIFICATE_LABEL {
            return Err(IssuerError::Pem);
        }
        TrustRoot::from_der(&root_der)?;
        let key = SigningKey::from(key);
        let point = key.verifying_key().to_sec1_point(false);
        // The certificate signs itself, so its key is the only point of this length in it.
        let point = point.as_bytes();
        if !root_der.windows(point.len()).any(|window| window == point) {
            return Err(IssuerError::KeyMismatch);
        }
        Ok(Self { key, root_der })
    }

    /// Writes the key (PKCS #8) and the certificate, to be kept in a file of mode 0600.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Pem`] where they cannot be encoded, which does not happen to keys made here.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, IssuerError> {
        let key = SecretKey::from(&self.key);
        let mut text = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| IssuerError::Pem)?;
        let certificate = pem::encode_string(CERTIFICATE_LABEL, LineEnding::LF, &self.root_der)
            .map_err(|_| IssuerError::Pem)?;
        text.push_str(&certificate);
        Ok(text)
    }

    /// Gives the root certificate in DER: what a development verifier trusts.
    pub fn root_der(&self) -> &[u8] {
        &self.root_der
    }

    /// Makes a document, with fresh keys for the whole chain below the root.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Time`] where the certificates' times cannot be written.
    pub fn issue(
        &self,
        request: &IssueRequest,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, IssuerError> {
        Ok(self.draft(request).certify(rng)?.seal())
    }

    /// Certifies an enclave for three hours from `now_unix_ms`, to make many documents with.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Time`] where the certificates' times cannot be written.
    pub fn certify_module(
        &self,
        module_id: &str,
        now_unix_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Module, IssuerError> {
        let request = IssueRequest {
            module_id: module_id.to_owned(),
            timestamp_ms: now_unix_ms,
            pcrs: BTreeMap::new(),
            nonce: None,
            user_data: None,
            public_key: None,
        };
        self.draft(&request).certify_module(rng)
    }

    /// Begins a document whose every part can still be changed.
    pub fn draft(&self, request: &IssueRequest) -> Draft<'_> {
        Draft::new(self, request.clone())
    }
}
