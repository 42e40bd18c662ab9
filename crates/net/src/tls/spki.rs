//! The name of a TLS key: SHA-256 of its SubjectPublicKeyInfo.

use core::fmt;
use core::str::FromStr;

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::tls::TlsError;

/// The SHA-256 of a server key's DER SubjectPublicKeyInfo. Prints as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpkiPin(pub [u8; 32]);

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key pin has 64 hex digits")]
pub struct SpkiPinError;

impl SpkiPin {
    /// Computes the pin of the key in a certificate.
    ///
    /// # Errors
    ///
    /// [`TlsError::Malformed`] if it is no X.509 certificate.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let parsed =
            webpki::EndEntityCert::try_from(certificate).map_err(|_| TlsError::Malformed)?;
        Ok(Self(
            Sha256::digest(parsed.subject_public_key_info().as_ref()).into(),
        ))
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpkiPin({self})")
    }
}

impl FromStr for SpkiPin {
    type Err = SpkiPinError;

    fn from_str(text: &str) -> Result<Self, SpkiPinError> {
        let mut pin = [0; 32];
        hex::decode_to_slice(text, &mut pin).map_err(|_| SpkiPinError)?;
        Ok(Self(pin))
    }
}
