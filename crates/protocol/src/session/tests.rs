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

mod forged {
    use super::*;

    fn payload() -> String {
        serde_json::to_string(&claims()).unwrap()
    }

    fn with_header(edit: impl Fn(&mut Value)) -> Result<VerifiedSession, SessionError> {
        let mut changed = header(&RS256);
        edit(&mut changed);
        check(
            &forge(&RS256, &changed.to_string(), &payload()),
            &[&RS256, &ES256],
        )
    }

    #[test]
    fn the_algorithm_is_the_keys_and_nobody_elses_choice() {
        for alg in [
            "none", "None", "", "HS256", "RS384", "PS256", "ES256", "rs256",
        ] {
            assert_eq!(
                with_header(|h| h["alg"] = alg.into()),
                Err(SessionError::WrongAlgorithm)
            );
        }
    }

    #[test]
    fn an_unsigned_attestation_is_refused() {
        let mut none = header(&RS256);
        none["alg"] = "none".into();
        let part = |text: &str| b64::encode(text.as_bytes());
        let jwt = format!("{}.{}.", part(&none.to_string()), part(&payload()));
        assert_eq!(check(&jwt, &[&RS256]), Err(SessionError::WrongAlgorithm));
        let jwt = format!(
            "{}.{}.",
            part(&header(&RS256).to_string()),
            part(&payload())
        );
        assert_eq!(check(&jwt, &[&RS256]), Err(SessionError::BadSignature));
    }

    #[test]
    fn a_mac_under_the_public_key_is_no_signature() {
        let jwks = serde_json::to_vec(RS256.public_jwk()).unwrap();
        let modulus = serde_json::to_value(RS256.public_jwk()).unwrap()["n"].clone();
        let modulus = b64::decode(modulus.as_str().unwrap(), 512).unwrap();
        for alg in ["HS256", "RS256"] {
            for secret in [&jwks, &modulus] {
                let mut header = header(&RS256);
                header["alg"] = alg.into();
                let message = format!(
                    "{}.{}",
                    b64::encode(header.to_string().as_bytes()),
                    b64::encode(payload().as_bytes())
                );
                let mac = hmac_sha256(secret, message.as_bytes());
                let jwt = format!("{message}.{}", b64::encode(&mac));
                assert!(matches!(
                    check(&jwt, &[&RS256]),
                    Err(SessionError::WrongAlgorithm | SessionError::BadSignature)
                ));
            }
        }
    }

    #[test]
    fn the_header_cannot_bring_its_own_key_or_rules() {
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("b64", json!(false)),
            ("jwk", serde_json::to_value(ES256.public_jwk()).unwrap()),
            ("jku", json!("https://evil.example/jwks.json")),
            ("x5u", json!("https://evil.example/")),
            ("x5c", json!([])),
            ("zip", json!("DEF")),
        ] {
            let result = with_header(|h| h[name] = value.clone());
            assert_eq!(result, Err(SessionError::Malformed), "{name}");
        }
    }

    #[test]
    fn a_token_of_another_type_is_refused() {
        for typ in ["JWT", "at+jwt", "KEYFOLD-SESSION+JWT", ""] {
            assert_eq!(
                with_header(|h| h["typ"] = typ.into()),
                Err(SessionError::Malformed)
            );
        }
        for name in ["typ", "alg", "kid"] {
            let result = with_header(|h| {
                h.as_object_mut().unwrap().remove(name);
            });
            assert_eq!(result, Err(SessionError::Malformed), "{name}");
        }
    }

    #[test]
    fn a_kid_is_a_thumbprint_and_not_a_path() {
        for kid in ["", "../../dev/null", "' OR 1=1", "AAAA"] {
            assert_eq!(
                with_header(|h| h["kid"] = kid.into()),
                Err(SessionError::UnknownKey)
            );
        }
    }

    #[test]
    fn an_altered_attestation_is_refused_wherever_it_was_altered() {
        for signer in [&*RS256, &*ES256] {
            let jwt = signer.sign(&claims()).unwrap();
            for position in (0..jwt.len()).step_by(7) {
                let mut bytes = jwt.clone().into_bytes();
                bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
                let altered = String::from_utf8(bytes).unwrap();
                assert!(
                    check(&altered, &[&RS256, &ES256]).is_err(),
                    "byte {position}"
                );
            }
            let other = signer
                .sign(&SessionClaims {
                    jti: "6".into(),
                    ..claims()
                })
                .unwrap();
            let parts: Vec<&str> = jwt.split('.').collect();
            let others: Vec<&str> = other.split('.').collect();
            let spliced = format!("{}.{}.{}", parts[0], others[1], parts[2]);
            assert_eq!(
                check(&spliced, &[&RS256, &ES256]),
                Err(SessionError::BadSignature)
            );
        }
    }

    #[test]
    fn other_texts_of_the_same_attestation_are_refused() {
        let jwt = ES256.sign(&claims()).unwrap();
        // The last character of a 64-byte signature carries four bits of zero.
        let last = jwt.chars().last().unwrap();
        let sibling = char::from_u32(last as u32 + 1).unwrap();
        let sibling = format!("{}{sibling}", &jwt[..jwt.len() - 1]);
        for other in [
            format!("{jwt}="),
            format!("{jwt}."),
            format!(" {jwt}"),
            format!("{jwt}\n"),
            format!("{jwt}.e30"),
            format!(".{jwt}"),
            jwt.replacen('.', "..", 1),
            sibling,
        ] {
            assert!(check(&other, &[&ES256]).is_err(), "{other}");
        }
    }

    #[test]
    fn an_oversized_attestation_is_refused_unread() {
        let jwt = forge_claim("later", json!("a".repeat(MAX_ATTESTATION_LEN)));
        assert_eq!(check(&jwt, &[&ES256]), Err(SessionError::TooLarge));
        assert_eq!(
            check(&"a".repeat(10 << 20), &[&ES256]),
            Err(SessionError::TooLarge)
        );
    }
}

