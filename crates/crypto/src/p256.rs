//! P-256 signatures with SHA-256 (ES256): most devices' credentials.
//!
//! Signatures are the 64 bytes `r || s` that WebCrypto, JWS and HTTP Message Signatures use. Both
//! values of `s` are accepted, as all of these do: a signature is never used as a unique name.
//! Verification is aws-lc on native targets and the `p256` crate in WebAssembly; signing is the
//! `p256` crate everywhere, with RFC 6979 nonces, because aws-lc draws its nonces from randomness
//! of its own.
//!
//! FIPS 186-5, RFC 7518 section 3.4, RFC 6979.

use core::fmt;

use ::p256::ecdsa::{
    Signature, SigningKey as Inner, VerifyingKey as Point, signature::Signer as _,
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::secret::Secret;

/// The bytes are not a key of this curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 key")]
pub struct InvalidKey;

/// The signature is not one of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the P-256 signature does not verify")]
pub struct InvalidSignature;

/// A public key: a point known to be on the curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 65]);

impl VerifyingKey {
    /// Makes a key of 0x04, x, y.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if the point is not on the curve or not in this encoding.
    ///
    /// SEC 1 section 2.3.4.
    pub fn from_sec1(bytes: &[u8; 65]) -> Result<Self, InvalidKey> {
        // The first byte excludes the compressed and the "hybrid" forms.
        if bytes.first() != Some(&4) {
            return Err(InvalidKey);
        }
        Point::from_sec1_bytes(bytes).map_err(|_| InvalidKey)?;
        Ok(Self(*bytes))
    }

    /// Makes a key of its coordinates, as a JWK has them.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if the point is not on the curve.
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, InvalidKey> {
        let mut bytes = [4; 65];
        for (target, byte) in bytes.iter_mut().skip(1).zip(x.iter().chain(y)) {
            *target = *byte;
        }
        Self::from_sec1(&bytes)
    }

    /// Returns 0x04, x, y.
    #[must_use]
    pub fn to_sec1(&self) -> [u8; 65] {
        self.0
    }

    /// Returns x and y.
    #[must_use]
    pub fn coordinates(&self) -> ([u8; 32], [u8; 32]) {
        let (mut x, mut y) = ([0; 32], [0; 32]);
        for (target, byte) in x.iter_mut().chain(y.iter_mut()).zip(self.0.iter().skip(1)) {
            *target = *byte;
        }
        (x, y)
    }

    /// Checks a signature `r || s` over SHA-256 of a message.
    ///
    /// # Errors
    ///
    /// [`InvalidSignature`].
    ///
    /// # Security
    ///
    /// Accepts `s` and its mirror image alike. Variable-time; everything in it is public.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), InvalidSignature> {
        backend::verify(&self.0, message, signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p256::VerifyingKey({})", crate::b64::encode(&self.0))
    }
}

/// A private key.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
pub struct SigningKey(Box<Inner>);

impl SigningKey {
    /// Draws a key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            // One draw in 2^32 is not below the order and is thrown away.
            if let Ok(key) = Self::from_secret(&Secret::random(rng)) {
                return key;
            }
        }
    }

    /// Makes a key of its 32 bytes, big-endian.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if the number is zero or not below the order.
    pub fn from_secret(secret: &Secret<32>) -> Result<Self, InvalidKey> {
        secret
            .expose(|bytes| Inner::from_slice(bytes))
            .map(Box::new)
            .map(Self)
            .map_err(|_| InvalidKey)
    }

    /// Returns a copy of the key's 32 bytes, big-endian.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        let mut bytes = self.0.to_bytes();
        let secret = Secret::init_with(|target| target.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// Returns the public key.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let point = self.0.verifying_key().to_sec1_point(false);
        let mut bytes = [0; 65];
        for (target, byte) in bytes.iter_mut().zip(point.as_bytes()) {
            *target = *byte;
        }
        VerifyingKey(bytes)
    }

    /// Signs SHA-256 of a message: `r || s`, deterministic.
    ///
    /// RFC 6979 section 3.2.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("p256::SigningKey([redacted])")
    }
}

/// aws-lc: five times faster, and on the hot path of holders.
#[cfg(not(target_family = "wasm"))]
mod backend {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::InvalidSignature;

    pub(super) fn verify(
        key: &[u8; 65],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }
}

#[cfg(target_family = "wasm")]
use pure as backend;

/// The `p256` crate.
#[cfg(any(target_family = "wasm", test))]
mod pure {
    use ::p256::ecdsa::{Signature, VerifyingKey as Point, signature::Verifier as _};

    use super::InvalidSignature;

    pub(super) fn verify(
        key: &[u8; 65],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), InvalidSignature> {
        let key = Point::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature)
            .map_err(|_| InvalidSignature)
    }
}

#[cfg(test)]
mod tests;
