//! What an app's own server is given, may ask, and cannot be deceived with.

use keyfold_crypto::b64;
use keyfold_enclave::Enclave;
use keyfold_protocol::app_server::{ActiveToken, IdToken, Introspect, Introspection, IssueIdToken};
use keyfold_protocol::client_api::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::host_path;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::project::IdTokenSettings;
use keyfold_protocol::session::{
    AttestationKeySet, AttestationSigner, IdTokenClaims, SessionClaims, verify_id_token,
};

use crate::app::{ANNA, APP, App, OTHER, assert_refused};
use crate::device::{Device, Reply};
use crate::world::{Machine, World, ask, json, realm};

const ISSUER: &str = "https://id.example";

/// Projects with ID tokens, a server each, and their servers.
struct Served {
    app: App,
    server: Device,
    other_server: Device,
}

async fn served() -> Served {
    let (world, enclave) = realm().await;
    let device = |project| Device::new(world.clone(), enclave.clone(), project);
    let (server, other_server) = (device(APP), device(OTHER));
    let keys = [(APP, server.jwk()), (OTHER, other_server.jwk())];
    let app = App::projects(world, enclave, |body| {
        let listed = keys
            .iter()
            .filter(|(name, _)| *name == body.project.as_str());
        body.sign_in.servers = listed.map(|(_, key)| *key).collect();
        body.sign_in.id_tokens = Some(IdTokenSettings {
            issuer: ISSUER.to_owned(),
            seconds: 300,
        });
    })
    .await;
    Served {
        app,
        server,
        other_server,
    }
}

async fn ask_for_token(device: &Device, nonce: Option<&str>) -> Reply {
    let body = IssueIdToken {
        nonce: nonce.map(|text| text.parse().unwrap()),
    };
    device
        .in_session(path::ID_TOKEN, Operation::IssueIdToken, &body)
        .await
}

async fn id_token(device: &Device) -> String {
    let issued: IdToken = ask_for_token(device, None).await.ok();
    issued.id_token
}

async fn introspect(server: &Device, token: &str) -> Reply {
    let body = Introspect {
        token: token.to_owned(),
        server: server.jwk(),
    };
    server
        .before_session(path::INTROSPECT, Operation::Introspect, &body)
        .await
}

async fn active(server: &Device, token: &str) -> ActiveToken {
    match introspect(server, token).await.ok() {
        Introspection::Active(token) => *token,
        Introspection::Inactive => panic!("inactive"),
    }
}

