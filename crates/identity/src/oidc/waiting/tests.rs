//! Who may finish what waits, how often, and how much of it there may be.

use std::sync::Arc;

use keyfold_crypto::testing::SeededRng;
use proptest::prelude::*;

use super::*;
use crate::oidc::authorization::{AUTHORIZATION_SECONDS, AuthorizationOptions};
use crate::oidc::client::Client;
use crate::oidc::provider::Provider;
use crate::oidc::testing::NOW;

const PROJECT: &str = "app.example";

fn device(number: u8) -> Thumbprint {
    Thumbprint([number; 32])
}

/// A sign-in and the callback that its provider would send.
fn begin(
    project: &str,
    number: u8,
    now: u64,
    rng: &mut SeededRng,
) -> (PendingAuthorization, String) {
    let client = Client::new("c", "https://app.example/cb").unwrap();
    let (pending, url) = PendingAuthorization::begin(
        Arc::new(Provider::google()),
        client,
        AuthorizationOptions::default(),
        project,
        device(number),
        now,
        rng,
    );
    let (_, rest) = url.split_once("&state=").unwrap();
    let state = rest.split('&').next().unwrap();
    (pending, format!("code=c&state={state}"))
}

fn kept(
    store: &mut WaitingAuthorizations,
    project: &str,
    number: u8,
    rng: &mut SeededRng,
) -> Result<(AuthorizationId, String), WaitError> {
    let (pending, callback) = begin(project, number, NOW, rng);
    store.keep(pending, NOW, rng).map(|id| (id, callback))
}

#[test]
fn a_callback_works_once() {
    let rng = &mut SeededRng::new(1);
    let mut store = WaitingAuthorizations::new(Limits::default());
    let (id, callback) = kept(&mut store, PROJECT, 1, rng).unwrap();
    assert!(
        store
            .accept(&id, PROJECT, &device(1), &callback, NOW)
            .is_ok()
    );
    let again = store.accept(&id, PROJECT, &device(1), &callback, NOW);
    assert_eq!(again.unwrap_err(), CallbackError::WrongDevice);
    assert!(store.is_empty() && store.by_project.is_empty() && store.by_device.is_empty());
}

#[test]
fn a_wrong_callback_ends_the_sign_in_of_its_owner_only() {
    let rng = &mut SeededRng::new(1);
    let mut store = WaitingAuthorizations::new(Limits::default());
    let (id, callback) = kept(&mut store, PROJECT, 1, rng).unwrap();
    // A stranger who knows the name and even the callback neither finishes nor ends it.
    for (project, number) in [(PROJECT, 2), ("other.example", 1)] {
        for text in [&*callback, "code=c&state=x", ""] {
            let result = store.accept(&id, project, &device(number), text, NOW);
            assert_eq!(result.unwrap_err(), CallbackError::WrongDevice);
        }
    }
    let guess = AuthorizationId::from_bytes([0; 16]);
    let result = store.accept(&guess, PROJECT, &device(1), &callback, NOW);
    assert_eq!(result.unwrap_err(), CallbackError::WrongDevice);
    assert_eq!(store.len(), 1);
    // Its owner has one try: a state cannot be searched for.
    let result = store.accept(&id, PROJECT, &device(1), "code=c&state=x", NOW);
    assert_eq!(result.unwrap_err(), CallbackError::WrongState);
    let result = store.accept(&id, PROJECT, &device(1), &callback, NOW);
    assert_eq!(result.unwrap_err(), CallbackError::WrongDevice);
}

#[test]
fn what_is_over_is_erased() {
    let rng = &mut SeededRng::new(1);
    let mut store = WaitingAuthorizations::new(Limits::default());
    let (id, callback) = kept(&mut store, PROJECT, 1, rng).unwrap();
    store.forget_old(NOW + AUTHORIZATION_SECONDS - 1);
    assert_eq!(store.len(), 1);
    let result = store.accept(
        &id,
        PROJECT,
        &device(1),
        &callback,
        NOW + AUTHORIZATION_SECONDS,
    );
    assert_eq!(result.unwrap_err(), CallbackError::WrongDevice);
    assert!(store.is_empty() && store.ends.is_empty() && store.by_device.is_empty());
}

#[test]
fn a_full_store_refuses_what_is_new_and_keeps_what_waits() {
    let rng = &mut SeededRng::new(1);
    let mut store = WaitingAuthorizations::new(Limits {
        total: 12,
        per_device: 2,
    });
    let (first, callback) = kept(&mut store, PROJECT, 1, rng).unwrap();
    kept(&mut store, PROJECT, 1, rng).unwrap();
    assert_eq!(
        kept(&mut store, PROJECT, 1, rng).unwrap_err(),
        WaitError::DeviceLimit
    );
    kept(&mut store, PROJECT, 2, rng).unwrap();
    assert_eq!(
        kept(&mut store, PROJECT, 3, rng).unwrap_err(),
        WaitError::Full
    );
    for number in 3..12 {
        kept(&mut store, &format!("{number}.example"), number, rng).unwrap();
    }
    assert_eq!(
        kept(&mut store, "third.example", 14, rng).unwrap_err(),
        WaitError::Full
    );
    assert!(
        store
            .accept(&first, PROJECT, &device(1), &callback, NOW)
            .is_ok()
    );
    assert!(kept(&mut store, "third.example", 14, rng).is_ok());
}

proptest! {
    #[test]
    fn the_counts_are_those_of_what_waits(
        steps in proptest::collection::vec((0_u8..3, 0_u8..4, 0_u64..300), 1..60)
    ) {
        let rng = &mut SeededRng::new(1);
        let limits = Limits { total: 12, per_device: 4 };
        let mut store = WaitingAuthorizations::new(limits);
        let mut now = NOW;
        let mut known: Vec<(AuthorizationId, &str, u8, String)> = Vec::new();
        for (kind, number, seconds) in steps {
            now += seconds;
            let project = if number % 2 == 0 { "even" } else { "odd" };
            match (kind, known.pop()) {
                (2, Some((id, project, number, callback))) => {
                    let _ = store.accept(&id, project, &device(number), &callback, now);
                }
                (_, last) => {
                    known.extend(last);
                    let (pending, callback) = begin(project, number, now, rng);
                    if let Ok(id) = store.keep(pending, now, rng) {
                        known.push((id, project, number, callback));
                    }
                }
            }
            prop_assert!(store.len() <= limits.total);
            prop_assert_eq!(store.ends.len(), store.len());
            prop_assert_eq!(store.by_project.values().sum::<usize>(), store.len());
            prop_assert_eq!(store.by_device.values().sum::<usize>(), store.len());
            prop_assert!(store.by_device.values().all(|n| (1..=limits.per_device).contains(n)));
            // A fifth of it, rounded up.
            prop_assert!(store.by_project.values().all(|n| (1..=3).contains(n)));
        }
    }
}