mod malformed_claims {
    use super::*;

    #[test]
    fn a_claim_that_occurs_twice_is_refused() {
        let payload = serde_json::to_string(&claims()).unwrap();
        let genuine = payload.trim_end_matches('}');
        for twice in [
            r#""aud":"app.example""#,
            r#""exp":1800003600"#,
            r#""\u0065xp":1800003600"#,
            r#""later":1,"later":1"#,
            r#""x":{"y":1,"y":1}"#,
        ] {
            let jwt = forge_payload(&format!("{genuine},{twice}}}"));
            assert_eq!(
                check(&jwt, &[&ES256]),
                Err(SessionError::Malformed),
                "{twice}"
            );
        }
        let in_cnf = payload.replace(r#""cnf":{"#, r#""cnf":{"jkt":"x","#);
        assert_eq!(
            check(&forge_payload(&in_cnf), &[&ES256]),
            Err(SessionError::Malformed)
        );
        let in_header = r#"{"typ":"keyfold-session+jwt","alg":"none","alg":"ES256","kid":"#;
        let in_header = format!("{in_header}\"{}\"}}", ES256.public_jwk().kid());
        let jwt = forge(&ES256, &in_header, &payload);
        assert_eq!(check(&jwt, &[&ES256]), Err(SessionError::Malformed));
    }

    #[test]
    fn a_claim_of_another_type_or_form_is_refused() {
        let address = "ab".repeat(20);
        for (name, value) in [
            ("aud", json!(["app.example"])),
            ("aud", json!("APP.example")),
            ("aud", Value::Null),
            ("iss", json!("01".repeat(31))),
            ("iss", json!("0A".repeat(32))),
            ("sub", json!(1)),
            ("cnf", json!({})),
            ("cnf", json!({"jkt": "AAAA"})),
            ("cnf", json!({"jkt": format!("{}=", Thumbprint([3; 32]))})),
            ("wallets", json!(address)),
            ("wallets", json!([address])),
            ("wallets", json!([format!("0x{}", address.to_uppercase())])),
            ("wallets", json!([format!("0x{address}00")])),
            ("exp", json!("1800003600")),
            ("exp", json!(1_800_003_600.5)),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("auth_time", Value::Null),
            ("amr", json!("otp")),
        ] {
            let result = check(&forge_claim(name, value.clone()), &[&ES256]);
            assert_eq!(result, Err(SessionError::Malformed), "{name}: {value}");
        }
        for name in serde_json::to_value(claims())
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
        {
            let mut payload = serde_json::to_value(claims()).unwrap();
            payload.as_object_mut().unwrap().remove(name);
            let jwt = forge_payload(&payload.to_string());
            assert_eq!(
                check(&jwt, &[&ES256]),
                Err(SessionError::Malformed),
                "no {name}"
            );
        }
        for payload in ["", "null", "[]", "{}", "{", "\u{feff}{}"] {
            assert_eq!(
                check(&forge_payload(payload), &[&ES256]),
                Err(SessionError::Malformed)
            );
        }
    }

    #[test]
    fn lists_and_texts_have_limits() {
        let bad = [
            (
                SessionClaims {
                    amr: vec![],
                    ..claims()
                },
                "amr",
            ),
            (
                SessionClaims {
                    amr: vec!["a".into(); 9],
                    ..claims()
                },
                "amr",
            ),
            (
                SessionClaims {
                    acr: String::new(),
                    ..claims()
                },
                "acr",
            ),
            (
                SessionClaims {
                    acr: "a b".into(),
                    ..claims()
                },
                "acr",
            ),
            (
                SessionClaims {
                    jti: "a".repeat(65),
                    ..claims()
                },
                "jti",
            ),
            (
                SessionClaims {
                    wallets: vec![AddressId::from_bytes([1; 20]); 65],
                    ..claims()
                },
                "wallets",
            ),
        ];
        for (claims, what) in bad {
            assert_eq!(
                ES256.sign(&claims),
                Err(SignError::Claims(ClaimsError::Malformed(what)))
            );
        }
    }
}

mod keys {
    use super::*;

