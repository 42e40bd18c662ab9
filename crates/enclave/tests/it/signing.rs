//! Wallets and their signatures, with everybody well and with somebody missing.

use keyfold_protocol::client_api::{Signed, WalletInfo, Wallets};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api;
use keyfold_protocol::holder_api::path;

use crate::app::{ANNA, APP, App, BORIS, assert_refused, assert_wallet_accepts, message, payment};
use crate::world::settle;

#[tokio::test]
async fn a_wallet_is_made_once_for_each_label() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    let first: WalletInfo = device.create_wallet("main").await.ok();
    let again: WalletInfo = device.create_wallet("main").await.ok();
    assert_eq!(first, again);
    let other: WalletInfo = device.create_wallet("savings").await.ok();
    assert_ne!((other.address, other.key), (first.address, first.key));
    let listed: Wallets = device.wallets().await.ok();
    assert_eq!(listed.wallets, [first, other]);
    for bad in ["", "a\nb", "a\u{2060}", &"x".repeat(65)] {
        assert_refused(&device.create_wallet(bad).await, Code::MalformedRequest);
    }
}

#[tokio::test]
async fn two_requests_for_one_label_at_the_same_time_get_one_wallet() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    let (a, b) = tokio::join!(device.create_wallet("main"), device.create_wallet("main"));
    assert_eq!(a.ok::<WalletInfo>(), b.ok::<WalletInfo>());
}

#[tokio::test]
async fn wallets_are_bounded() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    for n in 0..16 {
        let _: WalletInfo = device.create_wallet(&format!("w{n}")).await.ok();
    }
    assert_refused(&device.create_wallet("one more").await, Code::WalletLimit);
    let _: WalletInfo = device.create_wallet("w3").await.ok();
}

#[tokio::test]
async fn a_wallet_needs_every_holder_and_the_error_names_who_is_missing() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    app.world.holder(2, |h| h.down = true);
    let refused = device.create_wallet("main").await;
    assert_refused(&refused, Code::HoldersUnavailable);
    assert!(refused.detail().contains("holder-2") && !refused.detail().contains("holder-1"));
    app.world.holder(2, |h| h.down = false);
    let _: WalletInfo = device.create_wallet("main").await.ok();
}

#[tokio::test]
async fn transactions_and_messages_are_signed_as_the_wallet_contract_wants_them() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    for request in [payment(&wallet, 7), message(&wallet, "hello")] {
        let signed: Signed = device.sign_with(&wallet, &request).await.ok();
        assert_eq!(signed.digest, request.digest().unwrap().1);
        assert_wallet_accepts(&wallet, &request, &signed.signature);
    }
}

#[tokio::test]
async fn with_one_holder_away_a_signature_comes_and_with_two_the_error_names_them() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let request = payment(&wallet, 1);
    for away in 1..=3 {
        app.world.holder(away, |h| h.down = true);
        let signed: Signed = device.sign_with(&wallet, &request).await.ok();
        assert_wallet_accepts(&wallet, &request, &signed.signature);
        app.world.holder(away, |h| h.down = false);
    }
    app.world.holder(1, |h| h.down = true);
    app.world.holder(3, |h| h.down = true);
    let refused = device.sign_with(&wallet, &request).await;
    assert_refused(&refused, Code::HoldersUnavailable);
    let detail = refused.detail();
    assert!(
        detail.contains("holder-1") && detail.contains("holder-3"),
        "{detail}"
    );
    assert!(!detail.contains("holder-2"), "{detail}");
    app.world.holder(3, |h| h.down = false);
    let _: Signed = device.sign_with(&wallet, &request).await.ok();
}

#[tokio::test]
async fn a_holder_that_never_answers_is_not_waited_for() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    app.world.holder(2, |h| h.hangs = true);
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn a_wrong_share_names_its_holder_and_the_others_suffice() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    app.world.holder(2, |h| h.releases_wrong_shares = true);
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
    app.world.holder(1, |h| h.down = true);
    let refused = device.sign_with(&wallet, &request).await;
    assert!(
        refused.detail().contains("holder-2 returned a share"),
        "{refused:?}"
    );
    app.world
        .holder(1, |h| (h.down, h.releases_wrong_shares) = (false, true));
    assert_refused(
        &device.sign_with(&wallet, &request).await,
        Code::ShareInvalid,
    );
}

#[tokio::test]
async fn the_path_of_a_signature_asks_each_holder_once_and_the_host_not_at_all() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    settle().await;
    let calls = |world: &crate::world::World| -> usize {
        (1..=3)
            .map(|index| world.holder(index, |h| h.calls.len()))
            .sum()
    };
    let (before, gets) = (calls(&app.world), app.world.host.lock().unwrap().gets);
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 2)).await.ok();
    settle().await;
    assert_eq!(calls(&app.world), before + 3);
    assert_eq!(app.world.host.lock().unwrap().gets, gets);
}

#[tokio::test]
async fn a_guard_co_signs_and_its_part_is_in_the_signature() {
    let app = App::guarded().await;
    let (device, wallet) = app.with_wallet().await;
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
    assert_eq!(app.world.guard.lock().unwrap().cosigns, 1);
}

#[tokio::test]
async fn an_attestation_that_does_not_name_the_wallet_asks_nobody_until_it_is_renewed() {
    let app = App::guarded().await;
    let mut device = app.signed_in(APP, ANNA).await;
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    let request = payment(&wallet, 1);
    let refused = device.sign_with(&wallet, &request).await;
    assert_refused(&refused, Code::SessionInvalid);
    assert!(refused.detail().contains("renew"), "{refused:?}");
    assert_eq!(app.world.guard.lock().unwrap().cosigns, 0);
    assert_eq!(app.world.calls(path::SHARE_RELEASE), 0);
    device.renewed().await;
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn when_the_guard_says_no_no_holder_is_asked() {
    let app = App::guarded().await;
    let (device, wallet) = app.with_wallet().await;
    app.world.guard.lock().unwrap().denies = true;
    let refused = device.sign_with(&wallet, &payment(&wallet, 1)).await;
    assert_refused(&refused, Code::GuardDenied);
    assert!(refused.detail().contains("allow-list"));
    assert_eq!(app.world.calls(path::SHARE_RELEASE), 0);
}

#[tokio::test]
async fn a_guard_that_is_away_or_signs_with_another_key_gives_nothing() {
    let app = App::guarded().await;
    let (device, wallet) = app.with_wallet().await;
    app.world.guard.lock().unwrap().down = true;
    assert_refused(
        &device.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::GuardUnavailable,
    );
    {
        let mut guard = app.world.guard.lock().unwrap();
        (guard.down, guard.signs_with_another_key) = (false, true);
    }
    assert_refused(
        &device.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::GuardUnavailable,
    );
    assert_eq!(app.world.calls(path::SHARE_RELEASE), 0);
    app.world.guard.lock().unwrap().signs_with_another_key = false;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    assert_eq!(guard_api::path::COSIGN, "/v1/cosign");
}

#[tokio::test]
async fn a_stranger_to_the_wallet_does_not_even_reach_the_guard() {
    let app = App::guarded().await;
    let (_, wallet) = app.with_wallet().await;
    let stranger = app.signed_in(APP, BORIS).await;
    assert_refused(
        &stranger.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::WalletUnknown,
    );
    assert_eq!(app.world.guard.lock().unwrap().cosigns, 0);
    assert_eq!(app.world.calls(path::SHARE_RELEASE), 0);
}
