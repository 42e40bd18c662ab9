//! One holder lies, alone or with the host: what it can stop, and what it cannot take.

use keyfold_protocol::anchor::Anchor;
use keyfold_protocol::client_api::{
    Nothing, Revocation, Signed, SignedIn, SignedOut, WalletInfo, Wallets, path as client_path,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path;
use keyfold_protocol::ids::{Digest32, RecordId};
use keyfold_protocol::intent::Operation;

use crate::app::{ANNA, APP, App, BORIS, assert_refused, assert_wallet_accepts, payment};
use crate::device::Device;
use crate::world::settle;

/// All that a holder remembers.
fn anchors(app: &App, holder: usize) -> Vec<(RecordId, Anchor)> {
    let mut all: Vec<_> = app.world.holder(holder, |h| {
        h.anchors
            .iter()
            .map(|(id, anchor)| (*id, *anchor))
            .collect()
    });
    all.sort_by_key(|(id, _)| *id.as_bytes());
    all
}

/// The record that was changed last at a holder.
fn newest(app: &App, before: &[(RecordId, Anchor)]) -> (RecordId, Anchor) {
    let changed: Vec<_> = anchors(app, 1)
        .into_iter()
        .filter(|entry| !before.contains(entry))
        .collect();
    assert_eq!(changed.len(), 1);
    changed[0]
}

#[tokio::test]
async fn an_anchor_that_a_holder_made_up_is_never_carried_to_the_others() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    settle().await;
    let before = anchors(&app, 2);
    for ahead in [1, 2, u64::MAX] {
        // Whoever answers first: the liar is asked first, in the middle, last.
        for liar in 1..=3 {
            app.world.holder(liar, |h| h.invents_anchors = Some(ahead));
            let _: Wallets = device.wallets().await.ok();
            let request = payment(&wallet, 1);
            let signed: Signed = device.sign_with(&wallet, &request).await.ok();
            assert_wallet_accepts(&wallet, &request, &signed.signature);
            settle().await;
            app.world.holder(liar, |h| h.invents_anchors = None);
        }
    }
    for index in 1..=3 {
        assert_eq!(anchors(&app, index), before, "holder {index}");
    }
    // Changes go on beside a liar too.
    app.world.holder(2, |h| h.invents_anchors = Some(1));
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
    let _: SignedOut = device
        .in_session(client_path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
}

#[tokio::test]
async fn a_made_up_anchor_names_its_holder_where_the_others_do_not_suffice() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    settle().await;
    app.world.holder(2, |h| h.invents_anchors = Some(1));
    app.world.holder(3, |h| h.down = true);
    for refused in [
        device.wallets().await,
        device.sign_with(&wallet, &payment(&wallet, 1)).await,
    ] {
        assert_refused(&refused, Code::HoldersUnavailable);
        let detail = refused.detail();
        assert!(detail.contains("holder-2 named a version"), "{detail}");
        assert!(!detail.contains("holder-1"), "{detail}");
    }
    app.world.holder(3, |h| h.down = false);
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
}

#[tokio::test]
async fn a_liar_cannot_win_against_a_version_of_the_same_number() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    settle().await;
    let old = app.world.holder(3, |h| h.anchors.clone());
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
    settle().await;
    let before = anchors(&app, 2);
    // One has the newest version, one the version before, and one invents a rival of the newest.
    for hash in [[0; 32], [0xff; 32]] {
        app.world.holder(3, |h| h.anchors.clone_from(&old));
        app.world.holder(1, |h| {
            h.claims = before
                .iter()
                .map(|(id, real)| {
                    let hash = Digest32::from_bytes(hash);
                    (*id, Some(Anchor { hash, ..*real }))
                })
                .collect();
        });
        let listed: Wallets = device.wallets().await.ok();
        assert_eq!(listed.wallets, std::slice::from_ref(&wallet));
        settle().await;
        assert_eq!(anchors(&app, 2), before);
        assert_eq!(anchors(&app, 3), before);
    }
}

#[tokio::test]
async fn a_stamp_of_one_record_is_worth_nothing_for_another() {
    let app = App::new().await;
    let (device, _) = app.with_wallet().await;
    settle().await;
    let before = anchors(&app, 1);
    let newest = before.iter().max_by_key(|(_, a)| a.version).unwrap().1;
    app.world.holder(1, |h| {
        h.claims = before.iter().map(|(id, _)| (*id, Some(newest))).collect();
        // The record it really belongs to is not lied about.
        h.claims.retain(|id, _| h.anchors[id] != newest);
    });
    let _: Wallets = device.wallets().await.ok();
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
}

