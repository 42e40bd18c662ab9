//! Sign-in by code, sessions, devices, two projects apart.

use std::sync::atomic::Ordering;

use keyfold_protocol::client_api::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceState, path as holder_path};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::session::SessionClaims;
use keyfold_protocol::sign_in::SignInStarted;

use crate::app::{
    ANNA, APP, App, BORIS, OTHER, assert_refused, create_project, payment, project_of,
};
use crate::device::{Device, text};
use crate::world::settle;

#[tokio::test]
async fn a_code_that_arrives_by_mail_signs_in_and_the_account_stays_the_same() {
    let app = App::new().await;
    let mut device = app.device(APP);
    let first = device.sign_in("  Anna@Mail.example ").await;
    assert_eq!(first.device, DeviceState::Active);
    assert!(first.wallets.is_empty());
    assert_eq!(first.session_ends, app.world.now() + 7 * 86_400);
    let again = device.sign_in(ANNA).await;
    assert_eq!(again.account, first.account);
    assert_ne!(again.session, first.session);
    assert!(app.world.mails.lock().unwrap()[0].contains("To: anna@mail.example"));
}

#[tokio::test]
async fn wrong_expired_reused_and_foreign_codes_are_all_refused_alike() {
    let app = App::new().await;
    let device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let code = app.world.code();
    let wrong = format!("{:08}", (code.parse::<u32>().unwrap() + 1) % 100_000_000);
    let full_width = "\u{ff11}".repeat(8);
    for bad in [
        wrong.as_str(),
        "",
        "1234567",
        "123456789",
        "12 34567",
        &full_width,
    ] {
        assert_refused(&device.finish(&started, bad).await, Code::SignInRefused);
    }

    // Another device, with the right code.
    let thief = app.device(APP);
    assert_refused(&thief.finish(&started, &code).await, Code::SignInRefused);
    // The same device in another project.
    let mut elsewhere = app.device(OTHER);
    elsewhere.key = keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes(
        &device.key.to_secret_bytes().expose(<[u8]>::to_vec),
    )
    .unwrap();
    assert_refused(
        &elsewhere.finish(&started, &code).await,
        Code::SignInRefused,
    );
    // The owner is not disturbed by any of it.
    let _: SignedIn = device.finish(&started, &code).await.ok();
    // Once.
    assert_refused(&device.finish(&started, &code).await, Code::SignInRefused);

    let late = app.device(APP);
    let started: SignInStarted = late.start(BORIS).await.ok();
    let code = app.world.code();
    app.world.pass(600);
    assert_refused(&late.finish(&started, &code).await, Code::SignInRefused);
}

#[tokio::test]
async fn three_wrong_codes_end_a_sign_in_and_starting_again_gives_no_attempt_back() {
    let app = App::new().await;
    let device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let code = app.world.code();
    let wrong = format!("{:08}", (code.parse::<u32>().unwrap() + 1) % 100_000_000);
    for _ in 0..3 {
        assert_refused(&device.finish(&started, &wrong).await, Code::SignInRefused);
    }
    assert_refused(&device.finish(&started, &code).await, Code::SignInRefused);
    // Nor does asking again use up mails that the address may still get.
    let counted = app.world.calls(holder_path::MAIL_RESERVE);
    for _ in 0..5 {
        assert_refused(&device.start(ANNA).await, Code::MailLimit);
    }
    assert_eq!(app.world.calls(holder_path::MAIL_RESERVE), counted);
    let _: SignInStarted = app.device(APP).start(ANNA).await.ok();
}

#[tokio::test]
async fn codes_sent_at_the_same_time_share_their_attempts() {
    let app = App::new().await;
    let device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let code: u32 = app.world.code().parse().unwrap();
    let guesses: Vec<String> = (1..=5)
        .map(|n| format!("{:08}", (code + n) % 100_000_000))
        .collect();
    let all = guesses.iter().map(|guess| device.finish(&started, guess));
    futures_util::future::join_all(all).await;
    assert_refused(
        &device.finish(&started, &format!("{code:08}")).await,
        Code::SignInRefused,
    );
}

