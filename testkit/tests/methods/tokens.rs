//! Tokens of the app's own issuer, which the app got by itself.

use keyfold_identity::oidc::client::ClientCredentials;
use keyfold_identity::oidc::commitment::TokenCommitment;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::sign_in::{Method, Proof};
use serde_json::json;

use crate::app::{App, secret};
use crate::common::refused;
use crate::world::{CLIENT_SECRET, OWN, World, acr, finish, signed_in};

fn committed(token: &str) -> Method {
    Method::Token {
        issuer: "own".to_owned(),
        commitment: Digest32::from_bytes(*TokenCommitment::of(token).as_bytes()),
        salt: None,
    }
}

fn shown(token: &str) -> Proof {
    Proof::Token {
        token: token.to_owned().into(),
    }
}

/// What the app's own sign-in gives its page.
async fn token(world: &World) -> String {
    let basic = ClientCredentials::SecretBasic(secret(CLIENT_SECRET));
    let app = App::new(&world.authority, &world.own, OWN, "app", basic);
    let provider = app.discover().await.unwrap();
    let grant = app.grant(&world.own, &provider).await.unwrap();
    let response = app.redeem(&grant).await.unwrap();
    response.id_token().unwrap().to_owned()
}

pub(crate) async fn a_token_of_the_apps_own_issuer_signs_in_who_committed_to_it(world: &World) {
    let own = &world.own;
    own.person(
        json!({"sub": "person-of-the-app", "email": "mae@mail.example", "email_verified": true}),
    )
    .await
    .unwrap();
    world.hide("an email address", b"mae@mail.example");
    let first = token(world).await;
    let (device, thief) = (world.device(), world.device());
    let pending = world.begin(&device, committed(&first)).await;
    // Seen on its way: too late to commit to it, here and at another app.
    let late = thief
        .start_sign_in(&world.app().id, committed(&first))
        .await;
    assert!(late.is_err(), "a second device committed to a token");
    refused(
        finish(&thief, &pending, shown(&first)).await,
        "sign_in_refused",
    );
    let elsewhere = world.device_elsewhere();
    let late = elsewhere
        .start_sign_in(&world.other_app().id, committed(&first))
        .await;
    assert!(late.is_err(), "another app's device committed to a token");
    let session = signed_in(finish(&device, &pending, shown(&first)).await);
    assert_eq!(acr(&session), "token");
    refused(
        finish(&device, &pending, shown(&first)).await,
        "sign_in_refused",
    );

    let (second, another) = (token(world).await, token(world).await);
    let pending = world.begin(&device, committed(&second)).await;
    refused(
        finish(&device, &pending, shown(&another)).await,
        "sign_in_refused",
    );
    let pending = world.begin(&device, committed(&another)).await;
    let again = signed_in(finish(&device, &pending, shown(&another)).await);
    assert_eq!(again.account(), session.account());

    for fault in [
        "token-issuer",
        "token-audience",
        "token-expired",
        "token-none",
        "token-signature",
    ] {
        own.misbehave(&[fault]).await.unwrap();
        let token = token(world).await;
        let pending = world.begin(&device, committed(&token)).await;
        match finish(&device, &pending, shown(&token)).await {
            Ok(_) => panic!("{fault}: signed in"),
            Err(error) => assert_eq!(error.code(), "sign_in_refused", "{fault}: {error}"),
        }
    }
    own.misbehave(&[]).await.unwrap();
}
