//! Strangers who begin sign-ins, and what is left of one that was refused.

use keyfold_protocol::client_api::{Devices, Nothing, path};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path as holder_path;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::sign_in::SignInStarted;

use crate::app::{ANNA, APP, App, BORIS, assert_refused};
use crate::device::{Device, Reply};
use crate::world::settle;

/// Strangers, each with a device of its own, take every slot of an address and every mail that it
/// may get; returns what the last of them was told.
async fn flood(app: &App, email: &str) -> Reply {
    let mut last = None;
    for _ in 0..12 {
        last = Some(app.device(APP).start(email).await);
    }
    last.unwrap()
}

fn notices(app: &App) -> usize {
    let mails = app.world.mails.lock().unwrap();
    let is_notice = |mail: &&String| mail.contains("Subject: A new device signed in");
    mails.iter().filter(is_notice).count()
}

fn on_a_list(app: &App, device: &Device) -> bool {
    let jkt = device.thumbprint();
    (1..=3).any(|index| {
        app.world.holder(index, |holder| {
            let mut lists = holder.devices.values();
            lists.any(|list| list.iter().any(|entry| entry.device == jkt))
        })
    })
}

#[tokio::test]
async fn strangers_who_begin_leave_the_owners_devices_their_codes() {
    let app = App::new().await;
    let mut owner = app.signed_in(APP, ANNA).await;
    assert_refused(&flood(&app, ANNA).await, Code::MailLimit);
    // Neither the instance's slots nor the holders' mails are used up for the owner.
    owner.sign_in(ANNA).await;
    app.world.pass(3_600);
    assert_refused(&app.device(APP).start(ANNA).await, Code::MailLimit);
    for _ in 0..2 {
        owner.sign_in(ANNA).await;
    }
    // What the owner's device has is bounded too.
    let mut begun = 0;
    while owner.start(ANNA).await.code().is_none() {
        begun += 1;
    }
    assert_eq!(begun, 2, "five mails for a device");
    assert_refused(&owner.start(ANNA).await, Code::MailLimit);
}

#[tokio::test]
async fn a_device_that_waits_or_belongs_to_somebody_else_is_a_stranger() {
    let app = App::new().await;
    let owner = app.signed_in(APP, ANNA).await;
    let boris = app.signed_in(APP, BORIS).await;
    let mut thief = app.device(APP);
    thief.sign_in(ANNA).await;
    let out = app.signed_in(APP, ANNA).await;
    let as_device = app.world.calls(holder_path::MAIL_RESERVE_DEVICE);
    flood(&app, ANNA).await;
    for stranger in [&thief, &out, &boris] {
        assert_refused(&stranger.start(ANNA).await, Code::MailLimit);
    }
    assert_eq!(app.world.calls(holder_path::MAIL_RESERVE_DEVICE), as_device);
    // Nor does it help to be known in another project, or to be known to holders no more.
    let _: SignInStarted = owner.start(ANNA).await.ok();
    for index in 1..=3 {
        app.world.holder(index, |h| h.devices.clear());
    }
    assert_refused(&owner.start(ANNA).await, Code::MailLimit);
}

#[tokio::test]
async fn a_stranger_is_answered_alike_for_every_address_and_the_same_is_read() {
    let app = App::new().await;
    app.signed_in(APP, ANNA).await;
    // As many mails as the other has had.
    let _: SignInStarted = app.device(APP).start(BORIS).await.ok();
    app.world.pass(3_600);
    // So that the project is not read again for the first.
    let _: SignInStarted = app.device(APP).start("carla@mail.example").await.ok();
    let asked = || {
        let paths = [
            holder_path::ANCHOR_READ,
            holder_path::MAIL_RESERVE,
            holder_path::MAIL_RESERVE_DEVICE,
            holder_path::ATTEMPT_RESERVE,
        ];
        paths.map(|path| app.world.calls(path))
    };
    for round in 0..8 {
        let mut seen = Vec::new();
        for email in [ANNA, BORIS] {
            settle().await;
            let before = asked();
            let reply = app.device(APP).start(email).await;
            settle().await;
            let after = asked();
            let calls: Vec<_> = (0..4).map(|at| after[at] - before[at]).collect();
            seen.push((reply.status, reply.code(), reply.body.len(), calls));
        }
        assert_eq!(seen[0], seen[1], "round {round}");
    }
}

#[tokio::test]
async fn a_device_beyond_the_projects_limit_is_on_no_holders_list() {
    let app = App::with(|body| body.sign_in.limits.devices = 1).await;
    app.signed_in(APP, ANNA).await;
    let enrolled = app.world.calls(holder_path::DEVICE_ENROL);
    let thief = app.device(APP);
    for _ in 0..2 {
        let started: SignInStarted = thief.start(ANNA).await.ok();
        let refused = thief.finish(&started, &app.world.code()).await;
        assert_refused(&refused, Code::DeviceLimit);
    }
    settle().await;
    assert!(!on_a_list(&app, &thief));
    assert_eq!(app.world.calls(holder_path::DEVICE_ENROL), enrolled);
}

#[tokio::test]
async fn a_device_that_makes_room_for_another_is_signed_out() {
    let app = App::with(|body| body.sign_in.limits.devices = 2).await;
    let owner = app.signed_in(APP, ANNA).await;
    let thieves = [
        app.signed_in(APP, ANNA).await,
        app.signed_in(APP, ANNA).await,
    ];
    // Its waiting time at the holders ends all the same; there is no third that acts.
    app.world.pass(86_400);
    assert_refused(&thieves[0].renew().await, Code::SessionRevoked);
    assert_eq!(thieves[1].renew().await.code(), None);
    let started: SignInStarted = thieves[0].start(ANNA).await.ok();
    let refused = thieves[0].finish(&started, &app.world.code()).await;
    assert_refused(&refused, Code::DeviceLimit);
    assert_eq!(owner.renew().await.code(), None);
}

#[tokio::test]
async fn the_owner_hears_of_a_device_whose_session_was_refused() {
    let app = App::with(|body| body.sign_in.limits.sessions = 1).await;
    let mut owner = app.signed_in(APP, ANNA).await;
    let thief = app.device(APP);
    let started: SignInStarted = thief.start(ANNA).await.ok();
    let refused = thief.finish(&started, &app.world.code()).await;
    assert_refused(&refused, Code::RateLimited);
    settle().await;
    // It waits at the holders: not without a word.
    assert!(on_a_list(&app, &thief));
    assert_eq!(notices(&app), 1);
    owner.renewed().await;
    let devices: Devices = owner
        .in_session(path::DEVICE_LIST, Operation::ListDevices, &Nothing {})
        .await
        .ok();
    assert_eq!(devices.devices.len(), 2);
}
