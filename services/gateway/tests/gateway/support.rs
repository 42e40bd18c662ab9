//! A running gateway, a fake enclave, and clients of both sides.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::Request;
use keyfold_crypto::ed25519;
use keyfold_crypto::hpke::HpkePrivateKey;
use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{Canonical as _, commitment::ShareCommitment};
use keyfold_gateway_service::{
    EnclaveSockets, GatewayConfig, GatewayError, Inbound, RateLimits, init, run,
};
use keyfold_net::client::{ClientLimits, TcpConnector, TlsConnector, UnixConnector};
use keyfold_net::pipe::EgressConnector;
use keyfold_net::problem::PROBLEM_JSON;
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{HttpClient, Server, Shutdown, ShutdownTrigger};
use keyfold_protocol::delivery::header::{SEALED_SESSION, SET_SESSION};
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::{HOST_AUTHORITY, InstanceStatus, Instances, host_path};
use keyfold_protocol::ids::{AddressId, Digest32, InstanceId, Signature64};
use keyfold_protocol::realm::{HolderCard, RealmRecord, RootKind, SignedRealmRecord};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) const INSTANCE: InstanceId = InstanceId::from_bytes([0xab; 16]);
pub(crate) const OTHER: InstanceId = InstanceId::from_bytes([0xcd; 16]);

/// A body that makes the fake enclave say that it has it, and wait.
pub(crate) const WAIT: &[u8] = b"wait";

#[derive(Clone)]
pub(crate) struct Fake {
    status: Arc<Mutex<InstanceStatus>>,
    /// Every body that arrived, with its content type.
    pub(crate) seen: Arc<Mutex<Vec<(String, Bytes)>>>,
    /// What was beside the last body, from a client's cookie.
    pub(crate) beside: Arc<Mutex<Option<String>>>,
    /// What the next calls want of the client's cookie.
    pub(crate) set_session: Arc<Mutex<Option<String>>>,
    /// What the next calls are answered.
    pub(crate) answer: Arc<Mutex<(u16, &'static str, Bytes)>>,
    pub(crate) entered: Arc<Notify>,
    pub(crate) go_on: Arc<Notify>,
    pub(crate) finished: Arc<Notify>,
}

/// A fake enclave on an inbound socket; dropping it kills it with its connections.
pub(crate) struct FakeEnclave {
    pub(crate) fake: Fake,
    serving: JoinHandle<()>,
    _trigger: ShutdownTrigger,
}

impl Fake {
    pub(crate) fn new(instance: InstanceId) -> Self {
        let status = InstanceStatus {
            instance,
            ready: true,
            awaits_genesis: false,
        };
        let answer = (200, "message/ohttp-res", Bytes::from_static(b"sealed"));
        Self {
            status: Arc::new(Mutex::new(status)),
            seen: Arc::default(),
            beside: Arc::default(),
            set_session: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
            entered: Arc::default(),
            go_on: Arc::default(),
            finished: Arc::default(),
        }
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.status.lock().unwrap().ready = ready;
    }

    pub(crate) fn answer_with(&self, status: u16, media: &'static str, body: impl Into<Bytes>) {
        *self.answer.lock().unwrap() = (status, media, body.into());
    }

