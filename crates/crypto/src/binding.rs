//! What binds a proof of identity to one device: hashes that passkeys, wallets and providers sign
//! without knowing what they mean.
//!
//! Here, below all who compute them: enclaves that draw them, holders that are shown the proof, and
//! clients, which sign nothing before they computed it for their own key.

use crate::jwk::Thumbprint;
use crate::{Encoder, b64};

/// Computes the challenge of a ceremony.
///
/// SHA-256 of `keyfold/challenge/v1`: the method's number, the project as a string, the
/// thumbprint's 32 bytes, the Unix second at which it was drawn, 32 random bytes.
#[must_use]
pub fn challenge(
    method: u8,
    project: &str,
    device: &Thumbprint,
    issued_at_unix_seconds: u64,
    random: &[u8; 32],
) -> [u8; 32] {
    Encoder::new("keyfold/challenge/v1")
        .u8(method)
        .str(project)
        .fixed(&device.0)
        .u64(issued_at_unix_seconds)
        .fixed(random)
        .sha256()
}

/// Computes the nonce that an ID token is asked for with (OpenID Connect Core section 15.5.2).
///
/// SHA-256 of `keyfold/oidc/device-nonce/v1`: the project as a string, the thumbprint's 32 bytes,
/// the salt's 32 bytes; as base64url.
#[must_use]
pub fn token_nonce(project: &str, device: &Thumbprint, salt: &[u8; 32]) -> String {
    b64::encode(
        &Encoder::new("keyfold/oidc/device-nonce/v1")
            .str(project)
            .fixed(&device.0)
            .fixed(salt)
            .sha256(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    #[test]
    fn the_encoding_of_a_challenge_is_the_documented_one() {
        let mut bytes = vec![20];
        bytes.extend_from_slice(b"keyfold/challenge/v1");
        bytes.extend_from_slice(&[2, 0, 0, 0, 1, b'p']);
        bytes.extend_from_slice(&[7; 32]);
        bytes.extend_from_slice(&5u64.to_be_bytes());
        bytes.extend_from_slice(&[8; 32]);
        let made = challenge(2, "p", &Thumbprint([7; 32]), 5, &[8; 32]);
        assert_eq!(made, sha256(&bytes));
    }

    #[test]
    fn every_part_changes_it() {
        let device = Thumbprint([1; 32]);
        let base = challenge(1, "a", &device, 1, &[2; 32]);
        for other in [
            challenge(2, "a", &device, 1, &[2; 32]),
            challenge(1, "b", &device, 1, &[2; 32]),
            challenge(1, "a", &Thumbprint([2; 32]), 1, &[2; 32]),
            challenge(1, "a", &device, 2, &[2; 32]),
            challenge(1, "a", &device, 1, &[3; 32]),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(
            token_nonce("a", &device, &[2; 32]),
            token_nonce("a", &Thumbprint([2; 32]), &[2; 32])
        );
    }
}
