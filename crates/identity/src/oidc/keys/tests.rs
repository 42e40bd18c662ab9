//! Key documents: what is taken, skipped, refused.

use serde_json::{Value, json};

use super::*;
use crate::oidc::testing::{TestKey, jwks};

fn set(keys: &[Value]) -> Result<KeySet, KeyError> {
    KeySet::from_jwks(&jwks(keys))
}

fn names(keys: &KeySet) -> Vec<Option<&str>> {
    keys.keys().iter().map(VerifyingKey::kid).collect()
}

#[test]
fn keys_of_other_kinds_are_skipped() {
    let good = TestKey::es256("good").jwk();
    let mut with = vec![good.clone()];
    for (member, value) in [
        ("kty", json!("XYZ")),
        ("kty", json!(7)),
        ("crv", json!("P-384")),
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("alg", json!("ECDH-ES")),
        ("key_ops", json!(["sign"])),
        ("kid", json!("")),
        ("kid", json!("k".repeat(MAX_KID_LEN + 1))),
        ("kid", json!(["good"])),
        ("x", json!("AAAA")),
        ("y", good["x"].clone()),
    ] {
        let mut other = good.clone();
        other["kid"] = json!("other");
        other[member] = value;
        with.push(other);
    }
    with.push(json!({"kty": "oct", "kid": "mac", "k": "AAAA", "alg": "HS256"}));
    assert_eq!(names(&set(&with).unwrap()), [Some("good")]);
    with.remove(0);
    assert_eq!(set(&with).unwrap_err(), KeyError::NoneUsable);
}

#[test]
fn rsa_keys_that_are_weak_or_odd_are_skipped() {
    let good = TestKey::rs256("rsa").jwk();
    assert_eq!(
        names(&set(core::slice::from_ref(&good)).unwrap()),
        [Some("rsa")]
    );
    let modulus = b64::decode(good["n"].as_str().unwrap(), 512).unwrap();
    assert_eq!(modulus.len(), 256);
    let mut low = modulus.clone();
    low[0] &= 0x7f;
    for bad in [
        modulus[128..].to_vec(),
        modulus[1..].to_vec(),
        low,
        [&[0][..], &modulus].concat(),
        modulus.repeat(3),
        vec![],
    ] {
        let mut key = good.clone();
        key["n"] = json!(b64::encode(&bad));
        assert_eq!(set(&[key]).unwrap_err(), KeyError::NoneUsable);
    }
    for exponent in ["AQ", "Aw", "AAEAAQ", ""] {
        let mut key = good.clone();
        key["e"] = json!(exponent);
        assert_eq!(set(&[key]).unwrap_err(), KeyError::NoneUsable);
    }
}

#[test]
fn a_name_that_two_keys_have_is_refused() {
    let first = TestKey::es256("same").jwk();
    let second = TestKey::rs256("same").jwk();
    assert_eq!(
        set(&[first.clone(), second]).unwrap_err(),
        KeyError::Repeated
    );
    // One of them could not have been meant.
    let mut encrypting = TestKey::ed25519("same").jwk();
    encrypting["use"] = json!("enc");
    assert!(set(&[first, encrypting]).is_ok());
}

#[test]
fn a_document_that_publishes_a_private_key_is_refused() {
    for member in ["d", "p", "q"] {
        let mut key = TestKey::rs256("rsa").jwk();
        key[member] = json!("AAAA");
        assert_eq!(
            set(&[TestKey::es256("good").jwk(), key]).unwrap_err(),
            KeyError::Private
        );
    }
}

#[test]
fn documents_are_bounded() {
    let key = |i: usize| {
        let mut key = TestKey::es256("k").jwk();
        key["kid"] = json!(format!("k{i}"));
        key
    };
    let many: Vec<_> = (0..=MAX_KEYS).map(key).collect();
    assert!(set(&many[..MAX_KEYS]).is_ok());
    assert_eq!(set(&many).unwrap_err(), KeyError::TooMany);
    let huge = vec![b' '; 10 << 20];
    assert_eq!(
        KeySet::from_jwks(&huge).unwrap_err(),
        KeyError::Document(json::JsonError::TooLarge)
    );
    for malformed in [&b"{}"[..], b"[]", b"{\"keys\":{}}", b"{\"keys\":[1]}", b""] {
        assert_eq!(
            KeySet::from_jwks(malformed).unwrap_err(),
            KeyError::Document(json::JsonError::Malformed)
        );
    }
}

#[test]
fn a_pem_gives_the_same_key_as_its_jwk() {
    for key in [
        TestKey::es256("k"),
        TestKey::ed25519("k"),
        TestKey::rs256("k"),
    ] {
        let from_pem = KeySet::from_pem(&key.pem()).unwrap();
        let found = &from_pem.keys()[0];
        assert_eq!(found.kid(), None);
        assert_eq!(found.algorithm(), key.algorithm());
        assert!(found.verifies(b"message", &key.sign(b"message")));
        assert!(!found.verifies(b"Message", &key.sign(b"message")));
    }
}

#[test]
fn other_pem_texts_are_refused() {
    let good = TestKey::es256("k").pem();
    for bad in [
        String::new(),
        good.replace("PUBLIC KEY", "PRIVATE KEY"),
        good.replace("PUBLIC KEY", "CERTIFICATE"),
        format!("{good}{good}"),
        format!("x{good}"),
        good.replace('M', "N"),
        good.repeat(100),
    ] {
        assert_eq!(KeySet::from_pem(&bad).unwrap_err(), KeyError::Pem, "{bad}");
    }
}
