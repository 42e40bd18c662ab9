//! Signatures: the published vectors, and what attackers try with headers and keys.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::oidc::testing::{TestKey, jwks, token_with_header};

fn verify(text: &str, keys: &KeySet) -> Result<Vec<u8>, JwsError> {
    UnverifiedJws::parse(text)?
        .verify(keys, &Algorithm::ALL)
        .map(|payload| payload.as_bytes().to_vec())
}

const RFC_7515_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_appendix_a_2_rs256() {
    let keys = KeySet::from_jwks(&jwks(&[json!({"kty": "RSA", "e": "AQAB", "n":
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    })])).unwrap();
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let text = format!("eyJhbGciOiJSUzI1NiJ9.{RFC_7515_PAYLOAD}.{signature}");
    assert!(
        verify(&text, &keys)
            .unwrap()
            .starts_with(b"{\"iss\":\"joe\"")
    );
}

#[test]
fn rfc_7515_appendix_a_3_es256() {
    let keys = KeySet::from_jwks(&jwks(&[json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})]))
    .unwrap();
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let text = format!("eyJhbGciOiJFUzI1NiJ9.{RFC_7515_PAYLOAD}.{signature}");
    assert!(verify(&text, &keys).unwrap().ends_with(b"is_root\":true}"));
}

