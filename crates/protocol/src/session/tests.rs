use std::sync::LazyLock;

use keyfold_crypto::b64;
use keyfold_crypto::hash::hmac_sha256;
use keyfold_crypto::jwk::Thumbprint;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ids::{AccountId, AddressId, ProjectId, RealmId, SessionId};

const NOW: u64 = 1_800_000_000;

static RS256: LazyLock<AttestationSigner> =
    LazyLock::new(|| AttestationSigner::generate_rs256().unwrap());
static ES256: LazyLock<AttestationSigner> =
    LazyLock::new(|| AttestationSigner::generate_es256().unwrap());
static PROJECT: LazyLock<ProjectId> = LazyLock::new(|| "app.example".parse().unwrap());
const REALM: RealmId = RealmId::from_bytes([1; 32]);

mod forged;
mod id_tokens;
mod keys;
mod malformed_claims;

fn claims() -> SessionClaims {
    SessionClaims {
        iss: REALM,
        aud: PROJECT.clone(),
        sub: AccountId::from_bytes([2; 16]),
        cnf: Confirmation {
            jkt: Thumbprint([3; 32]),
        },
        wallets: vec![AddressId::from_bytes([0xab; 20])],
        amr: vec!["otp".into()],
        acr: "keyfold:1".into(),
        auth_time: NOW - 100,
        sid: SessionId::from_bytes([4; 16]),
        iat: NOW,
        exp: NOW + 3_600,
        jti: "5".into(),
    }
}

fn set(signers: &[&AttestationSigner]) -> AttestationKeySet {
    AttestationKeySet::new(signers.iter().map(|s| s.public_jwk().clone()).collect()).unwrap()
}

fn check(jwt: &str, signers: &[&AttestationSigner]) -> Result<VerifiedSession, SessionError> {
    check_at(jwt, signers, NOW)
}

fn check_at(
    jwt: &str,
    signers: &[&AttestationSigner],
    now_unix_seconds: u64,
) -> Result<VerifiedSession, SessionError> {
    verify(
        jwt,
        &set(signers),
        &SessionExpectation {
            realm: &REALM,
            project: &PROJECT,
            now_unix_seconds,
            expired: Expired::Refused,
        },
    )
}

/// Signs any header and payload with a real key, which [`AttestationSigner::sign`] would not.
fn forge(signer: &AttestationSigner, header: &str, payload: &str) -> String {
    let message = format!(
        "{}.{}",
        b64::encode(header.as_bytes()),
        b64::encode(payload.as_bytes())
    );
    let signature = signer.sign_bytes(message.as_bytes()).unwrap();
    format!("{message}.{}", b64::encode(&signature))
}

fn header(signer: &AttestationSigner) -> Value {
    let key = signer.public_jwk();
    json!({"typ": TYP, "alg": key.algorithm().name(), "kid": key.kid().to_string()})
}

fn forge_payload(payload: &str) -> String {
    forge(&ES256, &header(&ES256).to_string(), payload)
}

/// Genuine claims with one of them set to something else.
fn forge_claim(name: &str, value: Value) -> String {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload[name] = value;
    forge_payload(&payload.to_string())
}

mod accepted {
    use super::*;

    #[test]
    fn both_algorithms_verify_under_a_set_of_both() {
        for signer in [&*RS256, &*ES256] {
            let jwt = signer.sign(&claims()).unwrap();
            let verified = check(&jwt, &[&RS256, &ES256]).unwrap();
            assert_eq!(verified.claims(), &claims());
            assert_eq!(verified.device(), Thumbprint([3; 32]));
            assert_eq!(verified.attestation_hash(), attestation_hash(&jwt));
            assert!(verified.has_wallet(&AddressId::from_bytes([0xab; 20])));
            assert!(!verified.has_wallet(&AddressId::from_bytes([0xac; 20])));
        }
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let jwt = ES256.sign(&claims()).unwrap();
        let parts: Vec<Value> = jwt
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&b64::decode(part, 8192).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], header(&ES256));
        assert_eq!(
            parts[1],
            json!({
                "iss": "01".repeat(32), "aud": "app.example", "sub": "02".repeat(16),
                "cnf": {"jkt": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM"},
                "wallets": [format!("0x{}", "ab".repeat(20))],
                "amr": ["otp"], "acr": "keyfold:1", "auth_time": NOW - 100,
                "sid": "04".repeat(16), "iat": NOW, "exp": NOW + 3600, "jti": "5",
            })
        );
    }

    #[test]
    fn an_apps_own_library_verifies_it_with_the_published_keys() {
        use jsonwebtoken::jwk::JwkSet;
        use jsonwebtoken::{Algorithm, DecodingKey, Validation};

        let published = serde_json::to_string(&set(&[&RS256, &ES256])).unwrap();
        let published: JwkSet = serde_json::from_str(&published).unwrap();
        for (signer, algorithm) in [(&*RS256, Algorithm::RS256), (&*ES256, Algorithm::ES256)] {
            let jwt = signer.sign(&claims()).unwrap();
            let kid = jsonwebtoken::decode_header(&jwt).unwrap().kid.unwrap();
            let key = DecodingKey::from_jwk(published.find(&kid).unwrap()).unwrap();
            let mut validation = Validation::new(algorithm);
            validation.validate_exp = false;
            validation.set_audience(&["app.example"]);
            validation.set_issuer(&["01".repeat(32)]);
            let decoded = jsonwebtoken::decode::<SessionClaims>(&jwt, &key, &validation).unwrap();
            assert_eq!(decoded.claims, claims());
        }
    }

    #[test]
    fn what_another_library_signs_with_the_key_is_verified() {
        use jsonwebtoken::{Algorithm, EncodingKey, Header};

        let secret = ES256.to_secret_bytes().unwrap();
        let key = secret.expose(|bytes| EncodingKey::from_ec_der(&bytes[1..]));
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TYP.into());
        header.kid = Some(ES256.public_jwk().kid().to_string());
        let jwt = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert!(check(&jwt, &[&ES256]).is_ok());
    }

    #[test]
    fn a_claim_of_a_later_release_is_skipped() {
        assert!(check(&forge_claim("later", json!({"a": [1]})), &[&ES256]).is_ok());
    }

    #[test]
    fn the_largest_attestation_fits() {
        let mut most = claims();
        most.wallets = (0..64).map(|i| AddressId::from_bytes([i; 20])).collect();
        most.amr = vec!["a".repeat(64); 8];
        most.acr = "a".repeat(64);
        most.jti = "a".repeat(64);
        most.aud = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61))
            .parse()
            .unwrap();
        assert!(RS256.sign(&most).unwrap().len() <= MAX_ATTESTATION_LEN);
    }
}

