//! Genesis, boot, and what time does to an instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyfold_enclave::{BootError, Enclave};
use keyfold_protocol::client_api::Wallets;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path;
use keyfold_protocol::realm::SignedRealmRecord;
use keyfold_protocol::registration::realm_pcr16;

use crate::app::{ANNA, APP, App, assert_wallet_accepts, payment};
use crate::world::{World, genesis, json, problem, run, settle, status};

#[tokio::test]
async fn genesis_makes_a_realm_that_every_holder_signed_and_pcr16_names() {
    let world = World::new(3);
    let machine = world.machine();
    let enclave = Enclave::start(Arc::clone(&machine)).await.unwrap();
    run(&enclave);
    assert!(status(&enclave).await.awaits_genesis);
    let signed: SignedRealmRecord = json(&genesis(&enclave, &world.plan(2)).await);
    let realm = signed.verify_unpinned().unwrap().id();
    assert_eq!(
        *machine.pcr16.lock().unwrap(),
        Some(realm_pcr16(Some(realm)))
    );
    let after = status(&enclave).await;
    assert!(after.ready && !after.awaits_genesis);
    // Not twice.
    assert_eq!(
        problem(&genesis(&enclave, &world.plan(2)).await).code,
        Code::RealmExists
    );
}

#[tokio::test]
async fn a_genesis_that_was_cut_off_goes_on_with_the_same_record() {
    let world = World::new(3);
    let enclave = world.instance().await;
    world.holder(3, |h| h.down = true);
    let cut = problem(&genesis(&enclave, &world.plan(2)).await);
    assert_eq!(cut.code, Code::HoldersUnavailable);
    assert!(cut.detail.unwrap().contains("holder-3"));
    world.holder(3, |h| h.down = false);
    let signed: SignedRealmRecord = json(&genesis(&enclave, &world.plan(2)).await);
    let id = signed.record.id();
    for index in 1..=3 {
        assert_eq!(world.holder(index, |h| h.realm.as_ref().unwrap().id()), id);
    }
}

#[tokio::test]
async fn a_genesis_whose_instance_died_is_finished_by_the_next_one() {
    // Killed after the host has the record, and after one, two or all holders have it too.
    for heard in 0..=3 {
        let world = World::new(3);
        let first = world.instance().await;
        for index in heard + 1..=3 {
            world.holder(index, |h| h.commits_no_realm = true);
        }
        // With all of them it dies a little later, registering in the realm.
        if heard == 3 {
            world.holder(3, |h| h.silent_at = Some(path::TIME));
            world.holder(2, |h| h.silent_at = Some(path::TIME));
        }
        assert_ne!(genesis(&first, &world.plan(2)).await.status, 200);
        drop(first);
        for index in 1..=3 {
            world.holder(index, |h| (h.commits_no_realm, h.silent_at) = (false, None));
            world.holder(index, |h| assert_eq!(h.realm.is_some(), index <= heard));
        }
        let second = world.instance().await;
        assert!(status(&second).await.ready, "{heard}");
        for index in 1..=3 {
            world.holder(index, |h| assert!(h.realm.is_some()));
        }
        let app = App::of(world, second).await;
        let (device, wallet) = app.with_wallet().await;
        let _: keyfold_protocol::client_api::Signed =
            device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    }
}

#[tokio::test]
async fn no_holder_commits_itself_before_the_host_has_the_record() {
    let world = World::new(3);
    let enclave = world.instance().await;
    world.host.lock().unwrap().keeps_no_realm = true;
    let refused = problem(&genesis(&enclave, &world.plan(2)).await);
    assert_eq!(refused.code, Code::Unavailable);
    assert_eq!(world.calls(path::GENESIS_COMMIT), 0);
    world.host.lock().unwrap().keeps_no_realm = false;
    let _: SignedRealmRecord = json(&genesis(&enclave, &world.plan(2)).await);
}

#[tokio::test]
async fn a_genesis_that_another_enclave_got_in_the_way_of_goes_on() {
    let world = World::new(3);
    let (first, second) = (world.instance().await, world.instance().await);
    // Both have every signature, and the holders keep what the second proposed.
    world.host.lock().unwrap().keeps_no_realm = true;
    for enclave in [&first, &second] {
        let refused = problem(&genesis(enclave, &world.plan(2)).await);
        assert_eq!(refused.code, Code::Unavailable);
    }
    world.host.lock().unwrap().keeps_no_realm = false;
    let signed: SignedRealmRecord = json(&genesis(&first, &world.plan(2)).await);
    let id = signed.record.id();
    for index in 1..=3 {
        assert_eq!(world.holder(index, |h| h.realm.as_ref().unwrap().id()), id);
        assert!(world.holder(index, |h| h.seed.is_some()));
    }
    let third = world.instance().await;
    assert!(status(&third).await.ready);
    let late = problem(&genesis(&second, &world.plan(2)).await);
    assert_eq!(late.code, Code::RealmExists);
}

#[tokio::test]
async fn a_plan_without_a_majority_is_refused_before_any_holder_is_asked() {
    let world = World::new(3);
    let enclave = world.instance().await;
    for threshold in [0, 1, 4] {
        let refused = problem(&genesis(&enclave, &world.plan(threshold)).await);
        assert_eq!(refused.code, Code::RealmInvalid);
    }
    assert_eq!(world.calls(path::GENESIS_PROPOSE), 0);
}

