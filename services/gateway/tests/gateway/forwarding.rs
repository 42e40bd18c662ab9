use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use keyfold_crypto::testing::SeededRng;
use keyfold_gateway_service::{EnclaveCallError, genesis, status};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{GenesisPlan, MAX_SEALED};
use keyfold_protocol::ids::InstanceId;
use keyfold_protocol::realm::RootKind;
use rand_core::Rng as _;

use crate::support::*;

fn random(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    SeededRng::new(seed).fill_bytes(&mut bytes);
    bytes.into()
}

#[tokio::test]
async fn sealed_bytes_reach_their_enclave_and_come_back_unchanged() {
    let setup = Setup::new(2);
    let first = Fake::new(INSTANCE).boot(setup.inbound(0));
    let second = Fake::new(OTHER).boot(setup.inbound(1));
    let gateway = setup.start().await;
    gateway.until_instances(&[INSTANCE, OTHER]).await;
    for (i, len) in [1, 255, 4096, MAX_SEALED].into_iter().enumerate() {
        let (sent, reply) = (random(i as u64, len), random(100 + i as u64, len));
        second
            .fake
            .answer_with(200, "message/ohttp-res", reply.clone());
        let answer = gateway.sealed(OTHER, sent.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "message/ohttp-res");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.body(), &reply);
        let seen = second.fake.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen, ("message/ohttp-req".to_owned(), sent));
    }
    assert!(first.fake.seen.lock().unwrap().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn an_attestation_request_and_its_document_pass_unchanged() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    // Not how anything here would write it.
    let sent = format!("{{ \"nonce\" :\n\"{}\" }} ", "0f".repeat(32));
    let reply = "{\"document\":\"AA\",   \"binding\":{}}";
    enclave.fake.answer_with(200, "application/json", reply);
    let answer = gateway
        .post(&attestation(INSTANCE), "application/json", sent.clone())
        .await;
    assert_eq!(answer.body(), reply);
    assert_eq!(enclave.fake.seen.lock().unwrap()[0].1, sent);

    for (body, expected) in [
        ("{", Code::MalformedJson),
        ("", Code::MalformedJson),
        ("{\"nonce\":1}", Code::InvalidRequest),
        ("{\"nonce\":\"00\"}", Code::InvalidRequest),
        (&"[".repeat(1000), Code::InvalidRequest),
        (&" ".repeat(1025), Code::BodyTooLarge),
    ] {
        let answer = gateway
            .post(&attestation(INSTANCE), "application/json", body.to_owned())
            .await;
        assert_eq!(code(&answer), expected, "{body}");
    }
    let answer = gateway
        .post(&attestation(INSTANCE), "text/plain", sent.clone())
        .await;
    assert_eq!(code(&answer), Code::UnsupportedMediaType);
    assert_eq!(enclave.fake.seen.lock().unwrap().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn an_enclaves_own_problems_pass_and_anything_else_does_not() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    let problem = r#"{"code":"unknown_key","status":422,"title":"t"}"#;
    enclave
        .fake
        .answer_with(422, "application/problem+json", problem);
    let answer = gateway.sealed(INSTANCE, "x").await;
    assert_eq!(answer.status(), 422);
    assert_eq!(answer.body(), problem);
    for (status, media) in [(200, "text/html"), (500, "message/ohttp-res"), (302, "")] {
        enclave.fake.answer_with(status, media, "<script>");
        let answer = gateway.sealed(INSTANCE, "x").await;
        assert_eq!(code(&answer), Code::Unavailable, "{status} {media}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_instance_that_is_not_here_is_unknown_and_one_that_does_not_serve_unavailable() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    for instance in [OTHER, InstanceId::from_bytes([0; 16])] {
        let answer = gateway.sealed(instance, "x").await;
        assert_eq!(code(&answer), Code::UnknownInstance);
        let body = format!("{{\"nonce\":\"{}\"}}", "00".repeat(32));
        let answer = gateway
            .post(&attestation(instance), "application/json", body)
            .await;
        assert_eq!(code(&answer), Code::UnknownInstance);
    }
    for path in [
        "nonsense",
        "%00",
        &"a".repeat(1000),
        &INSTANCE.to_string().to_uppercase(),
    ] {
        let path = format!("/v1/instances/{path}/ohttp");
        let answer = gateway.post(&path, "message/ohttp-req", "x").await;
        assert_eq!(code(&answer), Code::UnknownInstance, "{path}");
    }
    enclave.fake.set_ready(false);
    gateway.until_instances(&[]).await;
    let answer = gateway.sealed(INSTANCE, "x").await;
    assert_eq!(code(&answer), Code::Unavailable);
    assert_eq!(code(&gateway.get("/readyz").await), Code::NotReady);
    assert!(enclave.fake.seen.lock().unwrap().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn an_enclave_killed_in_the_middle_is_unavailable_and_serves_again_when_it_is_back() {
    let setup = Setup::new(1);
    let fake = Fake::new(INSTANCE);
    let enclave = fake.boot(setup.inbound(0));
    let gateway = setup.start().await;
    // A connection that is kept, so that the next request uses it again.
    assert_eq!(gateway.sealed(INSTANCE, "x").await.status(), 200);
    let under_way = gateway.sealed(INSTANCE, WAIT);
    let kill = async {
        fake.entered.notified().await;
        enclave.kill().await;
    };
    let (answer, ()) = tokio::join!(under_way, kill);
    assert_eq!(code(&answer), Code::Unavailable);
    assert_eq!(
        code(&gateway.sealed(INSTANCE, "x").await),
        Code::Unavailable
    );
    gateway.until_instances(&[]).await;

    let _enclave = fake.boot(setup.inbound(0));
    gateway.until_instances(&[INSTANCE]).await;
    assert_eq!(gateway.sealed(INSTANCE, "x").await.status(), 200);
    assert_eq!(gateway.get("/readyz").await.status(), 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_new_instance_behind_the_socket_of_a_dead_one_is_found_and_the_old_id_is_unknown() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    assert_eq!(gateway.sealed(INSTANCE, "x").await.status(), 200);
    enclave.kill().await;
    let enclave = Fake::new(OTHER).boot(setup.inbound(0));
    gateway.until_instances(&[OTHER]).await;
    assert_eq!(gateway.sealed(OTHER, "x").await.status(), 200);
    assert_eq!(
        code(&gateway.sealed(INSTANCE, "x").await),
        Code::UnknownInstance
    );
    assert_eq!(enclave.fake.seen.lock().unwrap().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn one_enclave_down_leaves_the_other_serving() {
    let setup = Setup::new(2);
    let first = Fake::new(INSTANCE).boot(setup.inbound(0));
    let _second = Fake::new(OTHER).boot(setup.inbound(1));
    let gateway = setup.start().await;
    gateway.until_instances(&[INSTANCE, OTHER]).await;
    first.kill().await;
    assert_eq!(
        code(&gateway.sealed(INSTANCE, "x").await),
        Code::Unavailable
    );
    assert_eq!(gateway.sealed(OTHER, "x").await.status(), 200);
    gateway.until_instances(&[OTHER]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_keys_of_attestations_come_from_an_enclave() {
    let setup = Setup::new(1);
    let gateway = setup.start().await;
    let answer = gateway.get("/.well-known/jwks.json").await;
    assert_eq!(code(&answer), Code::Unavailable);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    gateway.until_instances(&[INSTANCE]).await;
    enclave
        .fake
        .answer_with(200, "application/json", "{ \"keys\": [] }");
    let answer = gateway.get("/.well-known/jwks.json").await;
    assert_eq!(answer.body(), "{ \"keys\": [] }");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_shutdown_begins() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    gateway.until_instances(&[INSTANCE]).await;
    let records_client = setup.records(0);
    let under_way = gateway.sealed(INSTANCE, WAIT);
    let end = async {
        enclave.fake.entered.notified().await;
        gateway.begin_shutdown();
        // The enclave may need its records to finish.
        let answer = records::<()>(&records_client, "GET", "/v1/host/realm", None).await;
        assert_eq!(code(&answer), Code::NotFound);
        enclave.fake.go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(under_way, end);
    assert_eq!(answer.body(), "sealed");
    gateway.stop().await;
    assert!(!setup.outbound(0).exists());
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cut_the_enclave_off_between_two_steps() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    gateway.until_instances(&[INSTANCE]).await;
    tokio::select! {
        _ = gateway.sealed(INSTANCE, WAIT) => panic!("answered before its time"),
        () = enclave.fake.entered.notified() => {}
    }
    // Long enough for both servers to notice.
    tokio::time::sleep(Duration::from_millis(200)).await;
    enclave.fake.go_on.notify_one();
    tokio::time::timeout(Duration::from_secs(10), enclave.fake.finished.notified())
        .await
        .expect("the enclave finishes what it began");
    gateway.stop().await;
}

#[tokio::test]
async fn genesis_is_the_operators_and_not_a_strangers() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    for path in [
        "/v1/genesis",
        "/v1/host/realm",
        "/v1/host/records/get",
        "/v1/status",
    ] {
        let answer = gateway.post(path, "application/json", "{}").await;
        assert_eq!(code(&answer), Code::NotFound, "{path}");
    }
    let signed = realm(1);
    let plan = GenesisPlan {
        threshold: 2,
        holders: signed.record.holders.clone(),
        root: RootKind::AwsNitro,
    };
    let json = serde_json::to_vec(&signed).unwrap();
    enclave.fake.answer_with(200, "application/json", json);
    let made = genesis(setup.inbound(0), &plan).await.unwrap();
    assert_eq!(made.record, signed.record);
    let sent = enclave.fake.seen.lock().unwrap().pop().unwrap().1;
    assert_eq!(sent, serde_json::to_vec(&plan).unwrap());
    assert_eq!(status(setup.inbound(0)).await.unwrap().instance, INSTANCE);

    let mut forged = signed.clone();
    forged.record.threshold = 3;
    let json = serde_json::to_vec(&forged).unwrap();
    enclave.fake.answer_with(200, "application/json", json);
    let refused = genesis(setup.inbound(0), &plan).await;
    assert!(matches!(refused, Err(EnclaveCallError::Realm(_))));

    let problem = r#"{"code":"realm_exists","status":409,"title":"There is a realm."}"#;
    enclave
        .fake
        .answer_with(409, "application/problem+json", problem);
    match genesis(setup.inbound(0), &plan).await {
        Err(EnclaveCallError::Refused(problem)) => assert_eq!(problem.code, "realm_exists"),
        other => panic!("{other:?}"),
    }
    enclave.fake.answer_with(200, "application/json", "{}");
    let refused = genesis(setup.inbound(0), &plan).await;
    assert!(matches!(refused, Err(EnclaveCallError::Unreadable { .. })));
    enclave.kill().await;
    let refused = genesis(setup.inbound(0), &plan).await;
    assert!(matches!(refused, Err(EnclaveCallError::Unreachable(_))));
    gateway.stop().await;
}