#[tokio::test]
async fn a_version_that_the_host_lost_is_refused_with_names_and_nothing_is_committed() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    settle().await;
    let before = anchors(&app, 1);
    let old = app.world.host.lock().unwrap().clone();
    for index in [2, 3] {
        app.world.holder(index, |h| h.commits_nothing = true);
    }
    assert_refused(&device.create_wallet("main").await, Code::RecordPending);
    for index in [2, 3] {
        app.world.holder(index, |h| h.commits_nothing = false);
    }
    let (id, claimed) = newest(&app, &before);
    // Genuine, at one holder only, and its bytes are gone.
    let complete = std::mem::replace(&mut *app.world.host.lock().unwrap(), old);
    for _ in 0..2 {
        let refused = device.wallets().await;
        assert_refused(&refused, Code::RecordRolledBack);
        let detail = refused.detail();
        assert!(detail.contains("holder-1 remembers version"), "{detail}");
        settle().await;
        for index in [2, 3] {
            app.world
                .holder(index, |h| assert_ne!(h.anchors[&id], claimed));
        }
    }
    // With the bytes back it is completed.
    *app.world.host.lock().unwrap() = complete;
    let _: Wallets = device.wallets().await.ok();
    app.world.holder(2, |h| assert_eq!(h.anchors[&id], claimed));
    let _: WalletInfo = device.create_wallet("main").await.ok();
    let listed: Wallets = device.wallets().await.ok();
    assert_eq!(listed.wallets.len(), 1);
}

#[tokio::test]
async fn nobody_gets_a_second_account_because_a_holder_denies_the_first() {
    let app = App::new().await;
    let first = app.device(APP).sign_in(ANNA).await;
    settle().await;
    // Holder 3 missed everything, holder 1 denies it, and holder 2 is kept from answering.
    app.world.holder(3, |h| h.anchors.clear());
    app.world.holder(1, |h| h.denies_anchors = true);
    app.world
        .holder(2, |h| h.silent_at = Some(path::ANCHOR_READ));
    let mut device = app.device(APP);
    // The project seems to be gone, but nobody makes one in its place.
    app.world.pass(61);
    assert_refused(&device.start(ANNA).await, Code::ProjectUnknown);
    let admin = app.device(APP);
    let taken = crate::app::create_project(&admin, APP, None).await;
    assert_refused(&taken, Code::HoldersUnavailable);
    assert!(taken.detail().contains("holder-2"), "{taken:?}");
    // Only the identity is denied.
    app.world.holder(1, |h| h.denies_anchors = false);
    app.world.holder(2, |h| h.silent_at = None);
    let started = device.start(ANNA).await.ok();
    app.world.holder(1, |h| h.denies_anchors = true);
    app.world
        .holder(2, |h| h.silent_at = Some(path::ANCHOR_READ));
    let refused = device.finish(&started, &app.world.code()).await;
    assert_refused(&refused, Code::HoldersUnavailable);
    assert!(refused.detail().contains("holder-2"), "{refused:?}");
    // Once everybody is heard, one that lies is not enough.
    app.world.holder(1, |h| h.denies_anchors = false);
    app.world.holder(2, |h| h.silent_at = None);
    let started = device.start(ANNA).await.ok();
    app.world.holder(1, |h| h.denies_anchors = true);
    let again: SignedIn = device.finish(&started, &app.world.code()).await.ok();
    assert_eq!(again.account, first.account);
    app.world.holder(1, |h| h.denies_anchors = false);
    let again = device.sign_in(ANNA).await;
    assert_eq!(again.account, first.account);
}

#[tokio::test]
async fn nothing_is_made_anew_while_one_holder_is_away() {
    let app = App::new().await;
    app.world.holder(2, |h| h.down = true);
    let admin = app.device("third.example");
    let refused = crate::app::create_project(&admin, "third.example", None).await;
    assert_refused(&refused, Code::HoldersUnavailable);
    let device = app.device(APP);
    let started = device.start(BORIS).await.ok();
    let refused = device.finish(&started, &app.world.code()).await;
    assert_refused(&refused, Code::HoldersUnavailable);
    assert!(refused.detail().contains("holder-2"), "{refused:?}");
    app.world.holder(2, |h| h.down = false);
    let _: SignedIn = app.device(APP).sign_in(BORIS).await;
}

