//! Signs what QEMU's security module says and cannot sign.
//!
//! The verifier of this project has no switch that lets an unsigned document pass, and gets none for
//! tests. In its place a test puts a notary before each party that verifies: it looks at the document of
//! QEMU, and where that is of the expected image, writes the same claims into a document under the
//! development root, which the unchanged verifier then judges like any other.

use keyfold_attest::{Measurements, VerifyError, danger};
use rand_core::CryptoRng;

use crate::issuer::{DevIssuer, IssueRequest, IssuerError};

/// What stands for an algorithm in QEMU's documents.
const UNSIGNED: i64 = -1;

/// Why the notary does not vouch for a document.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// It is no document.
    #[error(transparent)]
    Form(#[from] VerifyError),
    /// It has an algorithm: it is no document of QEMU's, whoever signed it.
    #[error("the document names a signature algorithm")]
    Signed,
    /// It measures another image.
    #[error("register {0} is not the image's")]
    OtherImage(u8),
    /// A document could not be made.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

/// Vouches for one image in QEMU.
///
/// # Security
///
/// Anybody can write an unsigned document: this protects nobody, and a root whose notary runs anywhere
/// vouches for nothing. For tests of an image, on loopback.
#[derive(Debug)]
pub struct Notary {
    issuer: DevIssuer,
    image: Measurements,
}

impl Notary {
    /// Takes the issuer to sign by and the one image to vouch for.
    pub fn new(issuer: DevIssuer, image: Measurements) -> Self {
        Self { issuer, image }
    }

    /// Writes the claims of an unsigned document into one that the issuer's root vouches for.
    ///
    /// # Errors
    ///
    /// [`NotaryError`].
    pub fn sign(&self, unsigned: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, NotaryError> {
        let shown = danger::inspect(unsigned)?;
        if shown.algorithm() != UNSIGNED {
            return Err(NotaryError::Signed);
        }
        let registers = [self.image.pcr0, self.image.pcr1, self.image.pcr2];
        for (index, expected) in (0..).zip(registers) {
            if shown.pcrs().get(&index) != Some(&expected) {
                return Err(NotaryError::OtherImage(index));
            }
        }
        let request = IssueRequest {
            module_id: shown.module_id().to_owned(),
            timestamp_ms: shown.timestamp_ms(),
            pcrs: shown.pcrs().clone(),
            nonce: shown.nonce().map(<[u8]>::to_vec),
            user_data: shown.user_data().map(<[u8]>::to_vec),
            public_key: shown.public_key().map(<[u8]>::to_vec),
        };
        Ok(self.issuer.issue(&request, rng)?)
    }
}
