//! Several identities on one account, second factors, and what needs a fresh proof.

use keyfold_crypto::SecretBytes;
use keyfold_identity::totp::{TotpAlgorithm, TotpSecret};
use keyfold_protocol::account::*;
use keyfold_protocol::client_api::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceState, path as holder_path};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::project::*;
use keyfold_protocol::sign_in::{Method, Proof, SignInStarted};

use crate::app::{ANNA, APP, App, BORIS, assert_refused, payment};
use crate::device::{Device, Reply, by_code};
use crate::methods::{Passkey, app, new_passkey, set_password, settings};
use crate::revocation::subjects;
use crate::world::settle;

pub(crate) async fn link_passkey(device: &Device, passkey: &mut Passkey) -> Reply {
    let started: SignInStarted = device.start_by(new_passkey()).await.ok();
    let made = passkey.make(&started);
    device.show(path::IDENTITY_LINK, &started, made).await
}

pub(crate) async fn unlink_identity(device: &Device, body: &UnlinkIdentity) -> Reply {
    let intent = Intent::UnlinkIdentity {
        id: RequestId::from_bytes(device.fresh().to_be_bytes()),
        identity: body.id,
    };
    device
        .send(&device.sign(path::IDENTITY_UNLINK, &intent, body))
        .await
}

pub(crate) async fn step_up_by_code(device: &Device, email: &str) -> Reply {
    let started: SignInStarted = device.start(email).await.ok();
    let code = device.world.code();
    device.show(path::STEP_UP, &started, by_code(&code)).await
}

async fn step_up_by_passkey(device: &Device, passkey: &mut Passkey) -> Reply {
    let started: SignInStarted = device.start_by(Method::Passkey {}).await.ok();
    let proof = passkey.sign(&started);
    device.show(path::STEP_UP, &started, proof).await
}

#[tokio::test]
async fn a_linked_passkey_signs_in_to_the_account_and_one_that_was_unlinked_does_not() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let all: Identities = link_passkey(&device, &mut passkey).await.ok();
    let methods: Vec<_> = all.identities.iter().map(|i| i.method.as_str()).collect();
    assert_eq!(methods, ["email", "passkey"]);

    let other = app.device(APP);
    let started: SignInStarted = other.start_by(Method::Passkey {}).await.ok();
    let by_passkey: SignedIn = other.finish_by(&started, passkey.sign(&started)).await.ok();
    let by_mail = app.device(APP).sign_in(ANNA).await;
    assert_eq!(by_passkey.account, by_mail.account);

    let unlink = UnlinkIdentity {
        id: all.identities[1].id,
    };
    for _ in 0..2 {
        let reply = unlink_identity(&device, &unlink).await;
        // Once it is done, it is nobody's.
        if reply.status != 200 {
            assert_refused(&reply, Code::IdentityUnknown);
        }
    }
    let started: SignInStarted = other.start_by(Method::Passkey {}).await.ok();
    let reply = other.finish_by(&started, passkey.sign(&started)).await;
    assert_refused(&reply, Code::SignInRefused);
    let last = UnlinkIdentity {
        id: all.identities[0].id,
    };
    let reply = unlink_identity(&device, &last).await;
    assert_refused(&reply, Code::LastIdentity);
}

#[tokio::test]
async fn an_identity_of_another_account_is_not_linked_and_stays_theirs() {
    let app = app().await;
    let anna = app.signed_in(APP, ANNA).await;
    let boris = app.device(APP).sign_in(BORIS).await;
    let started: SignInStarted = anna.start(BORIS).await.ok();
    let code = by_code(&app.world.code());
    let reply = anna.show(path::IDENTITY_LINK, &started, code).await;
    assert_refused(&reply, Code::IdentityTaken);
    assert_eq!(app.device(APP).sign_in(BORIS).await.account, boris.account);
}

