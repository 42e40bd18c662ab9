//! The certificate a chain must begin with.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::certificate::Certificate;

/// AWS's Nitro Enclaves root G1, valid until 2049-10-28.
const AWS_NITRO_G1: &[u8] = include_bytes!("../roots/aws-nitro-g1.der");

/// Why bytes are not taken for a root.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RootError {
    /// Not a DER certificate with a P-384 key, signed with ECDSA and SHA-384.
    #[error("not a certificate that a chain of attestation documents could begin with")]
    Malformed,
    /// The certificate is not a certificate authority that may sign certificates.
    #[error("the certificate is not a certificate authority")]
    NotAuthority,
    /// The certificate was not signed with its own key.
    #[error("the certificate was not signed with its own key")]
    NotSelfSigned,
}

/// A trusted root certificate.
///
/// It is compared byte for byte: another certificate with the same subject, or even the same key,
/// is another root. Release binaries use [`TrustRoot::aws_nitro`] and nothing else for
/// enclaves that they talk to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustRoot {
    der: Cow<'static, [u8]>,
}

impl TrustRoot {
    /// The root of all genuine Nitro enclaves, compiled in.
    pub fn aws_nitro() -> Self {
        Self {
            der: Cow::Borrowed(AWS_NITRO_G1),
        }
    }

    /// Takes a root certificate in DER.
    ///
    /// # Errors
    ///
    /// [`RootError`] for what could begin no chain.
    ///
    /// # Security
    ///
    /// Whoever holds this root's key can make up any document.
    pub fn from_der(der: &[u8]) -> Result<Self, RootError> {
        const ROOT: usize = 0;
        let certificate = Certificate::parse(der, ROOT).map_err(|_| RootError::Malformed)?;
        if certificate.check_authority(ROOT, 0).is_err() {
            return Err(RootError::NotAuthority);
        }
        if certificate.check_issued_by(&certificate, ROOT).is_err() {
            return Err(RootError::NotSelfSigned);
        }
        Ok(Self {
            der: Cow::Owned(der.to_vec()),
        })
    }

    /// Gives the certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Gives the SHA-256 of the certificate in DER, by which people compare roots.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_root_is_the_one_aws_publishes() {
        let root = TrustRoot::aws_nitro();
        assert_eq!(
            hex::encode(root.fingerprint()),
            "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
        );
        assert_eq!(TrustRoot::from_der(root.der()), Ok(root));
    }

    #[test]
    fn a_root_with_any_flipped_bit_is_refused() {
        for byte in 0..AWS_NITRO_G1.len() {
            let mut der = AWS_NITRO_G1.to_vec();
            der[byte] ^= 1;
            assert!(TrustRoot::from_der(&der).is_err(), "byte {byte}");
        }
    }
}