#[tokio::test]
async fn mails_to_one_address_are_limited_by_the_holders() {
    let app = App::new().await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.mail_limit = 2);
    }
    for _ in 0..2 {
        let _: SignInStarted = app.device(APP).start(ANNA).await.ok();
    }
    for spelling in [
        "ANNA@mail.example",
        "anna+1@mail.example",
        "anna+2@mail.example",
    ] {
        assert_refused(&app.device(APP).start(spelling).await, Code::MailLimit);
    }
    let _: SignInStarted = app.device(APP).start(BORIS).await.ok();
    assert_eq!(app.world.mails.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn addresses_that_are_none_get_no_mail() {
    let app = App::new().await;
    for bad in [
        "",
        "anna",
        "a@b",
        "anna@mail.example\nBcc: b@c.example",
        "\u{430}nna@mail.example",
    ] {
        assert_refused(&app.device(APP).start(bad).await, Code::EmailInvalid);
    }
    assert_refused(
        &app.device("nowhere.example").start(ANNA).await,
        Code::ProjectUnknown,
    );
    assert_eq!(app.world.calls(holder_path::MAIL_RESERVE), 0);
    assert!(app.world.mails.lock().unwrap().is_empty());
}

#[tokio::test]
async fn mail_that_fails_says_so_and_the_next_attempt_works() {
    let app = App::new().await;
    let device = app.device(APP);
    app.world.mail_fails.store(true, Ordering::SeqCst);
    let failed = device.start(ANNA).await;
    assert_refused(&failed, Code::MailFailed);
    assert_eq!(failed.detail(), "", "the project's affair");
    app.world.mail_fails.store(false, Ordering::SeqCst);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let _: SignedIn = device.finish(&started, &app.world.code()).await.ok();
}

#[tokio::test]
async fn the_same_address_in_two_projects_is_two_accounts() {
    let app = App::new().await;
    let here = app.device(APP).sign_in(ANNA).await;
    let there = app.device(OTHER).sign_in(ANNA).await;
    assert_ne!(here.account, there.account);
}

#[tokio::test]
async fn two_devices_that_make_the_account_at_the_same_time_get_one_account() {
    let app = App::new().await;
    let (a, b) = (app.device(APP), app.device(APP));
    let first: SignInStarted = a.start(ANNA).await.ok();
    let first_code = app.world.code();
    let second: SignInStarted = b.start(ANNA).await.ok();
    let second_code = app.world.code();
    let (x, y) = tokio::join!(
        a.finish(&first, &first_code),
        b.finish(&second, &second_code)
    );
    assert_eq!(x.ok::<SignedIn>().account, y.ok::<SignedIn>().account);
}

#[tokio::test]
async fn a_session_is_renewed_until_it_ends_and_auth_time_never_moves() {
    let app = App::new().await;
    let mut device = app.device(APP);
    let signed_in = device.sign_in(ANNA).await;
    let end = signed_in.session_ends;
    while app.world.now() + 3_600 < end {
        app.world.pass(3_599);
        let renewed: Renewed = device.renew().await.ok();
        assert!(renewed.attestation_expires <= end);
        device.attestation = text(&renewed.attestation);
    }
    app.world.pass(end - app.world.now());
    assert_refused(&device.renew().await, Code::SessionExpired);
}

#[tokio::test]
async fn a_session_that_was_left_alone_for_longer_than_the_project_says_is_not_renewed() {
    let app = App::with(|body| {
        body.sign_in.attestation_seconds = 600;
        body.sign_in.idle_seconds = 1_800;
    })
    .await;
    let mut device = app.device(APP);
    device.sign_in(ANNA).await;
    // Whoever keeps coming stays, for longer than that in all.
    for _ in 0..3 {
        app.world.pass(600 + 1_799);
        device.renewed().await;
    }
    app.world.pass(600 + 1_800);
    assert_refused(&device.renew().await, Code::SessionExpired);
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere_and_can_be_repeated() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let out: SignedOut = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    assert_eq!(out.state, Revocation::Done);
    assert_refused(&device.wallets().await, Code::SessionRevoked);
    assert_refused(&device.renew().await, Code::SessionRevoked);
    assert_refused(
        &device.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::SessionRevoked,
    );
}

#[tokio::test]
async fn signing_out_with_two_holders_away_is_pending() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    app.world.holder(1, |h| h.down = true);
    app.world.holder(3, |h| h.down = true);
    let out: SignedOut = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    assert_eq!(out.state, Revocation::Pending);
}

/// What a device's attestation says.
fn claims(device: &Device) -> SessionClaims {
    let claims = device.attestation.split('.').nth(1).unwrap();
    serde_json::from_slice(&keyfold_crypto::b64::decode(claims, 8_192).unwrap()).unwrap()
}