#[tokio::test]
async fn linking_wants_the_device_to_name_the_proof_and_the_session_to_be_fresh() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let started: SignInStarted = device.start_by(new_passkey()).await.ok();
    let made = passkey.make(&started);
    // The intent names another proof.
    let intent = Intent::LinkIdentity {
        id: RequestId::from_bytes(device.fresh().to_be_bytes()),
        proof: by_code("12345678").digest(),
    };
    let body = keyfold_protocol::sign_in::ShowProof {
        sign_in: started.sign_in,
        proof: made,
    };
    let request = device.sign(path::IDENTITY_LINK, &intent, &body);
    assert_refused(&device.send(&request).await, Code::IntentMismatch);

    app.world.pass(301);
    let reply = link_passkey(&device, &mut passkey).await;
    assert_refused(&reply, Code::StepUpNeeded);
    let _: SteppedUp = step_up_by_code(&device, ANNA).await.ok();
    let _: Identities = link_passkey(&device, &mut passkey).await.ok();
}

#[tokio::test]
async fn unlinking_wants_a_fresh_session_before_any_holder_forgets_the_identity() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let all: Identities = link_passkey(&device, &mut passkey).await.ok();
    let unlink = UnlinkIdentity {
        id: all.identities[1].id,
    };
    app.world.pass(301);
    let reply = unlink_identity(&device, &unlink).await;
    assert_refused(&reply, Code::StepUpNeeded);
    assert_eq!(app.world.calls(holder_path::IDENTITY_UNLINK), 0);
    let _: SteppedUp = step_up_by_code(&device, ANNA).await.ok();
    let _: Identities = unlink_identity(&device, &unlink).await.ok();
    assert!(app.world.calls(holder_path::IDENTITY_UNLINK) > 0);
    let last = UnlinkIdentity {
        id: all.identities[0].id,
    };
    let told = app.world.calls(holder_path::IDENTITY_UNLINK);
    let reply = unlink_identity(&device, &last).await;
    assert_refused(&reply, Code::LastIdentity);
    assert_eq!(app.world.calls(holder_path::IDENTITY_UNLINK), told);
}

#[tokio::test]
async fn nobody_steps_up_with_somebody_elses_identity() {
    let app = app().await;
    let anna = app.signed_in(APP, ANNA).await;
    app.signed_in(APP, BORIS).await;
    assert_refused(&step_up_by_code(&anna, BORIS).await, Code::SignInRefused);
    // Nor with a passkey that was made for the purpose.
    let mut passkey = Passkey::new(1);
    let started: SignInStarted = anna.start_by(new_passkey()).await.ok();
    let made = passkey.make(&started);
    let reply = anna.show(path::STEP_UP, &started, made).await;
    assert_refused(&reply, Code::SignInRefused);
}

/// Signs where every signature needs a passkey with user verification.
async fn strict() -> App {
    App::with(|body| {
        body.sign_in = settings();
        body.sign_in.step_up.signing = Some(StepUp::Passkey);
    })
    .await
}

#[tokio::test]
async fn where_every_signature_needs_a_passkey_a_code_is_not_enough_and_a_passkey_is_for_a_while() {
    let app = strict().await;
    let (device, wallet) = app.with_wallet().await;
    let order = payment(&wallet, 1);
    let sign = async || device.sign_with(&wallet, &order).await;
    assert_refused(&sign().await, Code::StepUpNeeded);
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&device, &mut passkey).await.ok();
    let _: SteppedUp = step_up_by_code(&device, ANNA).await.ok();
    assert_refused(&sign().await, Code::StepUpNeeded);
    let up: SteppedUp = step_up_by_passkey(&device, &mut passkey).await.ok();
    assert_eq!(up.until, app.world.now() + 300);
    let _: Signed = sign().await.ok();
    // A weaker proof afterwards takes nothing away.
    let _: SteppedUp = step_up_by_code(&device, ANNA).await.ok();
    let _: Signed = sign().await.ok();
    app.world.pass(300);
    assert_refused(&sign().await, Code::StepUpNeeded);
}

