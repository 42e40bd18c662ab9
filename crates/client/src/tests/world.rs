//! A realm in memory: one holder's record, an enclave with real keys and documents, a gateway in
//! between, and a relayer. Each part can be told to lie.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::hpke::HpkePrivateKey;
use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk};
use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{Canonical as _, Secret, ed25519, secp256k1};
use keyfold_platform_dev::issuer::{DevIssuer, IssueRequest};
use keyfold_protocol::client_api::{
    CreateWallet, Nothing, Renewed, Revocation, SignInStarted, SignRequest, Signed, SignedIn,
    SignedOut, WalletInfo, Wallets, header, path,
};
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::{self, AttestationRequest, Instances};
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::ids::{
    AccountId, AddressId, Digest32, InstanceId, KeyId, ProjectId, RealmId, RequestId, SessionId,
    SignInHandle, Signature64,
};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::ohttp::{GatewayKeys, InnerRequest, InnerResponse, RESPONSE_MEDIA_TYPE};
use keyfold_protocol::realm::{HolderCard, RealmRecord, RootKind, SignedRealmRecord};
use keyfold_protocol::registration::{AttestedBinding, InstanceBinding, realm_pcr16};
use keyfold_protocol::relayer_api::{
    IDEMPOTENCY_HEADER, Relay, RelayState, Relayed, WalletOnChain,
};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignedComponents, check_body, verify_device,
};
use keyfold_wallet::config::default_tree;
use keyfold_wallet::signature::{Header, encode};
use keyfold_wallet::{Config, Context, EcdsaSignature, SignaturePart, ValidConfig, wallet_address};

use crate::{
    Client, ClientError, Environment, EnvironmentError, OuterRequest, OuterResponse, RealmPin,
    Session, Transport, TransportError, Wallet,
};

/// 2026-01-01 12:00:00 UTC.
pub(super) const NOW_MS: u64 = 1_767_268_800_000;
pub(super) const CODE: &str = "12345678";
pub(super) const CHAIN: u64 = 31_337;

pub(super) fn image() -> Measurements {
    Measurements::of_image([0xa0; 48], [0xa1; 48], [0xa2; 48])
}

pub(super) fn project() -> ProjectId {
    "app.example".parse().unwrap()
}

/// Polls to the end. Nothing here waits for anything but its own turn.
pub(super) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut TaskContext::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}

