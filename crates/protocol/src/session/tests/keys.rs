//! Keys and sets of keys.

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
fn a_key_that_the_gateway_adds_attests_nothing_for_an_app_that_pinned_the_realms() {
    let served = set(&[&RS256, &ES256]);
    let pinned = served.clone().pinned(&[RS256.public_jwk().kid()]);
    assert_eq!(pinned, set(&[&RS256]));
    let (forged, genuine) = (
        ES256.sign(&claims()).unwrap(),
        RS256.sign(&claims()).unwrap(),
    );
    assert!(check(&forged, &[&RS256, &ES256]).is_ok(), "it would pass");
    assert_eq!(
        check(&forged, &[&RS256]).unwrap_err(),
        SessionError::UnknownKey
    );
    assert!(check(&genuine, &[&RS256]).is_ok());
    assert_eq!(pinned.pinned(&[]), AttestationKeySet::default());
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