async fn approve(by: &Device, device: &Device) -> Reply {
    let device = device.thumbprint();
    let intent = Intent::ApproveDevice {
        id: RequestId::from_bytes(by.fresh().to_be_bytes()),
        device,
    };
    by.send(&by.sign(path::DEVICE_APPROVE, &intent, &ApproveDevice { device }))
        .await
}

#[tokio::test]
async fn a_device_that_only_waited_shows_what_new_ones_need_before_it_signs() {
    let app = App::with(|body| {
        body.sign_in = settings();
        body.sign_in.step_up.new_device = Some(StepUp::Passkey);
    })
    .await;
    let (first, wallet) = app.with_wallet().await;
    let order = payment(&wallet, 1);
    let waited = async || {
        let mut device = app.signed_in(APP, ANNA).await;
        for index in 1..=3 {
            app.world.holder(index, |holder| {
                let listed = holder.devices.values_mut().flatten();
                listed.for_each(|entry| entry.state = DeviceState::Active);
            });
        }
        device.renewed().await;
        device
    };
    // An account that has no passkey is asked for none.
    let early = waited().await;
    let _: Signed = early.sign_with(&wallet, &order).await.ok();
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&first, &mut passkey).await.ok();
    // The first one is new to nobody.
    let _: Signed = first.sign_with(&wallet, &order).await.ok();
    let late = waited().await;
    for device in [&early, &late] {
        let reply = device.sign_with(&wallet, &order).await;
        assert_refused(&reply, Code::StepUpNeeded);
    }
    // Its own proof is enough, and enough for good; an approval by one that showed it, too.
    let _: SteppedUp = step_up_by_code(&late, ANNA).await.ok();
    let reply = late.sign_with(&wallet, &order).await;
    assert_refused(&reply, Code::StepUpNeeded);
    let _: SteppedUp = step_up_by_passkey(&late, &mut passkey).await.ok();
    let mut approved = app.signed_in(APP, ANNA).await;
    let Nothing {} = approve(&late, &approved).await.ok();
    approved.renewed().await;
    app.world.pass(300);
    for device in [&late, &approved] {
        let _: Signed = device.sign_with(&wallet, &order).await.ok();
    }
    let reply = early.sign_with(&wallet, &order).await;
    assert_refused(&reply, Code::StepUpNeeded);
}

#[tokio::test]
async fn a_device_is_approved_after_the_proof_that_the_project_asks_for() {
    let app = App::with(|body| {
        body.sign_in = settings();
        body.sign_in.step_up.new_device = Some(StepUp::Passkey);
    })
    .await;
    let first = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&first, &mut passkey).await.ok();
    let second = app.signed_in(APP, ANNA).await;
    let approve = async || approve(&first, &second).await;
    let _: SteppedUp = step_up_by_code(&first, ANNA).await.ok();
    assert_refused(&approve().await, Code::StepUpNeeded);
    assert_eq!(app.world.calls(holder_path::DEVICE_APPROVE), 0);
    let _: SteppedUp = step_up_by_passkey(&first, &mut passkey).await.ok();
    let Nothing {} = approve().await.ok();
}

fn secret(uri: &str) -> TotpSecret {
    let text = uri.split("secret=").nth(1).unwrap();
    let text = text.split('&').next().unwrap();
    let mut bits = (0u32, 0u64);
    let mut bytes = Vec::new();
    for c in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
            .iter()
            .position(|b| *b == c);
        bits = (bits.0 + 5, bits.1 << 5 | value.unwrap() as u64);
        if bits.0 >= 8 {
            bits.0 -= 8;
            bytes.push((bits.1 >> bits.0) as u8);
        }
    }
    TotpSecret::new(SecretBytes::from_vec(bytes), TotpAlgorithm::Sha1).unwrap()
}

