//! An app's own tokens: whose, for whom, and who may show them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
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
fn a_token_that_was_seen_is_of_no_use() {
    let token = TestKey::es256("k").token(&claims());
    let commitment = TokenCommitment::of(&token);
    let mut store = store();
    store.commit(PROJECT, &DEVICE, commitment, NOW).unwrap();
    // Seen on its way: not by another device, not in another project, not by committing later.
    for (project, device) in [(PROJECT, THIEF), ("other.example", DEVICE)] {
        let shown = store.show(project, &device, &token, NOW);
        assert_eq!(shown.unwrap_err(), CommitmentError::Unknown);
        let result = store.commit(project, &device, commitment, NOW);
        assert_eq!(result, Err(CommitmentError::Taken));
    }
    store.show(PROJECT, &DEVICE, &token, NOW).unwrap();
    // Seen in a log: not again, not even by its own device, for as long as it could verify.
    for later in [
        0,
        COMMITMENT_SECONDS,
        MAX_TOKEN_AGE_SECONDS + 2 * MAX_CLOCK_SKEW_SECONDS,
    ] {
        for device in [DEVICE, THIEF] {
            let shown = store.show(PROJECT, &device, &token, NOW + later);
            assert_eq!(shown.unwrap_err(), CommitmentError::Unknown);
            let result = store.commit(PROJECT, &device, commitment, NOW + later);
            assert_eq!(result, Err(CommitmentError::Taken));
        }
    }
}

#[test]
fn a_commitment_is_forgotten_only_after_its_token_is_too_old() {
    let key = TestKey::es256("k");
    let issuer = issuer(&key);
    // Its issuer's clock is so far ahead that it verifies only in the last second it can be shown.
    let shown_at = NOW + COMMITMENT_SECONDS - 1;
    let mut claims = claims();
    claims["iat"] = json!(shown_at + MAX_CLOCK_SKEW_SECONDS);
    claims["exp"] = json!(u64::MAX);
    let token = key.token(&claims);
    let commitment = TokenCommitment::of(&token);
    let mut store = store();
    store.commit(PROJECT, &DEVICE, commitment, NOW).unwrap();
    let shown = store.show(PROJECT, &DEVICE, &token, shown_at).unwrap();
    let verify = |now| {
        issuer
            .verify_committed(&shown, fixed(&issuer), now)
            .map(|_| ())
    };
    assert_eq!(verify(shown_at - 1), Err(IdTokenError::NotYetValid));
    assert_eq!(verify(shown_at), Ok(()));
    let last = shown_at + MAX_TOKEN_AGE_SECONDS + 2 * MAX_CLOCK_SKEW_SECONDS;
    assert_eq!(verify(last), Ok(()));
    assert_eq!(verify(last + 1), Err(IdTokenError::TooOld));
    let taken = store.commit(PROJECT, &THIEF, commitment, last);
    assert_eq!(taken, Err(CommitmentError::Taken));
    store.forget_old(NOW + REMEMBER_SECONDS);
    assert!(store.is_empty() && store.by_device.is_empty());
}

#[test]
fn a_token_is_shown_within_ten_minutes_and_starting_again_gives_no_more() {
    let token = TestKey::es256("k").token(&claims());
    for (later, good) in [(COMMITMENT_SECONDS - 1, true), (COMMITMENT_SECONDS, false)] {
        let mut store = store();
        let commitment = TokenCommitment::of(&token);
        store.commit(PROJECT, &DEVICE, commitment, NOW).unwrap();
        store
            .commit(PROJECT, &DEVICE, commitment, NOW + 500)
            .unwrap();
        assert_eq!(
            store.show(PROJECT, &DEVICE, &token, NOW + later).is_ok(),
            good
        );
    }
}

#[test]
fn a_token_without_its_commitment_is_refused() {
    let token = TestKey::es256("k").token(&claims());
    let mut store = store();
    assert_eq!(
        store.show(PROJECT, &DEVICE, &token, NOW).unwrap_err(),
        CommitmentError::Unknown
    );
    // A plain hash is no commitment: the purpose is part of it.
    let plain = TokenCommitment::from_bytes(keyfold_crypto::hash::sha256(token.as_bytes()));
    assert_ne!(plain, TokenCommitment::of(&token));
    store.commit(PROJECT, &DEVICE, plain, NOW).unwrap();
    assert!(store.show(PROJECT, &DEVICE, &token, NOW).is_err());
    let huge = "x".repeat(MAX_JWS_LEN + 1);
    store
        .commit(PROJECT, &DEVICE, TokenCommitment::of(&huge), NOW)
        .unwrap();
    assert!(store.show(PROJECT, &DEVICE, &huge, NOW).is_err());
}

#[test]
fn commitments_are_bounded_in_all_and_by_device() {
    let mut store = TokenCommitments::new(3, 2);
    let commit = |store: &mut TokenCommitments, device: u8, number: u8| {
        let commitment = TokenCommitment::from_bytes([number; 32]);
        store.commit(PROJECT, &Thumbprint([device; 32]), commitment, NOW)
    };
    assert_eq!(commit(&mut store, 1, 1), Ok(()));
    assert_eq!(commit(&mut store, 1, 2), Ok(()));
    assert_eq!(commit(&mut store, 1, 3), Err(CommitmentError::Full));
    assert_eq!(commit(&mut store, 2, 4), Ok(()));
    assert_eq!(commit(&mut store, 3, 5), Err(CommitmentError::Full));
    assert_eq!(
        commit(&mut store, 1, 1),
        Ok(()),
        "what waits is not pushed out"
    );
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

proptest! {
    #[test]
    fn a_token_ends_up_with_the_first_device_that_committed_to_it(
        steps in proptest::collection::vec((any::<bool>(), 1_u8..4, 0_u8..3, 0_u64..400), 1..40)
    ) {
        let tokens = ["token-a", "token-b", "token-c"];
        let mut store = TokenCommitments::new(100, 100);
        let mut now = NOW;
        let mut owners = [None; 3];
        for (commit, device, token, seconds) in steps {
            now += seconds / 10;
            let text = tokens[usize::from(token)];
            let owner = &mut owners[usize::from(token)];
            let device_key = Thumbprint([device; 32]);
            if commit {
                let done = store.commit(PROJECT, &device_key, TokenCommitment::of(text), now);
                match *owner {
                    None => {
                        prop_assert!(done.is_ok());
                        *owner = Some((device, now, false));
                    }
                    Some((first, _, shown)) => prop_assert_eq!(done.is_ok(), first == device && !shown),
                }
            } else {
                let shown = store.show(PROJECT, &device_key, text, now).is_ok();
                let expected = matches!(*owner, Some((first, at, false))
                    if first == device && now < at + COMMITMENT_SECONDS);
                prop_assert_eq!(shown, expected);
                if let (true, Some(owner)) = (shown, owner.as_mut()) {
                    owner.2 = true;
                }
            }
        }
    }
}
