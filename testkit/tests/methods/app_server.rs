//! The app's own server, whose libraries are not ours: `jose` and `standardwebhooks`.

use bytes::Bytes;
use http::Request;
use keyfold_protocol::app_server::Introspection;
use keyfold_testkit::counterparts::CounterpartError;
use serde_json::{Value, json};

use crate::common::{refused, told, until};
use crate::world::{OTHER_APP, REALM_ISSUER, WEBHOOK_KEY, World, now};

/// Where the gateway publishes keys.
const JWKS: &str = keyfold_protocol::gateway_api::path::JWKS;

pub(crate) async fn jose_verifies_an_id_token_under_the_gateways_keys(world: &World) {
    let (device, session) = world.by_code("kate@mail.example").await;
    let nonce = "n-0S6_WzA2Mj".to_owned();
    let issued = device
        .id_token(&session, Some(nonce.clone().try_into().unwrap()))
        .await;
    let issued = issued.unwrap_or_else(|error| panic!("{}", told(&error)));
    let token = issued.id_token;
    for part in token.split('.').skip(1) {
        world.hide("an ID token of ours", part.as_bytes());
    }
    let asked = Request::get(JWKS).body(Bytes::new()).unwrap();
    let answer = world.system.transport().unwrap().raw(asked).await.unwrap();
    let jwks: Value = serde_json::from_slice(answer.body()).unwrap();
    let options = json!({
        "issuer": REALM_ISSUER, "audience": world.app().id.as_str(), "currentUnixSeconds": now(),
        "algorithms": ["RS256", "ES256"], "requiredClaims": ["iss", "sub", "aud", "exp", "iat"],
        "typ": "JWT", "maxTokenAge": "10m",
    });
    let wallets = &world.wallets;
    let judged = wallets.check_token(&token, &jwks, &options).await.unwrap();
    assert_eq!(judged["payload"]["nonce"], json!(nonce));
    assert_eq!(
        judged["payload"]["sub"],
        json!(session.account().to_string())
    );
    for (name, value) in [
        ("audience", json!(OTHER_APP)),
        ("currentUnixSeconds", json!(now() + 300)),
    ] {
        let mut other = options.clone();
        other[name] = value;
        let judged = wallets.check_token(&token, &jwks, &other).await;
        assert!(
            matches!(judged, Err(CounterpartError::Refused { .. })),
            "{name}"
        );
    }

    let server = world.system.device(&world.app_server).unwrap();
    let project = &world.app().id;
    let told = server.introspect(project, &token).await.unwrap();
    let Introspection::Active(active) = told else {
        panic!("the session stands")
    };
    assert_eq!(active.sub, session.account());
    refused(device.introspect(project, &token).await, "server_unknown");
    let theirs = server
        .introspect(&world.other_app().id, &token)
        .await
        .unwrap();
    assert_eq!(theirs, Introspection::Inactive, "another app's token");
    device.sign_out(&session).await.unwrap();
    let told = server.introspect(project, &token).await.unwrap();
    assert_eq!(told, Introspection::Inactive, "the session was ended");
    refused(device.id_token(&session, None).await, "session_revoked");
}

pub(crate) async fn standardwebhooks_verifies_what_the_enclave_sent(world: &World) {
    let (device, session) = world.by_code("ruth@mail.example").await;
    device.sign_out(&session).await.unwrap();
    let account = session.account().to_string();
    let mine = || {
        let mut mine = world.hooks.posted();
        mine.retain(|posted| posted.body.contains(&account));
        mine
    };
    until("three webhooks arrive", async || mine().len() >= 3).await;
    let mut kinds = Vec::new();
    for posted in mine() {
        let judge = async |key: &str, headers: &Value, body: &str| {
            world.wallets.check_webhook(key, headers, body).await
        };
        let judged = judge(WEBHOOK_KEY, &posted.headers, &posted.body)
            .await
            .unwrap();
        kinds.push(judged["type"].as_str().unwrap().to_owned());
        let changed = posted.body.replace("loopback", "");
        assert_eq!(changed, posted.body, "a name is told");
        let changed = posted
            .body
            .replacen(&account, &"0".repeat(account.len()), 1);
        assert!(judge(WEBHOOK_KEY, &posted.headers, &changed).await.is_err());
        let key = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
        assert!(judge(key, &posted.headers, &posted.body).await.is_err());
    }
    kinds.sort();
    assert_eq!(
        kinds,
        ["device.added", "session.revoked", "sign_in.completed"]
    );
}