#[track_caller]
fn assert_inactive(reply: &Reply) {
    assert_eq!((reply.status, &*reply.body), (200, r#"{"active":false}"#));
}

async fn keys(enclave: &Enclave<Machine>) -> AttestationKeySet {
    json(&ask(enclave, "GET", host_path::JWKS, Vec::new()).await)
}

async fn read(app: &App, token: &str) -> IdTokenClaims {
    let keys = keys(&app.enclave).await;
    let (issuer, project) = (ISSUER.parse().unwrap(), APP.parse().unwrap());
    verify_id_token(token, &keys, &issuer, &project, app.world.now()).unwrap()
}

fn session_claims(device: &Device) -> SessionClaims {
    let payload = device.attestation.split('.').nth(1).unwrap();
    serde_json::from_slice(&b64::decode(payload, 8192).unwrap()).unwrap()
}

#[tokio::test]
async fn an_id_token_says_who_signed_in_when_and_how_for_the_minutes_that_were_set() {
    let Served { app, .. } = served().await;
    let device = app.signed_in(APP, ANNA).await;
    app.world.pass(30);
    let issued: IdToken = ask_for_token(&device, Some("n-0S6_WzA2Mj")).await.ok();
    let claims = read(&app, &issued.id_token).await;
    let session = session_claims(&device);
    assert_eq!(claims.iss.as_str(), ISSUER);
    assert_eq!(claims.aud.as_str(), APP);
    assert_eq!((claims.sub, claims.sid), (session.sub, session.sid));
    assert_eq!(
        (claims.auth_time, claims.iat),
        (session.iat, app.world.now())
    );
    assert_eq!((claims.exp, issued.expires), (claims.iat + 300, claims.exp));
    assert_eq!((claims.amr, claims.acr), (session.amr, session.acr));
    assert_eq!(claims.nonce.unwrap().as_str(), "n-0S6_WzA2Mj");
    let again: IdToken = ask_for_token(&device, None).await.ok();
    let again = read(&app, &again.id_token).await;
    assert_eq!(again.nonce, None);
    assert_ne!(again.jti, claims.jti);
}

#[tokio::test]
async fn an_id_token_never_outlives_its_session() {
    let Served { app, .. } = served().await;
    let mut device = app.device(APP);
    let signed_in = device.sign_in(ANNA).await;
    while signed_in.session_ends - app.world.now() > 86_400 {
        app.world.pass(86_300);
        device.renewed().await;
    }
    app.world
        .pass(signed_in.session_ends - app.world.now() - 100);
    device.renewed().await;
    let issued: IdToken = ask_for_token(&device, None).await.ok();
    assert_eq!(issued.expires, signed_in.session_ends);
}

#[tokio::test]
async fn what_is_no_nonce_is_refused() {
    let Served { app, .. } = served().await;
    let device = app.signed_in(APP, ANNA).await;
    for bad in [
        String::new(),
        "a".repeat(129),
        "a b".to_owned(),
        "ü".to_owned(),
    ] {
        let body = serde_json::json!({ "nonce": bad });
        let reply = device
            .in_session(path::ID_TOKEN, Operation::IssueIdToken, &body)
            .await;
        assert_refused(&reply, Code::MalformedRequest);
    }
    let _: IdToken = ask_for_token(&device, Some(&"a".repeat(128))).await.ok();
}

#[tokio::test]
async fn a_device_that_waits_and_a_session_that_ended_get_no_id_token() {
    let Served { app, .. } = served().await;
    let first = app.signed_in(APP, ANNA).await;
    let second = app.signed_in(APP, ANNA).await;
    assert_refused(&ask_for_token(&second, None).await, Code::DevicePending);
    let _: IdToken = ask_for_token(&first, None).await.ok();
    let _: SignedOut = first
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    assert_refused(&ask_for_token(&first, None).await, Code::SessionRevoked);
}

#[tokio::test]
async fn a_project_without_an_issuer_has_no_id_tokens() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    assert_refused(&ask_for_token(&device, None).await, Code::IdTokensOff);
}

#[tokio::test]
async fn an_id_token_is_no_attestation_for_the_enclave() {
    let Served { app, .. } = served().await;
    let mut device = app.signed_in(APP, ANNA).await;
    device.attestation = id_token(&device).await;
    assert_refused(&device.wallets().await, Code::SessionInvalid);
    assert_refused(&device.renew().await, Code::SessionInvalid);
    assert_refused(&ask_for_token(&device, None).await, Code::SessionInvalid);
}

#[tokio::test]
async fn a_server_learns_of_both_tokens_whose_they_are_while_the_session_stands() {
    let Served { app, server, .. } = served().await;
    let device = app.signed_in(APP, ANNA).await;
    let session = session_claims(&device);
    let of_attestation = active(&server, &device.attestation).await;
    assert_eq!(of_attestation.iss, session.iss.to_string());
    assert_eq!(of_attestation.cnf.unwrap().jkt, device.thumbprint());
    assert_eq!(
        (of_attestation.exp, &*of_attestation.jti),
        (session.exp, &*session.jti)
    );
    let token = id_token(&device).await;
    let of_token = active(&server, &token).await;
    assert_eq!((&*of_token.iss, of_token.cnf), (ISSUER, None));
    for told in [of_token.sub, of_attestation.sub] {
        assert_eq!(told, session.sub);
    }
    assert_eq!(of_token.client_id.as_str(), APP);

    let _: SignedOut = device
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    assert_inactive(&introspect(&server, &device.attestation).await);
    assert_inactive(&introspect(&server, &token).await);
}

#[tokio::test]
async fn what_expired_is_forged_or_of_another_project_is_inactive_without_a_reason() {
    let Served {
        app,
        server,
        other_server,
    } = served().await;
    let device = app.signed_in(APP, ANNA).await;
    let token = id_token(&device).await;
    active(&server, &token).await;
    for genuine in [&token, &device.attestation] {
        // Of another project: that project's server, too, learns nothing.
        assert_inactive(&introspect(&other_server, genuine).await);
        let (message, _) = genuine.rsplit_once('.').unwrap();
        assert_inactive(&introspect(&server, &format!("{message}.")).await);
        let payload = message.split_once('.').unwrap().1;
        let none = b64::encode(br#"{"typ":"JWT","alg":"none","kid":""}"#);
        assert_inactive(&introspect(&server, &format!("{none}.{payload}.")).await);
    }
    let claims = read(&app, &token).await;
    let stranger = AttestationSigner::generate_es256().unwrap();
    let forged = stranger.sign_id_token(&claims).unwrap();
    assert_inactive(&introspect(&server, &forged).await);
    let forged = stranger.sign(&session_claims(&device)).unwrap();
    assert_inactive(&introspect(&server, &forged).await);
    for bad in ["", ".", "..", "a.b.c", &"x".repeat(20_000)] {
        assert_inactive(&introspect(&server, bad).await);
    }
    app.world.pass(300);
    assert_inactive(&introspect(&server, &token).await);
    active(&server, &device.attestation).await;
    app.world.pass(3_300);
    assert_inactive(&introspect(&server, &device.attestation).await);
}

#[tokio::test]
async fn only_a_listed_server_of_the_project_is_answered() {
    let Served {
        app,
        server,
        other_server,
    } = served().await;
    let device = app.signed_in(APP, ANNA).await;
    let token = id_token(&device).await;
    let stranger = app.device(APP);
    assert_refused(&introspect(&stranger, &token).await, Code::ServerUnknown);
    // Neither is a device of the project, nor the server of another one that names this one.
    assert_refused(&introspect(&device, &token).await, Code::ServerUnknown);
    let foreign = Device {
        project: APP.to_owned(),
        ..other_server
    };
    assert_refused(&introspect(&foreign, &token).await, Code::ServerUnknown);
    // Somebody else's signature under the server's key.
    let body = Introspect {
        token: token.clone(),
        server: server.jwk(),
    };
    let reply = stranger
        .before_session(path::INTROSPECT, Operation::Introspect, &body)
        .await;
    assert_refused(&reply, Code::SignatureInvalid);
    let mut unsigned = server.sign(
        path::INTROSPECT,
        &server.plain(Operation::Introspect),
        &body,
    );
    unsigned
        .headers
        .retain(|(name, _)| name != header::SIGNATURE);
    assert_refused(&server.send(&unsigned).await, Code::SignatureMissing);
    active(&server, &token).await;
}

#[tokio::test]
async fn what_the_records_do_not_say_is_an_error_and_never_inactive() {
    let Served { app, server, .. } = served().await;
    let device = app.signed_in(APP, ANNA).await;
    let token = id_token(&device).await;
    away(&app.world, true);
    assert_refused(&introspect(&server, &token).await, Code::HoldersUnavailable);
    away(&app.world, false);
    active(&server, &token).await;
}

fn away(world: &World, away: bool) {
    for index in [1, 2] {
        world.holder(index, |holder| holder.down = away);
    }
}
