use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;

use super::*;
use crate::client::{ClientLimits, HttpClient, TcpConnector, TlsConnector, UnixConnector};
use crate::pipe::{
    AllowList, EgressConnector, EgressLimits, EgressProxy, HybridConnector, Target, connect_port,
};
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::tls::{ServerTls, client_config_pinned};

fn tls() -> ServerTls {
    let dir = tempfile::tempdir().unwrap();
    ServerTls::from_pem_or_generate(dir.path(), &["localhost".to_owned()]).unwrap()
}

fn get_path(authority: &str, path: &str) -> Request<Bytes> {
    Request::get(format!("https://{authority}{path}"))
        .body(Bytes::new())
        .unwrap()
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

fn client(tls: &ServerTls) -> HttpClient {
    let connector = TlsConnector::new(TcpConnector, client_config_pinned(tls.pin()).unwrap());
    HttpClient::new(connector, ClientLimits::default())
}

#[tokio::test]
async fn strangers_that_never_finish_a_handshake_do_not_keep_others_out() {
    let tls = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_trigger, shutdown) = Shutdown::manual();
    tokio::spawn(Server::new(hello()).tls(listener, tls.config(), shutdown));
    let mut half = Vec::new();
    for i in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Nothing, the beginning of a record, or something else entirely.
        let beginning: &[u8] = [&b""[..], b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\n"][i % 3];
        stream.write_all(beginning).await.unwrap();
        half.push(stream);
    }
    let answer = client(&tls)
        .send(get_path(&address.to_string(), "/"))
        .await
        .unwrap();
    assert_eq!(&answer.body()[..], b"hello");
}

#[tokio::test]
async fn half_a_handshake_and_half_a_head_are_cut_after_their_time() {
    let tls = tls();
    let limits = ServeLimits {
        handshake_timeout: Duration::from_millis(100),
        header_timeout: Duration::from_millis(100),
        ..ServeLimits::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_trigger, shutdown) = Shutdown::manual();
    let server = Server::new(hello()).limits(limits);
    tokio::spawn(server.clone().tls(listener, tls.config(), shutdown.clone()));
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"\x16\x03\x01").await.unwrap();
    // The server's close is what ends this read.
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest).await;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    tokio::spawn(server.unix(UnixListener::bind(&path).unwrap(), shutdown));
    let mut half = UnixStream::connect(&path).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-half: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200"));
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_gives_its_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let (_trigger, shutdown) = Shutdown::manual();
    let limits = ServeLimits {
        header_timeout: Duration::from_millis(100),
        ..ServeLimits::default()
    };
    let server = Server::new(hello()).limits(limits);
    tokio::spawn(server.unix(UnixListener::bind(&path).unwrap(), shutdown));
    // Nothing; not enough to tell which HTTP it will be.
    for beginning in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok(), "still open after {beginning:?}");
    }
    // HTTP/2 whose peer answers every ping and asks nothing.
    let stream = UnixStream::connect(&path).await.unwrap();
    let (_sender, connection) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(stream),
    )
    .await
    .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), connection).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_head_may_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let (_trigger, shutdown) = Shutdown::manual();
    let limits = ServeLimits {
        header_timeout: Duration::from_millis(50),
        ..ServeLimits::default()
    };
    let slow = get(|| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "late"
    });
    let server = Server::new(Router::new().route("/", slow)).limits(limits);
    tokio::spawn(server.unix(UnixListener::bind(&path).unwrap(), shutdown));
    let client = HttpClient::new(UnixConnector::new(&path), ClientLimits::default());
    let answer = client.send(get_path("localhost", "/")).await.unwrap();
    assert_eq!(&answer.body()[..], b"late");
}

#[tokio::test]
async fn one_connection_more_than_allowed_waits_for_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let (_trigger, shutdown) = Shutdown::manual();
    let limits = ServeLimits {
        max_connections: 1,
        ..ServeLimits::default()
    };
    let server = Server::new(hello()).limits(limits);
    tokio::spawn(server.unix(UnixListener::bind(&path).unwrap(), shutdown));
    let ask = async |stream: &mut UnixStream| {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        stream.read_u8().await.unwrap()
    };
    let mut first = UnixStream::connect(&path).await.unwrap();
    assert_eq!(ask(&mut first).await, b'H');
    let mut second = UnixStream::connect(&path).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), ask(&mut second)).await;
    assert!(waiting.is_err());
    drop(first);
    assert_eq!(second.read_u8().await.unwrap(), b'H');
}

