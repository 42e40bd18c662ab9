//! A realm in memory: its record, an enclave with real keys and documents, a gateway in between,
//! and a relayer. Each part can be told to lie.

mod enclave;
mod environment;
mod host;
mod realm;
mod wallets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keyfold_attest::{MeasurementPolicy, TrustRoot};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_crypto::testing::SeededRng;
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_protocol::ids::{AccountId, ProjectId};
use keyfold_protocol::relayer_api::RelayState;

pub(super) use environment::{Clock, TestEnvironment, run};
pub(super) use host::{Host, State, problem};
pub(super) use realm::{Enclave, image, realm_record};
pub(super) use wallets::{info, info_with, owner, sign, sign_with};

use crate::{Client, ClientError, RealmPin, Session, Wallet};

/// 2026-01-01 12:00:00 UTC.
pub(super) const NOW_MS: u64 = 1_767_268_800_000;
pub(super) const CODE: &str = "12345678";
pub(super) const CHAIN: u64 = 31_337;

pub(super) fn project() -> ProjectId {
    "app.example".parse().unwrap()
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
        cookie: None,
        passed: None,
        overtaken: 0,
        with_cookies: 0,
        account: AccountId::from_bytes([4; 16]),
        wallets: Vec::new(),
        approved: Vec::new(),
        revoked: Vec::new(),
        trees: BTreeMap::new(),
        relayed: BTreeMap::new(),
        lose_answers: 0,
        lose_looks: false,
        refuse_relay: None,
        looks_until_mined: 2,
        outcome: RelayState::Mined,
        rng,
    };
    let clock = Clock::new(NOW_MS);
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
    let environment = TestEnvironment::new(host.clock.clone(), rng);
    Client::new(pin.clone(), Arc::clone(host), credential, environment)
}

pub(super) fn sign_in(client: &TestClient) -> Result<Session, ClientError> {
    sign_in_as(client, "a@example.org")
}

pub(super) fn sign_in_as(client: &TestClient, email: &str) -> Result<Session, ClientError> {
    run(async {
        let pending = client.start_email(&project(), email).await?;
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
