//! Attestations that were made or changed by somebody else.

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
