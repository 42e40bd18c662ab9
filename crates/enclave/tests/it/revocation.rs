//! Devices and sessions that are ended from another device.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::account::SteppedUp;
use keyfold_protocol::client_api::{
    ApproveDevice, Devices, Nothing, Revocation, RevokeDevice, RevokeSession, Revoked, Sessions,
    Signed, path,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceState, path as holder_path};
use keyfold_protocol::ids::{RequestId, SessionId};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::project::{EndedSessions, StepUp};
use keyfold_protocol::project_command::ProjectChanged;
use keyfold_protocol::sign_in::SignInStarted;

use crate::app::{ANNA, APP, App, BORIS, assert_refused, payment};
use crate::device::{Device, Reply};
use crate::factors::step_up_by_code;
use crate::projects::{TEAM, Team, settings};
use crate::world::settle;

fn id(device: &Device) -> RequestId {
    RequestId::from_bytes(device.fresh().to_be_bytes())
}

async fn revoke(by: &Device, device: Thumbprint) -> Reply {
    let intent = Intent::RevokeDevice { id: id(by), device };
    let body = RevokeDevice { device };
    by.send(&by.sign(path::DEVICE_REVOKE, &intent, &body)).await
}

async fn revoke_others(by: &Device) -> Reply {
    let (path, operation) = (path::DEVICE_REVOKE_OTHERS, Operation::RevokeDevices);
    by.in_session(path, operation, &Nothing {}).await
}

async fn end_session(by: &Device, session: SessionId) -> Reply {
    let intent = Intent::RevokeSession {
        id: id(by),
        session,
    };
    let body = RevokeSession { session };
    by.send(&by.sign(path::SESSION_REVOKE, &intent, &body))
        .await
}

async fn approve(by: &Device, device: &Device) {
    let device = device.thumbprint();
    let intent = Intent::ApproveDevice { id: id(by), device };
    let body = ApproveDevice { device };
    let request = by.sign(path::DEVICE_APPROVE, &intent, &body);
    let Nothing {} = by.send(&request).await.ok();
}

async fn devices(device: &Device) -> Vec<Thumbprint> {
    let list = device.in_session(path::DEVICE_LIST, Operation::ListDevices, &Nothing {});
    let Devices { devices } = list.await.ok();
    devices.into_iter().map(|device| device.device).collect()
}

fn state(reply: &Reply) -> Revocation {
    reply.ok::<Revoked>().state
}

/// A second device of the account, let in by the first.
async fn second(app: &App, first: &Device) -> Device {
    let mut second = app.signed_in(APP, ANNA).await;
    approve(first, &second).await;
    second.renewed().await;
    second
}

/// The subjects of the mails since the first `seen`.
pub(crate) fn subjects(app: &App, seen: usize) -> Vec<String> {
    let mails = app.world.mails.lock().unwrap();
    let subject = |mail: &String| {
        let line = mail.lines().find(|line| line.starts_with("Subject: "));
        line.unwrap()["Subject: ".len()..].to_owned()
    };
    mails.iter().skip(seen).map(subject).collect()
}

#[tokio::test]
async fn a_revoked_device_is_told_so_wherever_it_comes_and_the_other_goes_on() {
    let app = App::new().await;
    let (owner, wallet) = app.with_wallet().await;
    let mut thief = second(&app, &owner).await;
    let order = payment(&wallet, 1);
    let _: Signed = thief.sign_with(&wallet, &order).await.ok();
    assert_eq!(
        state(&revoke(&owner, thief.thumbprint()).await),
        Revocation::Done
    );
    // Asked twice it is done still.
    assert_eq!(
        state(&revoke(&owner, thief.thumbprint()).await),
        Revocation::Done
    );

    assert_refused(&thief.renew().await, Code::DeviceRevoked);
    assert_refused(&thief.wallets().await, Code::DeviceRevoked);
    assert_refused(&thief.sign_with(&wallet, &order).await, Code::DeviceRevoked);
    assert_refused(
        &revoke(&thief, owner.thumbprint()).await,
        Code::DeviceRevoked,
    );
    assert_refused(&revoke_others(&thief).await, Code::DeviceRevoked);
    let started: SignInStarted = thief.start(ANNA).await.ok();
    let again = thief.finish(&started, &app.world.code()).await;
    assert_refused(&again, Code::DeviceRevoked);
    // In another account it is a device like any other.
    thief.sign_in(BORIS).await;
    assert_eq!(devices(&owner).await, [owner.thumbprint()]);
    let _: Signed = owner.sign_with(&wallet, &order).await.ok();
}

