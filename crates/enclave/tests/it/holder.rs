//! A holder: the checks of the protocol, tables in memory, and the faults that tests ask for.

use std::collections::{HashMap, HashSet};

use keyfold_attest::danger::inspect;
use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, SharePurpose};
use keyfold_crypto::hpke::{self, HpkePrivateKey, HpkePublicKey};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{Canonical, ed25519};
use keyfold_enclave::{PeerError, PeerRequest};
use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStatement, StepDecision};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{AccountRef, Addressee, Evidence, VerifiedEvidence};
use keyfold_protocol::holder_api::*;
use keyfold_protocol::ids::{
    Digest32, InstanceId, KeyId, RecordId, RequestId, SessionId, Signature64,
};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::realm::{HolderCard, RealmRecord, SignedRealmRecord, VerifiedRealm};
use keyfold_protocol::registration::realm_pcr16;
use keyfold_protocol::session::{
    AttestationKeySet, Expired, SessionClaims, SessionExpectation, verify,
};
use keyfold_protocol::signed_request::{
    Components, Profile, SignatureError, SignedComponents, check_body, content_digest,
    verify_instance,
};
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
    /// Signs anchors so many versions ahead, of bytes that nobody wrote.
    pub(crate) invents_anchors: Option<u64>,
    /// Signs these anchors instead of what it remembers.
    pub(crate) claims: HashMap<RecordId, Option<Anchor>>,
    /// Says that it remembers no record at all.
    pub(crate) denies_anchors: bool,
    pub(crate) releases_wrong_shares: bool,
    pub(crate) skew_ms: i64,
    pub(crate) mail_limit: u32,
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
    pub(crate) shares: HashMap<KeyId, (AccountRef, Vec<Stored>)>,
    pub(crate) anchors: HashMap<RecordId, Anchor>,
    mails: HashMap<Digest32, u32>,
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
            invents_anchors: None,
            claims: HashMap::new(),
            denies_anchors: false,
            releases_wrong_shares: false,
            skew_ms: 0,
            mail_limit: 5,
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
            shares: HashMap::new(),
            anchors: HashMap::new(),
            mails: HashMap::new(),
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
            path::DEVICE_ENROL => self.enrol(instance, &read(body)?, now),
            path::DEVICE_APPROVE => self.approve(instance, &read(body)?, now),
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
                ok(self.device_ack(&owner, device, state, now))
            }
            path::SESSION_REVOKE => {
                let InSession { evidence } = read(body)?;
                let (_, claims, _) = self.in_session(instance, &evidence, now)?;
                self.revoked.insert(claims.sid);
                ok(Empty {})
            }
            path::SHARE_STORE => self.store(instance, read(body)?, now),
            path::SHARE_RELEASE => self.release(instance, &read(body)?, now),
            path::ANCHOR_READ => {
                let AnchorRead { records } = read(body)?;
                let anchors = records
                    .iter()
                    .map(|id| self.says(id).map(|anchor| self.anchor_ack(*id, anchor)))
                    .collect();
                ok(Anchors { anchors })
            }
            path::ANCHOR_COMMIT => {
                let AnchorCommit { step } = read(body)?;
                match step.decide(self.anchors.get(&step.record)) {
                    StepDecision::Conflict => refuse(Code::AnchorConflict),
                    StepDecision::Apply | StepDecision::Already => {
                        self.anchors.insert(step.record, step.next);
                        ok(self.anchor_ack(step.record, step.next))
                    }
                }
            }
            path::ANCHOR_REPAIR => {
                let AnchorRepair { acks } = read(body)?;
                let realm = self.realm.as_ref().unwrap();
                let first = acks[0];
                let holders: HashSet<u8> = acks.iter().map(|ack| ack.holder).collect();
                let good = acks
                    .iter()
                    .all(|ack| ack.anchor == first.anchor && ack.verify(realm));
                if !good || holders.len() < realm.record().write_quorum() {
                    return refuse(Code::AnchorConflict);
                }
                self.anchors.insert(first.record, first.anchor);
                ok(self.anchor_ack(first.record, first.anchor))
            }
            other => panic!("a holder has no {other}"),
        }
    }

    fn register(&mut self, register: &Register) -> Answer {
        let document = inspect(&register.attested.document).unwrap();
        let binding = &register.attested.binding;
        let realm = self.realm.as_ref().map(VerifiedRealm::id);
        if binding.realm.is_some() && realm.is_none() {
            return refuse(Code::RealmMissing);
        }
        let pcr16 = realm_pcr16(binding.realm);
        let good = self.nonces.remove(&register.nonce)
            && document.nonce() == Some(register.nonce.as_bytes())
            && document.user_data() == Some(&binding.user_data())
            && document.pcrs().get(&16) == Some(&pcr16)
            && (binding.realm.is_none() || binding.realm == realm);
        if !good {
            return refuse(Code::AttestationRefused);
        }
        let instance = Instance {
            signing: binding.signing_key,
            hpke: HpkePublicKey(document.public_key().unwrap().try_into().unwrap()),
            in_realm: binding.realm.is_some(),
        };
        self.instances.insert(binding.instance(), instance);
        ok(Registered {
            instance: binding.instance(),
            expires: 0,
        })
    }

    /// The registered instance whose signature the request carries.
    fn caller(&self, request: &PeerRequest, now: u64) -> Result<InstanceId, Refusal> {
        let header = |name: &str| {
            request
                .headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
                .unwrap_or_default()
        };
        let id: InstanceId = header(INSTANCE_HEADER)
            .parse()
            .map_err(|_| (Code::NotRegistered, ""))?;
        let instance = self.instances.get(&id).ok_or((Code::NotRegistered, ""))?;
        let needs_realm = !matches!(
            request.path.as_str(),
            path::GENESIS_PROPOSE | path::GENESIS_COMMIT
        );
        if needs_realm && !instance.in_realm {
            return refuse(Code::NotRegistered);
        }
        let components = Components {
            method: request.method.to_owned(),
            authority: self.card.address.clone(),
            path: request.path.clone(),
            query: "?".to_owned(),
            content_digest: header("content-digest"),
            device: None,
        };
        check_body(&components, &request.body).unwrap();
        assert_eq!(components.content_digest, content_digest(&request.body));
        let signed = SignedComponents {
            components,
            signature_input: header("signature-input"),
            signature: header("signature"),
        };
        verify_instance(&signed, &id.to_string(), &instance.signing, now).map_err(|error| {
            match error {
                SignatureError::Expired => (Code::SignatureExpired, ""),
                _ => (Code::SignatureInvalid, ""),
            }
        })?;
        Ok(id)
    }

    fn propose(&mut self, instance: InstanceId, propose: GenesisPropose) -> Answer {
        if self
            .realm
            .as_ref()
            .is_some_and(|realm| *realm.record() != propose.record)
        {
            return refuse(Code::RealmExists);
        }
        let record = propose.record;
        assert_eq!(record.check_shape(), Ok(()));
        let context = seed_share_context(&record.genesis_nonce, self.index);
        let direction = SealDirection::ToHolder;
        let info = ShareSeal {
            direction,
            instance,
            context: &context,
        }
        .to_signed_bytes();
        let share = hpke::open(&self.hpke, &info, &[], &propose.seed_share.0).unwrap();
        let share = share.expose(CommittedShare::from_bytes).unwrap();
        let commitment = record.seed_commitments[usize::from(self.index) - 1];
        share.verify(&context, &commitment).unwrap();
        let signature = Signature64(self.signing.sign(&record.to_signed_bytes()));
        self.proposal = Some((record, share));
        ok(GenesisConsent { signature })
    }

    fn commit_realm(&mut self, signed: SignedRealmRecord) -> Answer {
        if let Some(realm) = &self.realm {
            let same = *realm.record() == signed.record;
            return if same {
                ok(Empty {})
            } else {
                refuse(Code::RealmExists)
            };
        }
        let (record, share) = self.proposal.take().unwrap();
        assert_eq!(record, signed.record);
        self.realm = Some(signed.verify_unpinned().unwrap());
        self.seed = Some(share);
        ok(Empty {})
    }

    fn release_seed(&mut self, instance: InstanceId) -> Answer {
        let realm = self.realm.as_ref().unwrap();
        let context = seed_share_context(&realm.record().genesis_nonce, self.index);
        let aad = ReleaseAad {
            request: RequestId::from_bytes([0; 16]),
            digest: Digest32::from_bytes([0; 32]),
        };
        let share = self.seed.as_ref().unwrap().to_bytes();
        let share = share.expose(<[u8]>::to_vec);
        let share = self.seal(instance, &context, &aad, share);
        ok(Released {
            share,
            anchor: None,
            entry: LogPosition { index: 0, size: 1 },
        })
    }

    fn seal(
        &mut self,
        instance: InstanceId,
        context: &keyfold_crypto::commitment::ShareContext,
        aad: &ReleaseAad,
        mut share: Vec<u8>,
    ) -> SealedShare {
        if self.releases_wrong_shares {
            *share.last_mut().unwrap() ^= 1;
        }
        let direction = SealDirection::ToInstance;
        let info = ShareSeal {
            direction,
            instance,
            context,
        }
        .to_signed_bytes();
        let key = self.instances[&instance].hpke;
        SealedShare(hpke::seal(&key, &info, &aad.to_signed_bytes(), &share, &mut self.rng).unwrap())
    }

    fn evidence(
        &mut self,
        profile: Profile,
        instance: InstanceId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<VerifiedEvidence, Refusal> {
        let realm = self.realm.as_ref().unwrap().id();
        let verified = evidence
            .verify(
                profile,
                &Addressee {
                    realm,
                    instance,
                    project: None,
                },
                now,
            )
            .map_err(|_| (Code::EvidenceInvalid, ""))?;
        let nonce = format!("{} {}", verified.request.device, verified.request.nonce);
        if !self.used.insert(nonce) {
            return refuse(Code::NonceReused);
        }
        Ok(verified)
    }

    fn in_session(
        &mut self,
        instance: InstanceId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<(AccountRef, SessionClaims, VerifiedEvidence), Refusal> {
        let verified = self.evidence(Profile::Request, instance, evidence, now)?;
        let realm = self.realm.as_ref().unwrap().id();
        let expect = SessionExpectation {
            realm: &realm,
            project: &verified.request.project,
            now_unix_seconds: now,
            expired: if verified.request.intent.operation() == Operation::Renew {
                Expired::Accepted
            } else {
                Expired::Refused
            },
        };
        let keys = self.keys.as_ref().ok_or((Code::SessionInvalid, ""))?;
        let session = verify(verified.attestation.as_ref().unwrap(), keys, &expect)
            .map_err(|_| (Code::SessionInvalid, ""))?;
        let claims = session.claims().clone();
        if claims.cnf.jkt != verified.request.device {
            return refuse(Code::SessionInvalid);
        }
        if self.revoked.contains(&claims.sid) {
            return refuse(Code::SessionRevoked);
        }
        let owner = AccountRef {
            project: claims.aud.clone(),
            account: claims.sub,
        };
        if self.state(&owner, verified.request.device).is_none() {
            return refuse(Code::DeviceUnknown);
        }
        Ok((owner, claims, verified))
    }

    fn active(&self, owner: &AccountRef, device: Thumbprint, now: u64) -> Result<(), Refusal> {
        match self.state(owner, device) {
            Some(state) if state.is_active(now) => Ok(()),
            Some(_) => refuse(Code::DevicePending),
            None => refuse(Code::DeviceUnknown),
        }
    }

    fn state(&self, owner: &AccountRef, device: Thumbprint) -> Option<DeviceState> {
        self.devices
            .get(owner)?
            .iter()
            .find(|entry| entry.device == device)
            .map(|e| e.state)
    }

    fn put_device(&mut self, owner: &AccountRef, device: Thumbprint, state: DeviceState, now: u64) {
        let list = self.devices.entry(owner.clone()).or_default();
        list.retain(|entry| entry.device != device);
        list.push(DeviceEntry {
            device,
            state,
            added: now,
            last_used: None,
        });
    }

    fn enrol(&mut self, instance: InstanceId, enrol: &DeviceEnrol, now: u64) -> Answer {
        let verified = self.evidence(Profile::SignIn, instance, &enrol.evidence, now)?;
        let device = verified.request.device;
        let owner = AccountRef {
            project: verified.request.project,
            account: enrol.account,
        };
        let state = match (self.devices.get(&owner), self.state(&owner, device)) {
            (None, _) if enrol.first_device => DeviceState::Active,
            (_, Some(known)) => known,
            _ => DeviceState::Pending {
                active_at: now + 86_400,
            },
        };
        self.put_device(&owner, device, state, now);
        ok(self.device_ack(&owner, device, state, now))
    }

    fn approve(&mut self, instance: InstanceId, message: &InSession, now: u64) -> Answer {
        let (owner, _, verified) = self.in_session(instance, &message.evidence, now)?;
        self.active(&owner, verified.request.device, now)?;
        let Intent::ApproveDevice { device, .. } = verified.request.intent else {
            return refuse(Code::EvidenceInvalid);
        };
        if self.state(&owner, device).is_none() {
            return refuse(Code::DeviceUnknown);
        }
        self.put_device(&owner, device, DeviceState::Active, now);
        ok(self.device_ack(&owner, device, DeviceState::Active, now))
    }

    fn sync(&mut self, sync: &DeviceSync, now: u64) -> Answer {
        let realm = self.realm.as_ref().unwrap();
        let first = &sync.acks[0];
        let device = sync.jwk.thumbprint();
        let good = sync.acks.iter().all(|ack| {
            ack.owner == first.owner
                && ack.device == device
                && ack.state == first.state
                && ack.is_fresh(now)
                && ack.verify(realm)
        });
        if !good || sync.acks.len() < usize::from(realm.record().threshold) {
            return refuse(Code::EvidenceInvalid);
        }
        self.put_device(&first.owner, device, first.state, now);
        ok(self.device_ack(&first.owner, device, first.state, now))
    }

    fn store(&mut self, instance: InstanceId, store: ShareStore, now: u64) -> Answer {
        let (owner, _, verified) = self.in_session(instance, &store.evidence, now)?;
        self.active(&owner, verified.request.device, now)?;
        if self
            .shares
            .get(&store.key)
            .is_some_and(|(of, _)| *of != owner)
        {
            return refuse(Code::KeyExists);
        }
        let realm = self.realm.as_ref().unwrap().id();
        let mut opened = Vec::new();
        for stored in &store.shares {
            let context = key_share_context(
                realm,
                &owner,
                store.key,
                stored.purpose,
                self.index,
                store.generation,
            );
            let direction = SealDirection::ToHolder;
            let info = ShareSeal {
                direction,
                instance,
                context: &context,
            }
            .to_signed_bytes();
            let share = hpke::open(&self.hpke, &info, &[], &stored.share.0).unwrap();
            let share = share.expose(CommittedShare::from_bytes).unwrap();
            share.verify(&context, &stored.commitment).unwrap();
            opened.push((stored.purpose, share, stored.commitment));
        }
        let (_, kept) = self.shares.entry(store.key).or_insert((owner, Vec::new()));
        kept.extend(opened);
        ok(Empty {})
    }

    fn release(&mut self, instance: InstanceId, release: &ShareRelease, now: u64) -> Answer {
        let (owner, claims, verified) = self.in_session(instance, &release.evidence, now)?;
        self.active(&owner, verified.request.device, now)?;
        let request = verified.request.intent.request_id();
        let key_use = *verified
            .request
            .intent
            .key_use()
            .ok_or((Code::EvidenceInvalid, ""))?;
        let (of, shares) = self
            .shares
            .get(&key_use.key)
            .ok_or((Code::KeyUnknown, ""))?;
        if *of != owner {
            return refuse(Code::OwnershipMismatch);
        }
        if !claims.wallets.contains(&key_use.wallet) {
            return refuse(Code::SessionInvalid);
        }
        let leaf = shares
            .iter()
            .find(|(purpose, _, commitment)| {
                *purpose == SharePurpose::LeafKey && *commitment == release.commitment
            })
            .ok_or((Code::KeyUnknown, ""))?;
        let share = leaf.1.to_bytes().expose(<[u8]>::to_vec);
        let context = key_share_context(
            self.realm.as_ref().unwrap().id(),
            &owner,
            key_use.key,
            SharePurpose::LeafKey,
            self.index,
            release.generation,
        );
        let aad = ReleaseAad {
            request,
            digest: key_use.digest,
        };
        let share = self.seal(instance, &context, &aad, share);
        let anchor = self.says(&release.record);
        ok(Released {
            share,
            anchor,
            entry: LogPosition { index: 1, size: 2 },
        })
    }

    fn device_ack(
        &self,
        owner: &AccountRef,
        device: Thumbprint,
        state: DeviceState,
        issued: u64,
    ) -> DeviceAck {
        let realm = self.realm.as_ref().unwrap().id();
        DeviceStatement {
            realm,
            holder: self.index,
            owner,
            device,
            state,
            issued,
        }
        .sign(&self.signing)
    }

    /// The anchor that it names, remembered or made up.
    fn says(&self, record: &RecordId) -> Option<Anchor> {
        if self.denies_anchors {
            return None;
        }
        let anchor = match self.claims.get(record) {
            Some(claimed) => *claimed,
            None => self.anchors.get(record).copied(),
        };
        let Some(ahead) = self.invents_anchors else {
            return anchor;
        };
        Some(Anchor {
            version: anchor.map_or(0, |a| a.version).saturating_add(ahead),
            hash: Digest32::from_bytes([0xff; 32]),
        })
    }

    fn anchor_ack(&self, record: RecordId, anchor: Anchor) -> AnchorAck {
        let realm = self.realm.as_ref().unwrap().id();
        AnchorStatement {
            realm,
            holder: self.index,
            record,
            anchor,
        }
        .sign(&self.signing)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| (Code::MalformedRequest, ""))
}