#[tokio::test]
async fn a_new_instance_boots_from_the_record_and_signs_for_the_same_wallet() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let second = app.world.instance().await;
    assert_ne!(second.instance(), app.enclave.instance());
    assert!(status(&second).await.ready);
    let mut device = device;
    device.enclave = second;
    let request = payment(&wallet, 5);
    let signed: keyfold_protocol::client_api::Signed =
        device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn boot_needs_t_holders_and_says_who_is_missing() {
    let app = App::new().await;
    app.world.holder(1, |h| h.down = true);
    assert!(status(&*app.world.instance().await).await.ready);
    app.world.holder(2, |h| h.down = true);
    let error = Enclave::start(app.world.machine()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(
            error,
            BootError::Enter {
                code: Code::HoldersUnavailable,
                ..
            }
        ),
        "{text}"
    );
    assert!(
        text.contains("holder-1") && text.contains("holder-2"),
        "{text}"
    );
    app.world.holder(1, |h| h.down = false);
    assert!(status(&*app.world.instance().await).await.ready);
}

#[tokio::test]
async fn a_wrong_share_of_the_seed_is_noticed_and_the_others_suffice() {
    let app = App::new().await;
    app.world.holder(1, |h| h.releases_wrong_shares = true);
    assert!(status(&*app.world.instance().await).await.ready);
    app.world.holder(2, |h| h.releases_wrong_shares = true);
    let text = Enclave::start(app.world.machine())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("share_invalid") && text.contains("holder-1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_realm_record_that_its_holders_did_not_sign_is_refused() {
    let app = App::new().await;
    let mut signed: SignedRealmRecord =
        serde_json::from_slice(app.world.host.lock().unwrap().realm.as_ref().unwrap()).unwrap();
    signed.record.threshold = 3;
    app.world.host.lock().unwrap().realm = Some(serde_json::to_vec(&signed).unwrap());
    let error = Enclave::start(app.world.machine()).await.unwrap_err();
    assert!(matches!(error, BootError::Realm(_)));
}

#[tokio::test]
async fn an_instance_whose_clock_is_wrong_does_not_boot() {
    let app = App::new().await;
    for (skew, boots) in [(29_000, true), (31_000, false), (90 * 86_400_000, false)] {
        let machine = app.world.machine();
        machine.skew_ms.store(skew, Ordering::SeqCst);
        assert_eq!(Enclave::start(machine).await.is_ok(), boots, "{skew}");
    }
}

#[tokio::test]
async fn an_instance_whose_clock_drifts_stops_until_it_is_right_again() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.skew_ms = 40_000);
    }
    app.world.pass(61);
    app.world.tick.notify_waiters();
    settle().await;
    assert!(!status(&app.enclave).await.ready);
    assert_eq!(device.wallets().await.code(), Some(Code::Unavailable));
    for index in 1..=3 {
        app.world.holder(index, |h| h.skew_ms = 0);
    }
    app.world.pass(61);
    app.world.tick.notify_waiters();
    settle().await;
    assert!(status(&app.enclave).await.ready);
    let _: Wallets = device.wallets().await.ok();
}

#[tokio::test]
async fn one_liar_and_one_that_is_away_stop_nobody_and_let_nobody_boot() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    // Far away it takes the instance's signatures for old ones, nearer it only says another time.
    for skew in [-3_600_000, 45_000] {
        app.world.holder(2, |h| h.skew_ms = skew);
        app.world.holder(3, |h| h.silent_at = Some(path::TIME));
        app.world.pass(61);
        app.world.tick.notify_waiters();
        settle().await;
        assert!(status(&app.enclave).await.ready, "{skew}");
        let _: Wallets = device.wallets().await.ok();
        // An instance that knows nothing yet needs t that agree.
        let text = Enclave::start(app.world.machine())
            .await
            .unwrap_err()
            .to_string();
        assert!(text.contains("holders_unavailable"), "{text}");
        assert!(text.contains("holder-2"), "{text}");
        app.world.holder(3, |h| h.silent_at = None);
        assert!(status(&*app.world.instance().await).await.ready, "{skew}");
    }
}

#[tokio::test]
async fn one_holder_with_a_wrong_clock_stops_nobody() {
    let app = App::new().await;
    app.world.holder(2, |h| h.skew_ms = -3_600_000);
    app.world.pass(61);
    app.world.tick.notify_waiters();
    settle().await;
    assert!(status(&app.enclave).await.ready);
}

#[tokio::test]
async fn a_holder_that_lost_its_registrations_gets_a_new_one_and_the_attestation_keys() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.forget_instances());
    }
    let wallets: Wallets = device.wallets().await.ok();
    assert!(wallets.wallets.is_empty());
    settle().await;
    let registered = app.world.calls(path::REGISTER);
    let _: Wallets = device.wallets().await.ok();
    settle().await;
    assert_eq!(app.world.calls(path::REGISTER), registered);
}

#[tokio::test]
async fn no_randomness_is_an_error_and_not_zeros() {
    let world = World::new(3);
    let machine = world.machine();
    machine.entropy_fails.store(true, Ordering::SeqCst);
    assert!(matches!(
        Enclave::start(machine).await,
        Err(BootError::Platform(_))
    ));
}