    pub(crate) fn boot(&self, inbound: &Path) -> FakeEnclave {
        let _ = std::fs::remove_file(inbound);
        let router = Router::new()
            .route(host_path::STATUS, get(fake_status))
            .route(host_path::OHTTP, post(fake_call))
            .route(host_path::ATTESTATION, post(fake_call))
            .route(host_path::GENESIS, post(fake_call))
            .route(host_path::JWKS, get(fake_call))
            .with_state(self.clone());
        let (trigger, shutdown) = Shutdown::manual();
        let listener = UnixListener::bind(inbound).unwrap();
        FakeEnclave {
            fake: self.clone(),
            serving: tokio::spawn(Server::new(router).hybrid(listener, 5000, shutdown)),
            _trigger: trigger,
        }
    }
}

impl FakeEnclave {
    /// Ends the enclave as `kill -9` does: its connections break in the middle.
    pub(crate) async fn kill(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

async fn fake_status(State(fake): State<Fake>) -> Response {
    axum::Json(fake.status.lock().unwrap().clone()).into_response()
}

async fn fake_call(State(fake): State<Fake>, request: axum::extract::Request) -> Response {
    let media = request
        .headers()
        .get(CONTENT_TYPE)
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let beside = request.headers().get(SEALED_SESSION);
    *fake.beside.lock().unwrap() = beside.map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX)
        .await
        .unwrap();
    fake.seen.lock().unwrap().push((media, body.clone()));
    if body == WAIT {
        fake.entered.notify_one();
        fake.go_on.notified().await;
        fake.finished.notify_one();
    }
    let (status, media, body) = fake.answer.lock().unwrap().clone();
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, [(CONTENT_TYPE, media)], body).into_response();
    if let Some(change) = fake.set_session.lock().unwrap().as_ref() {
        let value = change.parse().unwrap();
        response.headers_mut().insert(SET_SESSION, value);
    }
    response
}

/// A gateway in a folder of its own.
pub(crate) struct Setup {
    _dir: TempDir,
    pub(crate) config: GatewayConfig,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) client: HttpClient,
    trigger: ShutdownTrigger,
    serving: JoinHandle<Result<(), GatewayError>>,
}

impl Setup {
    /// A gateway with this many enclaves.
    pub(crate) fn new(enclaves: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config =
            GatewayConfig::new("127.0.0.1:0".parse().unwrap(), dir.path().join("data"));
        config.enclaves = (0..enclaves)
            .map(|i| EnclaveSockets {
                inbound: dir.path().join(format!("{i}.in")).into(),
                outbound: dir.path().join(format!("{i}.out")).into(),
            })
            .collect();
        config.rate_limits = generous();
        Self { _dir: dir, config }
    }

    pub(crate) fn inbound(&self, i: usize) -> &Path {
        match &self.config.enclaves[i].inbound {
            Inbound::Socket(path) => path,
            other => panic!("{other} is no socket"),
        }
    }

    pub(crate) fn outbound(&self, i: usize) -> PathBuf {
        self.config.enclaves[i].outbound.to_string().into()
    }

    pub(crate) async fn start(&self) -> Running {
        let pin = init(&self.config).unwrap();
        let (trigger, shutdown) = Shutdown::manual();
        let (sender, ready) = tokio::sync::oneshot::channel();
        let tell = |address| sender.send(address).unwrap();
        let serving = tokio::spawn(run(self.config.clone(), tell, shutdown));
        let address = ready.await.expect("the gateway starts");
        let connector = TlsConnector::new(TcpConnector, client_config_pinned(pin).unwrap());
        Running {
            address,
            client: HttpClient::new(connector, ClientLimits::default()),
            trigger,
            serving,
        }
    }

    /// How an enclave reaches the host's records.
    pub(crate) fn records(&self, i: usize) -> HttpClient {
        let pipe = EgressConnector::new(UnixConnector::new(self.outbound(i)));
        let limits = ClientLimits {
            max_response_bytes: 4 * 1024 * 1024,
            ..ClientLimits::default()
        };
        HttpClient::new(pipe, limits)
    }
}

