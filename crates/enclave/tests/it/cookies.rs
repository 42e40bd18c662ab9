//! Attestations that are delivered in a cookie, and what a host or thief tries with it.

use keyfold_crypto::b64;
use keyfold_protocol::client_api::{
    Nothing, Renewed, Revocation, SignedIn, SignedOut, header, path,
};
use keyfold_protocol::delivery::{
    CookieChange, Delivery, HeldAttestation, SEALED_TEXT_LEN, SealedAttestation,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::sign_in::SignInStarted;

use crate::app::{ANNA, APP, App, BORIS, OTHER};
use crate::attacks::set;
use crate::device::{Device, Reply};
use crate::world::{World, genesis};

/// Takes the cookie over, as a browser would; returns what the client was told.
fn keep(device: &mut Device, reply: &Reply, told: HeldAttestation) -> SealedAttestation {
    let HeldAttestation::Cookie(told) = told else {
        panic!("the text was told");
    };
    let Some(CookieChange::Set { slot, sealed, .. }) = &reply.cookie else {
        panic!("no cookie: {:?}", reply.cookie);
    };
    assert_eq!(told.slot, *slot);
    device.cookie = Some((told.hash, sealed.as_str().to_owned()));
    told
}

async fn sign_in(app: &App, project: &str, email: &str) -> (Device, SealedAttestation, Reply) {
    let mut device = app.device(project);
    let started: SignInStarted = device.start(email).await.ok();
    let code = app.world.code();
    let reply = device.finish_with(&started, &code, Delivery::Cookie).await;
    let signed_in: SignedIn = reply.ok();
    let told = keep(&mut device, &reply, signed_in.attestation);
    (device, told, reply)
}

fn sealed(device: &Device) -> String {
    device.cookie.clone().unwrap().1
}

async fn code_with(device: &Device, beside: Option<&str>) -> Option<Code> {
    let beside = beside.map(str::to_owned);
    device.send_with(&device.order_list(), beside).await.code()
}

#[tokio::test]
async fn a_session_lives_in_a_cookie_from_sign_in_to_sign_out_and_its_text_is_never_told() {
    let app = App::new().await;
    let (mut device, told, reply) = sign_in(&app, APP, ANNA).await;
    let signed_in: SignedIn = reply.ok();
    let Some(CookieChange::Set { seconds, .. }) = &reply.cookie else {
        panic!("no cookie");
    };
    assert_eq!(*seconds, signed_in.session_ends - app.world.now());
    assert!(!reply.body.contains("\"attestation\""), "{}", reply.body);
    assert!(told.wallets.is_empty());

    let made = device.create_wallet("main").await;
    let wallet: keyfold_protocol::client_api::WalletInfo = made.ok();
    assert_eq!(made.cookie, None);
    let reply = device.renew_to(Delivery::Cookie).await;
    let renewed: Renewed = reply.ok();
    let told_again = keep(&mut device, &reply, renewed.attestation);
    assert_eq!(told_again.slot, told.slot, "one cookie for each device");
    assert_eq!(told_again.key, told.key);
    assert_ne!(told_again.hash, told.hash);
    assert_eq!(
        told_again.wallets.first().map(|w| *w.as_bytes()),
        Some(wallet.address.into_array())
    );
    // Holders saw the attestation that the cookie held, and released their shares for it.
    let message = crate::app::message(&wallet, "hello");
    assert_eq!(device.sign_with(&wallet, &message).await.code(), None);

    let out = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await;
    assert_eq!(out.ok::<SignedOut>().state, Revocation::Done);
    assert_eq!(out.cookie, Some(CookieChange::Clear { slot: told.slot }));
    // Who kept it has nothing.
    assert_eq!(device.wallets().await.code(), Some(Code::SessionRevoked));
}

#[tokio::test]
async fn a_cookie_is_renewed_after_its_attestation_ran_out_and_not_after_its_session() {
    let app = App::new().await;
    let (mut device, _, reply) = sign_in(&app, APP, ANNA).await;
    let ends = reply.ok::<SignedIn>().session_ends;
    app.world.pass(7_200);
    assert_eq!(device.wallets().await.code(), Some(Code::SessionExpired));
    let reply = device.renew_to(Delivery::Cookie).await;
    let Some(CookieChange::Set { seconds, .. }) = &reply.cookie else {
        panic!("no cookie");
    };
    assert_eq!(*seconds, ends - app.world.now());
    let renewed: Renewed = reply.ok();
    keep(&mut device, &reply, renewed.attestation);
    assert_eq!(device.wallets().await.code(), None);
    app.world.pass(7 * 86_400);
    let reply = device.renew_to(Delivery::Cookie).await;
    assert_eq!(reply.code(), Some(Code::SessionExpired));
    assert_eq!(reply.cookie, None);
}

#[tokio::test]
async fn a_session_moves_from_a_cookie_to_the_app_and_back() {
    let app = App::new().await;
    let (mut device, told, _) = sign_in(&app, APP, ANNA).await;
    let reply = device.renew_to(Delivery::Body).await;
    assert_eq!(reply.cookie, Some(CookieChange::Clear { slot: told.slot }));
    device.attestation = crate::device::text(&reply.ok::<Renewed>().attestation);
    device.cookie = None;
    let reply = device.renew_to(Delivery::Body).await;
    assert_eq!(reply.cookie, None, "there is none to take away");
    let reply = device.renew_to(Delivery::Cookie).await;
    let renewed: Renewed = reply.ok();
    keep(&mut device, &reply, renewed.attestation);
    assert_eq!(device.wallets().await.code(), None);
}

#[tokio::test]
async fn a_cookie_alone_or_of_another_device_project_or_session_is_refused() {
    let app = App::new().await;
    let (anna, ..) = sign_in(&app, APP, ANNA).await;
    let (boris, ..) = sign_in(&app, APP, BORIS).await;
    let (elsewhere, ..) = sign_in(&app, OTHER, ANNA).await;
    assert_eq!(code_with(&anna, Some(&sealed(&anna))).await, None);
    // Boris signs what is his, or what is Anna's; the host passes Anna's cookie.
    let invalid = Some(Code::SessionInvalid);
    assert_eq!(code_with(&boris, Some(&sealed(&anna))).await, invalid);
    assert_eq!(code_with(&elsewhere, Some(&sealed(&anna))).await, invalid);
    let mut thief = app.device(APP);
    thief.cookie = anna.cookie.clone();
    assert_eq!(thief.wallets().await.code(), invalid);
    // Signed by somebody else, whose key the request names as Anna's.
    let mut forged = thief.order_list();
    let annas_key = serde_json::to_string(&anna.jwk()).unwrap();
    set(&mut forged, header::DEVICE, &annas_key);
    let reply = thief.send_with(&forged, Some(sealed(&anna))).await;
    assert_eq!(reply.code(), Some(Code::SignatureInvalid));
    // Not signed at all.
    let mut unsigned = anna.order_list();
    unsigned
        .headers
        .retain(|(name, _)| name != header::SIGNATURE);
    let reply = anna.send_with(&unsigned, Some(sealed(&anna))).await;
    assert_eq!(reply.code(), Some(Code::SignatureMissing));
}

#[tokio::test]
async fn a_cookie_from_before_the_last_sign_in_or_renewal_does_not_fit_the_signed_hash() {
    let app = App::new().await;
    let (mut device, ..) = sign_in(&app, APP, ANNA).await;
    let before = sealed(&device);
    let reply = device.renew_to(Delivery::Cookie).await;
    let renewed: Renewed = reply.ok();
    keep(&mut device, &reply, renewed.attestation);
    let stale = code_with(&device, Some(&before)).await;
    assert_eq!(stale, Some(Code::SessionInvalid));
    assert_eq!(code_with(&device, Some(&sealed(&device))).await, None);
}

#[tokio::test]
async fn a_cookie_that_is_missing_cut_altered_or_oversized_is_refused() {
    let app = App::new().await;
    let (device, ..) = sign_in(&app, APP, ANNA).await;
    let text = sealed(&device);
    assert_eq!(code_with(&device, None).await, Some(Code::SessionMissing));
    let mut altered = b64::decode(&text, text.len()).unwrap();
    altered[1_000] ^= 1;
    for bad in [
        String::new(),
        text[..text.len() - 1].to_owned(),
        format!("{text}A"),
        text.repeat(1_000),
        "A".repeat(SEALED_TEXT_LEN),
        b64::encode(&altered),
        device.attestation.clone(),
    ] {
        let code = code_with(&device, Some(&bad)).await;
        assert_eq!(code, Some(Code::SessionInvalid), "{} bytes", bad.len());
    }
}

#[tokio::test]
async fn what_the_request_itself_carries_counts_before_any_cookie() {
    let app = App::new().await;
    let plain = app.signed_in(APP, ANNA).await;
    let (boris, ..) = sign_in(&app, APP, BORIS).await;
    for beside in [sealed(&boris), "nonsense".to_owned()] {
        assert_eq!(code_with(&plain, Some(&beside)).await, None);
    }
    // Signing out then takes no cookie away that was not its own.
    let order = plain.plain(Operation::SignOut);
    let order = plain.sign(path::SIGN_OUT, &order, &Nothing {});
    let out = plain.send_with(&order, Some(sealed(&boris))).await;
    assert_eq!(out.code(), None);
    assert_eq!(out.cookie, None);
}

#[tokio::test]
async fn a_sign_out_that_is_pending_leaves_the_cookie_to_ask_again_with() {
    let app = App::new().await;
    let (device, told, _) = sign_in(&app, APP, ANNA).await;
    let away = |is| {
        for index in 2..=3 {
            app.world.holder(index, |holder| holder.down = is);
        }
    };
    away(true);
    let out = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await;
    assert_eq!(out.ok::<SignedOut>().state, Revocation::Pending);
    assert_eq!(out.cookie, None);
    away(false);
    let out = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await;
    assert_eq!(out.ok::<SignedOut>().state, Revocation::Done);
    assert_eq!(out.cookie, Some(CookieChange::Clear { slot: told.slot }));
}

#[tokio::test]
async fn another_instance_of_the_realm_opens_the_cookie_and_another_realm_does_not() {
    let app = App::new().await;
    let (mut device, ..) = sign_in(&app, APP, ANNA).await;
    device.enclave = app.world.instance().await;
    assert_eq!(device.wallets().await.code(), None);

    // Randomness is a sequence of seeds here; theirs begins later.
    let world = World::new(3);
    world.seed();
    let enclave = world.instance().await;
    let made = genesis(&enclave, &world.plan(2)).await;
    assert_eq!(made.status, 200);
    let foreign = App::of(world, enclave).await;
    let (stranger, ..) = sign_in(&foreign, APP, ANNA).await;
    assert_ne!(stranger.realm(), device.realm());
    let code = code_with(&device, Some(&sealed(&stranger))).await;
    assert_eq!(code, Some(Code::SessionInvalid));
}