#[tokio::test]
async fn a_holder_that_was_away_learns_later_what_it_missed_without_anybody_reading() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    settle().await;
    app.world.holder(3, |h| h.down = true);
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
    let out: SignedOut = device
        .in_session(client_path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    assert_eq!(out.state, Revocation::Done);
    let beat = async || {
        app.world.pass(15);
        app.world.tick.notify_waiters();
        settle().await;
    };
    beat().await;
    assert_ne!(anchors(&app, 3), anchors(&app, 1));
    app.world.holder(3, |h| h.down = false);
    beat().await;
    assert_eq!(anchors(&app, 3), anchors(&app, 1));
    assert_eq!(app.world.holder(3, |h| h.revoked.len()), 1);
    // And then it is left alone.
    let repairs = app.world.calls(path::ANCHOR_REPAIR);
    beat().await;
    assert_eq!(app.world.calls(path::ANCHOR_REPAIR), repairs);
}

#[tokio::test]
async fn a_wallet_that_could_not_be_stored_is_made_again_under_the_same_name() {
    let app = App::new().await;
    let mut device = app.signed_in(APP, ANNA).await;
    for down in [1, 2, 3, 2, 1] {
        app.world
            .holder(down, |h| h.silent_at = Some(path::SHARE_STORE));
        let refused = device.create_wallet("main").await;
        assert_refused(&refused, Code::HoldersUnavailable);
        app.world.holder(down, |h| h.silent_at = None);
    }
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    for index in 1..=3 {
        assert_eq!(app.world.holder(index, |h| h.shares.len()), 1);
    }
    // Whichever two are asked, the shares are of one attempt.
    device.renewed().await;
    for away in 1..=3 {
        app.world.holder(away, |h| h.down = true);
        let request = payment(&wallet, 1);
        let signed: Signed = device.sign_with(&wallet, &request).await.ok();
        assert_wallet_accepts(&wallet, &request, &signed.signature);
        app.world.holder(away, |h| h.down = false);
    }
}

/// What a holder remembers, as its disk keeps it.
type Disk = std::collections::HashMap<RecordId, Anchor>;

fn disk(app: &App, holder: usize) -> Disk {
    app.world.holder(holder, |h| h.anchors.clone())
}

fn restore(app: &App, holder: usize, disk: &Disk) {
    app.world.holder(holder, |h| h.anchors.clone_from(disk));
}

/// Keeps holder 3 from hearing of any change, or no more.
fn block_the_third(app: &App, blocked: bool) {
    app.world.holder(3, |h| {
        h.commits_nothing = blocked;
        h.silent_at = blocked.then_some(path::ANCHOR_REPAIR);
    });
}

/// A device, and a wallet that holder 3 never heard of; what the holders remembered before, and
/// what those remember that heard.
async fn with_staged_wallet(app: &App) -> (Device, Disk, Disk) {
    let device = app.signed_in(APP, ANNA).await;
    settle().await;
    app.world.host.lock().unwrap().hoards = true;
    let before = disk(app, 1);
    block_the_third(app, true);
    let pending = device.create_wallet("main").await;
    assert_refused(&pending, Code::RecordPending);
    assert!(pending.detail().contains("holder-3"), "{pending:?}");
    settle().await;
    let staged = disk(app, 1);
    (device, before, staged)
}

