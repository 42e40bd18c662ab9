//! Passkeys of Chromium, which holders verify themselves.

use keyfold_client::{ClientError, PendingSignIn, Session};
use keyfold_crypto::b64;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::project::{StepUp, StepUpRules};
use keyfold_protocol::sign_in::{Method, Next, PasskeyAssertion, PasskeyRegistration, Proof};
use keyfold_testkit::counterparts::Authenticator;
use keyfold_testkit::system::{Device, Project};
use serde_json::json;

use crate::common::{refused, told};
use crate::world::{PAGE, World, acr, code_proof, finish, signed_in};

fn new(name: &str) -> Method {
    Method::NewPasskey {
        name: name.to_owned(),
    }
}

/// Has the browser make a passkey.
async fn made(world: &World, pending: &PendingSignIn) -> Proof {
    let Next::NewPasskey {
        challenge,
        relying_party,
        user,
        name,
        user_verification,
        ..
    } = pending.next()
    else {
        panic!("{:?}", pending.next())
    };
    assert!(user_verification);
    let options = json!({
        "challenge": b64::encode(challenge),
        "rp": {"id": relying_party, "name": "An app"},
        "user": {"id": b64::encode(user), "name": name, "displayName": name},
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
        "attestation": "none",
    });
    let made = world.browser.create(&options).await.unwrap();
    Proof::NewPasskey(PasskeyRegistration {
        id: made.credential_id,
        client_data_json: made.client_data_json,
        attestation_object: made.attestation_object,
    })
}

/// Has the browser sign with the passkey that it has.
async fn signed(world: &World, pending: &PendingSignIn, verification: &str) -> Proof {
    let Next::Passkey {
        challenge,
        relying_party,
        ..
    } = pending.next()
    else {
        panic!("{:?}", pending.next())
    };
    let options = json!({
        "challenge": b64::encode(challenge), "rpId": relying_party,
        "userVerification": verification,
    });
    let got = world.browser.get(&options).await.unwrap();
    Proof::Passkey(PasskeyAssertion {
        id: got.credential_id,
        client_data_json: got.client_data_json,
        authenticator_data: got.authenticator_data,
        signature: got.signature,
        user_handle: got.user_handle.unwrap_or_default(),
    })
}

async fn sign_in(world: &World, device: &Device) -> Result<Session, ClientError> {
    let pending = world.begin(device, Method::Passkey {}).await;
    let proof = signed(world, &pending, "required").await;
    finish(device, &pending, proof).await
}

async fn begun_at(device: &Device, project: &Project, how: Method) -> PendingSignIn {
    device.start_sign_in(&project.id, how).await.unwrap()
}

pub(crate) async fn a_new_passkey_makes_an_account_and_lets_a_second_device_in_at_once(
    world: &World,
) {
    let authenticator = world
        .browser
        .plug_in(Authenticator::default())
        .await
        .unwrap();
    let device = world.device();
    let pending = world.begin(&device, new("Ida")).await;
    let proof = made(world, &pending).await;
    let thief = world.device();
    refused(
        finish(&thief, &pending, proof.clone()).await,
        "sign_in_refused",
    );
    let first = signed_in(finish(&device, &pending, proof.clone()).await);
    assert_eq!(acr(&first), "passkey-verified");
    assert_eq!(first.device_state(), DeviceState::Active);
    refused(finish(&device, &pending, proof).await, "sign_in_refused");

    // The holders saw the passkey sign for this device: it need not wait.
    let second = world.device();
    let session = signed_in(sign_in(world, &second).await);
    assert_eq!(session.account(), first.account());
    assert_eq!(session.device_state(), DeviceState::Active);
    let wallet = second.create_wallet(&session, "of the second device").await;
    let wallet = wallet.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(device.wallets(&first).await.unwrap(), [wallet]);
    world.browser.unplug(&authenticator).await.unwrap();
}