pub(crate) async fn enrol(device: &Device) -> (TotpSecret, Vec<String>) {
    let begun: TotpBegun = device
        .in_session(path::TOTP_BEGIN, Operation::BeginTotp, &Nothing {})
        .await
        .ok();
    let secret = secret(&begun.uri);
    let confirm = ConfirmTotp {
        code: secret.code_at(device.world.now()).into(),
    };
    let codes: RecoveryCodes = device
        .in_session(path::TOTP_CONFIRM, Operation::ConfirmTotp, &confirm)
        .await
        .ok();
    let codes = codes.codes.iter().map(|code| code.to_string()).collect();
    (secret, codes)
}

pub(crate) async fn step_up_by(device: &Device, how: Method, proof: Proof) -> Reply {
    let started: SignInStarted = device.start_by(how).await.ok();
    device.show(path::STEP_UP, &started, proof).await
}

#[tokio::test]
async fn an_apps_code_steps_up_once_and_a_code_on_paper_once() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let (secret, codes) = enrol(&device).await;
    assert_eq!(codes.len(), 10);
    let totp = |code: String| Proof::Totp { code: code.into() };
    // The code that enrolled is used.
    let used = secret.code_at(app.world.now());
    let reply = step_up_by(&device, Method::Totp {}, totp(used)).await;
    assert_refused(&reply, Code::SignInRefused);
    app.world.pass(60);
    let next = secret.code_at(app.world.now());
    let _: SteppedUp = step_up_by(&device, Method::Totp {}, totp(next.clone()))
        .await
        .ok();
    let reply = step_up_by(&device, Method::Totp {}, totp(next)).await;
    assert_refused(&reply, Code::SignInRefused);

    let paper = |code: &str| Proof::RecoveryCode {
        code: code.to_owned().into(),
    };
    let how = || Method::RecoveryCode {};
    let _: SteppedUp = step_up_by(&device, how(), paper(&codes[3])).await.ok();
    let reply = step_up_by(&device, how(), paper(&codes[3])).await;
    assert_refused(&reply, Code::SignInRefused);
    let all: Identities = device
        .in_session(path::IDENTITY_LIST, Operation::ListIdentities, &Nothing {})
        .await
        .ok();
    assert_eq!((all.totp, all.recovery_codes), (true, 9));
}

#[tokio::test]
async fn a_second_factor_is_removed_by_a_second_factor_alone() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let (secret, _) = enrol(&device).await;
    let remove = async || {
        device
            .in_session(path::TOTP_REMOVE, Operation::RemoveTotp, &Nothing {})
            .await
    };
    let _: SteppedUp = step_up_by_code(&device, ANNA).await.ok();
    assert_refused(&remove().await, Code::StepUpNeeded);
    app.world.pass(60);
    let code = Proof::Totp {
        code: secret.code_at(app.world.now()).into(),
    };
    let _: SteppedUp = step_up_by(&device, Method::Totp {}, code).await.ok();
    let _: Nothing = remove().await.ok();
}

#[tokio::test]
async fn a_person_can_ask_for_more_than_the_project_and_not_for_less_without_that_proof() {
    let app = app().await;
    let (device, wallet) = app.with_wallet().await;
    let order = payment(&wallet, 1);
    let _: Signed = device.sign_with(&wallet, &order).await.ok();
    let (secret, _) = enrol(&device).await;
    let rules = |signing| StepUpRules {
        signing,
        ..StepUpRules::none()
    };
    let set = async |rules: &StepUpRules| {
        device
            .in_session(path::STEP_UP_RULES, Operation::SetStepUpRules, rules)
            .await
    };
    let more = rules(Some(StepUp::SecondFactor));
    let now: StepUpRules = set(&more).await.ok();
    assert_eq!(now.signing, Some(StepUp::SecondFactor));
    // What the project asks for stays.
    assert_eq!(now.export, Some(StepUp::Code));
    let reply = device.sign_with(&wallet, &payment(&wallet, 2)).await;
    assert_refused(&reply, Code::StepUpNeeded);
    assert_refused(&set(&rules(None)).await, Code::StepUpNeeded);
    app.world.pass(60);
    let code = Proof::Totp {
        code: secret.code_at(app.world.now()).into(),
    };
    let _: SteppedUp = step_up_by(&device, Method::Totp {}, code).await.ok();
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 2)).await.ok();
    let _: StepUpRules = set(&rules(None)).await.ok();
}

