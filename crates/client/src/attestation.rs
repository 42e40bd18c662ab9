//! What an attestation says, read without verifying it.
//!
//! # Security
//!
//! It came sealed from an enclave that was verified, or from where the program keeps its session:
//! what is read here is as good as that, and nobody else may be convinced by it.

use keyfold_crypto::b64;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::delivery::HeldAttestation;
use keyfold_protocol::ids::AddressId;
use keyfold_protocol::session::{MAX_ATTESTATION_LEN, SessionClaims};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Header {
    kid: Thumbprint,
}

/// Reads which key signed an attestation.
pub(crate) fn key_of(attestation: &HeldAttestation) -> Option<Thumbprint> {
    match attestation {
        HeldAttestation::Text(text) => part(text, 0).map(|Header { kid }| kid),
        HeldAttestation::Cookie(sealed) => Some(sealed.key),
    }
}

/// Tells whether an attestation names a wallet; `None` where that cannot be read, which those who
/// verify attestations decide.
pub(crate) fn names_wallet(attestation: &HeldAttestation, wallet: &AddressId) -> Option<bool> {
    match attestation {
        HeldAttestation::Text(text) => {
            part(text, 1).map(|claims: SessionClaims| claims.wallets.contains(wallet))
        }
        HeldAttestation::Cookie(sealed) => Some(sealed.wallets.contains(wallet)),
    }
}

fn part<T: DeserializeOwned>(attestation: &str, at: usize) -> Option<T> {
    let part = attestation.split('.').nth(at)?;
    let part = b64::decode(part, MAX_ATTESTATION_LEN).ok()?;
    serde_json::from_slice(&part).ok()
}

#[cfg(test)]
mod tests {
    use keyfold_protocol::ids::{AccountId, RealmId, SessionId};
    use keyfold_protocol::session::Confirmation;

    use super::*;

    fn text(jwt: &str) -> HeldAttestation {
        HeldAttestation::Text(jwt.to_owned())
    }

    #[test]
    fn the_wallets_of_an_attestation_are_read_and_what_is_none_is_left_to_its_verifiers() {
        let (named, other) = (
            AddressId::from_bytes([1; 20]),
            AddressId::from_bytes([2; 20]),
        );
        let claims = SessionClaims {
            iss: RealmId::from_bytes([3; 32]),
            aud: "app.example".parse().unwrap(),
            sub: AccountId::from_bytes([4; 16]),
            cnf: Confirmation {
                jkt: Thumbprint([5; 32]),
            },
            wallets: vec![named],
            amr: vec!["otp".to_owned()],
            acr: "email".to_owned(),
            auth_time: 1,
            sid: SessionId::from_bytes([6; 16]),
            iat: 1,
            exp: 2,
            jti: "7".to_owned(),
        };
        let claims = b64::encode(&serde_json::to_vec(&claims).unwrap());
        let jwt = text(&format!("header.{claims}.signature"));
        assert_eq!(names_wallet(&jwt, &named), Some(true));
        assert_eq!(names_wallet(&jwt, &other), Some(false));
        assert_eq!(names_wallet(&text("attestation"), &named), None);
        assert_eq!(names_wallet(&text("a.b.c"), &named), None);
    }

    #[test]
    fn the_key_of_an_attestation_is_read_from_its_header() {
        let kid = Thumbprint([8; 32]);
        let header = format!(r#"{{"typ":"keyfold-session+jwt","alg":"RS256","kid":"{kid}"}}"#);
        let jwt = format!("{}.claims.signature", b64::encode(header.as_bytes()));
        assert_eq!(key_of(&text(&jwt)), Some(kid));
        for none in ["", "attestation", "a.b.c", "e30.b.c"] {
            assert_eq!(key_of(&text(none)), None, "{none}");
        }
    }
}
