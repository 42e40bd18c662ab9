//! What gives up a promise of this crate. Every use needs a reason that a reviewer can read.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

pub use crate::certificate::CertificateContent;
use crate::document::Document;
use crate::ecdsa::Signature;
use crate::error::VerifyError;
use crate::pcr::Pcr;
use crate::policy::{MeasurementPolicy, Measurements, looks_like_debug};
use crate::verify::ES384;

/// Trusts these images and, besides, **every enclave in debug mode, whatever code it runs**.
///
/// # Security
///
/// The host of an enclave in debug mode reads its console and memory, and all its measurements
/// are zeros. For development and for tests of plumbing; never where a key has worth.
pub fn policy_that_trusts_debug_enclaves(allowed: Vec<Measurements>) -> MeasurementPolicy {
    MeasurementPolicy::with_debug(allowed)
}

/// Reads a document without verifying anything.
///
/// For tools that show a document, and for emulators that cannot sign one. Whatever stands in it
/// may have been written by anybody.
///
/// # Errors
///
/// A [`VerifyError`] that names the broken rule of form.
pub fn inspect(document: &[u8]) -> Result<UnverifiedDocument, VerifyError> {
    Document::parse(document).map(UnverifiedDocument)
}

/// What a document claims. Nobody vouches for it.
#[derive(Clone, Debug)]
pub struct UnverifiedDocument(pub(crate) Document);

/// A certificate that a document brings, unverified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimedCertificate {
    /// SHA-256 of the DER, by which people compare certificates.
    pub sha256: [u8; 32],
    /// What it says, where it is a certificate at all.
    pub content: Option<CertificateContent>,
}

impl UnverifiedDocument {
    /// The COSE algorithm; -35 is ES384, the only one [`verify`](crate::verify) accepts.
    pub fn algorithm(&self) -> i64 {
        self.0.algorithm
    }

    /// The signature, of whatever length.
    pub fn signature(&self) -> &[u8] {
        &self.0.signature
    }

    /// Says whether a signature stands there that could be genuine: ES384, and not zeros alone. An
    /// emulator writes none. Whether it is right is not judged.
    pub fn has_signature(&self) -> bool {
        let signature = self.signature();
        self.algorithm() == ES384
            && signature.len() == size_of::<Signature>()
            && signature.iter().any(|byte| *byte != 0)
    }

    /// Says whether PCR0, 1 or 2 has zeros, as all of them have in debug mode.
    pub fn claims_debug(&self) -> bool {
        looks_like_debug(&self.0.claims)
    }

    /// What the certificates say, the root first and the leaf last.
    pub fn certificates(&self) -> Vec<ClaimedCertificate> {
        let bundle = self.cabundle().iter().map(Vec::as_slice);
        bundle
            .chain([self.certificate()])
            .map(|der| ClaimedCertificate {
                sha256: Sha256::digest(der).into(),
                content: CertificateContent::read(der),
            })
            .collect()
    }

    /// The claimed name of the enclave.
    pub fn module_id(&self) -> &str {
        &self.0.claims.module_id
    }

    /// The claimed time, in milliseconds since 1970.
    pub fn timestamp_ms(&self) -> u64 {
        self.0.claims.timestamp_ms
    }

    /// The claimed registers.
    pub fn pcrs(&self) -> &BTreeMap<u8, Pcr> {
        &self.0.claims.pcrs
    }

    /// The leaf certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.0.claims.certificate
    }

    /// The certificates above the leaf, the root first, in DER.
    pub fn cabundle(&self) -> &[Vec<u8>] {
        &self.0.claims.cabundle
    }

    /// The claimed public key.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.0.claims.public_key.as_deref()
    }

    /// The claimed user data.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.0.claims.user_data.as_deref()
    }

    /// The claimed nonce.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.0.claims.nonce.as_deref()
    }
}
