//! The sealed channel and the host's own requests.

use keyfold_protocol::client_api::Wallets;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{MAX_SEALED, host_path};
use keyfold_protocol::ohttp::encapsulate;
use keyfold_protocol::session::AttestationKeySet;

use crate::app::{ANNA, APP, App};
use crate::world::{World, ask, json, problem, settle};

#[tokio::test]
async fn keys_rotate_hourly_and_the_old_one_works_for_ten_minutes_more() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    let old = device.config().await;
    app.world.pass(3_500);
    let sealed = || encapsulate(&old, &device.order_list()).unwrap().0;
    app.world.pass(100);
    app.world.tick.notify_waiters();
    settle().await;
    assert_ne!(device.config().await, old);
    let outer = ask(&app.enclave, "POST", host_path::OHTTP, sealed()).await;
    assert_eq!(outer.status, 200);
    app.world.pass(600);
    let outer = ask(&app.enclave, "POST", host_path::OHTTP, sealed()).await;
    let unknown = problem(&outer);
    assert_eq!((unknown.code, outer.status), (Code::UnknownKey, 422));
}

#[tokio::test]
async fn what_cannot_be_opened_is_a_problem_in_clear_and_harms_nobody() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    let request = device.order_list();
    let (good, _) = encapsulate(&device.config().await, &request).unwrap();
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut other_key = good.clone();
    other_key[0] = other_key[0].wrapping_add(100);
    let cases: [(Vec<u8>, Code); 5] = [
        (Vec::new(), Code::SealBroken),
        (altered, Code::SealBroken),
        (good[..good.len() / 2].to_vec(), Code::SealBroken),
        (other_key, Code::UnknownKey),
        (vec![0; MAX_SEALED + 1], Code::BodyTooLarge),
    ];
    for (bytes, code) in cases {
        assert_eq!(
            problem(&ask(&app.enclave, "POST", host_path::OHTTP, bytes).await).code,
            code
        );
    }
    let _: Wallets = device.wallets().await.ok();
}

#[tokio::test]
async fn the_host_gets_stable_errors_for_what_it_should_not_ask() {
    let app = App::new().await;
    let cases: [(&str, &str, Vec<u8>, Code); 5] = [
        ("GET", "/v1/nothing", Vec::new(), Code::NotFound),
        (
            "POST",
            host_path::STATUS,
            Vec::new(),
            Code::MethodNotAllowed,
        ),
        (
            "POST",
            host_path::ATTESTATION,
            b"{".to_vec(),
            Code::MalformedRequest,
        ),
        (
            "POST",
            host_path::ATTESTATION,
            vec![b' '; 10 << 20],
            Code::BodyTooLarge,
        ),
        (
            "POST",
            host_path::GENESIS,
            b"{}".to_vec(),
            Code::MalformedRequest,
        ),
    ];
    for (method, path, body, code) in cases {
        assert_eq!(
            problem(&ask(&app.enclave, method, path, body).await).code,
            code,
            "{path}"
        );
    }
    let keys: AttestationKeySet = json(&ask(&app.enclave, "GET", host_path::JWKS, vec![]).await);
    assert_eq!(keys.keys().len(), 1);
}

#[tokio::test]
async fn before_genesis_nothing_is_served() {
    let enclave = World::new(3).instance().await;
    for (method, path) in [("POST", host_path::OHTTP), ("GET", host_path::JWKS)] {
        assert_eq!(
            problem(&ask(&enclave, method, path, vec![1]).await).code,
            Code::RealmMissing
        );
    }
}

#[tokio::test]
async fn a_host_that_keeps_everything_finds_no_plaintext() {
    let app = App::new().await;
    let (_, wallet) = app.with_wallet().await;
    let kept = app.world.host.lock().unwrap().everything();
    let texts = [
        ANNA.to_owned(),
        APP.to_owned(),
        wallet.address.to_string(),
        "laptop".to_owned(),
    ];
    for text in texts {
        let found = kept
            .windows(text.len())
            .any(|w| w.eq_ignore_ascii_case(text.as_bytes()));
        assert!(!found, "{text}");
    }
}
