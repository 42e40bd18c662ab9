use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use keyfold_gateway_service::{Rate, RateLimits};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::MAX_SEALED;

use crate::support::*;

fn few(n: u32) -> Rate {
    Rate {
        requests: n.try_into().unwrap(),
        per_seconds: 3600.try_into().unwrap(),
    }
}

async fn get_as(gateway: &Running, forwarded: &str) -> u16 {
    let request = Request::get(gateway.url("/v1/instances")).header("x-forwarded-for", forwarded);
    gateway.send(request, Bytes::new()).await.status().as_u16()
}

#[tokio::test]
async fn ten_megabytes_are_refused_with_a_reason_and_the_next_request_works() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    gateway.until_instances(&[INSTANCE]).await;
    for size in [MAX_SEALED + 1, 10 * 1024 * 1024] {
        let answer = gateway.sealed(INSTANCE, vec![0; size]).await;
        assert_eq!(code(&answer), Code::BodyTooLarge, "{size}");
    }
    let answer = gateway
        .post("/v1/transactions", "application/json", vec![b' '; 10 << 20])
        .await;
    assert_eq!(code(&answer), Code::BodyTooLarge);
    let answer = gateway
        .post("/nothing", "text/plain", vec![b' '; 10 << 20])
        .await;
    assert_eq!(code(&answer), Code::BodyTooLarge);
    assert!(enclave.fake.seen.lock().unwrap().is_empty());
    assert_eq!(gateway.sealed(INSTANCE, "x").await.status(), 200);
    gateway.stop().await;
}

#[tokio::test]
async fn every_wrong_turn_is_a_problem_with_a_code_of_the_table() {
    let setup = Setup::new(1);
    let _enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    assert_eq!(code(&gateway.get("/nothing").await), Code::NotFound);
    assert_eq!(code(&gateway.get("/v1/realm/").await), Code::NotFound);
    assert_eq!(code(&gateway.get("/v1/realm").await), Code::RealmMissing);
    let answer = gateway.get(&ohttp(INSTANCE)).await;
    assert_eq!(code(&answer), Code::MethodNotAllowed);
    assert_eq!(answer.headers()["allow"], "POST");
    for media in ["application/json", "message/ohttp-res", ""] {
        let answer = gateway.post(&ohttp(INSTANCE), media, "x").await;
        assert_eq!(code(&answer), Code::UnsupportedMediaType, "{media}");
    }
    assert_eq!(gateway.get("/healthz").await.status(), 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let mut setup = Setup::new(1);
    setup.config.rate_limits = RateLimits {
        sealed: few(3),
        ..setup.config.rate_limits
    };
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    for _ in 0..3 {
        assert_eq!(gateway.sealed(INSTANCE, "x").await.status(), 200);
    }
    let answer = gateway.sealed(INSTANCE, "x").await;
    assert_eq!(code(&answer), Code::RateLimited);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=1200).contains(&wait), "{wait}");
    assert_eq!(enclave.fake.seen.lock().unwrap().len(), 3);
    // Other things have limits of their own; health has none.
    assert_eq!(gateway.get("/v1/instances").await.status(), 200);
    assert_eq!(gateway.get("/healthz").await.status(), 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_stranger_gets_no_fresh_limit_by_claiming_to_forward_for_others() {
    let mut setup = Setup::new(0);
    setup.config.rate_limits.requests = few(2);
    let gateway = setup.start().await;
    let mut statuses = Vec::new();
    for i in 0..4 {
        statuses.push(get_as(&gateway, &format!("198.51.100.{i}")).await);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    // Nor by asking for what does not exist.
    assert_eq!(code(&gateway.get("/nothing").await), Code::RateLimited);
    gateway.stop().await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart_by_what_the_proxy_saw() {
    let mut setup = Setup::new(0);
    setup.config.rate_limits.requests = few(1);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = setup.start().await;
    assert_eq!(get_as(&gateway, "198.51.100.1").await, 200);
    assert_eq!(get_as(&gateway, "198.51.100.2").await, 200);
    // What the client wrote stands before what the proxy appended.
    assert_eq!(get_as(&gateway, "203.0.113.77, 198.51.100.1").await, 429);
    assert_eq!(get_as(&gateway, "2001:db8::1").await, 200);
    assert_eq!(get_as(&gateway, "2001:db8::2").await, 429);
    gateway.stop().await;
}

#[tokio::test]
async fn sockets_others_use_and_broken_configurations_stop_the_start() {
    let setup = Setup::new(1);
    let gateway = setup.start().await;
    let (_trigger, shutdown) = keyfold_net::Shutdown::manual();
    let second = keyfold_gateway_service::run(setup.config.clone(), |_| {}, shutdown).await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains("cannot listen on"), "{error}");
    // The first one is untouched.
    assert!(setup.outbound(0).exists());
    let request = Request::get(gateway.url("/healthz")).header(CONTENT_TYPE, "x");
    assert_eq!(gateway.send(request, Bytes::new()).await.status(), 204);
    gateway.stop().await;
}

/// A new key would be one that no client knows; what is wrong is that the old one is gone.
#[tokio::test]
async fn a_gateway_without_its_tls_key_does_not_make_another() {
    let setup = Setup::new(0);
    keyfold_gateway_service::init(&setup.config).unwrap();
    let key = setup.config.tls_dir().join("tls-key.pem");
    let certificate = setup.config.tls_dir().join("tls-cert.pem");
    for lost in [&key, &certificate] {
        std::fs::remove_file(lost).unwrap();
        let (_trigger, shutdown) = keyfold_net::Shutdown::manual();
        let run = keyfold_gateway_service::run(setup.config.clone(), |_| {}, shutdown).await;
        assert!(matches!(
            run,
            Err(keyfold_gateway_service::GatewayError::Tls(_))
        ));
        assert!(!key.exists());
    }
}
