//! The holder as it runs: real sockets, TLS 1.3, a pinned key.

use std::net::SocketAddr;

use bytes::Bytes;
use keyfold_attest::MeasurementPolicy;
use keyfold_holder_service::{HolderConfig, Trust, init, run, status};
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{ClientLimits, HttpClient, SpkiPin};
use keyfold_protocol::holder_api::path;
use keyfold_protocol::realm::HolderCard;
use tokio::sync::oneshot;

fn client(pin: SpkiPin) -> HttpClient {
    let tls = client_config_pinned(pin).unwrap();
    HttpClient::new(
        TlsConnector::new(TcpConnector, tls),
        ClientLimits::default(),
    )
}

fn get(address: SocketAddr, path: &str) -> http::Request<Bytes> {
    http::Request::get(format!("https://localhost:{}{path}", address.port()))
        .body(Bytes::new())
        .unwrap()
}

#[tokio::test]
async fn it_serves_under_the_key_of_its_card_and_ends_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = HolderConfig::new("h1", "party", "region", "localhost:7101", listen);
    config.data_dir = dir.path().join("h1");
    let card = init(&config).unwrap();
    assert!(
        init(&config).is_err(),
        "a second init would replace the keys"
    );

    let trust = Trust {
        root: keyfold_attest::TrustRoot::aws_nitro(),
        policy: MeasurementPolicy::new(Vec::new()),
    };
    let ((ready, listening), (end, ended)) = (oneshot::channel(), oneshot::channel::<()>());
    let holder = tokio::spawn(run(
        config.clone(),
        trust,
        move |address| ready.send(address).unwrap(),
        async move { drop(ended.await) },
    ));
    let address = listening.await.unwrap();

    let pinned = client(SpkiPin(*card.tls_spki_sha256.as_bytes()));
    let response = pinned.send(get(address, path::CARD)).await.unwrap();
    let served: HolderCard = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(served, card);
    let ready = pinned.send(get(address, "/readyz")).await.unwrap();
    assert!(ready.status().is_success());
    let stranger = client(SpkiPin([1; 32]))
        .send(get(address, path::CARD))
        .await;
    assert!(
        stranger.is_err(),
        "a server with another key than the pinned one was believed"
    );

    drop(pinned);
    end.send(()).unwrap();
    holder.await.unwrap().unwrap();
    let status = status(&config).await.unwrap();
    assert_eq!((status.realm, status.log_entries), (None, 0));
}
