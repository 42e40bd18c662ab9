//! Sealed records that must not go backwards.

use keyfold_protocol::anchor::Anchor;
use keyfold_protocol::client_api::{Signed, WalletInfo, Wallets};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RecordId;

use crate::app::{ANNA, APP, App, assert_refused, assert_wallet_accepts, payment};
use crate::world::settle;

/// The record with the most versions: the account's.
fn account(app: &App) -> (RecordId, Anchor) {
    app.world.holder(1, |h| {
        h.anchors
            .iter()
            .max_by_key(|(_, anchor)| anchor.version)
            .map(|(id, a)| (*id, *a))
            .unwrap()
    })
}

#[tokio::test]
async fn a_record_store_that_was_rolled_back_is_refused_and_restored_works_again() {
    let app = App::new().await;
    let mut device = app.signed_in(APP, ANNA).await;
    settle().await;
    let old = app.world.host.lock().unwrap().clone();
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    device.renewed().await;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    settle().await;
    let new = app.world.host.lock().unwrap().clone();
    *app.world.host.lock().unwrap() = old;
    assert_refused(&device.wallets().await, Code::RecordRolledBack);
    // What is in memory is current, as the anchors with the shares say.
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    // An instance without it cannot be made to use the old record.
    let mut elsewhere = device;
    elsewhere.enclave = app.world.instance().await;
    let refused = elsewhere.sign_with(&wallet, &payment(&wallet, 1)).await;
    assert_refused(&refused, Code::RecordRolledBack);
    *app.world.host.lock().unwrap() = new;
    let _: Signed = elsewhere
        .sign_with(&wallet, &payment(&wallet, 1))
        .await
        .ok();
}

#[tokio::test]
async fn a_record_of_another_place_or_altered_does_not_open() {
    let app = App::new().await;
    let (device, _) = app.with_wallet().await;
    settle().await;
    let (id, _) = account(&app);
    let other = {
        let host = app.world.host.lock().unwrap();
        host.records
            .iter()
            .find(|(other, _)| **other != id)
            .unwrap()
            .1
            .clone()
    };
    let right = app
        .world
        .host
        .lock()
        .unwrap()
        .records
        .insert(id, other)
        .unwrap();
    assert_refused(&device.wallets().await, Code::RecordRolledBack);
    let mut altered = right.clone();
    *altered[0].sealed.last_mut().unwrap() ^= 1;
    app.world.host.lock().unwrap().records.insert(id, altered);
    assert_refused(&device.wallets().await, Code::RecordRolledBack);
    app.world.host.lock().unwrap().records.insert(id, right);
    let _: Wallets = device.wallets().await.ok();
}

#[tokio::test]
async fn an_instance_with_an_old_record_in_memory_uses_the_newer_one() {
    let app = App::new().await;
    let (mut device, wallet) = app.with_wallet().await;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    // Another instance changes the account.
    let first = std::mem::replace(&mut device.enclave, app.world.instance().await);
    let _: WalletInfo = device.create_wallet("second").await.ok();
    settle().await;
    device.enclave = first;
    let request = payment(&wallet, 2);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn a_session_that_another_instance_ended_signs_nothing_here() {
    use keyfold_protocol::client_api::{Nothing, SignedOut, path};
    use keyfold_protocol::intent::Operation;
    let app = App::new().await;
    let (mut device, wallet) = app.with_wallet().await;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    let first = std::mem::replace(&mut device.enclave, app.world.instance().await);
    let _: SignedOut = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    settle().await;
    device.enclave = first;
    assert_refused(
        &device.sign_with(&wallet, &payment(&wallet, 2)).await,
        Code::SessionRevoked,
    );
}

#[tokio::test]
async fn a_holder_that_fell_behind_is_repaired() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    settle().await;
    let _: WalletInfo = device.create_wallet("main").await.ok();
    settle().await;
    let (id, before) = account(&app);
    let _: keyfold_protocol::client_api::SignedIn = app.device(APP).sign_in(ANNA).await;
    settle().await;
    let (_, after) = account(&app);
    // As if it had been away for the last change, and then for two.
    for old in [Some(before), None] {
        app.world.holder(2, |h| match old {
            Some(anchor) => h.anchors.insert(id, anchor),
            None => h.anchors.remove(&id),
        });
        app.world.holder(3, |h| h.down = true);
        let result = device.wallets().await;
        app.world.holder(3, |h| h.down = false);
        // With one version missing the step can be repeated; with more it takes a third holder.
        match old {
            Some(_) => drop(result.ok::<Wallets>()),
            None => assert_refused(&result, Code::RecordPending),
        }
        let _: Wallets = device.wallets().await.ok();
        settle().await;
        let _: WalletInfo = device.create_wallet("main").await.ok();
        app.world.holder(1, |h| h.down = true);
        let _: Wallets = device.wallets().await.ok();
        app.world.holder(1, |h| h.down = false);
        settle().await;
        assert_eq!(app.world.holder(2, |h| h.anchors[&id]), after);
    }
}

