//! Sealing to a public key: HPKE in base mode.
//!
//! The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM: the one that every
//! Oblivious HTTP implementation speaks and that WebCrypto has the parts of, so that one set of
//! primitives serves the whole project. AES-128 is as strong as the X25519 in front of it, and
//! every message has a key of its own.
//!
//! Base mode authenticates nobody: anybody can seal to a public key. Who sealed is proven by a
//! signature around it; `info` and the associated data, both canonical encodings, say what it is
//! for and bind it there.
//!
//! RFC 9180 sections 5 and 6.1.

use core::fmt;

use ::hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::AesGcm128, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::{
    b64,
    secret::{Secret, SecretBytes},
};

type Kem = X25519HkdfSha256;

/// The bytes of the encapsulated key in front of every ciphertext.
pub const ENCAPSULATED_KEY_BYTES: usize = 32;

/// The bytes that sealing adds: the encapsulated key and the tag.
pub const OVERHEAD_BYTES: usize = ENCAPSULATED_KEY_BYTES + 16;

/// The most bytes that are sealed or opened in one piece: 1 MiB.
pub const MAX_PLAINTEXT_BYTES: usize = 1 << 20;

/// The public key of a recipient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HpkePublicKey(#[serde(with = "b64")] pub [u8; 32]);

impl fmt::Debug for HpkePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HpkePublicKey({})", b64::encode(&self.0))
    }
}

/// The private key of a recipient.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
#[derive(Debug)]
pub struct HpkePrivateKey(Secret<32>);

impl HpkePrivateKey {
    /// Draws a key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Makes a key of its 32 bytes; all are keys.
    #[must_use]
    pub fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// Returns a copy of the key's 32 bytes.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        self.0.duplicate()
    }

    /// Computes the public key. Costs one multiplication on the curve.
    #[must_use]
    pub fn public_key(&self) -> HpkePublicKey {
        match self.parse() {
            Some(key) => HpkePublicKey(Kem::sk_to_pk(&key).to_bytes().into()),
            // Every 32 bytes are a key. If the library ever disagreed, nothing can be sealed to
            // this point: `seal` refuses it.
            None => HpkePublicKey([0; 32]),
        }
    }

    fn parse(&self) -> Option<<Kem as ::hpke::Kem>::PrivateKey> {
        self.0
            .expose(|bytes| <Kem as ::hpke::Kem>::PrivateKey::from_bytes(bytes))
            .ok()
    }
}

/// Why something could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There are more than [`MAX_PLAINTEXT_BYTES`].
    #[error("too long to seal in one piece")]
    TooLong,
    /// The recipient's key is one that every secret agrees with (of small order).
    #[error("the recipient's key is not usable")]
    InvalidKey,
}

/// The ciphertext was not made for this key, `info` and associated data, or was altered.
///
/// Deliberately one error: which of them it was is nothing to tell a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed message does not open")]
pub struct OpenError;

/// Seals a message to a public key: the encapsulated key, then the ciphertext with its tag.
///
/// # Errors
///
/// See [`SealError`].
///
/// # Security
///
/// `info` and `aad` are canonical encodings that name purpose and place. All depends on `rng`.
pub fn seal(
    recipient: &HpkePublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    if plaintext.len() > MAX_PLAINTEXT_BYTES {
        return Err(SealError::TooLong);
    }
    let key = <Kem as ::hpke::Kem>::PublicKey::from_bytes(&recipient.0)
        .map_err(|_| SealError::InvalidKey)?;
    let (encapsulated, ciphertext) =
        ::hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, Kem>(
            &OpModeS::Base,
            &key,
            info,
            plaintext,
            aad,
            rng,
        )
        .map_err(|_| SealError::InvalidKey)?;
    let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    sealed.extend_from_slice(&encapsulated.to_bytes());
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what [`seal`] made.
///
/// # Errors
///
/// [`OpenError`] for whatever reason.
pub fn open(
    recipient: &HpkePrivateKey,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes, OpenError> {
    if sealed.len() > MAX_PLAINTEXT_BYTES + OVERHEAD_BYTES {
        return Err(OpenError);
    }
    let (encapsulated, ciphertext) = sealed
        .split_at_checked(ENCAPSULATED_KEY_BYTES)
        .ok_or(OpenError)?;
    let encapsulated =
        <Kem as ::hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| OpenError)?;
    let key = recipient.parse().ok_or(OpenError)?;
    ::hpke::single_shot_open::<AesGcm128, HkdfSha256, Kem>(
        &OpModeR::Base,
        &key,
        &encapsulated,
        info,
        ciphertext,
        aad,
    )
    .map(SecretBytes::from_vec)
    .map_err(|_| OpenError)
}

/// Derives a key pair from at least 32 bytes of key material.
///
/// # Security
///
/// The material must be uniformly random or itself derived from such.
///
/// RFC 9180 section 7.1.3.
#[must_use]
pub fn derive_key_pair(material: &Secret<32>) -> HpkePrivateKey {
    let (private, _) = material.expose(|material| Kem::derive_keypair(material));
    let mut bytes = private.to_bytes();
    let secret = Secret::init_with(|target| target.copy_from_slice(&bytes));
    bytes.as_mut_slice().zeroize();
    HpkePrivateKey(secret)
}

#[cfg(test)]
mod tests;