#[tokio::test]
async fn the_owner_hears_by_mail_of_every_change_of_what_proves_the_account() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let all: Identities = link_passkey(&device, &mut passkey).await.ok();
    settle().await;
    let (secret, _) = enrol(&device).await;
    settle().await;
    app.world.pass(60);
    let code = Proof::Totp {
        code: secret.code_at(app.world.now()).into(),
    };
    let _: SteppedUp = step_up_by(&device, Method::Totp {}, code).await.ok();
    let _: Nothing = device
        .in_session(path::TOTP_REMOVE, Operation::RemoveTotp, &Nothing {})
        .await
        .ok();
    settle().await;
    let unlink = UnlinkIdentity {
        id: all.identities[1].id,
    };
    let _: Identities = unlink_identity(&device, &unlink).await.ok();
    settle().await;
    let _: SignedIn = set_password(&device, ANNA, "correct horse battery")
        .await
        .ok();
    settle().await;
    assert_eq!(
        subjects(&app, 0),
        [
            "Your sign-in code for Demo",
            "Another way to sign in was added to your account at Demo",
            "A second factor was added to your account at Demo",
            "The second factor was taken off your account at Demo",
            "A way to sign in was taken off your account at Demo",
            "Your sign-in code for Demo",
            "A new password was set for your account at Demo",
        ]
    );
}

#[tokio::test]
async fn a_device_that_waits_changes_nothing_of_the_account() {
    let app = app().await;
    let _first = app.signed_in(APP, ANNA).await;
    let waits = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let reply = link_passkey(&waits, &mut passkey).await;
    assert_refused(&reply, Code::DevicePending);
    let reply = waits
        .in_session(path::TOTP_BEGIN, Operation::BeginTotp, &Nothing {})
        .await;
    assert_refused(&reply, Code::DevicePending);
    let reply = waits
        .in_session(path::IDENTITY_LIST, Operation::ListIdentities, &Nothing {})
        .await;
    assert_refused(&reply, Code::DevicePending);
}

#[tokio::test]
async fn a_mailed_code_enrols_no_factor_where_there_is_a_stronger_one() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let (secret, _) = enrol(&device).await;
    let _: SteppedUp = step_up_by_code(&device, ANNA).await.ok();
    let mut passkey = Passkey::new(1);
    let reply = link_passkey(&device, &mut passkey).await;
    assert_refused(&reply, Code::StepUpNeeded);
    app.world.pass(60);
    let code = Proof::Totp {
        code: secret.code_at(app.world.now()).into(),
    };
    let _: SteppedUp = step_up_by(&device, Method::Totp {}, code).await.ok();
    let _: Identities = link_passkey(&device, &mut passkey).await.ok();
}

#[tokio::test]
async fn nobody_is_locked_out_by_a_rule_that_the_account_cannot_meet() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let rules = StepUpRules {
        signing: Some(StepUp::Passkey),
        ..StepUpRules::none()
    };
    let reply = device
        .in_session(path::STEP_UP_RULES, Operation::SetStepUpRules, &rules)
        .await;
    assert_refused(&reply, Code::InvalidRequest);
    // A project may ask for what nobody has yet: the first is enrolled with what there is.
    let app = App::with(|body| {
        body.sign_in = settings();
        body.sign_in.step_up.recovery = Some(StepUp::Passkey);
    })
    .await;
    let device = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&device, &mut passkey).await.ok();
}
