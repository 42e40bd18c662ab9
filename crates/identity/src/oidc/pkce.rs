//! Proof Key for Code Exchange: whoever redeems a code began the sign-in.
//!
//! RFC 7636, method S256 only.

use keyfold_crypto::hash::sha256;
use keyfold_crypto::{SecretBytes, b64};
use rand_core::CryptoRng;

/// The secret of a sign-in: 43 characters, from 32 random bytes.
///
/// # Security
///
/// Leaves only in the token request. Wiped on drop, redacted in `Debug`.
#[derive(Debug)]
pub struct Verifier(SecretBytes);

impl Verifier {
    /// Draws a verifier.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(SecretBytes::from_vec(b64::encode(&*bytes).into_bytes()))
    }

    /// Returns the challenge: what the provider is shown at the beginning.
    pub fn challenge(&self) -> String {
        self.0.expose(|text| b64::encode(&sha256(text)))
    }

    pub(super) fn expose<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        self.0
            .expose(|bytes| read(core::str::from_utf8(bytes).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::testing::SeededRng;

    use super::*;

    #[test]
    fn rfc_7636_appendix_b() {
        let text = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            Verifier(SecretBytes::from_slice(text.as_bytes())).challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn verifiers_have_43_unreserved_characters_and_differ() {
        let first = Verifier::random(&mut SeededRng::new(1));
        let second = Verifier::random(&mut SeededRng::new(2));
        assert_ne!(first.challenge(), second.challenge());
        first.expose(|text| {
            assert_eq!(text.len(), 43);
            let unreserved = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(text.bytes().all(unreserved));
        });
        assert!(!format!("{first:?}").contains(&first.expose(str::to_owned)));
    }
}
