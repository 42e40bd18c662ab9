//! Digests, message authentication, key derivation, comparison.
//!
//! Anything with more than one part is encoded by [`crate::canonical`] before it comes here.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The most bytes HKDF-SHA256 can derive: 255 blocks of 32.
pub const HKDF_MAX_OUTPUT: usize = 255 * 32;

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// Hashes with SHA-256.
///
/// FIPS 180-4.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// Hashes with Keccak-256, the original padding, as Ethereum does.
///
/// Not SHA3-256 of FIPS 202, which pads differently.
#[must_use]
pub fn keccak256(data: &[u8]) -> [u8; 32] {
    sha3::Keccak256::digest(data).into()
}

/// Authenticates `data` under a key of any length.
///
/// RFC 2104, RFC 4231.
#[must_use]
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    // RFC 2104 section 2: a key longer than a block is hashed, a shorter one is filled with zeros.
    let mut block = Zeroizing::new([0; BLOCK]);
    let digest = Zeroizing::new(if key.len() > BLOCK {
        sha256(key)
    } else {
        [0; 32]
    });
    let short = if key.len() > BLOCK {
        digest.as_slice()
    } else {
        key
    };
    for (target, byte) in block.iter_mut().zip(short) {
        *target = *byte;
    }
    let mac = Hmac::<Sha256>::new((&*block).into());
    mac.chain_update(data).finalize().into_bytes().into()
}

/// Derives `N` bytes from key material: extract, then expand.
///
/// `N` is at most [`HKDF_MAX_OUTPUT`]; more does not compile.
///
/// # Security
///
/// `ikm` must have high entropy; a password has not. `info` separates the purposes and is best
/// made by [`crate::canonical::Encoder`].
///
/// RFC 5869.
#[must_use]
pub fn hkdf_sha256<const N: usize>(salt: &[u8], ikm: &[u8], info: &[u8]) -> Secret<N> {
    const {
        assert!(
            N <= HKDF_MAX_OUTPUT,
            "HKDF-SHA256 derives at most 255 blocks"
        )
    };
    // An absent salt is a block of zeros, and HMAC fills an empty key with zeros just so.
    let key = Zeroizing::new(hmac_sha256(salt, ikm));
    Secret::init_with(|output| {
        // Capacity for all of it, so that growing leaves no copy behind.
        let mut message = Zeroizing::new(Vec::with_capacity(32 + info.len() + 1));
        for (chunk, counter) in output.chunks_mut(32).zip(1..=255_u8) {
            message.extend_from_slice(info);
            message.push(counter);
            let block = Zeroizing::new(hmac_sha256(&*key, &message));
            for (target, byte) in chunk.iter_mut().zip(block.iter()) {
                *target = *byte;
            }
            message.clear();
            message.extend_from_slice(&*block);
        }
    })
}

/// Compares two byte strings in time that depends on their lengths only.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