    fn parse(value: Value) -> Result<AttestationKey, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn the_thumbprint_of_rfc_7638_section_3_1() {
        let modulus = b64::decode(
            concat!(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6t",
                "Soc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-6",
                "5YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLy",
                "rdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz",
                "KnqDKgw"
            ),
            512,
        );
        let key = AttestationKey::from_rsa_modulus(&modulus.unwrap()).unwrap();
        assert_eq!(
            key.kid().to_string(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn keys_survive_json_and_their_secrets_sealing() {
        for signer in [&*RS256, &*ES256] {
            let json = serde_json::to_value(signer.public_jwk()).unwrap();
            assert_eq!(json["kid"], signer.public_jwk().kid().to_string());
            assert_eq!(&parse(json).unwrap(), signer.public_jwk());
            let secret = signer.to_secret_bytes().unwrap();
            let again = secret.expose(AttestationSigner::from_secret_bytes).unwrap();
            assert_eq!(again.public_jwk(), signer.public_jwk());
            assert!(check(&again.sign(&claims()).unwrap(), &[signer]).is_ok());
            let wrong_tag = secret.expose(|b| [&[3 - b[0]], &b[1..]].concat());
            assert!(AttestationSigner::from_secret_bytes(&wrong_tag).is_err());
            assert!(!format!("{signer:?}").contains("key:"));
        }
        for bad in [&[][..], &[0], &[1], &[2], &[3, 0]] {
            assert!(AttestationSigner::from_secret_bytes(bad).is_err());
        }
        let json = serde_json::to_string(&set(&[&RS256, &ES256])).unwrap();
        let again: AttestationKeySet = serde_json::from_str(&json).unwrap();
        assert_eq!(again, set(&[&RS256, &ES256]));
    }

    #[test]
    fn a_key_that_contradicts_itself_is_refused() {
        let rsa = serde_json::to_value(RS256.public_jwk()).unwrap();
        let ec = serde_json::to_value(ES256.public_jwk()).unwrap();
        let change = |key: &Value, name: &str, value: Value| {
            let mut key = key.clone();
            key[name] = value;
            key
        };
        let modulus = |len: usize, first: u8| {
            let mut bytes = vec![0xff; len];
            bytes[0] = first;
            json!(b64::encode(&bytes))
        };
        for (what, bad) in [
            ("exponent 1", change(&rsa, "e", json!("AQ"))),
            ("exponent 3", change(&rsa, "e", json!("Aw"))),
            ("1024 bits", change(&rsa, "n", modulus(128, 0xff))),
            ("2047 bits", change(&rsa, "n", modulus(256, 0x7f))),
            ("leading zero", change(&rsa, "n", modulus(257, 0))),
            ("8192 bits", change(&rsa, "n", modulus(1024, 0xff))),
            (
                "other modulus under the same kid",
                change(&rsa, "n", modulus(256, 0xff)),
            ),
            ("RSA key for ES256", change(&rsa, "alg", json!("ES256"))),
            ("EC key for RS256", change(&ec, "alg", json!("RS256"))),
            ("HMAC", change(&rsa, "alg", json!("HS256"))),
            ("both kinds", change(&rsa, "crv", json!("P-256"))),
            ("for encryption", change(&rsa, "use", json!("enc"))),
            ("private", change(&ec, "d", json!("AAAA"))),
            (
                "symmetric",
                json!({"kty": "oct", "k": "AAAA", "alg": "RS256", "use": "sig", "kid": ec["kid"]}),
            ),
            ("kid of another key", change(&ec, "kid", rsa["kid"].clone())),
            (
                "off the curve",
                change(&ec, "x", json!(b64::encode(&[1; 32]))),
            ),
            ("other curve", change(&ec, "crv", json!("secp256k1"))),
            (
                "short coordinate",
                change(&ec, "y", json!(b64::encode(&[1; 31]))),
            ),
        ] {
            assert!(parse(bad).is_err(), "{what}");
        }
    }

    #[test]
    fn a_set_is_bounded_and_names_nothing_twice() {
        let key = || {
            AttestationSigner::generate_es256()
                .unwrap()
                .public_jwk()
                .clone()
        };
        let keys: Vec<_> = (0..=MAX_ATTESTATION_KEYS).map(|_| key()).collect();
        let json = json!({"keys": keys});
        assert!(AttestationKeySet::new(keys[1..].to_vec()).is_ok());
        assert_eq!(
            AttestationKeySet::new(keys.clone()),
            Err(AttestationKeyError::TooMany)
        );
        assert!(serde_json::from_value::<AttestationKeySet>(json).is_err());
        let twice = vec![keys[0].clone(), keys[1].clone(), keys[0].clone()];
        assert_eq!(
            AttestationKeySet::new(twice),
            Err(AttestationKeyError::Repeated)
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
