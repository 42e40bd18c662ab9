//! What a signature cannot do without, each measured by itself on inputs of the real size.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_client::Environment as _;
use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, ShareContext, SharePurpose};
use keyfold_crypto::hpke::{self, HpkePrivateKey};
use keyfold_crypto::jwk::{DeviceSigningKey, Thumbprint};
use keyfold_crypto::secp256k1::{self, SigningKey};
use keyfold_crypto::shamir::{Share, Threshold, combine, split};
use keyfold_crypto::{Secret, ed25519};
use keyfold_log::{LogEntry, NoteKey, NoteSigner};
use keyfold_protocol::ids::{AccountId, AddressId, Digest32, ProjectId, RealmId, SessionId};
use keyfold_protocol::ohttp::{GatewayKeys, InnerRequest, InnerResponse, encapsulate};
use keyfold_protocol::session::{
    AttestationKeySet, AttestationSigner, Confirmation, Expired, SessionClaims, SessionExpectation,
    verify,
};
use keyfold_storage::{Database, LOG_SCHEMA, LogAppender, migrate};

use crate::bench::load::percentile;
use crate::system::{Ambient, SystemError};

/// How long each is repeated; the median counts.
const TIME: Duration = Duration::from_millis(250);
const APPENDS: usize = 200;
/// Bytes of what a device signs, and of a log entry about a release.
const SIGNATURE_BASE: usize = 900;
const ENTRY: usize = 300;
const INFO: usize = 300;
const AAD: usize = 96;
/// Bytes of a wallet's signature in JSON.
const REPLY: usize = 500;
/// t of n.
const T: u8 = 2;
const N: u8 = 3;

/// One primitive.
#[derive(Debug)]
pub(super) struct Primitive {
    pub(super) name: &'static str,
    /// Median of one.
    pub(super) microseconds: f64,
    /// How many a signature needs.
    pub(super) times: u32,
    /// Whether it is in the sum.
    pub(super) counts: bool,
}

impl Primitive {
    pub(super) fn total(&self) -> f64 {
        self.microseconds * f64::from(self.times)
    }
}

/// Real inputs.
pub(super) struct Inputs {
    request: InnerRequest,
}

impl Inputs {
    pub(super) fn new(attestation: String, body: Vec<u8>) -> Result<Self, SystemError> {
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("content-digest", format!("sha-256=:{}=:", "A".repeat(43))),
            ("keyfold-realm", "a".repeat(64)),
            ("keyfold-project", "unguarded.example".to_owned()),
            ("keyfold-intent", "a".repeat(250)),
            ("keyfold-session", "a".repeat(64)),
            ("keyfold-device", "a".repeat(180)),
            ("signature-input", "a".repeat(330)),
            ("signature", "a".repeat(96)),
            ("keyfold-attestation", attestation),
        ];
        let request = InnerRequest {
            method: "POST".to_owned(),
            authority: "a".repeat(32),
            path_and_query: "/v1/sign/transaction".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: body.into(),
        };
        request
            .to_bhttp()
            .map_err(SystemError::step("write a request"))?;
        Ok(Self { request })
    }
}

/// Measures all of them.
pub(super) async fn all(inputs: Inputs, folder: &Path) -> Result<Vec<Primitive>, SystemError> {
    let cpu = tokio::task::spawn_blocking(move || computed(&inputs));
    let mut all = cpu
        .await
        .map_err(SystemError::step("measure primitives"))?
        .map_err(|problem| SystemError::Step {
            what: "measure primitives".to_owned(),
            problem,
        })?;
    all.push(Primitive {
        name: "holder: one durable append",
        microseconds: append(folder).await?,
        times: 1,
        counts: true,
    });
    all.sort_by_key(|primitive| !primitive.counts);
    Ok(all)
}

type Measured = Result<f64, String>;

/// Repeats something and returns its median, in microseconds.
fn median<T>(mut once: impl FnMut() -> Result<T, String>) -> Measured {
    prepared(|| Ok(()), |()| once())
}

