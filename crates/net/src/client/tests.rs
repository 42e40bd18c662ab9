use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::uri::Authority;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::serve::Server;
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::tls::{ServerTls, client_config_pinned};

/// Counts the connections that are made.
struct Counting<C>(C, Arc<AtomicUsize>);

impl<C: Connector> Connector for Counting<C> {
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, std::io::Result<BoxIo>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.connect(authority)
    }
}

fn counting<C: Connector>(connector: C, limits: ClientLimits) -> (HttpClient, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    (
        HttpClient::new(Counting(connector, Arc::clone(&made)), limits),
        made,
    )
}

fn get_from(authority: &str, path: &str) -> Request<Bytes> {
    Request::get(format!("https://{authority}{path}"))
        .body(Bytes::new())
        .unwrap()
}

async fn tls_server(router: Router) -> (String, ServerTls, ShutdownTrigger, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let tls = ServerTls::from_pem_or_generate(dir.path(), &["localhost".to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (trigger, shutdown) = Shutdown::manual();
    tokio::spawn(Server::new(router).tls(listener, tls.config(), shutdown));
    (authority, tls, trigger, dir)
}

fn pinned(tls: &ServerTls) -> TlsConnector<TcpConnector> {
    TlsConnector::new(TcpConnector, client_config_pinned(tls.pin()).unwrap())
}

#[tokio::test]
async fn requests_one_after_the_other_share_one_tls_connection() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let (authority, tls, _trigger, _dir) = tls_server(router).await;
    let (client, made) = counting(pinned(&tls), ClientLimits::default());
    for _ in 0..10 {
        let answer = client.send(get_from(&authority, "/")).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.body()[..]),
            (StatusCode::OK, &b"hello"[..])
        );
    }
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_with_another_key_gets_no_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let router = Router::new().fallback(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let (authority, _, _trigger, _dir) = tls_server(router).await;
    let (_, other, _other_trigger, _other_dir) = tls_server(Router::new()).await;
    let client = HttpClient::new(pinned(&other), ClientLimits::default());
    let refused = client.send(get_from(&authority, "/")).await.unwrap_err();
    assert!(refused.is_unverified() && !refused.may_have_been_sent());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let nobody = client.send(get_from("127.0.0.1:1", "/")).await.unwrap_err();
    assert!(matches!(nobody, ClientError::Connect { .. }) && !nobody.is_unverified());
}

/// A server that answers one request per connection and closes without saying so beforehand.
async fn closing_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_head(&mut stream).await;
            seen.fetch_add(1, Ordering::SeqCst);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
        }
    });
    (authority, requests)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced_and_nothing_is_sent_twice() {
    let (authority, requests) = closing_server().await;
    let client = HttpClient::new(TcpConnector, ClientLimits::default());
    let mut answered = 0;
    for _ in 0..20 {
        let answer = client.send(get_from(&authority, "/")).await;
        // Between the close and our noticing it, a request may be written: then it is an error that
        // says so, and never a silent second request.
        match answer {
            Ok(answer) => {
                answered += 1;
                assert_eq!(&answer.body()[..], b"ok");
            }
            Err(error) => assert!(error.may_have_been_sent(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(answered > 1, "no closed connection was ever replaced");
    assert!(requests.load(Ordering::SeqCst) <= 20);
}

#[tokio::test]
async fn a_request_that_was_sent_is_not_repeated_when_the_connection_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let accepted = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        drop(stream);
        // Whoever repeats connects again.
        tokio::time::timeout(Duration::from_millis(200), listener.accept())
            .await
            .is_ok()
    });
    let client = HttpClient::new(TcpConnector, ClientLimits::default());
    let broken = client.send(get_from(&authority, "/")).await.unwrap_err();
    assert!(matches!(broken, ClientError::Exchange { .. }) && broken.may_have_been_sent());
    assert!(!accepted.await.unwrap());
}

#[tokio::test]
async fn an_answer_larger_than_allowed_is_refused_with_and_without_a_length() {
    let router = Router::new()
        .route("/long", get(|| async { vec![0u8; 10 * 1024 * 1024] }))
        .route(
            "/endless",
            get(|| async {
                let piece = || Ok::<_, std::io::Error>(Bytes::from_static(&[0; 8192]));
                axum::body::Body::from_stream(futures_util::stream::iter(std::iter::repeat_with(
                    piece,
                )))
            }),
        );
    let (authority, tls, _trigger, _dir) = tls_server(router).await;
    let client = HttpClient::new(pinned(&tls), ClientLimits::default());
    for path in ["/long", "/endless"] {
        let refused = client.send(get_from(&authority, path)).await.unwrap_err();
        assert!(
            matches!(refused, ClientError::ResponseTooLarge { .. }),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_large_request_is_sent_whole() {
    let router = Router::new()
        .route(
            "/",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .layer(axum::extract::DefaultBodyLimit::disable());
    let (authority, tls, _trigger, _dir) = tls_server(router).await;
    let client = HttpClient::new(pinned(&tls), ClientLimits::default());
    let body = Bytes::from(vec![7; 10 * 1024 * 1024]);
    let request = Request::post(format!("https://{authority}/"))
        .body(body)
        .unwrap();
    assert_eq!(&client.send(request).await.unwrap().body()[..], b"10485760");
}

#[tokio::test]
async fn who_does_not_answer_is_given_up_and_it_is_said_whether_he_heard() {
    let limits = ClientLimits {
        connect_timeout: Duration::from_millis(100),
        request_timeout: Duration::from_millis(300),
        ..ClientLimits::default()
    };
    // Accepts and says nothing: TLS never finishes, plain HTTP never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let tls = ServerTls::from_pem_or_generate(dir.path(), &["localhost".to_owned()]).unwrap();

    let silent = HttpClient::new(pinned(&tls), limits)
        .send(get_from(&authority, "/"))
        .await;
    let silent = silent.unwrap_err();
    assert!(matches!(silent, ClientError::ConnectTimeout { .. }) && !silent.may_have_been_sent());
    let silent = HttpClient::new(TcpConnector, limits)
        .send(get_from(&authority, "/"))
        .await;
    let silent = silent.unwrap_err();
    assert!(matches!(silent, ClientError::Timeout { .. }) && silent.may_have_been_sent());
}

#[tokio::test]
async fn requests_at_once_each_get_their_own_answer() {
    let router = Router::new().route(
        "/{n}",
        get(|axum::extract::Path(n): axum::extract::Path<String>| async { n }),
    );
    let (authority, tls, _trigger, _dir) = tls_server(router).await;
    let (client, made) = counting(pinned(&tls), ClientLimits::default());
    for _ in 0..2 {
        let calls = (0..20).map(|n| {
            let (client, authority) = (client.clone(), authority.clone());
            async move {
                let answer = client
                    .send(get_from(&authority, &format!("/{n}")))
                    .await
                    .unwrap();
                assert_eq!(answer.body(), n.to_string().as_bytes());
            }
        });
        futures_util::future::join_all(calls).await;
    }
    assert!(made.load(Ordering::SeqCst) <= 20);
}

#[tokio::test]
async fn requests_that_cannot_be_sent_are_refused_before_any_connection() {
    let (client, made) = counting(TcpConnector, ClientLimits::default());
    for uri in ["/relative", "https://user:secret@host/"] {
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        assert!(
            matches!(client.send(request).await, Err(ClientError::Request(_))),
            "{uri}"
        );
    }
    assert_eq!(made.load(Ordering::SeqCst), 0);
}