#[tokio::test]
async fn a_peer_with_too_many_connections_is_closed_and_served_again_when_one_ends() {
    let tls = tls();
    let limits = ServeLimits {
        max_per_peer: Some(2),
        ..ServeLimits::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_trigger, shutdown) = Shutdown::manual();
    tokio::spawn(
        Server::new(hello())
            .limits(limits)
            .tls(listener, tls.config(), shutdown),
    );
    // In a handshake that is never begun.
    let mut held = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let mut refused = TcpStream::connect(address).await.unwrap();
    let mut rest = Vec::new();
    let _ = refused.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    held[0].shutdown().await.unwrap();
    let mut ended = Vec::new();
    let _ = held[0].read_to_end(&mut ended).await;
    // The place is given back a moment after the connection was seen to end.
    let client = client(&tls);
    let answer = loop {
        if let Ok(answer) = client.send(get_path(&address.to_string(), "/")).await {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(&answer.body()[..], b"hello");
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_takes_every_connection() {
    let tls = tls();
    let served = |limits: ServeLimits| {
        let config = tls.config();
        async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (trigger, shutdown) = Shutdown::manual();
            tokio::spawn(
                Server::new(hello())
                    .limits(limits)
                    .tls(listener, config, shutdown),
            );
            (trigger, address)
        }
    };
    // More than the default lets one peer have, each in a handshake that is never begun.
    let hold = async |address| {
        let mut held = Vec::new();
        for _ in 0..65 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        held
    };
    let (_trigger, address) = served(ServeLimits::default()).await;
    let mut held = hold(address).await;
    let mut rest = Vec::new();
    let closed = held[64].read_to_end(&mut rest);
    let closed = tokio::time::timeout(Duration::from_secs(5), closed).await;
    assert!(closed.is_ok(), "one peer has more connections than 64");

    let behind_proxy = ServeLimits {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..ServeLimits::default()
    };
    let (_trigger, address) = served(behind_proxy).await;
    let _held = hold(address).await;
    let answer = client(&tls)
        .send(get_path(&address.to_string(), "/"))
        .await
        .unwrap();
    assert_eq!(&answer.body()[..], b"hello");
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_shutdown_began() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (in_handler, may_go) = (Arc::clone(&entered), Arc::clone(&go));
    let router = Router::new().route(
        "/",
        get(move || async move {
            in_handler.notify_one();
            may_go.notified().await;
            "finished"
        }),
    );
    let tls = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (trigger, shutdown) = Shutdown::manual();
    let serving = tokio::spawn(Server::new(router).tls(listener, tls.config(), shutdown));
    let client = client(&tls);
    let call = {
        let (client, authority) = (client.clone(), authority.clone());
        tokio::spawn(async move { client.send(get_path(&authority, "/")).await })
    };
    entered.notified().await;
    trigger.trigger();
    go.notify_one();
    assert_eq!(&call.await.unwrap().unwrap().body()[..], b"finished");
    serving.await.unwrap();
    assert!(
        !client
            .send(get_path(&authority, "/"))
            .await
            .unwrap_err()
            .may_have_been_sent()
    );
}

#[tokio::test]
async fn a_handler_knows_the_peer_of_a_socket_and_none_of_a_pipe() {
    let peer = |Extension(Peer(peer)): Extension<Peer>| async move {
        peer.map_or("pipe".to_owned(), |address| address.ip().to_string())
    };
    let router = Router::new().route("/", get(peer));
    let (_trigger, shutdown) = Shutdown::manual();
    let tls = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    tokio::spawn(Server::new(router.clone()).tls(listener, tls.config(), shutdown.clone()));
    let answer = client(&tls).send(get_path(&authority, "/")).await.unwrap();
    assert_eq!(&answer.body()[..], b"127.0.0.1");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    tokio::spawn(Server::new(router).unix(UnixListener::bind(&path).unwrap(), shutdown));
    let client = HttpClient::new(UnixConnector::new(&path), ClientLimits::default());
    let answer = client.send(get_path("enclave", "/")).await.unwrap();
    assert_eq!(&answer.body()[..], b"pipe");
}

/// Inbound pipe, HTTP in it; then egress pipe, TLS through it to a pinned server.
#[tokio::test]
async fn an_enclave_is_reached_by_one_pipe_and_reaches_a_holder_by_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (_trigger, shutdown) = Shutdown::manual();
    let holder = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/share", get(|| async { "share" }));
    tokio::spawn(Server::new(router).tls(listener, holder.config(), shutdown.clone()));

    let egress = dir.path().join("egress");
    let allowed = AllowList::from_iter([Target::new("127.0.0.1", port).unwrap()]);
    let proxy = EgressProxy::new(allowed, EgressLimits::default());
    tokio::spawn(proxy.serve(UnixListener::bind(&egress).unwrap(), shutdown.clone()));
    let through = EgressConnector::new(UnixConnector::new(&egress));
    let through = TlsConnector::new(through, client_config_pinned(holder.pin()).unwrap());
    let to_holder = HttpClient::new(through, ClientLimits::default());

    let inbound = dir.path().join("inbound");
    let enclave = Router::new().route(
        "/sign",
        get(move || async move {
            let request = get_path(&format!("127.0.0.1:{port}"), "/share");
            to_holder.send(request).await.unwrap().into_body()
        }),
    );
    let listener = UnixListener::bind(&inbound).unwrap();
    tokio::spawn(Server::new(enclave).hybrid(listener, 5000, shutdown));

    let gateway = HttpClient::new(
        HybridConnector::new(&inbound, 5000),
        ClientLimits::default(),
    );
    for _ in 0..3 {
        let answer = gateway.send(get_path("enclave", "/sign")).await.unwrap();
        assert_eq!(&answer.body()[..], b"share");
    }
    let mut wrong_port = UnixStream::connect(&inbound).await.unwrap();
    assert!(connect_port(&mut wrong_port, 5001).await.is_err());
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_the_next_request_works() {
    let tls = tls();
    let router = hello().route(
        "/",
        post(|body: Bytes| async move { body.len().to_string() }),
    );
    let router = harden(router, HttpLimits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (_trigger, shutdown) = Shutdown::manual();
    tokio::spawn(Server::new(router).tls(listener, tls.config(), shutdown));
    let client = client(&tls);
    let large = Request::post(format!("https://{authority}/"))
        .body(Bytes::from(vec![0; 10 * 1024 * 1024]))
        .unwrap();
    // The answer may come while we still write; then the connection breaks under the body.
    match client.send(large).await {
        Ok(answer) => {
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(
                Problem::from_response(&answer).unwrap().code,
                "body_too_large"
            );
        }
        Err(error) => assert!(error.may_have_been_sent()),
    }
    let answer = client.send(get_path(&authority, "/")).await.unwrap();
    assert_eq!(&answer.body()[..], b"hello");
}
