//! Codes by mail, and passwords that they set.

use keyfold_protocol::sign_in::{Method, Proof};
use keyfold_testkit::system::Device;

use crate::common::{Part, refused};
use crate::world::{World, acr, code_proof, finish, signed_in};

const PASSWORD: &str = "correct horse battery staple";

fn by_password(email: &str) -> Method {
    Method::Password {
        email: email.to_owned(),
    }
}

fn password(text: &str) -> Proof {
    Proof::Password {
        password: text.to_owned().into(),
        new_password: None,
    }
}

fn wrong(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..7])
}

pub(crate) async fn a_mailed_code_signs_in_its_device_at_its_app_once(world: &World) {
    let email = "ada@mail.example";
    let (_, first) = world.by_code(email).await;
    assert_eq!(acr(&first), "email-code");

    let device = world.device();
    let (pending, code) = world.code(&device, email).await;
    // Another device has seen it; another sign-in of this one; a wrong one.
    let thief = world.device();
    refused(
        finish(&thief, &pending, code_proof(&code)).await,
        "sign_in_refused",
    );
    let elsewhere = world.device_elsewhere();
    let (theirs, _) = world.code_at(world.other_app(), &elsewhere, email).await;
    refused(
        finish(&elsewhere, &theirs, code_proof(&code)).await,
        "sign_in_refused",
    );
    let wrong = code_proof(&wrong(&code));
    refused(finish(&device, &pending, wrong).await, "sign_in_refused");
    let session = signed_in(finish(&device, &pending, code_proof(&code)).await);
    assert_eq!(session.account(), first.account());
    refused(
        finish(&device, &pending, code_proof(&code)).await,
        "sign_in_refused",
    );
}

pub(crate) async fn a_password_signs_in_and_a_wrong_one_does_not(world: &World) {
    let email = "grace@mail.example";
    world.hide("an email address", email.as_bytes());
    world.hide("a password", PASSWORD.as_bytes());
    let device = world.device();
    let (pending, code) = world.code(&device, email).await;
    let short = Proof::EmailCode {
        code: code.clone().into(),
        new_password: Some("short".to_owned().into()),
    };
    // The code is not used up by that.
    refused(
        finish(&device, &pending, short).await,
        "password_unsuitable",
    );
    let proof = Proof::EmailCode {
        code: code.into(),
        new_password: Some(PASSWORD.to_owned().into()),
    };
    let first = signed_in(finish(&device, &pending, proof).await);

    let pending = world.begin(&device, by_password(email)).await;
    let session = signed_in(finish(&device, &pending, password(PASSWORD)).await);
    assert_eq!(session.account(), first.account());
    assert_eq!(acr(&session), "password");

    let guess = "incorrect horse battery staple";
    world.hide("a guessed password", guess.as_bytes());
    let thief = world.device();
    for email in [email, "nobody@mail.example"] {
        let pending = world.begin(&thief, by_password(email)).await;
        refused(
            finish(&thief, &pending, password(guess)).await,
            "sign_in_refused",
        );
        // What was begun is used up by it, by another device not.
        refused(
            finish(&thief, &pending, password(PASSWORD)).await,
            "sign_in_refused",
        );
    }
    let pending = world.begin(&device, by_password(email)).await;
    refused(
        finish(&thief, &pending, password(PASSWORD)).await,
        "sign_in_refused",
    );
    refused(
        finish(&device, &pending, code_proof("12345678")).await,
        "sign_in_refused",
    );
    // The same address at another app has no password there.
    let elsewhere = world.device_elsewhere();
    let pending = elsewhere
        .start_sign_in(&world.other_app().id, by_password(email))
        .await
        .unwrap();
    refused(
        finish(&elsewhere, &pending, password(PASSWORD)).await,
        "sign_in_refused",
    );
}

/// Of any device, in an hour: the usual limit of holders.
const GUESSES: usize = 10;

pub(crate) async fn passwords_are_guessed_so_often_and_a_restart_gives_no_more(world: &World) {
    let email = "hedy@mail.example";
    world.hide("an email address", email.as_bytes());
    let owner = world.device();
    let (pending, code) = world.code(&owner, email).await;
    let proof = Proof::EmailCode {
        code: code.into(),
        new_password: Some(PASSWORD.to_owned().into()),
    };
    let first = signed_in(finish(&owner, &pending, proof).await);
    let guess = async |device: &Device, text: &str| {
        let pending = world.begin(device, by_password(email)).await;
        finish(device, &pending, password(text)).await
    };
    for _ in 0..GUESSES {
        refused(
            guess(&world.device(), "a wrong password").await,
            "sign_in_refused",
        );
    }
    refused(
        guess(&world.device(), "a wrong password").await,
        "attempt_limit",
    );
    let system = &world.system;
    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    // The right one comes too late for a stranger, and the owner's device is not kept out.
    refused(guess(&world.device(), PASSWORD).await, "attempt_limit");
    let session = signed_in(guess(&owner, PASSWORD).await);
    assert_eq!(session.account(), first.account());
}
