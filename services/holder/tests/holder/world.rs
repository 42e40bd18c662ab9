//! One holder of a realm of three, an enclave that talks to it, people with devices; and time that
//! stands still until a test moves it.

mod dealing;
mod enclave;
mod issuer;
mod passkey;
mod person;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use getrandom::SysRng;
use http_body_util::BodyExt as _;
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_crypto::Canonical as _;
use keyfold_crypto::commitment::{CommittedShare, ShareCommitment};
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::hpke::{HpkePrivateKey, HpkePublicKey};
use keyfold_crypto::shamir::{Share, Threshold, split};
use keyfold_holder_service::{
    Clock, Holder, HolderConfig, HolderKeys, HolderOpenError, Trust, router,
};
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{
    AttestationKeys, Empty, GenesisConsent, GenesisPropose, path, seed_share_context,
};
use keyfold_protocol::ids::{AddressId, Digest32, RealmId, Signature64};
use keyfold_protocol::realm::{
    HolderCard, RealmRecord, RootKind, SignedRealmRecord, VerifiedRealm,
};
use keyfold_protocol::session::{AttestationKeySet, AttestationSigner};
use rand_core::UnwrapErr;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) use dealing::{Dealt, combined, sharings};
pub(crate) use enclave::Enclave;
pub(crate) use issuer::{Behaviour, Issuer, Token};
pub(crate) use passkey::Authenticator;
pub(crate) use person::{Ask, Key, Person, share_release};

/// 2026-01-01 12:00:00 UTC.
pub(crate) const START_MS: u64 = 1_767_268_800_000;
/// The holder under test is the second of three, so that an index taken for another shows.
pub(crate) const OWN: u8 = 2;
const ADDRESS: &str = "h2.example:7102";

pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand_core::Rng::fill_bytes(&mut rng(), &mut bytes);
    bytes
}

#[derive(Debug)]
pub(crate) struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a refused call was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: Code,
}

pub(crate) type Answer<T> = Result<T, Refused>;

/// A realm that was proposed: the record and what the enclave knows besides.
pub(crate) struct Plan {
    pub(crate) record: RealmRecord,
    /// The seed share of the holder under test.
    pub(crate) share: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) config: HolderConfig,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: DevIssuer,
    pub(crate) holder: Arc<Holder>,
    pub(crate) router: Router,
    /// Signing keys of holders 1 and 3.
    pub(crate) others: [(u8, SigningKey); 2],
    pub(crate) signer: AttestationSigner,
    pub(crate) enclave: Enclave,
    realm: Option<VerifiedRealm>,
}

pub(crate) fn image() -> Measurements {
    Measurements::of_image([0xa0; 48], [0xa1; 48], [0xa2; 48])
}

impl World {
    /// A holder without a realm, and an enclave that is not registered.
    pub(crate) async fn bare() -> Self {
        Self::bare_with(|_| {}).await
    }

    pub(crate) async fn bare_with(change: impl FnOnce(&mut HolderConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = HolderConfig::new("h2", "party-2", "region-2", ADDRESS, listen);
        config.data_dir = dir.path().to_owned();
        change(&mut config);
        HolderKeys::init(&config, &mut rng()).unwrap();
        let issuer = DevIssuer::generate(&mut rng(), START_MS).unwrap();
        let clock = Arc::new(ManualClock(AtomicU64::new(START_MS)));
        let holder = open(&config, &issuer, &clock).await;
        Self {
            dir,
            router: router(Arc::clone(&holder)),
            holder,
            config,
            clock,
            issuer,
            others: [1, 3].map(|index| (index, SigningKey::generate(&mut rng()))),
            signer: AttestationSigner::generate_es256().unwrap(),
            enclave: Enclave::new(None),
            realm: None,
        }
    }

    /// A holder in a realm, a registered enclave of it, its attestation key stated.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut HolderConfig)) -> Self {
        let mut world = Self::bare_with(change).await;
        world.register(&world.enclave).await.unwrap();
        let plan = world.plan();
        let consent = world.propose(&plan).await.unwrap();
        let signed = world.sign(&plan, consent);
        world.commit(&signed).await.unwrap();
        world.join(signed);
        world.register(&world.enclave).await.unwrap();
        world.state_keys().await.unwrap();
        world
    }

    /// Makes the enclave part of a realm.
    pub(crate) fn join(&mut self, signed: SignedRealmRecord) {
        let realm = signed.verify_unpinned().unwrap();
        self.enclave = Enclave::new(Some(realm.id()));
        self.realm = Some(realm);
    }

    pub(crate) async fn state_keys(&self) -> Answer<Empty> {
        let keys = AttestationKeySet::new(vec![self.signer.public_jwk().clone()]).unwrap();
        self.call(path::ATTESTATION_KEYS, &AttestationKeys { keys })
            .await
    }

    pub(crate) fn realm(&self) -> &VerifiedRealm {
        self.realm.as_ref().unwrap()
    }