#[test]
fn rfc_8037_appendix_a_4_ed25519() {
    let keys = KeySet::from_jwks(&jwks(&[json!({"kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})]))
    .unwrap();
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(verify(text, &keys).unwrap(), b"Example of Ed25519 signing");
}

#[test]
fn rfc_7515_appendix_a_1_and_a_5_hmac_and_none_are_no_algorithms() {
    let keys = TestKey::es256("k").set();
    // A.1, HS256, and A.5, unsecured.
    for text in [
        format!(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{RFC_7515_PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ),
        format!("eyJhbGciOiJub25lIn0.{RFC_7515_PAYLOAD}."),
    ] {
        assert_eq!(verify(&text, &keys), Err(JwsError::AlgorithmNotAllowed));
    }
    for alg in [
        "none", "None", "NONE", "", "HS256", "rs256", "RS384", "PS256", "ES256K",
    ] {
        let key = TestKey::es256("k");
        let text = token_with_header(&key, &json!({"alg": alg, "kid": "k"}), &json!({}));
        assert_eq!(
            verify(&text, &keys),
            Err(JwsError::AlgorithmNotAllowed),
            "{alg}"
        );
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    // RS256 swapped for HS256, the MAC's key being what everybody can read.
    let key = TestKey::rs256("k");
    let header = b64::encode(br#"{"alg":"HS256","kid":"k"}"#);
    let message = format!("{header}.{RFC_7515_PAYLOAD}");
    let mac = keyfold_crypto::hash::hmac_sha256(key.pem().as_bytes(), message.as_bytes());
    let text = format!("{message}.{}", b64::encode(&mac));
    assert_eq!(
        verify(&text, &key.set()),
        Err(JwsError::AlgorithmNotAllowed)
    );
}

#[test]
fn a_token_cannot_choose_another_algorithm_than_its_keys() {
    for (key, alg) in [
        (TestKey::rs256("k"), "ES256"),
        (TestKey::es256("k"), "RS256"),
        (TestKey::es256("k"), "EdDSA"),
        (TestKey::ed25519("k"), "ES256"),
    ] {
        for header in [json!({"alg": alg, "kid": "k"}), json!({"alg": alg})] {
            let text = token_with_header(&key, &header, &json!({}));
            assert_eq!(verify(&text, &key.set()), Err(JwsError::WrongAlgorithm));
        }
    }
    let key = TestKey::es256("k");
    let text = key.token(&json!({}));
    let parsed = UnverifiedJws::parse(&text).unwrap();
    assert_eq!(
        parsed.verify(&key.set(), &[Algorithm::Rs256]).unwrap_err(),
        JwsError::AlgorithmNotAllowed
    );
}

#[test]
fn a_header_that_brings_its_own_key_is_refused() {
    let attacker = TestKey::es256("k").jwk();
    let key = TestKey::es256("k");
    for (member, value) in [
        ("jwk", attacker),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "k"});
        header[member] = value;
        let text = token_with_header(&key, &header, &json!({}));
        assert_eq!(
            verify(&text, &key.set()),
            Err(JwsError::HeaderNotAllowed),
            "{member}"
        );
    }
}

#[test]
fn tokens_of_other_types_are_refused() {
    let key = TestKey::es256("k");
    for (typ, good) in [
        ("JWT", true),
        ("jwt", true),
        ("at+jwt", false),
        ("logout+jwt", false),
        ("dpop+jwt", false),
        ("keyfold-session+jwt", false),
        ("", false),
    ] {
        let header = json!({"alg": "ES256", "kid": "k", "typ": typ});
        let result = verify(&token_with_header(&key, &header, &json!({})), &key.set());
        assert_eq!(result.is_ok(), good, "{typ}");
        assert!(good || result == Err(JwsError::WrongType));
    }
}

#[test]
fn a_rotated_key_is_unknown_until_the_set_is_fetched_again() {
    let (old, new) = (TestKey::es256("2026-01"), TestKey::rs256("2026-02"));
    let text = new.token(&json!({"sub": "a"}));
    assert_eq!(verify(&text, &old.set()), Err(JwsError::UnknownKey));
    let both = KeySet::from_jwks(&jwks(&[old.jwk(), new.jwk()])).unwrap();
    assert!(verify(&text, &both).is_ok());
    assert!(verify(&old.token(&json!({})), &both).is_ok());
    // Retired: its tokens end with it.
    assert_eq!(
        verify(&old.token(&json!({})), &new.set()),
        Err(JwsError::UnknownKey)
    );
}

#[test]
fn a_token_without_a_name_is_not_tried_on_every_key() {
    let (first, second) = (TestKey::es256("a"), TestKey::es256_other("b"));
    let text = token_with_header(&first, &json!({"alg": "ES256"}), &json!({}));
    let both = KeySet::from_jwks(&jwks(&[first.jwk(), second.jwk()])).unwrap();
    assert_eq!(verify(&text, &both), Err(JwsError::UnknownKey));
    assert!(verify(&text, &first.set()).is_ok());
    // With one key for each algorithm there is nothing to choose.
    let mixed = KeySet::from_jwks(&jwks(&[first.jwk(), TestKey::rs256("c").jwk()])).unwrap();
    assert!(verify(&text, &mixed).is_ok());
    assert!(
        verify(
            &first.token(&json!({})),
            &KeySet::from_pem(&first.pem()).unwrap()
        )
        .is_ok()
    );
}

#[test]
fn another_key_of_the_same_name_does_not_verify() {
    let text = TestKey::es256_other("k").token(&json!({"sub": "victim"}));
    assert_eq!(
        verify(&text, &TestKey::es256("k").set()),
        Err(JwsError::BadSignature)
    );
}

#[test]
fn malformed_and_oversized_texts_are_refused() {
    let key = TestKey::es256("k");
    let good = key.token(&json!({"sub": "a"}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        head.to_owned(),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!(
            "{}.e30.",
            b64::encode(b"{\"alg\":\"ES256\",\"alg\":\"none\"}")
        ),
        format!("{}.e30.", b64::encode("[".repeat(1_000).as_bytes())),
        format!("{head}.{}", "A".repeat(1_000)),
    ] {
        assert_eq!(verify(&bad, &key.set()), Err(JwsError::Malformed), "{bad}");
    }
    let large = key.token(&json!({"pad": "x".repeat(MAX_JWS_LEN)}));
    assert_eq!(verify(&large, &key.set()), Err(JwsError::TooLarge));
    assert_eq!(
        verify(&format!("{head}."), &key.set()),
        Err(JwsError::BadSignature)
    );
}

proptest! {
    #[test]
    fn no_byte_of_a_token_can_change(position in 0_usize..400, flip in 1_u8..128) {
        let key = TestKey::es256("k");
        let mut bytes = key.token(&json!({"sub": "anna", "aud": "app"})).into_bytes();
        let position = position % bytes.len();
        bytes[position] ^= flip;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(verify(&text, &key.set()).is_err());
        }
    }
}