#[tokio::test]
async fn whoever_reads_the_mailbox_uses_up_no_place_for_devices() {
    let app = App::new().await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.mail_limit = u32::MAX);
    }
    let owner = app.signed_in(APP, ANNA).await;
    for _ in 0..40 {
        let pending = app.device(APP).sign_in(ANNA).await;
        assert!(matches!(pending.device, DeviceState::Pending { .. }));
    }
    let devices: Devices = owner
        .in_session(path::DEVICE_LIST, Operation::ListDevices, &Nothing {})
        .await
        .ok();
    let this = devices.devices.iter().find(|device| device.this).unwrap();
    assert_eq!((&*this.name, this.state), ("laptop", DeviceState::Active));
    // The account's record names the owner's and the newest, and is not full for ever.
    let named = devices.devices.iter().filter(|d| !d.name.is_empty());
    assert_eq!(named.count(), 32);
}

#[tokio::test]
async fn a_second_device_waits_until_the_first_approves_it() {
    let app = App::new().await;
    let (first, wallet) = app.with_wallet().await;
    let mut second = app.device(APP);
    let signed_in = second.sign_in(ANNA).await;
    assert!(matches!(signed_in.device, DeviceState::Pending { .. }));
    // It learns of no wallet, and nobody can take its attestation for the owner's.
    assert_eq!(signed_in.wallets, []);
    for _ in 0..2 {
        let claims = claims(&second);
        assert_eq!(
            (claims.wallets.len(), &*claims.acr),
            (0, "email-code-waiting")
        );
        second.renewed().await;
    }
    assert_refused(&second.wallets().await, Code::DevicePending);
    assert_refused(&second.create_wallet("main").await, Code::DevicePending);
    assert_refused(&second.create_wallet("other").await, Code::DevicePending);
    assert_refused(
        &second.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::DevicePending,
    );

    let approve = |device: &Device, of: &Device| {
        let id = RequestId::from_bytes(device.fresh().to_be_bytes());
        let intent = Intent::ApproveDevice {
            id,
            device: of.thumbprint(),
        };
        device.sign(
            path::DEVICE_APPROVE,
            &intent,
            &ApproveDevice {
                device: of.thumbprint(),
            },
        )
    };
    // Not by itself.
    assert_refused(
        &second.send(&approve(&second, &second)).await,
        Code::DevicePending,
    );
    let _: Nothing = first.send(&approve(&first, &second)).await.ok();
    second.renewed().await;
    let claims = claims(&second);
    assert_eq!((claims.wallets.len(), &*claims.acr), (1, "email-code"));
    let listed: Wallets = second.wallets().await.ok();
    assert_eq!(listed.wallets, std::slice::from_ref(&wallet));
    let _: Signed = second.sign_with(&wallet, &payment(&wallet, 1)).await.ok();

    let devices: Devices = first
        .in_session(path::DEVICE_LIST, Operation::ListDevices, &Nothing {})
        .await
        .ok();
    assert_eq!(devices.devices.len(), 2);
    assert!(
        devices
            .devices
            .iter()
            .all(|d| d.state == DeviceState::Active && d.name == "laptop")
    );
    let this: Vec<_> = devices
        .devices
        .iter()
        .filter(|d| d.this)
        .map(|d| d.device)
        .collect();
    assert_eq!(this, [first.thumbprint()]);
}

#[tokio::test]
async fn a_holder_that_missed_a_device_learns_it_at_renewal() {
    let app = App::new().await;
    app.world.holder(3, |h| h.enrols_nothing = true);
    let device = app.signed_in(APP, ANNA).await;
    app.world.holder(3, |h| h.enrols_nothing = false);
    assert!(app.world.holder(3, |h| h.devices.is_empty()));
    let _: Renewed = device.renew().await.ok();
    settle().await;
    assert!(app.world.holder(3, |h| !h.devices.is_empty()));
}

/// What a holder's list says of a device.
fn listed(app: &App, holder: usize, device: &Device) -> Option<DeviceState> {
    app.world.holder(holder, |h| {
        h.devices
            .values()
            .flatten()
            .find(|entry| entry.device == device.thumbprint())
            .map(|entry| entry.state)
    })
}