#[tokio::test]
async fn the_holders_refuse_a_revoked_device_where_the_record_does_not_know() {
    let app = App::new().await;
    let (owner, wallet) = app.with_wallet().await;
    let thief = second(&app, &owner).await;
    // Opened before, and used for the signature: the cache says nothing of the end.
    let _: Signed = thief.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    for index in 1..=3 {
        app.world.holder(index, |h| h.commits_nothing = true);
    }
    let pending = revoke(&owner, thief.thumbprint()).await;
    assert_eq!(state(&pending), Revocation::Pending);
    for index in 1..=3 {
        app.world.holder(index, |h| h.commits_nothing = false);
    }
    let order = payment(&wallet, 2);
    assert_refused(&thief.sign_with(&wallet, &order).await, Code::DeviceRevoked);
    assert_refused(&thief.renew().await, Code::DeviceRevoked);
    assert_eq!(
        state(&revoke(&owner, thief.thumbprint()).await),
        Revocation::Done
    );
}

#[tokio::test]
async fn with_too_few_holders_it_is_pending_and_the_same_again_makes_it_done() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let thief = second(&app, &owner).await;
    for index in [1, 3] {
        app.world.holder(index, |h| h.down = true);
    }
    let pending = revoke(&owner, thief.thumbprint()).await;
    assert_eq!(state(&pending), Revocation::Pending);
    for index in [1, 3] {
        app.world.holder(index, |h| h.down = false);
    }
    assert_eq!(
        state(&revoke(&owner, thief.thumbprint()).await),
        Revocation::Done
    );
    assert_refused(&thief.renew().await, Code::DeviceRevoked);
}

#[tokio::test]
async fn a_holder_that_was_away_hears_of_it_and_until_then_lists_it_to_nobody() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let thief = second(&app, &owner).await;
    app.world
        .holder(2, |h| h.silent_at = Some(holder_path::DEVICE_REVOKE));
    assert_eq!(
        state(&revoke(&owner, thief.thumbprint()).await),
        Revocation::Done
    );
    settle().await;
    let knows = |index| app.world.holder(index, |h| !h.revoked_devices.is_empty());
    assert_eq!([1, 2, 3].map(knows), [true, false, true]);
    app.world.holder(1, |h| h.down = true);
    assert_eq!(devices(&owner).await, [owner.thumbprint()]);
    app.world.holder(1, |h| h.down = false);
    app.world.holder(2, |h| h.silent_at = None);
    app.world.pass(15);
    app.world.tick.notify_waiters();
    settle().await;
    assert_eq!([1, 2, 3].map(knows), [true, true, true]);
}

#[tokio::test]
async fn all_others_go_and_a_holder_that_missed_one_hears_its_name() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let thief = second(&app, &owner).await;
    app.world.holder(3, |h| h.enrols_nothing = true);
    let missed = app.signed_in(APP, ANNA).await;
    app.world.holder(3, |h| h.enrols_nothing = false);
    assert_eq!(state(&revoke_others(&owner).await), Revocation::Done);
    for gone in [&thief, &missed] {
        assert_refused(&gone.renew().await, Code::DeviceRevoked);
        for index in 1..=3 {
            app.world.holder(index, |h| {
                let mut all = h.revoked_devices.iter();
                assert!(
                    all.any(|(_, device)| *device == gone.thumbprint()),
                    "{index}"
                );
            });
        }
    }
    assert_eq!(devices(&owner).await, [owner.thumbprint()]);
    let _ = owner.renew().await.ok::<serde_json::Value>();
}

#[tokio::test]
async fn a_device_that_waits_ends_itself_and_nobody_else() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let waits = app.signed_in(APP, ANNA).await;
    assert_refused(
        &revoke(&waits, owner.thumbprint()).await,
        Code::DevicePending,
    );
    assert_refused(&revoke_others(&waits).await, Code::DevicePending);
    let session = sessions(&owner).await.remove(0).0;
    assert_refused(&end_session(&waits, session).await, Code::DevicePending);
    let list = waits.in_session(path::SESSION_LIST, Operation::ListSessions, &Nothing {});
    assert_refused(&list.await, Code::DevicePending);
    let _ = owner.renew().await.ok::<serde_json::Value>();
    assert_eq!(
        state(&revoke(&waits, waits.thumbprint()).await),
        Revocation::Done
    );
    assert_refused(&waits.renew().await, Code::DeviceRevoked);
}

#[tokio::test]
async fn who_signs_in_after_the_last_device_ended_itself_waits() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    assert_eq!(
        state(&revoke(&owner, owner.thumbprint()).await),
        Revocation::Done
    );
    for index in 1..=3 {
        // As if the holders had no memory of their own: the record's word alone suffices.
        app.world.holder(index, |h| h.devices.clear());
    }
    let next = app.device(APP).sign_in(ANNA).await;
    assert!(matches!(next.device, DeviceState::Pending { .. }));
}

