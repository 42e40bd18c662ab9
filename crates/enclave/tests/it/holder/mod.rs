//! A holder: the checks of the protocol, tables in memory, and the faults that tests ask for.

mod anchors;
mod devices;
mod evidence;
mod genesis;
mod shares;

use std::collections::{HashMap, HashSet};

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, SharePurpose};
use keyfold_crypto::ed25519;
use keyfold_crypto::hpke::{HpkePrivateKey, HpkePublicKey};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::testing::SeededRng;
use keyfold_enclave::{PeerError, PeerRequest};
use keyfold_protocol::anchor::Anchor;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::*;
use keyfold_protocol::ids::{Digest32, InstanceId, KeyId, RecordId, SessionId};
use keyfold_protocol::intent::Intent;
use keyfold_protocol::realm::{HolderCard, RealmRecord, VerifiedRealm};
use keyfold_protocol::session::AttestationKeySet;
use serde::de::DeserializeOwned;

use crate::world::{Answer, ok, refuse};

type Refusal = (Code, &'static str);

type Stored = (SharePurpose, CommittedShare, ShareCommitment);

struct Instance {
    signing: ed25519::VerifyingKey,
    hpke: HpkePublicKey,
    in_realm: bool,
}

pub(crate) struct SimHolder {
    index: u8,
    pub(crate) card: HolderCard,
    signing: ed25519::SigningKey,
    hpke: HpkePrivateKey,
    rng: SeededRng,
    // Faults
    pub(crate) down: bool,
    pub(crate) hangs: bool,
    pub(crate) commits_nothing: bool,
    pub(crate) enrols_nothing: bool,
    pub(crate) commits_no_realm: bool,
    /// Path that it does not answer.
    pub(crate) silent_at: Option<&'static str>,
    /// How many more questions for anchors it does not answer.
    pub(crate) misses_reads: usize,
    /// Signs anchors so many versions ahead, of bytes that nobody wrote.
    pub(crate) invents_anchors: Option<u64>,
    /// Signs these anchors instead of what it remembers.
    pub(crate) claims: HashMap<RecordId, Option<Anchor>>,
    /// Says that it remembers no record at all.
    pub(crate) denies_anchors: bool,
    pub(crate) releases_wrong_shares: bool,
    pub(crate) skew_ms: i64,
    pub(crate) mail_limit: u32,
    pub(crate) attempt_limit: u32,
    // What was asked
    pub(crate) calls: Vec<String>,
    // Tables
    nonces: HashSet<Digest32>,
    instances: HashMap<InstanceId, Instance>,
    proposal: Option<(RealmRecord, CommittedShare)>,
    pub(crate) realm: Option<VerifiedRealm>,
    pub(crate) seed: Option<CommittedShare>,
    keys: Option<AttestationKeySet>,
    used: HashSet<String>,
    pub(crate) devices: HashMap<AccountRef, Vec<DeviceEntry>>,
    pub(crate) revoked: HashSet<SessionId>,
    pub(crate) revoked_devices: HashSet<(AccountRef, Thumbprint)>,
    pub(crate) shares: HashMap<KeyId, (AccountRef, Vec<Stored>)>,
    pub(crate) anchors: HashMap<RecordId, Anchor>,
    mails: HashMap<Digest32, u32>,
    device_mails: HashMap<(AccountRef, Thumbprint), u32>,
    attempts: HashMap<Digest32, u32>,
    /// Changes of projects, as the log would have them.
    pub(crate) notices: Vec<ProjectNotice>,
}

impl SimHolder {
    pub(crate) fn new(index: u8) -> Self {
        let mut rng = SeededRng::new(1000 + u64::from(index));
        let signing = ed25519::SigningKey::generate(&mut rng);
        let hpke = HpkePrivateKey::generate(&mut rng);
        let card = HolderCard {
            name: format!("holder-{index}"),
            party: format!("party-{index}"),
            region: format!("region-{index}"),
            address: format!("holder-{index}.example:443"),
            signing_key: signing.verifying_key(),
            hpke_key: hpke.public_key(),
            tls_spki_sha256: Digest32::from_bytes([index; 32]),
        };
        Self {
            index,
            card,
            signing,
            hpke,
            rng,
            down: false,
            hangs: false,
            commits_nothing: false,
            enrols_nothing: false,
            commits_no_realm: false,
            silent_at: None,
            misses_reads: 0,
            invents_anchors: None,
            claims: HashMap::new(),
            denies_anchors: false,
            releases_wrong_shares: false,
            skew_ms: 0,
            mail_limit: 5,
            attempt_limit: 20,
            calls: Vec::new(),
            nonces: HashSet::new(),
            instances: HashMap::new(),
            proposal: None,
            realm: None,
            seed: None,
            keys: None,
            used: HashSet::new(),
            devices: HashMap::new(),
            revoked: HashSet::new(),
            revoked_devices: HashSet::new(),
            shares: HashMap::new(),
            anchors: HashMap::new(),
            mails: HashMap::new(),
            device_mails: HashMap::new(),
            attempts: HashMap::new(),
            notices: Vec::new(),
        }
    }

    /// As after a restart: registrations are gone.
    pub(crate) fn forget_instances(&mut self) {
        self.instances.clear();
    }

    pub(crate) fn handle(
        &mut self,
        request: &PeerRequest,
        now_ms: u64,
    ) -> Result<Answer, PeerError> {
        if self.down
            || (self.commits_nothing && request.path == path::ANCHOR_COMMIT)
            || (self.enrols_nothing && request.path == path::DEVICE_ENROL)
            || (self.commits_no_realm && request.path == path::GENESIS_COMMIT)
            || self.silent_at == Some(request.path.as_str())
        {
            return Err(PeerError::Unreachable);
        }
        if self.misses_reads > 0 && request.path == path::ANCHOR_READ {
            self.misses_reads -= 1;
            return Err(PeerError::Unreachable);
        }
        self.calls.push(request.path.clone());
        Ok(self.answer(request, now_ms.saturating_add_signed(self.skew_ms)))
    }

    fn answer(&mut self, request: &PeerRequest, now_ms: u64) -> Answer {
        let body = &request.body;
        match request.path.as_str() {
            path::NONCE => {
                let nonce = Digest32::random(&mut self.rng);
                self.nonces.insert(nonce);
                return ok(Nonce { nonce });
            }
            path::REGISTER => return self.register(&read(body)?),
            _ => {}
        }
        let instance = self.caller(request, now_ms / 1000)?;
        let now = now_ms / 1000;
        match request.path.as_str() {
            path::GENESIS_PROPOSE => self.propose(instance, read(body)?),
            path::GENESIS_COMMIT => self.commit_realm(read(body)?),
            path::TIME => {
                let TimeRequest { nonce } = read(body)?;
                ok(TimeStatement {
                    nonce,
                    unix_ms: now_ms,
                }
                .sign(&self.signing))
            }
            path::SEED => self.release_seed(instance),
            path::ATTESTATION_KEYS => {
                let keys: AttestationKeys = read(body)?;
                self.keys = Some(keys.keys);
                ok(Empty {})
            }
            path::MAIL_RESERVE => {
                let reserve: MailReserve = read(body)?;
                let count = self.mails.entry(reserve.address).or_default();
                *count += 1;
                if *count > self.mail_limit {
                    refuse(Code::MailLimit)
                } else {
                    ok(Empty {})
                }
            }
            path::MAIL_RESERVE_DEVICE => self.reserve_mail(instance, &read(body)?, now),
            path::ATTEMPT_RESERVE => {
                let reserve: AttemptReserve = read(body)?;
                let count = self.attempts.entry(reserve.subject).or_default();
                *count += 1;
                let limit = match reserve.kind {
                    AttemptKind::Token => 1,
                    _ => self.attempt_limit,
                };
                if *count > limit {
                    refuse(Code::AttemptLimit)
                } else {
                    ok(Empty {})
                }
            }
            at @ (path::IDENTITY_LINK | path::IDENTITY_UNLINK) => {
                let InSession { evidence } = read(body)?;
                let (owner, _, verified) = self.in_session(instance, &evidence, now)?;
                let device = verified.request.device;
                match self.state(&owner, device) {
                    Some(DeviceState::Active) if at == path::IDENTITY_LINK => {
                        ok(IdentityLinked { counts_from: now })
                    }
                    Some(DeviceState::Active) => ok(Empty {}),
                    Some(_) => refuse(Code::DevicePending),
                    None => refuse(Code::DeviceUnknown),
                }
            }
            path::DEVICE_ENROL => self.enrol(instance, &read(body)?, now),
            path::DEVICE_APPROVE => self.approve(instance, &read(body)?, now),
            path::DEVICE_REVOKE => self.revoke_devices(instance, &read(body)?, now),
            path::DEVICE_SYNC => self.sync(&read(body)?, now),
            path::DEVICE_LIST => {
                let InSession { evidence } = read(body)?;
                let (owner, ..) = self.in_session(instance, &evidence, now)?;
                ok(DeviceList {
                    devices: self.devices.get(&owner).cloned().unwrap_or_default(),
                })
            }
            path::SESSION_CHECK => {
                let InSession { evidence } = read(body)?;
                let (owner, _, verified) = self.in_session(instance, &evidence, now)?;
                let device = verified.request.device;
                let state = self
                    .state(&owner, device)
                    .ok_or((Code::DeviceUnknown, ""))?;
                let state = if state.is_active(now) {
                    DeviceState::Active
                } else {
                    state
                };
                ok(self.device_ack(&owner, device, state, now))
            }
            path::SESSION_REVOKE => {
                let InSession { evidence } = read(body)?;
                let (owner, claims, verified) = self.in_session(instance, &evidence, now)?;
                if let Intent::RevokeSession { session, .. } = verified.request.intent {
                    self.active(&owner, verified.request.device, now)?;
                    self.revoked.insert(session);
                } else {
                    self.revoked.insert(claims.sid);
                }
                ok(Empty {})
            }
            path::SHARE_STORE => self.store(instance, read(body)?, now),
            path::SHARE_RELEASE => self.release(instance, &read(body)?, now),
            path::PROJECT_CHANGED => {
                self.notices.push(read(body)?);
                ok(Empty {})
            }
            path::ANCHOR_READ => self.read_anchors(&read(body)?),
            path::ANCHOR_COMMIT => self.commit_anchor(&read(body)?),
            path::ANCHOR_REPAIR => self.repair_anchor(&read(body)?),
            other => panic!("a holder has no {other}"),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| (Code::MalformedRequest, ""))
}