#[tokio::test]
async fn a_wallet_that_not_all_holders_hold_is_told_to_nobody_and_completed_by_asking_again() {
    let app = App::new().await;
    let (mut device, ..) = with_staged_wallet(&app).await;
    for _ in 0..2 {
        let listed: Wallets = device.wallets().await.ok();
        assert_eq!(listed.wallets, []);
        assert_refused(&device.create_wallet("main").await, Code::RecordPending);
    }
    let again: SignedIn = device.sign_in(ANNA).await;
    assert_eq!(again.wallets, []);
    block_the_third(&app, false);
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    // One attempt at the key is all that there was.
    for index in 1..=3 {
        app.world.holder(index, |h| {
            let (_, shares) = h.shares.values().next().unwrap();
            assert_eq!((h.shares.len(), shares.len()), (1, 2));
        });
    }
    let listed: Wallets = device.wallets().await.ok();
    assert_eq!(listed.wallets, std::slice::from_ref(&wallet));
    device.renewed().await;
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn a_wallet_that_a_holder_hides_is_not_made_again() {
    let app = App::new().await;
    let (mut device, before, staged) = with_staged_wallet(&app).await;
    block_the_third(&app, false);
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    settle().await;
    // Holder 1 says what it remembered before, holder 3 missed the last change.
    app.world.holder(1, |h| {
        h.claims = before.into_iter().map(|(id, a)| (id, Some(a))).collect();
    });
    restore(&app, 3, &staged);
    app.world
        .holder(2, |h| h.silent_at = Some(path::ANCHOR_READ));
    let refused = device.create_wallet("main").await;
    assert_refused(&refused, Code::HoldersUnavailable);
    app.world.holder(2, |h| h.silent_at = None);
    let again: WalletInfo = device.create_wallet("main").await.ok();
    assert_eq!(again, wallet);
    device.renewed().await;
}

#[tokio::test]
async fn a_wallet_outlives_a_holder_that_forgot_it_and_a_host_that_hides_another() {
    let app = App::new().await;
    let (mut device, before, staged) = with_staged_wallet(&app).await;
    block_the_third(&app, false);
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    settle().await;
    // Holder 1 was restored from before the wallet, holder 3 missed the last change, and the only
    // one that remembers it is kept from answering while somebody signs in.
    restore(&app, 1, &before);
    restore(&app, 3, &staged);
    app.world.holder(2, |h| {
        h.silent_at = Some(path::ANCHOR_READ);
        h.commits_nothing = true;
    });
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
    settle().await;
    app.world
        .holder(2, |h| (h.silent_at, h.commits_nothing) = (None, false));
    let again: WalletInfo = device.create_wallet("main").await.ok();
    assert_eq!(again, wallet);
    device.renewed().await;
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn a_staged_wallet_that_is_left_behind_is_made_anew() {
    let app = App::new().await;
    let (mut device, before, _) = with_staged_wallet(&app).await;
    // Of the two that remember it one is restored, and the other does not answer.
    restore(&app, 1, &before);
    app.world.holder(2, |h| {
        h.silent_at = Some(path::ANCHOR_READ);
        h.commits_nothing = true;
    });
    block_the_third(&app, false);
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
    settle().await;
    app.world
        .holder(2, |h| (h.silent_at, h.commits_nothing) = (None, false));
    let wallet: WalletInfo = device.create_wallet("main").await.ok();
    device.renewed().await;
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

#[tokio::test]
async fn a_rival_of_a_write_is_an_error_that_names_its_holder_and_is_not_overwritten_by_the_writer()
{
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    // Begun before, since to begin reads the account.
    let other = app.device(APP);
    let started = other.start(ANNA).await.ok();
    settle().await;
    let before = anchors(&app, 1);
    // A writer that was cut off after holder 2, as it seems to everybody else.
    for index in [1, 3] {
        app.world.holder(index, |h| h.commits_nothing = true);
    }
    assert_refused(&device.create_wallet("main").await, Code::RecordPending);
    for index in [1, 3] {
        app.world.holder(index, |h| h.commits_nothing = false);
    }
    let rival = anchors(&app, 2);
    assert_ne!(rival, before);
    // The next writer does not hear of it while it reads, but while it writes.
    app.world.holder(2, |h| h.misses_reads = 3);
    let refused = other.finish(&started, &app.world.code()).await;
    assert_refused(&refused, Code::RecordConflict);
    assert!(
        refused.detail().contains("holder-2 remembers"),
        "{refused:?}"
    );
    settle().await;
    assert_eq!(anchors(&app, 2), rival);
    // Whoever reads next asks everybody, and what two confirmed stands.
    let _: SignedIn = app.device(APP).sign_in(ANNA).await;
    settle().await;
    assert_eq!(anchors(&app, 2), anchors(&app, 1));
    let _: WalletInfo = device.create_wallet("main").await.ok();
}

#[tokio::test]
async fn strangers_cannot_use_up_the_nonces_of_sessions() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    let mut stranger = app.device(APP);
    stranger.attestation = device.attestation.clone();
    let request = stranger.order_list();
    // The second time as the first: nothing was remembered of it.
    for _ in 0..2 {
        assert_refused(&stranger.send(&request).await, Code::SessionInvalid);
    }
}

#[tokio::test]
async fn a_change_that_the_host_says_came_too_late_is_tried_again() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    app.world.host.lock().unwrap().conflicts = 3;
    let _: WalletInfo = device.create_wallet("main").await.ok();
    app.world.host.lock().unwrap().conflicts = usize::MAX;
    assert_refused(&device.create_wallet("other").await, Code::RecordConflict);
}