#[tokio::test]
async fn a_body_that_names_another_device_or_session_than_the_intent_is_refused() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let other = second(&app, &owner).await;
    let device = Thumbprint([7; 32]);
    let intent = Intent::RevokeDevice {
        id: id(&owner),
        device,
    };
    let body = RevokeDevice {
        device: other.thumbprint(),
    };
    let swapped = owner.sign(path::DEVICE_REVOKE, &intent, &body);
    assert_refused(&owner.send(&swapped).await, Code::IntentMismatch);
    let intent = Intent::RevokeSession {
        id: id(&owner),
        session: SessionId::from_bytes([7; 16]),
    };
    let session = sessions(&other).await.remove(0).0;
    let swapped = owner.sign(path::SESSION_REVOKE, &intent, &RevokeSession { session });
    assert_refused(&owner.send(&swapped).await, Code::IntentMismatch);
    assert_eq!(app.world.calls(holder_path::DEVICE_REVOKE), 0);
    assert_eq!(app.world.calls(holder_path::SESSION_REVOKE), 0);
}

/// The account's sessions: each with its device, and whether it is the one that asks.
async fn sessions(device: &Device) -> Vec<(SessionId, Thumbprint, bool)> {
    let list = device.in_session(path::SESSION_LIST, Operation::ListSessions, &Nothing {});
    let Sessions { sessions } = list.await.ok();
    let short = sessions.into_iter().map(|s| (s.session, s.device, s.this));
    short.collect()
}

#[tokio::test]
async fn sessions_are_listed_and_one_is_ended_from_another_device() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let mut other = second(&app, &owner).await;
    let of = |listed: &[(SessionId, Thumbprint, bool)], device: &Device| {
        let mut those = listed.iter().filter(|s| s.1 == device.thumbprint());
        *those.next().unwrap()
    };
    let listed = sessions(&owner).await;
    assert_eq!(listed.len(), 2);
    assert!(of(&listed, &owner).2 && !of(&listed, &other).2);
    let ended = end_session(&owner, of(&listed, &other).0).await;
    assert_eq!(state(&ended), Revocation::Done);
    assert_refused(&other.renew().await, Code::SessionRevoked);
    assert_eq!(sessions(&owner).await.len(), 1);
    // The device was not taken off: it signs in and acts.
    let again = other.sign_in(ANNA).await;
    assert_eq!(again.device, DeviceState::Active);
    // With the holders away it is pending, and the session stays listed.
    for index in [1, 2] {
        app.world
            .holder(index, |h| h.silent_at = Some(holder_path::SESSION_REVOKE));
    }
    let pending = end_session(&owner, again.session).await;
    assert_eq!(state(&pending), Revocation::Pending);
    assert_eq!(sessions(&owner).await.len(), 2);
}

#[tokio::test]
async fn the_owner_hears_by_mail_of_a_new_device_and_of_every_end() {
    let app = App::new().await;
    let mut owner = app.signed_in(APP, ANNA).await;
    settle().await;
    // Not of the first device, nor of a known one that signs in again.
    owner.sign_in(ANNA).await;
    settle().await;
    assert_eq!(
        subjects(&app, 0),
        ["Your sign-in code for Demo", "Your sign-in code for Demo"]
    );
    let other = second(&app, &owner).await;
    settle().await;
    let third = second(&app, &owner).await;
    settle().await;
    assert_eq!(
        state(&revoke(&owner, other.thumbprint()).await),
        Revocation::Done
    );
    settle().await;
    assert_eq!(state(&revoke_others(&owner).await), Revocation::Done);
    // What changes nothing any more is no news.
    assert_eq!(state(&revoke_others(&owner).await), Revocation::Done);
    settle().await;
    assert_eq!(
        subjects(&app, 2),
        [
            "Your sign-in code for Demo",
            "A new device signed in to Demo",
            "Your sign-in code for Demo",
            "A new device signed in to Demo",
            "A device was taken off your account at Demo",
            "All other devices were taken off your account at Demo",
        ]
    );
    let mails = app.world.mails.lock().unwrap();
    let about = [(3, &other), (5, &third), (6, &other), (7, &owner)];
    for (at, device) in about {
        assert!(mails[at].contains("To: anna@mail.example"), "{at}");
        assert!(mails[at].contains(&device.thumbprint().to_string()), "{at}");
        // The name is the device's own choice.
        assert!(!mails[at].contains("laptop"), "{at}");
    }
    assert!(mails[3].contains("cannot act yet"));
}

