//! Second factors: an app of codes that computes them by itself, and codes on paper.

use keyfold_client::PendingSignIn;
use keyfold_protocol::project::{StepUp, StepUpRules};
use keyfold_protocol::sign_in::{Method, Proof};
use keyfold_testkit::system::CHAIN_ID;

use crate::common::{refused, told};
use crate::world::{World, finish, now};

/// A code counts for so long.
const STEP: u64 = 30;

fn totp(code: &str) -> Proof {
    Proof::Totp {
        code: code.to_owned().into(),
    }
}

fn paper(code: &str) -> Proof {
    Proof::RecoveryCode {
        code: code.to_owned().into(),
    }
}

pub(crate) async fn an_app_of_codes_steps_up_and_a_code_on_paper_once(world: &World) {
    let (device, session) = world.by_code("joyce@mail.example").await;
    let wallet = device.create_wallet(&session, "joyces").await.unwrap();
    let uri = device.begin_totp(&session).await;
    let uri = uri
        .unwrap_or_else(|error| panic!("{}", told(&error)))
        .to_string();
    let secret = uri
        .split("secret=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    world.hide("a second factor's secret", secret.as_bytes());
    let at = now();
    let code = async |seconds: u64| world.wallets.totp(&uri, seconds).await.unwrap();
    let first = code(at).await;
    let codes = device.confirm_totp(&session, first.clone().into()).await;
    let codes = codes.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(codes.len(), 10);
    for code in &codes {
        world.hide("a code on paper", code.as_bytes());
    }
    let rules = StepUpRules {
        signing: Some(StepUp::SecondFactor),
        ..StepUpRules::none()
    };
    device.set_step_up_rules(&session, &rules).await.unwrap();
    let sign = async || {
        device
            .sign_message(&session, &wallet, CHAIN_ID, b"two factors")
            .await
    };
    refused(sign().await, "step_up_needed");

    let begun = async || world.begin(&device, Method::Totp {}).await;
    let show = async |pending: &PendingSignIn, proof: Proof| {
        device.step_up(&session, pending, proof).await
    };
    // The code that enrolled it; one of two minutes ago; the right one for another device's account.
    refused(show(&begun().await, totp(&first)).await, "sign_in_refused");
    let old = code(at - 4 * STEP).await;
    refused(show(&begun().await, totp(&old)).await, "sign_in_refused");
    let next = code(at + STEP).await;
    let (stranger, theirs) = world.by_code("joy@mail.example").await;
    let pending = world.begin(&stranger, Method::Totp {}).await;
    let outcome = stranger.step_up(&theirs, &pending, totp(&next)).await;
    refused(outcome, "sign_in_refused");
    // It signs nobody in.
    let pending = begun().await;
    refused(
        finish(&device, &pending, totp(&next)).await,
        "sign_in_refused",
    );
    refused(sign().await, "step_up_needed");
    let stepped = show(&begun().await, totp(&next)).await;
    stepped.unwrap_or_else(|error| panic!("{}", told(&error)));
    sign()
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    refused(show(&begun().await, totp(&next)).await, "sign_in_refused");

    let pending = world.begin(&device, Method::RecoveryCode {}).await;
    show(&pending, paper(&codes[3])).await.unwrap();
    let pending = world.begin(&device, Method::RecoveryCode {}).await;
    refused(show(&pending, paper(&codes[3])).await, "sign_in_refused");
    let all = device.identities(&session).await.unwrap();
    assert_eq!((all.totp, all.recovery_codes), (true, 9));
}