/// Lets every other task have its turn once.
async fn a_turn() {
    let mut had = false;
    std::future::poll_fn(|context| {
        if had {
            return Poll::Ready(());
        }
        had = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[derive(Clone)]
pub(super) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(super) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn advance_ms(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn go_back_ms(&self, by: u64) {
        self.0.fetch_sub(by, Ordering::Relaxed);
    }
}

pub(super) struct TestEnvironment {
    clock: Clock,
    rng: Mutex<SeededRng>,
}

#[async_trait]
impl Environment for TestEnvironment {
    fn now_unix_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EnvironmentError> {
        let mut rng = self.rng.lock().unwrap();
        for byte in bytes {
            Secret::<1>::random(&mut *rng).expose(|one| *byte = one[0]);
        }
        Ok(())
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        self.clock.advance_ms(milliseconds);
    }
}

/// One enclave.
pub(super) struct Enclave {
    pub(super) binding: InstanceBinding,
    pub(super) hpke: HpkePrivateKey,
    pub(super) ohttp: GatewayKeys,
    pub(super) pcr0: [u8; 48],
    pub(super) pcr16: [u8; 48],
}

impl Enclave {
    pub(super) fn new(seed: u64, realm: RealmId) -> Self {
        let mut rng = SeededRng::new(seed);
        let ohttp = GatewayKeys::new([seed as u8; 32], seed as u8).unwrap();
        Self {
            binding: InstanceBinding {
                version: 1,
                signing_key: ed25519::SigningKey::generate(&mut rng).verifying_key(),
                ohttp_config: ohttp.encoded_config().as_bytes().to_vec(),
                realm: Some(realm),
            },
            hpke: HpkePrivateKey::generate(&mut rng),
            ohttp,
            pcr0: image().pcr0,
            pcr16: realm_pcr16(Some(realm)),
        }
    }

    pub(super) fn id(&self) -> InstanceId {
        self.binding.instance()
    }

    /// Starts over with another OHTTP key, as after the hourly rotation and ten minutes.
    pub(super) fn rotate(&mut self, seed: u8) {
        self.ohttp = GatewayKeys::new([seed; 32], seed).unwrap();
        self.binding.ohttp_config = self.ohttp.encoded_config().as_bytes().to_vec();
    }
}

type Alter<T> = Box<dyn Fn(&mut T) + Send>;

/// What the host is made of. Tests reach in.
pub(super) struct State {
    pub(super) issuer: DevIssuer,
    pub(super) record: SignedRealmRecord,
    pub(super) enclaves: Vec<Enclave>,
    /// What the gateway lists; the enclaves unless a test says otherwise.
    pub(super) listed: Option<Vec<InstanceId>>,
    /// Routes whatever is for any instance to the first.
    pub(super) misroute: bool,
    /// Changes the answer to an attestation request.
    pub(super) alter_attested: Option<Alter<AttestedBinding>>,
    /// Changes the nonce before the enclave sees it.
    pub(super) alter_nonce: Option<Alter<Vec<u8>>>,
    /// Changes a sealed reply.
    pub(super) alter_sealed: Option<Alter<Vec<u8>>>,
    /// Changes a wallet that the enclave tells of.
    pub(super) alter_wallet: Option<Alter<WalletInfo>>,
    /// Changes what the enclave signed.
    pub(super) alter_signed: Option<Alter<Signed>>,
    /// Answers the next sealed request without opening it.
    pub(super) answer_plainly: Option<OuterResponse>,
    /// Answers every sealed request so, without opening it.
    pub(super) always_plain: Option<OuterResponse>,
    /// Refuses inside the channel, once, before it looks at the request.
    pub(super) refuse: Option<Code>,
    /// Refuses inside the channel, once, after it verified the request.
    pub(super) refuse_after_opening: Option<Code>,
    /// Nonces of the signed requests.
    pub(super) nonces: Vec<String>,
    pub(super) attestations: usize,
    /// Request ids and paths as the enclaves opened them.
    pub(super) opened: Vec<(RequestId, String)>,
    /// Whatever arrived at an instance, sealed.
    pub(super) sealed_requests: Vec<Vec<u8>>,
    pub(super) session_seconds: u64,
    pub(super) attestation_seconds: u64,
    pub(super) signed_in: u32,
    pub(super) wallets: Vec<WalletInfo>,
    pub(super) relayed: BTreeMap<RequestId, (Relay, usize)>,
    /// Drops so many answers of the relayer after it acted.
    pub(super) lose_answers: usize,
    /// Looks at a transaction before it is in a block.
    pub(super) looks_until_mined: usize,
    pub(super) outcome: RelayState,
    rng: SeededRng,
}

pub(super) struct Host {
    pub(super) clock: Clock,
    pub(super) state: Mutex<State>,
}

/// The owner's key, and what it signs with.
pub(super) fn owner(seed: u8) -> secp256k1::SigningKey {
    secp256k1::SigningKey::from_secret(&Secret::from_array([seed; 32])).unwrap()
}

pub(super) fn info(label: &str, config: &ValidConfig) -> WalletInfo {
    let image_hash = config.image_hash();
    WalletInfo {
        label: label.to_owned(),
        address: wallet_address(&image_hash, &Context::keyfold()),
        context: "keyfold".to_owned(),
        key: KeyId::from_bytes([7; 16]),
        config: Config::clone(config),
        image_hash,
        created: NOW_MS / 1000,
    }
}

/// Makes a record of a realm with one holder, signed.
pub(super) fn realm_record(issuer: &DevIssuer, nonce: u8) -> SignedRealmRecord {
    let mut rng = SeededRng::new(99);
    let holder = ed25519::SigningKey::generate(&mut rng);
    let root = TrustRoot::from_der(issuer.root_der()).unwrap();
    let record = RealmRecord {
        version: 1,
        serial: 1,
        previous: None,
        genesis_nonce: Digest32::from_bytes([nonce; 32]),
        created: NOW_MS / 1000,
        threshold: 1,
        holders: vec![HolderCard {
            name: "h1".into(),
            party: "p".into(),
            region: "r".into(),
            address: "h1.example:1".into(),
            signing_key: holder.verifying_key(),
            hpke_key: HpkePrivateKey::generate(&mut rng).public_key(),
            tls_spki_sha256: Digest32::from_bytes([1; 32]),
        }],
        root: RootKind::Development {
            certificate_sha256: Digest32::from_bytes(root.fingerprint()),
        },
        policy_keys: Vec::new(),
        checkpointer: AddressId::from_bytes([2; 20]),
        seed_commitments: vec![ShareCommitment([3; 32])],
    };
    let signature = holder.sign(&record.to_signed_bytes());
    SignedRealmRecord {
        record,
        signatures: vec![Signature64(signature)],
    }
}

/// A host, and the pin that fits it.
pub(super) fn world() -> (Arc<Host>, RealmPin) {
    let mut rng = SeededRng::new(1);
    let issuer = DevIssuer::generate(&mut rng, NOW_MS).unwrap();
    let record = realm_record(&issuer, 0);
    let realm = record.record.id();
    let pin = RealmPin {
        realm,
        root: TrustRoot::from_der(issuer.root_der()).unwrap(),
        policy: MeasurementPolicy::new(vec![image()]),
    };
    let state = State {
        issuer,
        record,
        enclaves: vec![Enclave::new(10, realm)],
        listed: None,
        misroute: false,
        alter_attested: None,
        alter_nonce: None,
        alter_sealed: None,
        alter_wallet: None,
        alter_signed: None,
        answer_plainly: None,
        always_plain: None,
        refuse: None,
        refuse_after_opening: None,
        nonces: Vec::new(),
        attestations: 0,
        opened: Vec::new(),
        sealed_requests: Vec::new(),
        session_seconds: 7 * 86_400,
        attestation_seconds: 3_600,
        signed_in: 0,
        wallets: Vec::new(),
        relayed: BTreeMap::new(),
        lose_answers: 0,
        looks_until_mined: 2,
        outcome: RelayState::Mined,
        rng,
    };
    let clock = Clock(Arc::new(AtomicU64::new(NOW_MS)));
    (
        Arc::new(Host {
            clock,
            state: Mutex::new(state),
        }),
        pin,
    )
}

pub(super) type TestClient = Client<Arc<Host>, DeviceSigningKey, TestEnvironment>;

pub(super) fn client(host: &Arc<Host>, pin: &RealmPin) -> TestClient {
    client_of(host, pin, 5)
}

pub(super) fn client_of(host: &Arc<Host>, pin: &RealmPin, device: u64) -> TestClient {
    let mut rng = SeededRng::new(device);
    let credential = DeviceSigningKey::generate_p256(&mut rng);
    let environment = TestEnvironment {
        clock: host.clock.clone(),
        rng: Mutex::new(rng),
    };
    Client::new(pin.clone(), Arc::clone(host), credential, environment)
}

pub(super) fn sign_in(client: &TestClient) -> Result<Session, ClientError> {
    run(async {
        let pending = client.start_email(&project(), "a@example.org").await?;
        client.finish_email(&pending, CODE, "a test").await
    })
}

/// A signed-in client with a wallet.
pub(super) fn ready() -> (Arc<Host>, TestClient, Session, Wallet) {
    let (host, pin) = world();
    let client = client(&host, &pin);
    let session = sign_in(&client).unwrap();
    let wallet = run(client.create_wallet(&session, "main")).unwrap();
    (host, client, session, wallet)
}

impl Host {
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Host {
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
        a_turn().await;
        let now_ms = self.clock.now_ms();
        self.state.lock().unwrap().answer(&request, now_ms)
    }
}

fn answer<T: serde::Serialize>(value: &T) -> OuterResponse {
    OuterResponse {
        status: 200,
        content_type: Some("application/json".into()),
        body: serde_json::to_vec(value).unwrap(),
    }
}

pub(super) fn problem(code: Code) -> OuterResponse {
    OuterResponse {
        status: code.status(),
        content_type: Some("application/problem+json".into()),
        body: serde_json::to_vec(&ProblemBody::new(code, None)).unwrap(),
    }
}

impl State {
    fn answer(
        &mut self,
        request: &OuterRequest,
        now_ms: u64,
    ) -> Result<OuterResponse, TransportError> {
        let path = request.path.as_str();
        Ok(match path {
            gateway_api::path::REALM => answer(&self.record),
            gateway_api::path::INSTANCES => answer(&Instances {
                instances: self
                    .listed
                    .clone()
                    .unwrap_or_else(|| self.enclaves.iter().map(Enclave::id).collect()),
            }),
            gateway_api::path::TRANSACTIONS => {
                let relayed = self.relay(request);
                if self.lose_answers > 0 {
                    self.lose_answers -= 1;
                    return Err(TransportError {
                        reason: "the connection broke".into(),
                        may_have_been_sent: true,
                    });
                }
                relayed
            }
            _ if path.starts_with("/v1/transactions/") => {
                let id = path.rsplit('/').next().unwrap().parse().unwrap();
                self.transaction(id)
            }
            _ if path.starts_with("/v1/chains/") => answer(&WalletOnChain {
                deployed: false,
                nonce: self.relayed.len() as u64,
                balance: U256::from(1),
            }),
            _ => {
                let mut parts = path.split('/').skip(3);
                let id = parts.next().unwrap().parse::<InstanceId>().unwrap();
                let right = |enclave: &Enclave| self.misroute || enclave.id() == id;
                let Some(at) = self.enclaves.iter().position(right) else {
                    return Ok(problem(Code::UnknownInstance));
                };
                match parts.next().unwrap() {
                    "attestation" => self.attest(at, request, now_ms),
                    _ => self.sealed(at, request, now_ms),
                }
            }
        })
    }

    fn attest(&mut self, at: usize, request: &OuterRequest, now_ms: u64) -> OuterResponse {
        self.attestations += 1;
        let asked: AttestationRequest = serde_json::from_slice(&request.body).unwrap();
        let mut nonce = asked.nonce.as_bytes().to_vec();
        if let Some(alter) = &self.alter_nonce {
            alter(&mut nonce);
        }
        let enclave = &self.enclaves[at];
        let image = image();
        let issue = IssueRequest {
            module_id: "i-test".into(),
            timestamp_ms: now_ms,
            pcrs: BTreeMap::from([
                (0, enclave.pcr0),
                (1, image.pcr1),
                (2, image.pcr2),
                (16, enclave.pcr16),
            ]),
            nonce: Some(nonce),
            user_data: Some(enclave.binding.user_data().to_vec()),
            public_key: Some(enclave.hpke.public_key().0.to_vec()),
        };
        let mut attested = AttestedBinding {
            document: self.issuer.issue(&issue, &mut self.rng).unwrap(),
            binding: enclave.binding.clone(),
        };
        if let Some(alter) = &self.alter_attested {
            alter(&mut attested);
        }
        answer(&attested)
    }

    fn sealed(&mut self, at: usize, request: &OuterRequest, now_ms: u64) -> OuterResponse {
        self.sealed_requests.push(request.body.clone());
        if let Some(plain) = self.answer_plainly.take().or(self.always_plain.clone()) {
            return plain;
        }
        let opened = self.enclaves[at].ohttp.open(&request.body, now_ms / 1000);
        let Ok((inner, sealer)) = opened else {
            return problem(Code::UnknownKey);
        };
        let id = self.enclaves[at].id();
        let reply = match self.refuse.take() {
            Some(code) => problem(code),
            None => self.enclave(id, &inner, now_ms / 1000),
        };
        let reply = InnerResponse {
            status: reply.status,
            headers: Vec::new(),
            body: reply.body,
        };
        let mut sealed = sealer.seal(&reply).unwrap();
        if let Some(alter) = &self.alter_sealed {
            alter(&mut sealed);
        }
        OuterResponse {
            status: 200,
            content_type: Some(RESPONSE_MEDIA_TYPE.into()),
            body: sealed,
        }
    }

    /// What an enclave does: verify as the real one does, then answer.
    fn enclave(&mut self, id: InstanceId, request: &InnerRequest, now: u64) -> OuterResponse {
        let field = |name| request.header(name).map(str::to_owned);
        let attestation = field(header::ATTESTATION);
        let profile = if attestation.is_some() {
            Profile::Request
        } else {
            Profile::SignIn
        };
        let signed = SignedComponents {
            components: Components {
                method: request.method.clone(),
                authority: request.authority.clone(),
                path: request.path_and_query.clone(),
                query: "?".into(),
                content_digest: field(header::CONTENT_DIGEST).unwrap(),
                device: Some(DeviceHeaders {
                    realm: field(header::REALM).unwrap(),
                    project: field(header::PROJECT).unwrap(),
                    intent: field(header::INTENT).unwrap(),
                    session: field(header::SESSION),
                }),
            },
            signature_input: field(header::SIGNATURE_INPUT).unwrap(),
            signature: field(header::SIGNATURE).unwrap(),
        };
        let device: PublicJwk = match field(header::DEVICE) {
            Some(text) => serde_json::from_str(&text).unwrap(),
            None => {
                let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                let key = body.get("device").or(body.get("administrator")).unwrap();
                serde_json::from_value(key.clone()).unwrap()
            }
        };
        let verified = verify_device(profile, &signed, &device, now).unwrap();
        check_body(&verified.components, &request.body).unwrap();
        assert_eq!(verified.components.authority, id.to_string());
        assert_eq!(verified.realm, self.record.record.id());
        if let Some(jwt) = &attestation {
            let hash = keyfold_protocol::session::attestation_hash(jwt);
            assert_eq!(verified.session, Some(Digest32::from_bytes(hash)));
            assert!(
                jwt.ends_with(&format!("/{}", verified.device)),
                "another device's attestation"
            );
        }
        let intent = &verified.intent;
        self.opened
            .push((intent.request_id(), request.path_and_query.clone()));
        self.nonces.push(verified.nonce.clone());
        if let Some(code) = self.refuse_after_opening.take() {
            return problem(code);
        }
        let body = &request.body;
        match (request.path_and_query.as_str(), intent.operation()) {
            (path::EMAIL_START, Operation::SignInStart) => answer(&SignInStarted {
                sign_in: SignInHandle::from_bytes([1; 16]),
                expires: now + 600,
            }),
            (path::EMAIL_FINISH, Operation::SignInFinish) => {
                let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                if body["code"] != CODE {
                    return problem(Code::SignInRefused);
                }
                self.signed_in += 1;
                answer(&SignedIn {
                    account: AccountId::from_bytes([4; 16]),
                    session: SessionId::from_bytes([5; 16]),
                    attestation: format!("attestation-{}/{}", self.signed_in, verified.device),
                    attestation_expires: now + self.attestation_seconds,
                    session_ends: now + self.session_seconds,
                    device: DeviceState::Active,
                    wallets: self.told_wallets(),
                })
            }
            (path::RENEW, Operation::Renew) => {
                self.signed_in += 1;
                answer(&Renewed {
                    attestation: format!("attestation-{}/{}", self.signed_in, verified.device),
                    attestation_expires: now + self.attestation_seconds,
                    device: DeviceState::Active,
                })
            }
            (path::SIGN_OUT, Operation::SignOut) => answer(&SignedOut {
                state: Revocation::Done,
            }),
            (path::WALLET_CREATE, Operation::CreateWallet) => {
                let CreateWallet { label } = serde_json::from_slice(body).unwrap();
                if !self.wallets.iter().any(|wallet| wallet.label == label) {
                    let config = default_tree(Address::from(owner(1).address()), None).unwrap();
                    self.wallets.push(info(&label, &config));
                }
                let told = self.told_wallets();
                answer(
                    told.iter()
                        .find(|wallet| wallet.label == label)
                        .unwrap_or(&told[0]),
                )
            }
            (path::WALLET_LIST, Operation::ListWallets) => answer(&Wallets {
                wallets: self.told_wallets(),
            }),
            (path::DEVICE_APPROVE, Operation::ApproveDevice) => answer(&Nothing {}),
            (path::SIGN_MESSAGE, Operation::SignMessage)
            | (path::SIGN_TRANSACTION, Operation::SignTransaction) => {
                let request: SignRequest = serde_json::from_slice(body).unwrap();
                let (_, digest) = request.digest().unwrap();
                let key_use = intent.key_use().unwrap();
                assert_eq!(key_use.digest, digest);
                assert_eq!(key_use.wallet.as_bytes(), request.wallet.as_slice());
                let wallet = self
                    .wallets
                    .iter()
                    .find(|w| w.address == request.wallet)
                    .unwrap();
                assert_eq!(key_use.key, wallet.key);
                let config = ValidConfig::new(wallet.config.clone()).unwrap();
                let mut signed = Signed {
                    digest,
                    signature: sign(&config, 1, B256::from(*digest.as_bytes())),
                };
                if let Some(alter) = &self.alter_signed {
                    alter(&mut signed);
                }
                answer(&signed)
            }
            _ => problem(Code::IntentMismatch),
        }
    }

    fn told_wallets(&self) -> Vec<WalletInfo> {
        let mut told = self.wallets.clone();
        if let Some(alter) = &self.alter_wallet {
            told.iter_mut().for_each(alter);
        }
        told
    }

    fn relay(&mut self, request: &OuterRequest) -> OuterResponse {
        let (name, id) = &request.headers[0];
        assert_eq!(*name, IDEMPOTENCY_HEADER);
        let id: RequestId = id.parse().unwrap();
        let relay: Relay = serde_json::from_slice(&request.body).unwrap();
        let entry = self.relayed.entry(id).or_insert((relay.clone(), 0));
        assert_eq!(entry.0, relay, "one id, two requests");
        self.transaction(id)
    }

    fn transaction(&mut self, id: RequestId) -> OuterResponse {
        let Some((relay, looks)) = self.relayed.get_mut(&id) else {
            return problem(Code::TransactionUnknown);
        };
        *looks += 1;
        let mined = *looks > self.looks_until_mined;
        answer(&Relayed {
            id,
            chain_id: relay.chain_id,
            hash: B256::repeat_byte(9),
            state: if mined {
                self.outcome
            } else {
                RelayState::Sent
            },
            block: mined.then_some(12),
            gas_used: None,
            deployed: true,
        })
    }
}

/// The signature of an owner's key over a digest, in a configuration that names it.
pub(super) fn sign(config: &ValidConfig, seed: u8, digest: B256) -> Bytes {
    sign_with(config, seed, digest, &Header::default())
}

/// As [`sign`], with a header of one's own.
pub(super) fn sign_with(config: &ValidConfig, seed: u8, digest: B256, header: &Header) -> Bytes {
    let key = owner(seed);
    let signature = EcdsaSignature::from_rsv(&key.sign_prehash(&digest.0).to_rsv()).unwrap();
    let part = SignaturePart::EcdsaHash(signature);
    let parts = BTreeMap::from([(Address::from(key.address()), part)]);
    encode(config, &parts, header).unwrap()
}
