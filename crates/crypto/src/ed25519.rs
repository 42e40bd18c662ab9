//! Ed25519 signatures: device credentials, service identities, logs.
//!
//! One implementation everywhere, so that everybody agrees on the edge cases: verification is the
//! strict kind, which refuses public keys and nonce points of small order and `s` out of range.
//!
//! RFC 8032 section 5.1.

use core::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey as Inner, VerifyingKey as Point};
use rand_core::CryptoRng;

use crate::secret::Secret;

/// The bytes are not an acceptable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 public key")]
pub struct InvalidKey;

/// The signature is not one of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Ed25519 signature does not verify")]
pub struct InvalidSignature;

/// A public key: a point on the curve, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey(Point);

impl VerifyingKey {
    /// Makes a key of its 32 bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if no point belongs to the bytes, or one of small order, for which
    /// signatures exist that verify over any message.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        let point = Point::from_bytes(bytes).map_err(|_| InvalidKey)?;
        if point.is_weak() {
            Err(InvalidKey)
        } else {
            Ok(Self(point))
        }
    }

    /// Returns the key's 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Checks a signature over a message.
    ///
    /// # Errors
    ///
    /// [`InvalidSignature`].
    ///
    /// # Security
    ///
    /// Strict: see the [module](self). Variable-time; everything in it is public.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), InvalidSignature> {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| InvalidSignature)
    }
}

impl serde::Serialize for VerifyingKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::b64::serialize(&self.to_bytes(), serializer)
    }
}

impl<'de> serde::Deserialize<'de> for VerifyingKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: [u8; 32] = crate::b64::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ed25519::VerifyingKey({})",
            crate::b64::encode(self.0.as_bytes())
        )
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
        Self::from_secret(&Secret::random(rng))
    }

    /// Makes a key of its 32-byte seed; every seed is a key.
    #[must_use]
    pub fn from_secret(secret: &Secret<32>) -> Self {
        Self(Box::new(secret.expose(Inner::from_bytes)))
    }

    /// Returns a copy of the 32-byte seed.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        Secret::init_with(|bytes| bytes.copy_from_slice(self.0.as_bytes()))
    }

    /// Returns the public key.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519::SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests;