#[tokio::test]
async fn a_flood_of_sign_ins_is_no_flood_of_notices_and_a_mail_server_that_refuses_stops_nobody() {
    let app = App::new().await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.mail_limit = u32::MAX);
    }
    app.signed_in(APP, ANNA).await;
    for _ in 0..20 {
        app.signed_in(APP, ANNA).await;
        settle().await;
    }
    let notices = |app: &App| {
        let all = subjects(app, 0);
        all.iter().filter(|s| s.starts_with("A new device")).count()
    };
    assert_eq!(notices(&app), 8);
    app.world.pass(3_600);
    let device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    app.world
        .mail_fails
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let finished = device.finish(&started, &app.world.code()).await;
    let _ = finished.ok::<serde_json::Value>();
    settle().await;
    assert_eq!(notices(&app), 8);
}

#[tokio::test]
async fn where_a_project_or_a_person_asks_for_it_sessions_of_others_end_after_a_fresh_proof() {
    let app = App::with(|body| body.sign_in.step_up.end_sessions = Some(StepUp::Code)).await;
    let first = app.signed_in(APP, ANNA).await;
    let second = second(&app, &first).await;
    let sessions: Sessions = first
        .in_session(path::SESSION_LIST, Operation::ListSessions, &Nothing {})
        .await
        .ok();
    let theirs = sessions.sessions.iter().find(|session| !session.this);
    let theirs = theirs.unwrap().session;
    app.world.pass(301);
    let asked = app.world.calls(holder_path::SESSION_REVOKE);
    let refused = Code::StepUpNeeded;
    assert_refused(&end_session(&first, theirs).await, refused);
    assert_refused(&revoke(&first, second.thumbprint()).await, refused);
    assert_refused(&revoke_others(&first).await, refused);
    assert_eq!(app.world.calls(holder_path::SESSION_REVOKE), asked);
    // What is one's own ends without, so that whoever leaves can leave.
    let third = app.signed_in(APP, ANNA).await;
    app.world.pass(301);
    assert_eq!(
        state(&revoke(&third, third.thumbprint()).await),
        Revocation::Done
    );
    let _: SteppedUp = step_up_by_code(&first, ANNA).await.ok();
    assert_eq!(state(&end_session(&first, theirs).await), Revocation::Done);
    assert_refused(&second.renew().await, Code::SessionRevoked);
    assert_eq!(
        state(&revoke(&first, second.thumbprint()).await),
        Revocation::Done
    );
}

#[tokio::test]
async fn administrators_end_the_sessions_of_one_account_or_of_all_and_people_sign_in_again() {
    let team = Team::with(|_| ()).await;
    let world = &team.app.world;
    let person = async |email: &str| {
        let mut device = team.app.device(TEAM);
        let signed_in = device.sign_in(email).await;
        (device, signed_in.account)
    };
    let ((mut anna, account), (mut boris, _)) = (person(ANNA).await, person(BORIS).await);
    let goes_on = async |device: &Device| device.wallets().await.status == 200;
    let end = async |follows, ended: EndedSessions| {
        let change = settings(|s| s.sign_in.ended = ended.clone());
        let command = team.command(follows, change);
        let _: ProjectChanged = team.submit(0, &command, &[0]).await.ok();
        // Another instance may know the project as it was for a minute.
        world.pass(61);
    };
    world.pass(10);
    end(
        1,
        EndedSessions {
            before: 0,
            accounts: [(account, world.now())].into(),
        },
    )
    .await;
    assert!(goes_on(&boris).await);
    assert_refused(&anna.wallets().await, Code::SessionRevoked);
    assert_refused(&anna.renew().await, Code::SessionRevoked);
    assert_refused(&anna.create_wallet("main").await, Code::SessionRevoked);
    assert_refused(&revoke_others(&anna).await, Code::SessionRevoked);
    anna.sign_in(ANNA).await;
    assert!(goes_on(&anna).await);
    world.pass(10);
    end(
        2,
        EndedSessions {
            before: world.now(),
            accounts: Default::default(),
        },
    )
    .await;
    for device in [&anna, &boris] {
        assert_refused(&device.wallets().await, Code::SessionRevoked);
        assert_refused(&device.renew().await, Code::SessionRevoked);
    }
    boris.sign_in(BORIS).await;
    assert!(goes_on(&boris).await);
    // Nobody but administrators can: it is a change of the project like any other.
    let command = team.command(3, settings(|_| ()));
    let stolen = team.submit(1, &command, &[1]).await;
    assert_refused(&stolen, Code::ProjectUnknown);
}