    pub(crate) fn realm_id(&self) -> RealmId {
        self.realm().id()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    pub(crate) fn set_ms(&self, unix_ms: u64) {
        self.clock.0.store(unix_ms, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Moves time on, past what a registration lives, and registers again.
    pub(crate) async fn advance_far(&self, seconds: u64) {
        self.advance(seconds);
        self.register(&self.enclave).await.unwrap();
    }

    /// Ends the process and starts it again over the same folder; the enclave registers again.
    pub(crate) async fn restart(&mut self) {
        self.holder.close().await;
        self.holder = open(&self.config, &self.issuer, &self.clock).await;
        self.router = router(Arc::clone(&self.holder));
        self.register(&self.enclave).await.unwrap();
    }

    /// Opens the holder again, for tests of what must not open.
    pub(crate) async fn reopen(&self) -> Result<Arc<Holder>, HolderOpenError> {
        try_open(&self.config, &self.issuer, &self.clock).await
    }

    /// A realm of three in which the holder under test is the second.
    pub(crate) fn plan(&self) -> Plan {
        let genesis_nonce = Digest32::from_bytes(random());
        let threshold = Threshold::new(2, 3).unwrap();
        let shares = split(&random::<32>(), threshold, &mut rng()).unwrap();
        let mut own = None;
        let commitments: Vec<ShareCommitment> = shares
            .into_iter()
            .map(|share: Share| {
                let index = share.index();
                let context = seed_share_context(&genesis_nonce, index);
                let (share, commitment) = CommittedShare::new(&context, share, &mut rng()).unwrap();
                if index == OWN {
                    own = Some(share);
                }
                commitment
            })
            .collect();
        let share = own.unwrap();
        let root = RootKind::Development {
            certificate_sha256: Digest32::from_bytes(
                TrustRoot::from_der(self.issuer.root_der())
                    .unwrap()
                    .fingerprint(),
            ),
        };
        let [first, third] = [0, 1].map(|at| card(self.others[at].0, &self.others[at].1));
        let record = RealmRecord {
            version: 1,
            serial: 1,
            previous: None,
            genesis_nonce,
            created: self.now(),
            threshold: 2,
            holders: vec![first, self.holder.card().clone(), third],
            root,
            policy_keys: Vec::new(),
            checkpointer: AddressId::from_bytes([7; 20]),
            seed_commitments: commitments,
        };
        Plan {
            record,
            share: share.to_bytes().expose(<[u8]>::to_vec),
        }
    }

    pub(crate) async fn propose(&self, plan: &Plan) -> Answer<GenesisConsent> {
        let context = seed_share_context(&plan.record.genesis_nonce, OWN);
        let seed_share = self
            .enclave
            .seal(&self.holder.card().hpke_key, &context, &plan.share);
        let message = GenesisPropose {
            record: plan.record.clone(),
            seed_share,
        };
        self.call(path::GENESIS_PROPOSE, &message).await
    }

    /// Adds the other holders' signatures to the consent of the holder under test.
    pub(crate) fn sign(&self, plan: &Plan, consent: GenesisConsent) -> SignedRealmRecord {
        let bytes = plan.record.to_signed_bytes();
        let [first, third] = [0, 1].map(|at| Signature64(self.others[at].1.sign(&bytes)));
        let signatures = vec![first, consent.signature, third];
        SignedRealmRecord {
            record: plan.record.clone(),
            signatures,
        }
    }

    pub(crate) async fn commit(&self, signed: &SignedRealmRecord) -> Answer<Empty> {
        self.call(path::GENESIS_COMMIT, signed).await
    }

    /// A call of the registered enclave.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        message: &impl serde::Serialize,
    ) -> Answer<T> {
        self.call_as(&self.enclave, path, message).await
    }

    pub(crate) async fn call_as<T: DeserializeOwned>(
        &self,
        enclave: &Enclave,
        path: &str,
        message: &impl serde::Serialize,
    ) -> Answer<T> {
        let body = serde_json::to_vec(message).unwrap();
        self.send(enclave.request(path, body, self.now()).into_http())
            .await
    }

    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: http::Request<Body>,
    ) -> Answer<T> {
        let (status, body) = self.raw(request).await;
        if status == 200 {
            return Ok(serde_json::from_slice(&body).unwrap());
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let code: Code = problem["code"].as_str().unwrap().parse().unwrap();
        assert_eq!(status, code.status(), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        Err(Refused { status, code })
    }

    pub(crate) async fn raw(&self, request: http::Request<Body>) -> (u16, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec(),
        )
    }
}

async fn open(config: &HolderConfig, issuer: &DevIssuer, clock: &Arc<ManualClock>) -> Arc<Holder> {
    try_open(config, issuer, clock).await.unwrap()
}

async fn try_open(
    config: &HolderConfig,
    issuer: &DevIssuer,
    clock: &Arc<ManualClock>,
) -> Result<Arc<Holder>, HolderOpenError> {
    let trust = Trust {
        root: TrustRoot::from_der(issuer.root_der()).unwrap(),
        policy: MeasurementPolicy::new(vec![image()]),
    };
    let keys = HolderKeys::load(config).unwrap();
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    Holder::open(config.clone(), keys, trust, clock).await
}

fn card(index: u8, key: &SigningKey) -> HolderCard {
    let hpke: HpkePublicKey = HpkePrivateKey::generate(&mut rng()).public_key();
    HolderCard {
        name: format!("h{index}"),
        party: format!("party-{index}"),
        region: format!("region-{index}"),
        address: format!("h{index}.example:710{index}"),
        signing_key: key.verifying_key(),
        hpke_key: hpke,
        tls_spki_sha256: Digest32::from_bytes([index; 32]),
    }
}

/// The code that a call was refused with.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(answer: Answer<T>) -> Code {
    answer.unwrap_err().code
}
