//! Servers of the web, through a real pipe and real TLS.

use std::sync::atomic::{AtomicUsize, Ordering};

use keyfold_net::pipe::Target;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;

use super::*;

const NAME: &str = "login.example";

/// A server of the web, and a host that lets the enclave reach it by its name.
struct Site {
    peers: Peers,
    roots_pem: Arc<str>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
    _trigger: ShutdownTrigger,
}

/// Serves every request with the same answer.
async fn site(name_in_certificate: &str, answer: Vec<u8>) -> Site {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name_in_certificate.to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, requests) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let counters = (Arc::clone(&connections), Arc::clone(&requests));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, answer, counters) = (tls.clone(), answer.clone(), counters.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else {
                    return;
                };
                counters.0.fetch_add(1, Ordering::SeqCst);
                let mut head = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        counters.1.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.write_all(&answer).await;
                    }
                }
            });
        }
    });

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (trigger, shutdown) = Shutdown::manual();
    let mut allowed = AllowList::new();
    let at = Target::new("127.0.0.1", port).unwrap();
    for name in [NAME, "elsewhere.example"] {
        allowed.allow_at(Target::new(name, 443).unwrap(), at.clone());
    }
    tokio::spawn(EgressProxy::new(allowed, EgressLimits::default()).serve(listener, shutdown));
    Site {
        peers: Peers::new(Arc::new(UnixConnector::new(path))),
        roots_pem: ca.pem().into(),
        connections,
        requests,
        _folder: folder,
        _trigger: trigger,
    }
}

fn answer(head: &str, body: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {body}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + body, b'x');
    answer
}

impl Site {
    async fn ask(
        &self,
        name: &str,
        roots_pem: Option<Arc<str>>,
    ) -> Result<PeerResponse, PeerError> {
        let peer = Peer {
            authority: format!("{name}:443"),
            trust: PeerTrust::TlsName { roots_pem },
        };
        let request = PeerRequest {
            method: "GET",
            path: "/jwks".into(),
            headers: vec![],
            body: vec![],
            max_response: usize::MAX,
            timeout: Duration::from_secs(10),
        };
        self.peers.call(&peer, request).await
    }

    fn roots(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.roots_pem))
    }

    fn counts(&self) -> (usize, usize) {
        let read = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (read(&self.connections), read(&self.requests))
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_for_its_name_is_asked_over_one_connection() {
    let site = site(NAME, answer("200 OK", 10)).await;
    for _ in 0..3 {
        let answer = site.ask(NAME, site.roots()).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 10));
    }
    assert_eq!(site.counts(), (1, 3));
}

#[tokio::test]
async fn a_server_without_a_certificate_for_its_name_under_the_roots_is_asked_nothing() {
    let (ours, other) = (
        site(NAME, answer("200 OK", 1)).await,
        site(NAME, vec![]).await,
    );
    // The connection that our roots vouch for is kept; it serves nobody who trusts others.
    assert!(ours.ask(NAME, ours.roots()).await.is_ok());
    for roots in [None, other.roots(), Some("no certificate".into())] {
        assert_eq!(
            ours.ask(NAME, roots).await.err(),
            Some(PeerError::WrongPeer)
        );
    }
    let elsewhere = ours.ask("elsewhere.example", ours.roots()).await;
    assert_eq!(elsewhere.err(), Some(PeerError::WrongPeer));
    assert_eq!(ours.counts().1, 1);
}

#[tokio::test]
async fn a_server_off_the_allow_list_is_out_of_reach() {
    let site = site("unlisted.example", answer("200 OK", 1)).await;
    let asked = site.ask("unlisted.example", site.roots()).await;
    assert_eq!(asked.err(), Some(PeerError::NotAllowed));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let head = "302 Found\r\nlocation: https://elsewhere.example/";
    let site = site(NAME, answer(head, 0)).await;
    assert_eq!(site.ask(NAME, site.roots()).await.unwrap().status, 302);
    assert_eq!(site.counts(), (1, 1));
}

#[tokio::test]
async fn a_server_of_the_web_says_only_so_much() {
    let most = site(NAME, answer("200 OK", MAX_WEB_ANSWER)).await;
    assert!(most.ask(NAME, most.roots()).await.is_ok());
    let more = site(NAME, answer("200 OK", MAX_WEB_ANSWER + 1)).await;
    assert_eq!(
        more.ask(NAME, more.roots()).await.err(),
        Some(PeerError::TooLarge)
    );
    // One that does not say how long it will go on.
    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..=MAX_WEB_ANSWER / 4096 {
        endless.extend_from_slice(b"1000\r\n");
        endless.resize(endless.len() + 4096, b'x');
        endless.extend_from_slice(b"\r\n");
    }
    let endless = site(NAME, endless).await;
    assert_eq!(
        endless.ask(NAME, endless.roots()).await.err(),
        Some(PeerError::TooLarge)
    );
    // And a head without end.
    let mut head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    head.resize(1024 * 1024, b'x');
    let head = site(NAME, head).await;
    assert!(head.ask(NAME, head.roots()).await.is_err());
}
