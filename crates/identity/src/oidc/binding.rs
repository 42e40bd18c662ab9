//! Nonces that bind an ID token to a device credential.
//!
//! The nonce is a typed hash of the project, the device key's thumbprint and a random salt. The
//! provider signs it without knowing what it means; whoever is shown the token, the salt and the
//! thumbprint can check that the sign-in was begun for this device, without believing anybody in
//! between. A token for one device is none for another.
//!
//! OpenID Connect Core section 15.5.2.

use keyfold_crypto::binding::token_nonce;
use keyfold_crypto::hash::constant_time_eq;
use keyfold_crypto::jwk::Thumbprint;
use rand_core::CryptoRng;

/// What makes two nonces of one device differ. Not a secret once the token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceSalt([u8; 32]);

impl NonceSalt {
    /// Draws a salt.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        Self(salt)
    }

    /// Wraps the bytes of a salt that was drawn before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The nonce of a sign-in, as the provider is sent it and signs it.
#[derive(Debug, Clone)]
pub struct Nonce(String);

impl Nonce {
    /// Computes the nonce of a device in a project.
    ///
    /// See [`token_nonce`].
    pub fn for_device(project: &str, device: &Thumbprint, salt: &NonceSalt) -> Self {
        Self(token_nonce(project, device, &salt.0))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares with what a token says.
    pub(super) fn matches(&self, claimed: &str) -> bool {
        constant_time_eq(self.0.as_bytes(), claimed.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::b64;

    use super::*;

    #[test]
    fn every_part_changes_the_nonce_and_none_runs_into_another() {
        let (device, salt) = (Thumbprint([1; 32]), NonceSalt([2; 32]));
        let nonce = |project: &str, device: [u8; 32], salt: [u8; 32]| {
            Nonce::for_device(project, &Thumbprint(device), &NonceSalt(salt)).0
        };
        let base = nonce("app.example", [1; 32], [2; 32]);
        assert_eq!(base, Nonce::for_device("app.example", &device, &salt).0);
        assert_eq!(base.len(), 43);
        let mut shifted = [1; 32];
        shifted[31] = 2;
        for other in [
            nonce("app.exampl", [1; 32], [2; 32]),
            nonce("", [1; 32], [2; 32]),
            nonce("app.example", shifted, [2; 32]),
            nonce("app.example", [2; 32], [1; 32]),
            nonce("app.example", [1; 32], [3; 32]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        // Label, then lengths and bytes, written out.
        let mut bytes = vec![28];
        bytes.extend_from_slice(b"keyfold/oidc/device-nonce/v1");
        bytes.extend_from_slice(&[0, 0, 0, 1, b'p']);
        bytes.extend_from_slice(&[7; 32]);
        bytes.extend_from_slice(&[8; 32]);
        assert_eq!(
            Nonce::for_device("p", &Thumbprint([7; 32]), &NonceSalt([8; 32])).as_str(),
            b64::encode(&keyfold_crypto::hash::sha256(&bytes))
        );
    }
}
