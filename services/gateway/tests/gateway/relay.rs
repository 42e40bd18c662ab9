use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use bytes::Bytes;
use keyfold_gateway_service::RelayerConfig;
use keyfold_net::{Server, ServerTls, Shutdown, ShutdownTrigger, SpkiPin};
use keyfold_protocol::error_code::Code;
use tokio::net::TcpListener;

use crate::support::*;

/// Method, path, idempotency key, body.
type Seen = Arc<Mutex<Vec<(String, String, String, Bytes)>>>;

struct FakeRelayer {
    config: RelayerConfig,
    seen: Seen,
    /// For whom each request was made.
    clients: Arc<Mutex<Vec<String>>>,
    _trigger: ShutdownTrigger,
}

async fn relayer() -> FakeRelayer {
    let dir = tempfile::tempdir().unwrap();
    let tls = ServerTls::from_pem_or_generate(dir.path(), &["localhost".to_owned()]).unwrap();
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let clients = Arc::<Mutex<Vec<String>>>::default();
    let forwarded = Arc::clone(&clients);
    let handler = move |request: Request| {
        let record = Arc::clone(&record);
        let forwarded = Arc::clone(&forwarded);
        async move {
            let (head, body) = request.into_parts();
            let named: Vec<_> = head
                .headers
                .get_all("x-forwarded-for")
                .iter()
                .map(|value| value.to_str().unwrap())
                .collect();
            forwarded.lock().unwrap().push(named.join("+"));
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let key = head.headers.get("idempotency-key");
            let key = key.map_or("", |key| key.to_str().unwrap()).to_owned();
            let path = head.uri.path_and_query().unwrap().to_string();
            record
                .lock()
                .unwrap()
                .push((head.method.to_string(), path, key, body));
            (
                [("content-type", "application/json")],
                "{\"state\" : \"sent\"}",
            )
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (trigger, shutdown) = Shutdown::manual();
    let router = Router::new().fallback(any(handler));
    tokio::spawn(Server::new(router).tls(listener, tls.config(), shutdown));
    FakeRelayer {
        config: RelayerConfig {
            address: address.parse().unwrap(),
            spki_sha256: tls.pin(),
        },
        seen,
        clients,
        _trigger: trigger,
    }
}

fn call() -> String {
    format!(
        "{{ \"chain_id\": 31337, \"wallet\": \"0x{}\", \"image_hash\": \"0x{}\", \"payload\": \"0x00\", \"signature\":\"0x01\" }}",
        "11".repeat(20),
        "22".repeat(32)
    )
}

async fn submit(gateway: &Running, key: Option<&str>, body: String) -> http::Response<Bytes> {
    let mut request = http::Request::post(gateway.url("/v1/transactions"))
        .header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    gateway.send(request, body.into()).await
}

#[tokio::test]
async fn a_call_goes_to_the_relayer_with_its_key_and_its_bytes() {
    let relayer = relayer().await;
    let mut setup = Setup::new(0);
    setup.config.relayer = Some(relayer.config.clone());
    let gateway = setup.start().await;
    let key = "0123456789abcdef0123456789abcdef";
    let answer = submit(&gateway, Some(key), call()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body(), "{\"state\" : \"sent\"}");
    assert_eq!(
        gateway
            .get(&format!("/v1/transactions/{key}"))
            .await
            .status(),
        200
    );
    let wallet = format!("/v1/chains/31337/wallets/0x{}", "Ab".repeat(20));
    assert_eq!(gateway.get(&wallet).await.status(), 200);
    let expected = [
        ("POST", "/v1/transactions".to_owned(), key, call()),
        ("GET", format!("/v1/transactions/{key}"), "", String::new()),
        ("GET", wallet.to_lowercase(), "", String::new()),
    ]
    .map(|(method, path, key, body)| (method.to_owned(), path, key.to_owned(), body.into()));
    assert_eq!(*relayer.seen.lock().unwrap(), expected);
    gateway.stop().await;
}

#[tokio::test]
async fn the_relayer_is_told_for_whom_the_gateway_asks() {
    let relayer = relayer().await;
    let mut setup = Setup::new(0);
    setup.config.relayer = Some(relayer.config.clone());
    let key = "0123456789abcdef0123456789abcdef";
    let path = format!("/v1/transactions/{key}");
    let ask = async |gateway: &Running, forwarded: &str| {
        let header = ("x-forwarded-for", forwarded);
        let get = http::Request::get(gateway.url(&path)).header(header.0, header.1);
        assert_eq!(gateway.send(get, Bytes::new()).await.status(), 200);
        let post = http::Request::post(gateway.url("/v1/transactions"))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .header(header.0, header.1);
        assert_eq!(gateway.send(post, call().into()).await.status(), 200);
    };
    // A stranger's own claim goes nowhere.
    let gateway = setup.start().await;
    ask(&gateway, "198.51.100.7").await;
    gateway.stop().await;
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = setup.start().await;
    ask(&gateway, "203.0.113.9, 198.51.100.7").await;
    ask(&gateway, "2001:db8::1").await;
    gateway.stop().await;
    let expected = ["127.0.0.1", "198.51.100.7", "2001:db8::1"].map(|client| [client; 2]);
    assert_eq!(*relayer.clients.lock().unwrap(), expected.concat());
}

#[tokio::test]
async fn what_is_no_call_never_reaches_the_relayer() {
    let relayer = relayer().await;
    let mut setup = Setup::new(0);
    setup.config.relayer = Some(relayer.config.clone());
    let gateway = setup.start().await;
    let key = "0123456789abcdef0123456789abcdef";
    for (key, body, expected) in [
        (None, call(), Code::MalformedRequest),
        (Some("1"), call(), Code::MalformedRequest),
        (Some(key), "{".to_owned(), Code::MalformedJson),
        (Some(key), "{}".to_owned(), Code::InvalidRequest),
        (
            Some(key),
            call().replace("0x11", "0x1"),
            Code::InvalidRequest,
        ),
        (
            Some(key),
            call().replace("\"chain_id\"", "\"x\""),
            Code::InvalidRequest,
        ),
    ] {
        let answer = submit(&gateway, key, body.clone()).await;
        assert_eq!(code(&answer), expected, "{key:?} {body}");
    }
    for path in [
        "/v1/transactions/..%2f..%2fadmin".to_owned(),
        format!("/v1/transactions/{}", key.to_uppercase()),
        "/v1/chains/x/wallets/0x00".to_owned(),
        "/v1/chains/1/wallets/..".to_owned(),
        format!("/v1/chains/1/wallets/0x{}%3fa=b", "11".repeat(20)),
        format!(
            "/v1/chains/99999999999999999999/wallets/0x{}",
            "11".repeat(20)
        ),
    ] {
        let answer = gateway.get(&path).await;
        assert_eq!(code(&answer), Code::MalformedRequest, "{path}");
    }
    assert!(relayer.seen.lock().unwrap().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn a_relayer_with_another_key_gets_nothing() {
    let relayer = relayer().await;
    let mut setup = Setup::new(0);
    setup.config.relayer = Some(RelayerConfig {
        spki_sha256: SpkiPin([1; 32]),
        ..relayer.config.clone()
    });
    let gateway = setup.start().await;
    let key = "0123456789abcdef0123456789abcdef";
    let answer = submit(&gateway, Some(key), call()).await;
    assert_eq!(code(&answer), Code::Unavailable);
    assert!(relayer.seen.lock().unwrap().is_empty());
    gateway.stop().await;

    let setup = Setup::new(0);
    let gateway = setup.start().await;
    let answer = submit(&gateway, Some(key), call()).await;
    assert_eq!(code(&answer), Code::NotFound);
    gateway.stop().await;
}