pub(crate) async fn a_passkey_signs_for_one_challenge_device_app_and_page(world: &World) {
    let browser = &world.browser;
    let authenticator = browser.plug_in(Authenticator::default()).await.unwrap();
    let device = world.device();
    let pending = world.begin(&device, new("Jane")).await;
    let proof = made(world, &pending).await;
    signed_in(finish(&device, &pending, proof).await);
    let how = || Method::Passkey {};

    let old = world.begin(&device, how()).await;
    let answer = signed(world, &old, "required").await;
    let newer = world.begin(&device, how()).await;
    refused(
        finish(&device, &newer, answer.clone()).await,
        "sign_in_refused",
    );
    refused(finish(&device, &old, answer).await, "sign_in_refused");

    let mine = world.begin(&device, how()).await;
    let answer = signed(world, &mine, "required").await;
    let thief = world.device();
    refused(
        finish(&thief, &mine, answer.clone()).await,
        "sign_in_refused",
    );
    let theirs = world.begin(&thief, how()).await;
    refused(
        finish(&thief, &theirs, answer.clone()).await,
        "sign_in_refused",
    );
    // The same page is another app's, too: its challenge is not this one's, and there the passkey is nobody's.
    let elsewhere = world.device_elsewhere();
    let there = begun_at(&elsewhere, world.other_app(), how()).await;
    refused(
        finish(&elsewhere, &there, answer.clone()).await,
        "sign_in_refused",
    );
    let there = begun_at(&elsewhere, world.other_app(), how()).await;
    let unknown = signed(world, &there, "required").await;
    refused(finish(&elsewhere, &there, unknown).await, "sign_in_refused");
    signed_in(finish(&device, &mine, answer).await);

    // Without what the project asks for: PIN or biometrics.
    browser.set_verified(&authenticator, false).await.unwrap();
    let pending = world.begin(&device, how()).await;
    let present = signed(world, &pending, "discouraged").await;
    refused(finish(&device, &pending, present).await, "sign_in_refused");
    browser.set_verified(&authenticator, true).await.unwrap();

    // A copy, whose counter is behind.
    let copy = browser.credentials(&authenticator).await.unwrap().remove(0);
    signed_in(sign_in(world, &device).await);
    browser.unplug(&authenticator).await.unwrap();
    let another = browser.plug_in(Authenticator::default()).await.unwrap();
    browser.put(&another, &copy).await.unwrap();
    refused(sign_in(world, &device).await, "sign_in_refused");

    // Of a page that is not the app's, a browser gives nothing.
    browser.visit("https://evil.example.test").await.unwrap();
    let pending = world.begin(&device, how()).await;
    let Next::Passkey {
        challenge,
        relying_party,
        ..
    } = pending.next()
    else {
        panic!("{:?}", pending.next())
    };
    let options = json!({"challenge": b64::encode(challenge), "rpId": relying_party});
    assert!(browser.get(&options).await.is_err());
    browser.visit(PAGE).await.unwrap();
    browser.unplug(&another).await.unwrap();
}

pub(crate) async fn a_linked_passkey_lets_devices_in_and_steps_up(world: &World) {
    let authenticator = world
        .browser
        .plug_in(Authenticator::default())
        .await
        .unwrap();
    let email = "joan@mail.example";
    let (device, session) = world.by_code(email).await;
    let pending = world.begin(&device, new("Joan")).await;
    let proof = made(world, &pending).await;
    let all = device.link_identity(&session, &pending, proof).await;
    let all = all.unwrap_or_else(|error| panic!("{}", told(&error)));
    let methods: Vec<_> = all
        .identities
        .iter()
        .map(|one| one.method.as_str())
        .collect();
    assert_eq!(methods, ["email", "passkey"]);
    // By code alone a further device waits; by the passkey it does not.
    let (_, waits) = world.by_code(email).await;
    assert!(matches!(waits.device_state(), DeviceState::Pending { .. }));
    let second = signed_in(sign_in(world, &world.device()).await);
    assert_eq!(second.account(), session.account());
    assert_eq!(second.device_state(), DeviceState::Active);

    let wallet = device.create_wallet(&session, "joans").await.unwrap();
    let rules = StepUpRules {
        signing: Some(StepUp::Passkey),
        ..StepUpRules::none()
    };
    device.set_step_up_rules(&session, &rules).await.unwrap();
    let chain = keyfold_testkit::system::CHAIN_ID;
    let sign = async || {
        device
            .sign_message(&session, &wallet, chain, b"stepped up")
            .await
    };
    refused(sign().await, "step_up_needed");
    let (pending, code) = world.code(&device, email).await;
    device
        .step_up(&session, &pending, code_proof(&code))
        .await
        .unwrap();
    refused(sign().await, "step_up_needed");
    let pending = world.begin(&device, Method::Passkey {}).await;
    let proof = signed(world, &pending, "required").await;
    device.step_up(&session, &pending, proof).await.unwrap();
    sign()
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    world.browser.unplug(&authenticator).await.unwrap();
}