/// The same where each round needs something that is not measured.
fn prepared<P, T>(
    mut prepare: impl FnMut() -> Result<P, String>,
    mut once: impl FnMut(P) -> Result<T, String>,
) -> Measured {
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        let input = prepare()?;
        let start = Instant::now();
        black_box(once(black_box(input))?);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(percentile(&times, 50))
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn computed(inputs: &Inputs) -> Result<Vec<Primitive>, String> {
    let mut all = Vec::new();
    let mut add = |name, times, counts, microseconds: Measured| {
        all.push(Primitive {
            name,
            microseconds: microseconds?,
            times,
            counts,
        });
        Ok::<_, String>(())
    };
    let rng = &mut UnwrapErr(SysRng);
    let t = u32::from(T);

    let base = [7; SIGNATURE_BASE];
    let device = DeviceSigningKey::generate_p256(rng);
    let (jwk, signature) = (device.public_jwk(), device.sign(&base));
    add(
        "client: signs the request (P-256)",
        1,
        true,
        median(|| Ok(device.sign(&base))),
    )?;
    let device_verify = || median(|| jwk.verify(&base, &signature).map_err(words));
    add(
        "enclave: the device's signature (P-256)",
        1,
        true,
        device_verify(),
    )?;
    add(
        "t holders: the device's signature (P-256)",
        t,
        true,
        device_verify(),
    )?;

    oblivious(inputs, &mut add)?;
    let session = attestation()?;
    add(
        "enclave: the attestation (RS256)",
        1,
        true,
        session.verify(),
    )?;
    add(
        "t holders: the attestation (RS256)",
        t,
        true,
        session.verify(),
    )?;

    let instance = ed25519::SigningKey::generate(rng);
    let (instance_key, signed) = (instance.verifying_key(), instance.sign(&base));
    let verify = median(|| instance_key.verify(&base, &signed).map_err(words));
    add(
        "t holders: the instance's signature (Ed25519)",
        t,
        true,
        verify,
    )?;
    add(
        "enclave: signs for n holders (Ed25519)",
        N.into(),
        false,
        median(|| Ok(instance.sign(&base))),
    )?;

    shares(&mut add)?;

    let key = SigningKey::from_secret(&Secret::from_array([7; 32])).map_err(words)?;
    let hash = [9; 32];
    let recoverable = key.sign_prehash(&hash);
    add(
        "enclave: the wallet key's signature",
        1,
        true,
        median(|| Ok(key.sign_prehash(&hash))),
    )?;
    let recover = || median(|| secp256k1::recover(&hash, &recoverable).map_err(words));
    add("client: checks the wallet's signature", 1, false, recover())?;
    add(
        "guard: its signature (only with a guard)",
        1,
        false,
        median(|| Ok(key.sign_prehash(&hash))),
    )?;
    add(
        "enclave: the guard's signature (only with a guard)",
        1,
        false,
        recover(),
    )?;
    Ok(all)
}

type Add<'a> = &'a mut dyn FnMut(&'static str, u32, bool, Measured) -> Result<(), String>;

fn oblivious(inputs: &Inputs, add: Add<'_>) -> Result<(), String> {
    let keys = GatewayKeys::new([3; 32], 1).map_err(words)?;
    let config = keys.encoded_config();
    let reply = InnerResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: vec![b'a'; REPLY],
    };
    let encapsulated = || encapsulate(config, &inputs.request).map_err(words);
    let (request, _) = encapsulated()?;
    add(
        "client: Oblivious HTTP, request",
        1,
        true,
        median(encapsulated),
    )?;
    let opened = || keys.open(&request, 0).map_err(words);
    add("enclave: Oblivious HTTP, request", 1, true, median(opened))?;
    let sealed = prepared(opened, |(_, sealer)| sealer.seal(&reply).map_err(words));
    add("enclave: Oblivious HTTP, reply", 1, true, sealed)?;
    let answered = || {
        let (request, context) = encapsulated()?;
        let (_, sealer) = keys.open(&request, 0).map_err(words)?;
        Ok((context, sealer.seal(&reply).map_err(words)?))
    };
    let opened = prepared(answered, |(context, reply)| {
        context.open(&reply).map_err(words)
    });
    add("client: Oblivious HTTP, reply", 1, true, opened)
}

struct Attestation {
    jwt: String,
    keys: AttestationKeySet,
    realm: RealmId,
    project: ProjectId,
    now: u64,
}

impl Attestation {
    fn verify(&self) -> Measured {
        let expect = SessionExpectation {
            realm: &self.realm,
            project: &self.project,
            now_unix_seconds: self.now,
            expired: Expired::Refused,
        };
        median(|| verify(&self.jwt, &self.keys, &expect).map_err(words))
    }
}

fn attestation() -> Result<Attestation, String> {
    let signer = AttestationSigner::generate_rs256().map_err(words)?;
    let now = Ambient.now_unix_ms() / 1000;
    let realm = RealmId::from_bytes([1; 32]);
    let project: ProjectId = "unguarded.example".parse().map_err(words)?;
    let claims = SessionClaims {
        iss: realm,
        aud: project.clone(),
        sub: AccountId::from_bytes([2; 16]),
        cnf: Confirmation {
            jkt: Thumbprint([3; 32]),
        },
        wallets: vec![AddressId::from_bytes([4; 20])],
        amr: vec!["otp".to_owned()],
        acr: "email".to_owned(),
        auth_time: now,
        sid: SessionId::from_bytes([5; 16]),
        iat: now,
        exp: now + 3600,
        jti: "6".repeat(32),
    };
    Ok(Attestation {
        jwt: signer.sign(&claims).map_err(words)?,
        keys: AttestationKeySet::new(vec![signer.public_jwk().clone()]).map_err(words)?,
        realm,
        project,
        now,
    })
}

fn shares(add: Add<'_>) -> Result<(), String> {
    let rng = &mut UnwrapErr(SysRng);
    let threshold = Threshold::new(T, N).map_err(words)?;
    let all: Vec<Share> = split(&[7; 32], threshold, rng).map_err(words)?;
    let share = all.first().ok_or("no share")?;
    let context = ShareContext {
        realm: *Digest32::from_bytes([1; 32]).as_bytes(),
        project: "unguarded.example".to_owned(),
        account: "a".repeat(32),
        key: "b".repeat(32),
        purpose: SharePurpose::LeafKey,
        index: share.index(),
        generation: 1,
    };
    let (committed, commitment): (CommittedShare, ShareCommitment) =
        CommittedShare::new(&context, share.duplicate(), rng).map_err(words)?;
    let plain = committed.to_bytes();
    let recipient = HpkePrivateKey::generate(rng);
    let public = recipient.public_key();
    let (info, aad) = ([1; INFO], [2; AAD]);
    let mut seal_rng = UnwrapErr(SysRng);
    let mut seal = || {
        plain.expose(|plain| hpke::seal(&public, &info, &aad, plain, &mut seal_rng).map_err(words))
    };
    let sealed = seal()?;
    let times = u32::from(T);
    add("t holders: seal a share (HPKE)", times, true, median(seal))?;
    let open = median(|| hpke::open(&recipient, &info, &aad, &sealed).map_err(words));
    add("enclave: open t shares (HPKE)", times, true, open)?;
    let verify = prepared(
        || plain.expose(CommittedShare::from_bytes).map_err(words),
        |share| share.verify(&context, &commitment).map_err(words),
    );
    add("enclave: t commitments", times, true, verify)?;
    let recombined = median(|| combine(threshold, &all).map_err(words));
    add("enclave: recombination", 1, true, recombined)
}

/// Appends to a log of the kind that holders have, on the disk that they use, one at a time.
async fn append(folder: &Path) -> Result<f64, SystemError> {
    let failed = "append to a log";
    let database = Database::open(folder.join("bench.db"))
        .await
        .map_err(SystemError::step(failed))?;
    migrate(&database, &[LOG_SCHEMA])
        .await
        .map_err(SystemError::step(failed))?;
    let signer = NoteSigner::new("bench.keyfold", NoteKey::from_seed(&[7; 32]))
        .map_err(SystemError::step(failed))?;
    let log = LogAppender::start(database.clone(), signer)
        .await
        .map_err(SystemError::step(failed))?;
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let entry = LogEntry::new(vec![1; ENTRY]).map_err(SystemError::step(failed))?;
        let begun = Instant::now();
        log.append(entry).await.map_err(SystemError::step(failed))?;
        times.push(begun.elapsed());
    }
    drop(log);
    database.close().await;
    times.sort_unstable();
    Ok(percentile(&times, 50))
}
