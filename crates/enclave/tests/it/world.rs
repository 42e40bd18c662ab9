//! The machine and everybody else: a platform whose peers are simulations behind locks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ciborium::Value;
use keyfold_crypto::testing::SeededRng;
use keyfold_enclave::{
    AttestRequest, ComposedMail, Enclave, HostRequest, HostResponse, MailError, Peer, PeerError,
    PeerRequest, PeerResponse, PeerTrust, Platform, PlatformError,
};
use keyfold_protocol::client_api::MailSettings;
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::{GenesisPlan, InstanceStatus, host_path};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::{RootKind, SignedRealmRecord};
use keyfold_protocol::registration::realm_pcr16;
use rand_core::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::guard::SimGuard;
use crate::holder::SimHolder;
use crate::host::SimHost;

/// Who is told of what happens.
const HOOKS: &str = "hooks.app.example:443";

pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// An answer of a simulation.
pub(crate) type Answer = Result<Vec<u8>, (Code, &'static str)>;

pub(crate) fn ok(body: impl Serialize) -> Answer {
    Ok(serde_json::to_vec(&body).unwrap())
}

pub(crate) fn refuse<T>(code: Code) -> Result<T, (Code, &'static str)> {
    Err((code, "because the test says so"))
}

/// Everybody but the enclaves.
pub(crate) struct World {
    pub(crate) holders: Vec<Mutex<SimHolder>>,
    pub(crate) guard: Mutex<SimGuard>,
    pub(crate) host: Mutex<SimHost>,
    pub(crate) mails: Mutex<Vec<String>>,
    /// What the last mail was to be sent with.
    pub(crate) mailed_by: Mutex<Option<MailSettings>>,
    pub(crate) mail_fails: AtomicBool,
    /// What the server of webhooks was sent.
    pub(crate) hooks: Mutex<Vec<PeerRequest>>,
    pub(crate) hooks_hang: AtomicBool,
    pub(crate) now_ms: AtomicU64,
    pub(crate) tick: Notify,
    seeds: AtomicU64,
}

impl World {
    pub(crate) fn new(holders: u8) -> Arc<Self> {
        Arc::new(Self {
            holders: (1..=holders)
                .map(|index| Mutex::new(SimHolder::new(index)))
                .collect(),
            guard: Mutex::new(SimGuard::new()),
            host: Mutex::new(SimHost::default()),
            mails: Mutex::new(Vec::new()),
            mailed_by: Mutex::new(None),
            mail_fails: AtomicBool::new(false),
            hooks: Mutex::new(Vec::new()),
            hooks_hang: AtomicBool::new(false),
            now_ms: AtomicU64::new(START_MS),
            tick: Notify::new(),
            seeds: AtomicU64::new(1),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst) / 1000
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.now_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seeds.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn holder<T>(&self, index: usize, act: impl FnOnce(&mut SimHolder) -> T) -> T {
        act(&mut self.holders[index - 1].lock().unwrap())
    }

    /// How often the holders were asked for a path, in all.
    pub(crate) fn calls(&self, path: &str) -> usize {
        (1..=self.holders.len())
            .map(|index| self.holder(index, |h| h.calls.iter().filter(|c| *c == path).count()))
            .sum()
    }

    /// The code in the newest mail that has one.
    pub(crate) fn code(&self) -> String {
        let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit());
        let mails = self.mails.lock().unwrap();
        let mut codes = mails.iter().rev().filter_map(|mail| {
            let (_, body) = mail.split_once("\r\n\r\n").unwrap();
            body.lines().find(is_code)
        });
        codes.next().unwrap().into()
    }

    pub(crate) fn plan(&self, threshold: u8) -> GenesisPlan {
        GenesisPlan {
            threshold,
            holders: self
                .holders
                .iter()
                .map(|h| h.lock().unwrap().card.clone())
                .collect(),
            root: RootKind::Development {
                certificate_sha256: Digest32::from_bytes([9; 32]),
            },
        }
    }

    pub(crate) fn machine(self: &Arc<Self>) -> Arc<Machine> {
        Arc::new(Machine {
            world: Arc::clone(self),
            rng: Mutex::new(SeededRng::new(self.seed())),
            pcr16: Mutex::new(None),
            skew_ms: AtomicU64::new(0),
            entropy_fails: AtomicBool::new(false),
        })
    }

    /// A new instance with its maintenance running.
    pub(crate) async fn instance(self: &Arc<Self>) -> Arc<Enclave<Machine>> {
        let enclave = Enclave::start(self.machine()).await.unwrap();
        run(&enclave);
        enclave
    }
}

pub(crate) fn run(enclave: &Arc<Enclave<Machine>>) {
    let beside = Arc::clone(enclave);
    tokio::spawn(async move { beside.maintain().await });
}

/// Lets everything that runs in the background get as far as it can.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// An instance's machine.
pub(crate) struct Machine {
    world: Arc<World>,
    rng: Mutex<SeededRng>,
    pub(crate) pcr16: Mutex<Option<[u8; 48]>>,
    /// How far the document's time is ahead.
    pub(crate) skew_ms: AtomicU64,
    pub(crate) entropy_fails: AtomicBool,
}

#[async_trait]
impl Platform for Machine {
    fn random(&self, out: &mut [u8]) -> Result<(), PlatformError> {
        if self.entropy_fails.load(Ordering::SeqCst) {
            return Err(PlatformError::Random);
        }
        self.rng.lock().unwrap().fill_bytes(out);
        Ok(())
    }

    fn attest(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError> {
        let now = self.world.now_ms.load(Ordering::SeqCst);
        let pcr16 = self.pcr16.lock().unwrap().unwrap_or(realm_pcr16(None));
        Ok(document(
            now + self.skew_ms.load(Ordering::SeqCst),
            pcr16,
            &request,
        ))
    }

    fn extend_pcr16_and_lock(&self, data: &[u8]) -> Result<(), PlatformError> {
        let mut pcr16 = self.pcr16.lock().unwrap();
        if pcr16.is_some() {
            return Err(PlatformError::Pcr);
        }
        *pcr16 = Some(keyfold_attest::extend([0; 48], data));
        Ok(())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.world.now_ms.load(Ordering::SeqCst))
    }

    async fn call(&self, peer: &Peer, request: PeerRequest) -> Result<PeerResponse, PeerError> {
        tokio::task::yield_now().await;
        let now_ms = self.world.now_ms.load(Ordering::SeqCst);
        let answer = match peer.trust {
            PeerTrust::HostStore => self.world.host.lock().unwrap().handle(&request)?,
            // On the web there is a server of webhooks alone.
            PeerTrust::TlsName { .. } if peer.authority == HOOKS => {
                self.world.hooks.lock().unwrap().push(request);
                if self.world.hooks_hang.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Ok(Vec::new())
            }
            PeerTrust::TlsName { .. } => return Err(PeerError::NotAllowed),
            PeerTrust::TlsSpkiSha256(spki) => {
                let guard = self.world.guard.lock().unwrap().spki == spki;
                if guard {
                    self.world.guard.lock().unwrap().handle(&request)?
                } else {
                    let holder = self
                        .world
                        .holders
                        .iter()
                        .find(|h| *h.lock().unwrap().card.tls_spki_sha256.as_bytes() == spki)
                        .ok_or(PeerError::WrongPeer)?;
                    let hangs = holder.lock().unwrap().hangs;
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                    holder.lock().unwrap().handle(&request, now_ms)?
                }
            }
        };
        tokio::task::yield_now().await;
        Ok(match answer {
            Ok(body) => PeerResponse { status: 200, body },
            Err((code, detail)) => {
                let problem = ProblemBody::new(code, Some(detail.to_owned()));
                PeerResponse {
                    status: problem.status,
                    body: serde_json::to_vec(&problem).unwrap(),
                }
            }
        })
    }

    async fn send_mail(
        &self,
        settings: &MailSettings,
        mail: &ComposedMail,
    ) -> Result<(), MailError> {
        *self.world.mailed_by.lock().unwrap() = Some(settings.clone());
        if self.world.mail_fails.load(Ordering::SeqCst) {
            return Err(MailError::Refused);
        }
        let text = mail
            .message()
            .expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        self.world.mails.lock().unwrap().push(text);
        Ok(())
    }

    async fn sleep(&self, duration: Duration) {
        if duration < Duration::from_secs(5) {
            tokio::task::yield_now().await;
        } else {
            self.world.tick.notified().await;
        }
    }
}

/// A document that has the form of a genuine one and no good signature.
fn document(timestamp_ms: u64, pcr16: [u8; 48], request: &AttestRequest<'_>) -> Vec<u8> {
    let bytes = |value: &[u8]| Value::Bytes(value.to_vec());
    let encode = |value: &Value| {
        let mut out = Vec::new();
        ciborium::into_writer(value, &mut out).unwrap();
        out
    };
    let claims = Value::Map(vec![
        ("module_id".into(), "simulation".into()),
        ("digest".into(), "SHA384".into()),
        ("timestamp".into(), timestamp_ms.into()),
        (
            "pcrs".into(),
            Value::Map(vec![
                (0.into(), bytes(&[1; 48])),
                (16.into(), bytes(&pcr16)),
            ]),
        ),
        ("certificate".into(), bytes(&[1])),
        ("cabundle".into(), Value::Array(vec![bytes(&[1])])),
        ("public_key".into(), bytes(request.public_key)),
        ("user_data".into(), bytes(request.user_data)),
        ("nonce".into(), bytes(request.nonce)),
    ]);
    let protected = encode(&Value::Map(vec![(1.into(), (-35).into())]));
    encode(&Value::Array(vec![
        Value::Bytes(protected),
        Value::Map(Vec::new()),
        Value::Bytes(encode(&claims)),
        bytes(&[0; 96]),
    ]))
}

/// One request of the host.
pub(crate) async fn ask(
    enclave: &Enclave<Machine>,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> HostResponse {
    ask_with(enclave, method, path, None, body).await
}

/// As [`ask`], with what is in a client's cookie beside it.
pub(crate) async fn ask_with(
    enclave: &Enclave<Machine>,
    method: &str,
    path: &str,
    sealed_session: Option<String>,
    body: Vec<u8>,
) -> HostResponse {
    enclave
        .handle(HostRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            sealed_session,
            body,
        })
        .await
}

pub(crate) fn json<T: DeserializeOwned>(response: &HostResponse) -> T {
    let text = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn problem(response: &HostResponse) -> ProblemBody {
    assert_eq!(response.content_type, "application/problem+json");
    serde_json::from_slice(&response.body).unwrap()
}

pub(crate) async fn status(enclave: &Enclave<Machine>) -> InstanceStatus {
    json(&ask(enclave, "GET", host_path::STATUS, Vec::new()).await)
}

/// Asks an instance for genesis.
pub(crate) async fn genesis(enclave: &Enclave<Machine>, plan: &GenesisPlan) -> HostResponse {
    ask(
        enclave,
        "POST",
        host_path::GENESIS,
        serde_json::to_vec(plan).unwrap(),
    )
    .await
}

/// A realm of 2 of 3 and an instance that serves it.
pub(crate) async fn realm() -> (Arc<World>, Arc<Enclave<Machine>>) {
    let world = World::new(3);
    let enclave = world.instance().await;
    let _: SignedRealmRecord = json(&genesis(&enclave, &world.plan(2)).await);
    (world, enclave)
}