#[tokio::test]
async fn a_change_that_was_cut_off_at_one_holder_is_pending_and_the_next_reader_completes_it() {
    let app = App::new().await;
    let mut device = app.signed_in(APP, ANNA).await;
    settle().await;
    let commits = |nothing| {
        for index in [1, 3] {
            app.world.holder(index, |h| h.commits_nothing = nothing);
        }
    };
    commits(true);
    let pending = device.create_wallet("main").await;
    assert_refused(&pending, Code::RecordPending);
    assert!(pending.detail().contains("holder-1") && pending.detail().contains("holder-3"));
    // Nobody can tell yet which version will stand, so nobody is told anything.
    app.world.holder(1, |h| h.down = true);
    assert_refused(&device.wallets().await, Code::RecordPending);
    app.world.holder(1, |h| h.down = false);
    commits(false);
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    let listed: Wallets = device.wallets().await.ok();
    assert_eq!(listed.wallets, std::slice::from_ref(&wallet));
    device.renewed().await;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
}

#[tokio::test]
async fn two_versions_of_one_number_are_settled_when_everybody_answers() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    settle().await;
    let (id, before) = account(&app);
    // A writer that is cut off after holder 2, and one that holder 2 does not hear of.
    let only = |indexes: &[usize]| {
        for index in 1..=3 {
            let nothing = !indexes.contains(&index);
            app.world.holder(index, |h| h.commits_nothing = nothing);
        }
    };
    only(&[2]);
    assert_refused(&device.create_wallet("lost").await, Code::RecordPending);
    let rival = app.world.holder(2, |h| h.anchors[&id]);
    app.world.holder(2, |h| {
        h.silent_at = Some(keyfold_protocol::holder_api::path::ANCHOR_READ)
    });
    only(&[1, 3]);
    let out: keyfold_protocol::client_api::SignedIn = app.device(APP).sign_in(ANNA).await;
    assert_eq!(out.wallets, []);
    settle().await;
    let after = app.world.holder(1, |h| h.anchors[&id]);
    assert_eq!(
        (rival.version, after.version),
        (before.version + 1, before.version + 1)
    );
    assert_ne!(rival, after);
    app.world.holder(2, |h| h.silent_at = None);
    only(&[1, 2, 3]);
    // With one away it might hold either.
    app.world.holder(2, |h| h.anchors.insert(id, rival));
    app.world.holder(3, |h| h.down = true);
    assert_refused(&device.wallets().await, Code::RecordPending);
    app.world.holder(3, |h| h.down = false);
    let listed: Wallets = device.wallets().await.ok();
    assert_eq!(listed.wallets, []);
    settle().await;
    assert_eq!(app.world.holder(2, |h| h.anchors[&id]), after);
}

#[tokio::test]
async fn a_change_that_too_few_holders_confirm_is_pending_and_then_goes_through() {
    let app = App::new().await;
    let mut device = app.device(APP);
    let first = device.sign_in(ANNA).await;
    app.world.holder(2, |h| h.down = true);
    let started = device.start(ANNA).await.ok();
    let code = app.world.code();
    app.world.holder(3, |h| h.down = true);
    assert_refused(
        &device.finish(&started, &code).await,
        Code::HoldersUnavailable,
    );
    app.world.holder(2, |h| h.down = false);
    let again = device.sign_in(ANNA).await;
    assert_eq!(again.account, first.account);
}
