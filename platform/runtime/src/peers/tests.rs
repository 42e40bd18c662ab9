//! Answers of the host's store, through a real pipe.

use std::sync::Arc;
use std::time::Duration;

use keyfold_net::client::UnixConnector;
use keyfold_net::pipe::{AllowList, EgressLimits, EgressProxy, LocalService};
use keyfold_net::{Shutdown, ShutdownTrigger};
use keyfold_protocol::gateway_api::HOST_AUTHORITY;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::*;

mod web;

struct Host {
    peers: Peers,
    heads: mpsc::UnboundedReceiver<String>,
    _folder: tempfile::TempDir,
    _trigger: ShutdownTrigger,
}

/// A host whose store answers every request with that many bytes.
fn host(answer: usize) -> Host {
    let (sender, heads) = mpsc::unbounded_channel();
    let store: LocalService = Arc::new(move |mut pipe| {
        let sender = sender.clone();
        Box::pin(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(pipe.read_u8().await.unwrap());
            }
            sender.send(String::from_utf8(head).unwrap()).unwrap();
            let mut response =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {answer}\r\n\r\n").into_bytes();
            response.resize(response.len() + answer, b'x');
            // Whoever finds it too long hangs up.
            let _ = pipe.write_all(&response).await;
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (trigger, shutdown) = Shutdown::manual();
    let proxy = EgressProxy::new(AllowList::new(), EgressLimits::default());
    let proxy = proxy.local(HOST_AUTHORITY.parse().unwrap(), store);
    tokio::spawn(proxy.serve(listener, shutdown));
    Host {
        peers: Peers::new(Arc::new(UnixConnector::new(path))),
        heads,
        _folder: folder,
        _trigger: trigger,
    }
}

async fn ask(host: &Host, max_response: usize) -> Result<PeerResponse, PeerError> {
    let peer = Peer {
        authority: HOST_AUTHORITY.into(),
        trust: PeerTrust::HostStore,
    };
    let request = PeerRequest {
        method: "POST",
        path: "/v1/host/records/get".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: b"{}".to_vec(),
        max_response,
        timeout: Duration::from_secs(10),
    };
    host.peers.call(&peer, request).await
}

#[tokio::test]
async fn a_record_with_versions_that_nobody_settled_is_still_read() {
    // Six versions of the largest record, in base64.
    let host = host(6 * 350_000);
    let answer = ask(&host, MAX_ANSWER).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 6 * 350_000));
}

#[tokio::test]
async fn an_answer_above_the_limit_of_its_request_is_refused() {
    let small = host(1_001);
    assert_eq!(ask(&small, 1_000).await.err(), Some(PeerError::TooLarge));
    let huge = host(MAX_ANSWER + 1);
    assert_eq!(
        ask(&huge, usize::MAX).await.err(),
        Some(PeerError::TooLarge)
    );
}

#[tokio::test]
async fn a_body_has_one_type() {
    let mut host = host(0);
    ask(&host, 10).await.unwrap();
    let head = host.heads.recv().await.unwrap().to_ascii_lowercase();
    assert_eq!(head.matches("content-type:").count(), 1, "{head}");
}