mod time {
    use super::*;

    #[test]
    fn one_second_too_late_is_refused() {
        let jwt = ES256.sign(&claims()).unwrap();
        assert!(check_at(&jwt, &[&ES256], NOW + 3_599).is_ok());
        assert_eq!(
            check_at(&jwt, &[&ES256], NOW + 3_600),
            Err(SessionError::Expired)
        );
        assert_eq!(
            check_at(&jwt, &[&ES256], u64::MAX),
            Err(SessionError::Expired)
        );
    }

    #[test]
    fn an_attestation_from_the_future_is_refused_beyond_the_skew_of_clocks() {
        let jwt = ES256.sign(&claims()).unwrap();
        assert!(check_at(&jwt, &[&ES256], NOW - 30).is_ok());
        assert_eq!(
            check_at(&jwt, &[&ES256], NOW - 31),
            Err(SessionError::NotYetValid)
        );
        assert_eq!(check_at(&jwt, &[&ES256], 0), Err(SessionError::NotYetValid));
    }

    #[test]
    fn no_attestation_outlives_an_hour_nor_its_session_thirty_days() {
        let cases = [
            (NOW - 100, NOW, NOW + 3_601, ClaimsError::LifetimeTooLong),
            (NOW - 100, NOW, u64::MAX, ClaimsError::LifetimeTooLong),
            (
                NOW + 3_600 - MAX_SESSION_SECONDS - 1,
                NOW,
                NOW + 3_600,
                ClaimsError::SessionTooOld,
            ),
            (0, NOW, NOW + 3_600, ClaimsError::SessionTooOld),
            (NOW + 1, NOW, NOW + 3_600, ClaimsError::TimesOutOfOrder),
            (NOW - 100, NOW, NOW, ClaimsError::TimesOutOfOrder),
            (NOW - 100, NOW, NOW - 1, ClaimsError::TimesOutOfOrder),
        ];
        for (auth_time, iat, exp, error) in cases {
            let bad = SessionClaims {
                auth_time,
                iat,
                exp,
                ..claims()
            };
            // The signer refuses to say it, and the verifier to believe it from a signer that did.
            assert_eq!(ES256.sign(&bad), Err(SignError::Claims(error)));
            let jwt = forge_payload(&serde_json::to_string(&bad).unwrap());
            assert_eq!(check(&jwt, &[&ES256]), Err(SessionError::Claims(error)));
        }
        let longest = NOW + 3_600 - MAX_SESSION_SECONDS;
        let jwt = ES256
            .sign(&SessionClaims {
                auth_time: longest,
                ..claims()
            })
            .unwrap();
        assert!(check(&jwt, &[&ES256]).is_ok());
    }
}

mod foreign {
    use super::*;

    #[test]
    fn an_attestation_of_app_a_is_refused_for_app_b() {
        for aud in [
            "other.example",
            "app.example.evil.example",
            "xapp.example",
            "example",
        ] {
            let jwt = ES256
                .sign(&SessionClaims {
                    aud: aud.parse().unwrap(),
                    ..claims()
                })
                .unwrap();
            assert_eq!(check(&jwt, &[&ES256]), Err(SessionError::WrongProject));
        }
    }

    #[test]
    fn an_attestation_of_another_realm_is_refused() {
        let other = SessionClaims {
            iss: RealmId::from_bytes([9; 32]),
            ..claims()
        };
        assert_eq!(
            check(&ES256.sign(&other).unwrap(), &[&ES256]),
            Err(SessionError::WrongRealm)
        );
    }

    #[test]
    fn a_key_that_is_not_in_the_set_verifies_nothing() {
        let jwt = ES256.sign(&claims()).unwrap();
        assert_eq!(check(&jwt, &[&RS256]), Err(SessionError::UnknownKey));
        assert_eq!(check(&jwt, &[]), Err(SessionError::UnknownKey));
    }

    #[test]
    fn a_key_cannot_sign_in_the_name_of_another() {
        let other = AttestationSigner::generate_es256().unwrap();
        let jwt = forge(
            &other,
            &header(&ES256).to_string(),
            &serde_json::to_string(&claims()).unwrap(),
        );
        assert_eq!(check(&jwt, &[&ES256]), Err(SessionError::BadSignature));
        assert_eq!(
            check(&jwt, &[&ES256, &other]),
            Err(SessionError::BadSignature)
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "[A-Za-z0-9_.=-]{0,300}|\\PC{0,100}") {
        prop_assert!(check(&text, &[&ES256]).is_err());
    }

    #[test]
    fn arbitrary_signed_payloads_never_panic(payload in "\\PC{0,200}") {
        prop_assert!(check(&forge_payload(&payload), &[&ES256]).is_err());
    }
}
