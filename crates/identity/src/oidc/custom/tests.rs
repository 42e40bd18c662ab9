//! An app's own tokens: whose they are, and for whom.

use serde_json::{Value, json};

use super::*;
use crate::oidc::commitment::{TokenCommitment, TokenCommitments};
use crate::oidc::jws::JwsError;
use crate::oidc::testing::{NOW, TestKey};

const PROJECT: &str = "app.example";
const DEVICE: Thumbprint = Thumbprint([7; 32]);
const THIEF: Thumbprint = Thumbprint([8; 32]);
const ISSUER: &str = "https://issuer.example/auth/v1";

fn issuer(key: &TestKey) -> CustomIssuer {
    CustomIssuer::new(
        ISSUER,
        "authenticated",
        KeySource::Fixed(KeySet::from_pem(&key.pem()).unwrap()),
        &[key.algorithm()],
        MAX_TOKEN_AGE_SECONDS,
        EmailTrust::Never,
    )
    .unwrap()
}

fn fixed(issuer: &CustomIssuer) -> &KeySet {
    match issuer.keys() {
        KeySource::Fixed(keys) => keys,
        KeySource::Jwks(_) => panic!("a PEM"),
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "authenticated", "sub": "user-1", "iat": NOW - 1_000,
        "exp": NOW + 2_600, "email": "a@mail.example", "email_verified": true})
}

fn store() -> TokenCommitments {
    TokenCommitments::new(100, 4)
}

#[test]
fn a_token_that_its_device_committed_to_proves_its_subject() {
    for key in [
        TestKey::rs256("k"),
        TestKey::es256("k"),
        TestKey::ed25519("k"),
    ] {
        let (issuer, token) = (issuer(&key), key.token(&claims()));
        let mut store = store();
        let commitment = TokenCommitment::of(&token);
        store.commit(PROJECT, &DEVICE, commitment, NOW).unwrap();
        store.commit(PROJECT, &DEVICE, commitment, NOW + 1).unwrap();
        let shown = store.show(PROJECT, &DEVICE, &token, NOW + 2).unwrap();
        let proven = issuer
            .verify_committed(&shown, fixed(&issuer), NOW + 2)
            .unwrap();
        assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
        assert_eq!(proven.subject().subject(), "user-1");
        assert!(!proven.subject().email().unwrap().verified);
        assert_eq!(proven.nonce_salt(), None);
    }
}

#[test]
fn a_token_of_another_issuer_audience_key_or_time_is_refused() {
    let key = TestKey::rs256("k");
    let issuer = issuer(&key);
    let verify = |signer: &TestKey, member: &str, value: Value| {
        let mut claims = claims();
        claims[member] = value;
        let token = signer.token(&claims);
        let mut store = store();
        store
            .commit(PROJECT, &DEVICE, TokenCommitment::of(&token), NOW)
            .unwrap();
        let shown = store.show(PROJECT, &DEVICE, &token, NOW).unwrap();
        issuer
            .verify_committed(&shown, fixed(&issuer), NOW)
            .map(|_| ())
    };
    assert_eq!(verify(&key, "x", json!(1)), Ok(()));
    for (member, value, error) in [
        (
            "iss",
            json!("https://issuer.example/auth/v1/"),
            IdTokenError::WrongIssuer,
        ),
        ("aud", json!("anon"), IdTokenError::WrongAudience),
        (
            "aud",
            json!(["authenticated", "other"]),
            IdTokenError::WrongAudience,
        ),
        ("exp", json!(NOW - 61), IdTokenError::Expired),
        ("iat", json!(NOW - 3_661), IdTokenError::TooOld),
        ("iat", json!(NOW + 61), IdTokenError::NotYetValid),
        ("sub", json!(""), IdTokenError::Claims),
    ] {
        assert_eq!(verify(&key, member, value), Err(error), "{member}");
    }
    let other = verify(&TestKey::es256("k"), "x", json!(1));
    assert_eq!(
        other,
        Err(IdTokenError::Signature(JwsError::AlgorithmNotAllowed))
    );
}

#[test]
fn a_bound_token_is_of_use_to_its_device_only() {
    let key = TestKey::es256("k");
    let issuer = issuer(&key);
    let salt = NonceSalt::from_bytes([5; 32]);
    let mut claims = claims();
    claims["nonce"] = json!(Nonce::for_device(PROJECT, &DEVICE, &salt).as_str());
    let token = key.token(&claims);
    let verify = |project: &str, device: &Thumbprint, salt: &NonceSalt| {
        issuer.verify_bound(&token, fixed(&issuer), project, device, salt, NOW)
    };
    let proven = verify(PROJECT, &DEVICE, &salt).unwrap();
    assert_eq!(
        (proven.device(), proven.nonce_salt()),
        (&DEVICE, Some(&salt))
    );
    for (project, device, salt) in [
        (PROJECT, THIEF, salt),
        ("other.example", DEVICE, salt),
        (PROJECT, DEVICE, NonceSalt::from_bytes([6; 32])),
    ] {
        assert_eq!(
            verify(project, &device, &salt),
            Err(IdTokenError::WrongNonce)
        );
    }
}

#[test]
fn the_presets_name_what_their_documents_name() {
    let url = |issuer: &CustomIssuer| match issuer.keys() {
        KeySource::Jwks(url) => url.as_str().to_owned(),
        KeySource::Fixed(_) => panic!("an address"),
    };
    let firebase = CustomIssuer::firebase("my-project").unwrap();
    assert_eq!(
        firebase.issuer(),
        "https://securetoken.google.com/my-project"
    );
    assert_eq!(firebase.audience, "my-project");
    assert!(HttpsUrl::parse(&url(&firebase)).is_ok());
    let project = HttpsUrl::parse("https://abc.supabase.co").unwrap();
    let supabase = CustomIssuer::supabase(&project).unwrap();
    assert_eq!(supabase.issuer(), "https://abc.supabase.co/auth/v1");
    assert_eq!(
        url(&supabase),
        "https://abc.supabase.co/auth/v1/.well-known/jwks.json"
    );
    for tenant in [
        "https://tenant.eu.auth0.com",
        "https://tenant.eu.auth0.com/",
    ] {
        let auth0 = CustomIssuer::auth0(&HttpsUrl::parse(tenant).unwrap(), "client").unwrap();
        assert_eq!(auth0.issuer(), "https://tenant.eu.auth0.com/");
        assert_eq!(
            url(&auth0),
            "https://tenant.eu.auth0.com/.well-known/jwks.json"
        );
    }
    for bad in ["", "a b", "a\n", &"x".repeat(2_000)] {
        assert!(CustomIssuer::firebase(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_configuration_that_would_take_old_or_any_tokens_is_refused() {
    let make = |age: u64, algorithms: &[Algorithm]| {
        let keys = KeySource::Fixed(TestKey::es256("k").set());
        CustomIssuer::new(ISSUER, "a", keys, algorithms, age, EmailTrust::Never).map(|_| ())
    };
    assert_eq!(make(MAX_TOKEN_AGE_SECONDS, &Algorithm::ALL), Ok(()));
    for age in [0, MAX_TOKEN_AGE_SECONDS + 1, u64::MAX] {
        assert_eq!(make(age, &Algorithm::ALL), Err(CustomIssuerError::TokenAge));
    }
    assert_eq!(make(60, &[]), Err(CustomIssuerError::NoAlgorithm));
}