impl Running {
    pub(crate) async fn get(&self, path: &str) -> http::Response<Bytes> {
        self.send(Request::get(self.url(path)), Bytes::new()).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        media: &str,
        body: impl Into<Bytes>,
    ) -> http::Response<Bytes> {
        let request = Request::post(self.url(path)).header(CONTENT_TYPE, media);
        self.send(request, body.into()).await
    }

    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> http::Response<Bytes> {
        self.client.send(request.body(body).unwrap()).await.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Posts a sealed request.
    pub(crate) async fn sealed(
        &self,
        instance: InstanceId,
        body: impl Into<Bytes>,
    ) -> http::Response<Bytes> {
        self.post(&ohttp(instance), "message/ohttp-req", body).await
    }

    pub(crate) async fn instances(&self) -> Vec<InstanceId> {
        let answer = self.get("/v1/instances").await;
        let instances: Instances = serde_json::from_slice(answer.body()).unwrap();
        instances.instances
    }

    /// Asks until the gateway has noticed.
    pub(crate) async fn until_instances(&self, expected: &[InstanceId]) {
        while self.instances().await != expected {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn begin_shutdown(&self) {
        self.trigger.trigger();
    }

    pub(crate) async fn stop(self) {
        self.trigger.trigger();
        self.serving.await.unwrap().unwrap();
    }

    /// Ends the gateway without letting it do anything more.
    pub(crate) async fn kill(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

pub(crate) fn ohttp(instance: InstanceId) -> String {
    format!("/v1/instances/{instance}/ohttp")
}

pub(crate) fn attestation(instance: InstanceId) -> String {
    format!("/v1/instances/{instance}/attestation")
}

/// Calls the record store as an enclave does.
pub(crate) async fn records<T: serde::Serialize>(
    client: &HttpClient,
    method: &str,
    path: &str,
    body: Option<&T>,
) -> http::Response<Bytes> {
    let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(body).unwrap());
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{HOST_AUTHORITY}{path}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(body))
        .unwrap();
    client.send(request).await.unwrap()
}

/// Checks that an answer is a problem of the documented shape, with a code of the table, that
/// code's status and the id of the request.
pub(crate) fn code(answer: &http::Response<Bytes>) -> Code {
    let media = answer.headers().get(CONTENT_TYPE).expect("a content type");
    assert_eq!(media, PROBLEM_JSON);
    let problem: ProblemBody = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem.status, answer.status().as_u16());
    assert_eq!(problem.status, problem.code.status());
    assert_eq!(
        problem.request_id.as_deref(),
        answer
            .headers()
            .get("x-request-id")
            .map(|id| id.to_str().unwrap())
    );
    problem.code
}

fn generous() -> RateLimits {
    let text = r#"
        requests = { requests = 100000, per_seconds = 1 }
        sealed = { requests = 100000, per_seconds = 1 }
        attestations = { requests = 100000, per_seconds = 1 }
        transactions = { requests = 100000, per_seconds = 1 }
    "#;
    toml::from_str(text).unwrap()
}

/// A realm record that its three holders signed.
pub(crate) fn realm(seed: u64) -> SignedRealmRecord {
    let mut rng = SeededRng::new(seed);
    let keys: Vec<_> = (0..3)
        .map(|_| ed25519::SigningKey::generate(&mut rng))
        .collect();
    let holders = keys
        .iter()
        .enumerate()
        .map(|(i, key)| HolderCard {
            name: format!("holder-{i}"),
            party: format!("party-{i}"),
            region: format!("region-{i}"),
            address: format!("holder-{i}.example:443"),
            signing_key: key.verifying_key(),
            hpke_key: HpkePrivateKey::generate(&mut rng).public_key(),
            tls_spki_sha256: Digest32::random(&mut rng),
        })
        .collect();
    let record = RealmRecord {
        version: 1,
        serial: 1,
        previous: None,
        genesis_nonce: Digest32::random(&mut rng),
        created: 1_800_000_000,
        threshold: 2,
        holders,
        root: RootKind::AwsNitro,
        policy_keys: Vec::new(),
        checkpointer: AddressId::random(&mut rng),
        seed_commitments: vec![ShareCommitment([9; 32]); 3],
    };
    let bytes = record.to_signed_bytes();
    let signatures = keys.iter().map(|key| Signature64(key.sign(&bytes)));
    SignedRealmRecord {
        signatures: signatures.collect(),
        record,
    }
}