#[tokio::test]
async fn a_holder_that_missed_the_account_lets_no_further_device_in_at_once() {
    let app = App::new().await;
    app.world.holder(3, |h| h.enrols_nothing = true);
    let first = app.signed_in(APP, ANNA).await;
    app.world.holder(3, |h| h.enrols_nothing = false);
    let mut second = app.device(APP);
    let signed_in = second.sign_in(ANNA).await;
    assert!(matches!(signed_in.device, DeviceState::Pending { .. }));
    settle().await;
    assert!(matches!(
        listed(&app, 3, &second),
        Some(DeviceState::Pending { .. })
    ));
    // The first device is no worse off for it.
    let renewed: Renewed = first.renew().await.ok();
    assert_eq!(renewed.device, DeviceState::Active);
    settle().await;
    assert_eq!(listed(&app, 3, &first), Some(DeviceState::Active));
}

#[tokio::test]
async fn a_holder_that_missed_the_first_sign_in_is_told_at_the_second() {
    let app = App::new().await;
    app.world.holder(1, |h| h.enrols_nothing = true);
    let mut device = app.signed_in(APP, ANNA).await;
    app.world.holder(1, |h| h.enrols_nothing = false);
    let again = device.sign_in(ANNA).await;
    assert_eq!(again.device, DeviceState::Active);
    settle().await;
    assert_eq!(listed(&app, 1, &device), Some(DeviceState::Active));
}

#[tokio::test]
async fn an_account_whose_first_enrolment_was_cut_off_starts_with_an_active_device() {
    let app = App::new().await;
    for index in 2..=3 {
        app.world.holder(index, |h| h.enrols_nothing = true);
    }
    let mut device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let cut_off = device.finish(&started, &app.world.code()).await;
    assert_refused(&cut_off, Code::HoldersUnavailable);
    for index in 2..=3 {
        app.world.holder(index, |h| h.enrols_nothing = false);
    }
    let signed_in = device.sign_in(ANNA).await;
    assert_eq!(signed_in.device, DeviceState::Active);
    settle().await;
    for index in 1..=3 {
        assert_eq!(listed(&app, index, &device), Some(DeviceState::Active));
    }
}

#[tokio::test]
async fn a_project_is_made_once_and_its_maker_may_ask_again() {
    let app = App::new().await;
    let (maker, stranger) = (app.device("new.example"), app.device("new.example"));
    let _: ProjectInfo = create_project(&maker, "new.example", None).await.ok();
    let _: ProjectInfo = create_project(&maker, "new.example", None).await.ok();
    assert_refused(
        &create_project(&stranger, "new.example", None).await,
        Code::ProjectExists,
    );
    assert_refused(
        &create_project(&stranger, "x.example", None).await,
        Code::ProjectInvalid,
    );
    // Who corrects something is not told that it was taken over.
    let changes: [fn(&mut CreateProject); 3] = [
        |body| body.display_name = "Another".to_owned(),
        |body| body.mail.host = "smtp2.example".to_owned(),
        |body| {
            body.mail.username = Some("app".to_owned());
            body.mail.password = Some("corrected".to_owned().into());
        },
    ];
    for change in changes {
        let mut body = project_of(&maker, "new.example", None);
        change(&mut body);
        let answer = maker
            .before_session(path::PROJECT_CREATE, Operation::CreateProject, &body)
            .await;
        assert_refused(&answer, Code::ProjectExists);
    }
}

#[tokio::test]
async fn a_sign_in_ends_the_sessions_that_the_device_had_and_no_others() {
    let app = App::new().await;
    let mut device = app.signed_in(APP, ANNA).await;
    let old = device.attestation.clone();
    let other = app.signed_in(APP, ANNA).await;
    device.sign_in(ANNA).await;
    let new = std::mem::replace(&mut device.attestation, old);
    assert_refused(&device.renew().await, Code::SessionRevoked);
    assert_refused(&device.wallets().await, Code::SessionRevoked);
    assert_refused(&device.create_wallet("main").await, Code::SessionRevoked);
    device.attestation = new;
    let _: Renewed = device.renew().await.ok();
    let _: Renewed = other.renew().await.ok();
}

#[tokio::test]
async fn a_project_that_says_nothing_of_it_ends_sessions_that_nobody_used_for_two_days() {
    let app = App::new().await;
    let mut device = app.signed_in(APP, ANNA).await;
    app.world.pass(3_600 + 2 * 86_400 - 1);
    device.renewed().await;
    app.world.pass(3_600 + 2 * 86_400);
    assert_refused(&device.renew().await, Code::SessionExpired);
}
