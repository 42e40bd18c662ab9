//! Who may show a token, when, and how often.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oidc::custom::{CustomIssuer, KeySource};
use crate::oidc::id_token::IdTokenError;
use crate::oidc::keys::KeySet;
use crate::oidc::subject::EmailTrust;
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
fn commitments_are_bounded_in_all_by_device_and_by_project() {
    let mut store = TokenCommitments::new(11, 2);
    let mut number = 0;
    let mut commit = |store: &mut TokenCommitments, project: &str, device: u8| {
        number += 1;
        let commitment = TokenCommitment::from_bytes([number; 32]);
        store.commit(project, &Thumbprint([device; 32]), commitment, NOW)
    };
    let full = Err(CommitmentError::Full);
    assert_eq!(commit(&mut store, PROJECT, 1), Ok(()));
    assert_eq!(commit(&mut store, PROJECT, 1), Ok(()));
    assert_eq!(commit(&mut store, PROJECT, 1), full, "its device");
    assert_eq!(commit(&mut store, PROJECT, 2), Ok(()));
    assert_eq!(commit(&mut store, PROJECT, 3), full, "its project");
    for other in ["b", "b", "c", "c", "d", "e", "f", "g"] {
        let device = other.as_bytes()[0];
        let free = store.len() < 11;
        assert_eq!(commit(&mut store, other, device).is_ok(), free, "{other}");
    }
    assert_eq!(commit(&mut store, "h", 9), full, "in all");
    let again = TokenCommitment::from_bytes([1; 32]);
    assert_eq!(
        store.commit(PROJECT, &Thumbprint([1; 32]), again, NOW),
        Ok(()),
        "what waits is not pushed out"
    );
    store.forget_old(NOW + REMEMBER_SECONDS);
    assert!(store.is_empty() && store.by_device.is_empty() && store.by_project.is_empty());
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
