//! secp256k1 signatures as Ethereum uses them.
//!
//! Nonces are deterministic (RFC 6979), `s` is in the lower half of the order (EIP-2), and a
//! signature carries the parity of the nonce point, so that the signer's address can be recovered.
//! Native targets use libsecp256k1, WebAssembly the `k256` crate; the two agree byte for byte.
//!
//! # Security
//!
//! Both implementations are constant-time in the key. This module signs 32-byte digests because
//! the chain's formats are hashed elsewhere; that a person can read what is signed is the
//! caller's duty.
//!
//! SEC 1 version 2, RFC 6979, EIP-2, Ethereum Yellow Paper appendix F.

use core::fmt;

use crate::{
    hash::keccak256,
    secret::{Secret, SecretBytes},
};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(any(target_family = "wasm", test))]
mod pure;

#[cfg(not(target_family = "wasm"))]
use native as backend;
#[cfg(target_family = "wasm")]
use pure as backend;

/// Half of the group order: the largest `s` that is accepted.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The bytes are not a private key: zero, not below the group order, or not 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secp256k1 private key")]
pub struct InvalidKey;

/// A private key.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`. Temporaries inside the C library are its own.
pub struct SigningKey(backend::Key);

impl SigningKey {
    /// Makes a key of its 32 bytes, big-endian.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if the number is zero or not below the order.
    pub fn from_secret(secret: &Secret<32>) -> Result<Self, InvalidKey> {
        secret.expose(backend::Key::new).map(Self).ok_or(InvalidKey)
    }

    /// As [`SigningKey::from_secret`], from a secret whose length is not known yet.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] also if there are not 32 bytes.
    pub fn from_secret_bytes(secret: &SecretBytes) -> Result<Self, InvalidKey> {
        secret
            .to_secret()
            .ok_or(InvalidKey)
            .and_then(|secret| Self::from_secret(&secret))
    }

    /// Returns a copy of the key's 32 bytes, big-endian: to split or to export.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        self.0.to_secret()
    }

    /// Signs a digest.
    ///
    /// # Security
    ///
    /// Deterministic, low-s. In one of about 2^127 cases x of the nonce point is not below the
    /// order, which Ethereum's signatures cannot express; the signature returned then recovers to
    /// another address and is refused by everybody who checks it.
    ///
    /// RFC 6979 section 3.2, EIP-2.
    #[must_use]
    pub fn sign_prehash(&self, prehash: &[u8; 32]) -> RecoverableSignature {
        let (bytes, recovery_id) = self.0.sign(prehash);
        RecoverableSignature::from_rs(&bytes, recovery_id & 1 == 1)
    }

    /// Computes the public key. Costs one multiplication on the curve.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// Computes the Ethereum address. Costs one multiplication on the curve.
    #[must_use]
    pub fn address(&self) -> [u8; 20] {
        self.public_key().address()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secp256k1::SigningKey([redacted])")
    }
}

/// A point on the curve, uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 65]);

impl PublicKey {
    /// Returns 0x04, x, y.
    #[must_use]
    pub fn to_uncompressed(self) -> [u8; 65] {
        self.0
    }

    /// Returns 0x02 for an even or 0x03 for an odd y, then x.
    ///
    /// SEC 1 section 2.3.3.
    #[must_use]
    pub fn to_compressed(self) -> [u8; 33] {
        let [_, xy @ .., last] = self.0;
        let mut compressed = [2 | (last & 1); 33];
        for (target, byte) in compressed.iter_mut().skip(1).zip(xy) {
            *target = byte;
        }
        compressed
    }

    /// Returns the Ethereum address: the last 20 bytes of Keccak-256 over x and y.
    #[must_use]
    pub fn address(self) -> [u8; 20] {
        let [_, xy @ ..] = self.0;
        let hash = keccak256(&xy);
        let mut address = [0; 20];
        for (target, byte) in address.iter_mut().zip(hash.iter().skip(12)) {
            *target = *byte;
        }
        address
    }
}

/// An ECDSA signature from which the signer can be recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoverableSignature {
    /// x of the nonce point, modulo the order, big-endian.
    pub r: [u8; 32],
    /// The proof, big-endian; in the lower half of the order when it comes from here.
    pub s: [u8; 32],
    /// Whether y of the nonce point is odd: v is 27 plus this.
    pub y_parity: bool,
}

impl RecoverableSignature {
    /// Makes a signature of `r || s`.
    #[must_use]
    pub fn from_rs(rs: &[u8; 64], y_parity: bool) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        for (target, byte) in r.iter_mut().chain(s.iter_mut()).zip(rs) {
            *target = *byte;
        }
        Self { r, s, y_parity }
    }

    /// Returns `r || s`.
    #[must_use]
    pub fn to_rs(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (target, byte) in bytes.iter_mut().zip(self.r.iter().chain(&self.s)) {
            *target = *byte;
        }
        bytes
    }

    /// Returns `r || s || v` with v = 27 or 28, as `eth_sign` and ERC-1271 wallets expect.
    #[must_use]
    pub fn to_rsv(&self) -> [u8; 65] {
        let mut bytes = [27 + u8::from(self.y_parity); 65];
        for (target, byte) in bytes.iter_mut().zip(self.to_rs()) {
            *target = byte;
        }
        bytes
    }
}

/// Why no signer could be recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// `s` is in the upper half: the mirror image of somebody's signature.
    #[error("the signature's s is in the upper half of the order")]
    HighS,
    /// `r` or `s` is out of range or no point belongs to them.
    #[error("no key has made this signature")]
    Invalid,
}

/// Recovers the public key that signed a digest.
///
/// # Errors
///
/// See [`RecoverError`].
///
/// # Security
///
/// Some key can be recovered from nearly every pair of numbers: the result means something only
/// when it is compared with an address known from elsewhere, and only if `prehash` was hashed here
/// from the message. Variable-time; everything in it is public.
pub fn recover_public_key(
    prehash: &[u8; 32],
    signature: &RecoverableSignature,
) -> Result<PublicKey, RecoverError> {
    if signature.s > HALF_ORDER {
        return Err(RecoverError::HighS);
    }
    backend::recover(prehash, &signature.to_rs(), signature.y_parity)
        .map(PublicKey)
        .ok_or(RecoverError::Invalid)
}

/// Recovers the Ethereum address that signed a digest.
///
/// # Errors
///
/// See [`RecoverError`].
///
/// # Security
///
/// As [`recover_public_key`].
pub fn recover(
    prehash: &[u8; 32],
    signature: &RecoverableSignature,
) -> Result<[u8; 20], RecoverError> {
    recover_public_key(prehash, signature).map(PublicKey::address)
}

#[cfg(test)]
mod tests;
