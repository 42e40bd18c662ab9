//! npm's `oidc-provider`, as it is, as it must not be, and where four companies stand.

use keyfold_client::{ClientError, PendingSignIn, Session};
use keyfold_protocol::sign_in::{Method, Proof};
use keyfold_testkit::counterparts::OpenIdProvider;
use keyfold_testkit::system::Device;
use serde_json::json;

use crate::common::refused;
use crate::world::{CLIENT_SECRET, REDIRECT, World, acr, code_proof, finish, redirect, signed_in};

/// Each makes one thing of a token or callback wrong.
const WRONG: &[&str] = &[
    "callback-issuer",
    "callback-without-issuer",
    "callback-state",
    "callback-two-codes",
    "token-issuer",
    "token-issuer-slash",
    "token-audience",
    "token-audience-more",
    "token-party",
    "token-nonce",
    "token-without-nonce",
    "token-expired",
    "token-old",
    "token-future",
    "token-without-subject",
    "token-none",
    "token-hmac",
    "token-signature",
    "token-brings-key",
    "token-type",
];

/// What `callback-two-codes` and `callback-state` put in.
const INVENTED: &[&str] = &["another", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"];

fn by(name: &str) -> Method {
    Method::Provider {
        name: name.to_owned(),
        redirect_uri: REDIRECT.to_owned(),
    }
}

fn proof(callback: &str) -> Proof {
    Proof::Provider {
        callback: callback.to_owned().into(),
    }
}

/// Begins, and lets the browser come back.
async fn browsed(
    world: &World,
    idp: &OpenIdProvider,
    device: &Device,
    name: &str,
) -> (PendingSignIn, String) {
    let pending = world.begin(device, by(name)).await;
    let called = idp.browse(redirect(&pending)).await.unwrap();
    assert!(called.url.starts_with(REDIRECT), "{}", called.url);
    for part in called.callback.split('&') {
        match part.split_once('=') {
            // What a provider that misbehaves says in their place is no secret.
            Some(("code" | "state", value)) if !INVENTED.contains(&value) => {
                world.hide("a provider's code or state", value.as_bytes());
            }
            _ => {}
        }
    }
    (pending, called.callback)
}

async fn sign_in(
    world: &World,
    idp: &OpenIdProvider,
    device: &Device,
    name: &str,
) -> Result<Session, ClientError> {
    let (pending, callback) = browsed(world, idp, device, name).await;
    finish(device, &pending, proof(&callback)).await
}

async fn is(world: &World, idp: &OpenIdProvider, subject: &str, email: &str) {
    world.hide("an email address of a provider's", email.as_bytes());
    world.hide("a subject", subject.as_bytes());
    idp.person(json!({"sub": subject, "email": email, "email_verified": true}))
        .await
        .unwrap();
}

pub(crate) async fn a_provider_found_by_discovery_signs_in(world: &World) {
    let idp = &world.idp;
    // Somebody with this address signs in by code: another account, however equal it looks.
    let (_, by_code) = world.by_code("mary@mail.example").await;
    is(world, idp, "248289761001", "mary@mail.example").await;
    let first = signed_in(sign_in(world, idp, &world.device(), "idp").await);
    let again = signed_in(sign_in(world, idp, &world.device(), "idp").await);
    assert_eq!(first.account(), again.account());
    assert_eq!(acr(&first), "provider");
    assert_ne!(first.account(), by_code.account(), "linked by an address");
    is(world, idp, "248289761002", "mary@mail.example").await;
    let other = signed_in(sign_in(world, idp, &world.device(), "idp").await);
    assert_ne!(
        other.account(),
        first.account(),
        "an account is of its subject"
    );
    idp.person(json!({})).await.unwrap();
    let denied = sign_in(world, idp, &world.device(), "idp").await;
    refused(denied, "sign_in_refused");
}

pub(crate) async fn a_linked_provider_signs_in_and_anothers_cannot_be_linked(world: &World) {
    let idp = &world.idp;
    is(world, idp, "248289761006", "lotte@mail.example").await;
    let theirs = signed_in(sign_in(world, idp, &world.device(), "idp").await);
    let (device, session) = world.by_code("hanna@mail.example").await;
    let (pending, callback) = browsed(world, idp, &device, "idp").await;
    let outcome = device
        .link_identity(&session, &pending, proof(&callback))
        .await;
    refused(outcome, "identity_taken");
    let again = signed_in(sign_in(world, idp, &world.device(), "idp").await);
    assert_eq!(again.account(), theirs.account(), "it stays theirs");

    is(world, idp, "248289761007", "else@mail.example").await;
    let (pending, callback) = browsed(world, idp, &device, "idp").await;
    let all = device
        .link_identity(&session, &pending, proof(&callback))
        .await;
    let methods: Vec<_> = all
        .unwrap()
        .identities
        .into_iter()
        .map(|one| one.method)
        .collect();
    assert_eq!(methods, ["email", "provider:idp"]);
    let linked = signed_in(sign_in(world, idp, &world.device(), "idp").await);
    assert_eq!(linked.account(), session.account());
}

pub(crate) async fn a_callback_is_of_one_sign_in_device_and_app(world: &World) {
    let idp = &world.idp;
    is(world, idp, "248289761003", "vera@mail.example").await;
    let (device, thief) = (world.device(), world.device());
    let (mine, callback) = browsed(world, idp, &device, "idp").await;
    let (theirs, stolen) = browsed(world, idp, &thief, "idp").await;
    refused(
        finish(&thief, &mine, proof(&callback)).await,
        "sign_in_refused",
    );
    refused(
        finish(&thief, &theirs, proof(&callback)).await,
        "sign_in_refused",
    );
    // The code of one sign-in in the callback of another: its challenge is not this verifier's.
    let code = |callback: &str| {
        let code = callback.split('&').find(|part| part.starts_with("code="));
        code.unwrap().to_owned()
    };
    let (spliced, original) = browsed(world, idp, &thief, "idp").await;
    let callback_of_both = original.replace(&code(&original), &code(&stolen));
    let outcome = finish(&thief, &spliced, proof(&callback_of_both)).await;
    assert!(outcome.is_err(), "a code of another sign-in was taken");
    let elsewhere = world.device_elsewhere();
    let there = elsewhere.start_sign_in(&world.other_app().id, by("idp"));
    let there = there.await.unwrap();
    refused(
        finish(&elsewhere, &there, proof(&callback)).await,
        "sign_in_refused",
    );
    // None of that cost the owner anything.
    signed_in(finish(&device, &mine, proof(&callback)).await);
    refused(
        finish(&device, &mine, proof(&callback)).await,
        "sign_in_refused",
    );

    let (pending, _) = browsed(world, idp, &device, "idp").await;
    refused(
        finish(&device, &pending, code_proof("12345678")).await,
        "sign_in_refused",
    );
    let strange = Method::Provider {
        name: "idp".to_owned(),
        redirect_uri: "https://evil.example.test/callback".to_owned(),
    };
    refused(
        device.start_sign_in(&world.app().id, strange).await,
        "method_off",
    );
}

pub(crate) async fn a_provider_that_misbehaves_signs_nobody_in(world: &World) {
    let idp = &world.idp;
    is(world, idp, "248289761004", "emmy@mail.example").await;
    for fault in WRONG {
        idp.misbehave(&[fault]).await.unwrap();
        match sign_in(world, idp, &world.device(), "idp").await {
            Ok(_) => panic!("{fault}: signed in"),
            Err(error) => assert_eq!(error.code(), "sign_in_refused", "{fault}: {error}"),
        }
    }
    for fault in ["token-huge", "token-redirect", "token-error"] {
        idp.misbehave(&[fault]).await.unwrap();
        match sign_in(world, idp, &world.device(), "idp").await {
            Ok(_) => panic!("{fault}: signed in"),
            Err(error) => assert_eq!(error.code(), "provider_failed", "{fault}: {error}"),
        }
    }
    idp.misbehave(&[]).await.unwrap();
    signed_in(sign_in(world, idp, &world.device(), "idp").await);
}

pub(crate) async fn a_provider_that_sends_too_much_has_failed(world: &World) {
    world.huge.misbehave(&["discovery-huge"]).await.unwrap();
    let begun = world
        .device()
        .start_sign_in(&world.app().id, by("huge"))
        .await;
    refused(begun, "provider_failed");
    // Known to fail: it is not asked again at once.
    let seen = world.huge.seen().await.unwrap();
    let begun = world
        .device()
        .start_sign_in(&world.app().id, by("huge"))
        .await;
    refused(begun, "provider_failed");
    assert_eq!(seen.get("discovery"), Some(&1));
    assert!(!world.huge.seen().await.unwrap().contains_key("discovery"));
}

pub(crate) async fn google_x_discord_and_apple_sign_in(world: &World) {
    let mut accounts = Vec::new();
    for (name, subject) in [
        ("google", "110169484474386276334"),
        ("x", "2244994945"),
        ("discord", "80351110224678912"),
        ("apple", "001234.0a1b2c3d4e5f"),
    ] {
        let provider = world.company(name);
        is(world, provider, subject, "lise@mail.example").await;
        let mut of_one = Vec::new();
        // By that alone, a second device waits.
        for expected in ["provider", "provider-waiting"] {
            let outcome = sign_in(world, provider, &world.device(), name).await;
            let session = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(acr(&session), expected, "{name}");
            of_one.push(session.account());
        }
        assert_eq!(of_one[0], of_one[1], "{name}");
        assert!(
            !accounts.contains(&of_one[0]),
            "{name}: linked by an address"
        );
        accounts.push(of_one[0]);
        // A callback of this company for a sign-in at another provider.
        let device = world.device();
        let (_, callback) = browsed(world, provider, &device, name).await;
        let pending = world.begin(&device, by("idp")).await;
        let outcome = finish(&device, &pending, proof(&callback)).await;
        refused(outcome, "sign_in_refused");
    }
}

pub(crate) async fn a_secret_that_the_provider_does_not_know_signs_nobody_in(world: &World) {
    let discord = world.company("discord");
    is(world, discord, "80351110224678913", "chien@mail.example").await;
    let wrong = "another-secret-of-the-app";
    world.hide("another client secret", wrong.as_bytes());
    world.set_secret("provider:discord", wrong).await;
    refused(
        sign_in(world, discord, &world.device(), "discord").await,
        "provider_failed",
    );
    world.set_secret("provider:discord", CLIENT_SECRET).await;
    signed_in(sign_in(world, discord, &world.device(), "discord").await);
}

pub(crate) async fn keys_that_rotate_in_the_middle_of_a_sign_in_do_not_stop_it(world: &World) {
    let idp = &world.idp;
    is(world, idp, "248289761005", "rosa@mail.example").await;
    let device = world.device();
    let (pending, callback) = browsed(world, idp, &device, "idp").await;
    idp.rotate().await.unwrap();
    idp.seen().await.unwrap();
    signed_in(finish(&device, &pending, proof(&callback)).await);
    assert_eq!(idp.seen().await.unwrap().get("jwks"), Some(&1));
    // A key that is not published is looked for, and no more often than once in a while.
    idp.misbehave(&["token-key"]).await.unwrap();
    let outcome = sign_in(world, idp, &device, "idp").await;
    refused(outcome, "sign_in_refused");
    assert!(!idp.seen().await.unwrap().contains_key("jwks"));
    idp.misbehave(&[]).await.unwrap();
}
