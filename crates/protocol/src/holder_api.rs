//! Messages between an enclave and a key holder.
//!
//! All are JSON over TLS 1.3 whose key the realm record names. Everything after registration is
//! signed by the instance ([`Profile::Instance`](crate::signed_request::Profile), headers
//! `keyfold-instance`, `content-digest`, `signature-input`, `signature`); `@authority` is the holder's
//! `address` in the realm record, `keyid` the instance id. Shares are sealed with
//! HPKE (RFC 9180) on top of TLS, to the holder's key on the way in and the instance's on the way
//! out, under a [`ShareSeal`].

use keyfold_crypto::commitment::{ShareCommitment, ShareContext, SharePurpose};
use keyfold_crypto::ed25519;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_crypto::{Canonical, Encoder};
use serde::{Deserialize, Serialize};

use crate::anchor::{Anchor, AnchorAck, AnchorStep};
use crate::evidence::{AccountRef, Evidence};
use crate::ids::{
    AccountId, Digest32, InstanceId, KeyId, ProjectId, RealmId, RecordId, RequestId, Signature64,
};
use crate::realm::{RealmRecord, VerifiedRealm};
use crate::registration::AttestedBinding;
use crate::session::AttestationKeySet;

/// Paths of the holder's API. All take `POST` unless said otherwise.
pub mod path {
    /// `GET`: the holder's [`HolderCard`](crate::realm::HolderCard).
    pub const CARD: &str = "/v1/card";
    /// `GET`: the latest signed checkpoint of the holder's log, as text.
    pub const CHECKPOINT: &str = "/v1/log/checkpoint";
    /// A nonce for an attestation document: [`Empty`](super::Empty) to [`Nonce`](super::Nonce).
    pub const NONCE: &str = "/v1/nonce";
    /// Registration of an instance: [`Register`](super::Register) to
    /// [`Registered`](super::Registered).
    pub const REGISTER: &str = "/v1/register";
    /// Genesis, first step: check, store as pending, sign.
    /// [`GenesisPropose`](super::GenesisPropose) to [`GenesisConsent`](super::GenesisConsent).
    pub const GENESIS_PROPOSE: &str = "/v1/genesis/propose";
    /// Genesis, second step: all signatures are there; the pending record becomes the realm.
    /// [`SignedRealmRecord`](crate::realm::SignedRealmRecord) to [`Empty`](super::Empty).
    pub const GENESIS_COMMIT: &str = "/v1/genesis/commit";
    /// The holder's share of the realm seed: [`Empty`](super::Empty) to
    /// [`Released`](super::Released), its request id and digest zero in the AAD.
    pub const SEED: &str = "/v1/seed";
    /// Public keys that session attestations are signed with:
    /// [`AttestationKeys`](super::AttestationKeys) to [`Empty`](super::Empty).
    pub const ATTESTATION_KEYS: &str = "/v1/attestation-keys";
    /// A device that signed in: [`DeviceEnrol`](super::DeviceEnrol) to
    /// [`DeviceAck`](super::DeviceAck).
    pub const DEVICE_ENROL: &str = "/v1/devices/enrol";
    /// A pending device, approved by a known one: [`InSession`](super::InSession) to the
    /// [`DeviceAck`](super::DeviceAck) of the approved device.
    pub const DEVICE_APPROVE: &str = "/v1/devices/approve";
    /// A device that other holders know: [`DeviceSync`](super::DeviceSync) to
    /// [`DeviceAck`](super::DeviceAck).
    pub const DEVICE_SYNC: &str = "/v1/devices/sync";
    /// The end of one device, or of every other one: [`DeviceRevoke`](super::DeviceRevoke) to
    /// [`Empty`](super::Empty). Repeatable.
    pub const DEVICE_REVOKE: &str = "/v1/devices/revoke";
    /// The devices of an account: [`InSession`](super::InSession) to
    /// [`DeviceList`](super::DeviceList).
    pub const DEVICE_LIST: &str = "/v1/devices/list";
    /// Whether a session still stands: [`InSession`](super::InSession) to the
    /// [`DeviceAck`](super::DeviceAck) of the device that asks, active or not.
    pub const SESSION_CHECK: &str = "/v1/sessions/check";
    /// The end of the session that asks, or of another one of its account:
    /// [`InSession`](super::InSession) to [`Empty`](super::Empty). Repeatable.
    pub const SESSION_REVOKE: &str = "/v1/sessions/revoke";
    /// Shares of a new key: [`ShareStore`](super::ShareStore) to [`Empty`](super::Empty).
    pub const SHARE_STORE: &str = "/v1/shares/store";
    /// A share, for one signature: [`ShareRelease`](super::ShareRelease) to
    /// [`Released`](super::Released).
    pub const SHARE_RELEASE: &str = "/v1/shares/release";
    /// Keys of earlier generations: [`KeyQuery`](crate::maintenance::KeyQuery) to
    /// [`KeyPage`](crate::maintenance::KeyPage).
    pub const KEY_LIST: &str = "/v1/maintenance/keys";
    /// Shares for new ones to be made of: [`HandOver`](crate::maintenance::HandOver) to
    /// [`HandedOver`](crate::maintenance::HandedOver).
    pub const SHARE_HAND_OVER: &str = "/v1/maintenance/hand-over";
    /// New shares: [`TakeOver`](crate::maintenance::TakeOver) to [`Empty`](super::Empty).
    /// Repeatable.
    pub const SHARE_TAKE_OVER: &str = "/v1/maintenance/take-over";
    /// Whether they are on disk: [`Confirm`](crate::maintenance::Confirm) to
    /// [`SharesAck`](crate::maintenance::SharesAck).
    pub const SHARE_CONFIRM: &str = "/v1/maintenance/confirm";
    /// The end of older ones: [`Retire`](crate::maintenance::Retire) to [`Empty`](super::Empty).
    /// Repeatable.
    pub const SHARE_RETIRE: &str = "/v1/maintenance/retire";
    /// Whether shares are good: [`Drill`](crate::maintenance::Drill) to
    /// [`Drilled`](crate::maintenance::Drilled).
    pub const SHARE_DRILL: &str = "/v1/maintenance/drill";
    /// What is remembered of records: [`AnchorRead`](super::AnchorRead) to
    /// [`Anchors`](super::Anchors).
    pub const ANCHOR_READ: &str = "/v1/anchors/read";
    /// A step of a record: [`AnchorCommit`](super::AnchorCommit) to
    /// [`AnchorAck`](crate::anchor::AnchorAck) of what it became, or `anchor_conflict`.
    pub const ANCHOR_COMMIT: &str = "/v1/anchors/commit";
    /// An anchor that a write quorum of holders remembers, at least as new as the own one:
    /// [`AnchorRepair`](super::AnchorRepair) to [`AnchorAck`](crate::anchor::AnchorAck).
    pub const ANCHOR_REPAIR: &str = "/v1/anchors/repair";
    /// One more mail to an address: [`MailReserve`](super::MailReserve) to [`Empty`](super::Empty).
    pub const MAIL_RESERVE: &str = "/v1/mail/reserve";
    /// One more mail for a device that may act for its account:
    /// [`DeviceMailReserve`](super::DeviceMailReserve) to [`Empty`](super::Empty).
    pub const MAIL_RESERVE_DEVICE: &str = "/v1/mail/reserve-device";
    /// One more attempt at a secret: [`AttemptReserve`](super::AttemptReserve) to
    /// [`Empty`](super::Empty), or `attempt_limit`.
    pub const ATTEMPT_RESERVE: &str = "/v1/attempts/reserve";
    /// An identity that is to vouch for the account's devices: [`InSession`](super::InSession), with
    /// a [`ShownNewPasskey`](crate::evidence::ShownNewPasskey) or a
    /// [`ShownIdToken`](crate::evidence::ShownIdToken) in its evidence, to
    /// [`IdentityLinked`](super::IdentityLinked). Repeatable.
    pub const IDENTITY_LINK: &str = "/v1/identities/link";
    /// An identity that vouches no more: [`InSession`](super::InSession) to
    /// [`Empty`](super::Empty). Repeatable.
    pub const IDENTITY_UNLINK: &str = "/v1/identities/unlink";
    /// A change of a project, before it is made: [`ProjectNotice`](super::ProjectNotice) to
    /// [`Empty`](super::Empty), once it is in the log. Repeatable; each is an entry.
    pub const PROJECT_CHANGED: &str = "/v1/projects/changed";
    /// The holder's time: [`TimeRequest`](super::TimeRequest) to [`SignedTime`](super::SignedTime).
    pub const TIME: &str = "/v1/time";
}

/// Header that names the calling instance.
pub const INSTANCE_HEADER: &str = "keyfold-instance";
/// Largest body a holder reads, bytes.
pub const MAX_BODY: usize = 128 * 1024;
/// How old a [`DeviceAck`] may be when another holder is shown it, in seconds.
pub const MAX_ACK_AGE_SECONDS: u64 = 600;
/// How far ahead of the reader's clock a [`DeviceAck`] may have been issued, in seconds.
pub const MAX_ACK_AHEAD_SECONDS: u64 = 30;

/// Most devices that a [`DeviceRevoke`] names.
pub const MAX_REVOKED_AT_ONCE: usize = 64;

/// An empty message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// A nonce that a holder, guard or client wants to see in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Nonce {
    /// 32 random bytes, good for one document within a minute.
    pub nonce: Digest32,
}

/// Asks for registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The nonce that the document answers.
    pub nonce: Digest32,
    /// The document and what it binds.
    pub attested: AttestedBinding,
}

/// Confirms a registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registered {
    /// The instance, as the holder computed it.
    pub instance: InstanceId,
    /// Unix seconds at which the registration ends.
    pub expires: u64,
}

/// Which way a share is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealDirection {
    /// From an instance to a holder, to be stored.
    ToHolder,
    /// From a holder to an instance, to be used.
    ToInstance,
}

/// HPKE `info` of a sealed share: everything that the share belongs to.
///
/// The additional data is empty towards a holder, a [`ReleaseAad`] towards an instance.
#[derive(Debug)]
pub struct ShareSeal<'a> {
    /// Which way it goes.
    pub direction: SealDirection,
    /// The instance at the one end.
    pub instance: InstanceId,
    /// Realm, project, account, key, purpose, index, generation.
    pub context: &'a ShareContext,
}

impl Canonical for ShareSeal<'_> {
    const LABEL: &'static str = "keyfold/share-seal/v1";

    fn encode(&self, out: &mut Encoder) {
        out.u8(match self.direction {
            SealDirection::ToHolder => 1,
            SealDirection::ToInstance => 2,
        });
        out.bytes(self.instance.as_bytes());
        out.nested(self.context);
    }
}

/// Context of a share of the realm seed, which exists before the realm has an id.
pub fn seed_share_context(genesis_nonce: &Digest32, index: u8) -> ShareContext {
    ShareContext {
        realm: [0; 32],
        project: String::new(),
        account: String::new(),
        key: genesis_nonce.to_string(),
        purpose: SharePurpose::Seed,
        index,
        generation: 0,
    }
}

/// Context of a share of a user's key.
pub fn key_share_context(
    realm: RealmId,
    owner: &AccountRef,
    key: KeyId,
    purpose: SharePurpose,
    index: u8,
    generation: u32,
) -> ShareContext {
    ShareContext {
        realm: *realm.as_bytes(),
        project: owner.project.as_str().to_owned(),
        account: owner.account.to_string(),
        key: key.to_string(),
        purpose,
        index,
        generation,
    }
}

/// A share, sealed with HPKE; what is inside is a
/// [`CommittedShare`](keyfold_crypto::commitment::CommittedShare).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedShare(#[serde(with = "keyfold_crypto::b64::Bounded::<4096>")] pub Vec<u8>);

/// Genesis, first step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisPropose {
    /// The record, unsigned.
    pub record: RealmRecord,
    /// The holder's share of the seed, sealed to it.
    pub seed_share: SealedShare,
}

/// A holder's consent to a realm record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GenesisConsent {
    /// Ed25519 over the record's canonical encoding.
    pub signature: Signature64,
}

/// A share that is released.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Released {
    /// Sealed to the instance.
    pub share: SealedShare,
    /// What the holder remembers of the record that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// Where the release stands in the holder's log; absent for the seed at genesis.
    pub entry: LogPosition,
}

/// A durable place in a holder's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// Index of the entry, from 0.
    pub index: u64,
    /// Size of the log under the checkpoint that covers it.
    pub size: u64,
}

/// States the keys that session attestations are signed with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationKeys {
    /// Every key whose attestations may still be valid.
    pub keys: AttestationKeySet,
}

/// A device that signed in. The evidence is the sign-in's signed request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceEnrol {
    /// The account that the enclave found or made.
    pub account: AccountId,
    /// Whether the account's record named no device before this sign-in.
    ///
    /// Without it a holder whose own list is empty has missed the account, and lets the device
    /// wait: it learns the others' lists by [`path::DEVICE_SYNC`].
    pub first_device: bool,
    /// [`Operation::SignInFinish`](crate::intent::Operation).
    pub evidence: Evidence,
}

/// An operation of a device within its session. The account is the attestation's subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InSession {
    /// Signed request and attestation.
    pub evidence: Evidence,
}

/// Takes devices off an account, for good: their keys never come back.
///
/// The evidence is [`Operation::RevokeDevice`](crate::intent::Operation), which names the device, or
/// [`Operation::RevokeDevices`](crate::intent::Operation): then every other one on the holder's list
/// goes, and those that are named here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRevoke {
    /// Signed request and attestation.
    pub evidence: Evidence,
    /// For every other device: those of the account's record, which a holder may have missed. Empty
    /// for one. At most [`MAX_REVOKED_AT_ONCE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Thumbprint>,
}

/// A device that a holder missed, with the statements of at least t others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSync {
    /// The device's key.
    pub jwk: PublicJwk,
    /// Signed statements about one and the same device and account, each at most
    /// [`MAX_ACK_AGE_SECONDS`] old.
    pub acks: Vec<DeviceAck>,
}

/// Whether a device may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DeviceState {
    /// It may.
    Active,
    /// It may from a time on, unless a known device approves it before.
    Pending {
        /// Unix seconds, by the holder's clock.
        active_at: u64,
    },
}

impl DeviceState {
    /// Tells whether the device may act at a time.
    pub fn is_active(&self, now_unix_seconds: u64) -> bool {
        match self {
            Self::Active => true,
            Self::Pending { active_at } => *active_at <= now_unix_seconds,
        }
    }
}

/// A holder's signed statement that a device is on its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceAck {
    /// The holder's index, 1..=n.
    pub holder: u8,
    /// Whose device it is.
    pub owner: AccountRef,
    /// Thumbprint of its key.
    pub device: Thumbprint,
    /// Whether it may act.
    pub state: DeviceState,
    /// Unix seconds at which the holder said so, by its clock.
    pub issued: u64,
    /// Ed25519 over the canonical encoding.
    pub signature: Signature64,
}

/// What a [`DeviceAck`] signs.
#[derive(Debug)]
pub struct DeviceStatement<'a> {
    /// The realm.
    pub realm: RealmId,
    /// The holder's index.
    pub holder: u8,
    /// Whose device it is.
    pub owner: &'a AccountRef,
    /// Thumbprint of its key.
    pub device: Thumbprint,
    /// Whether it may act.
    pub state: DeviceState,
    /// Unix seconds at which the holder says so, by its clock.
    pub issued: u64,
}

impl Canonical for DeviceStatement<'_> {
    const LABEL: &'static str = "keyfold/device-ack/v1";

    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.realm.as_bytes());
        out.u8(self.holder);
        out.str(self.owner.project.as_str());
        out.bytes(self.owner.account.as_bytes());
        out.bytes(&self.device.0);
        match self.state {
            DeviceState::Active => {
                out.u8(1);
                out.u64(0);
            }
            DeviceState::Pending { active_at } => {
                out.u8(2);
                out.u64(active_at);
            }
        }
        out.u64(self.issued);
    }
}

impl DeviceStatement<'_> {
    /// Signs the statement.
    pub fn sign(&self, key: &ed25519::SigningKey) -> DeviceAck {
        DeviceAck {
            holder: self.holder,
            owner: self.owner.clone(),
            device: self.device,
            state: self.state,
            issued: self.issued,
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }
}

impl DeviceAck {
    /// Tells whether the statement is recent enough to be believed by another holder.
    ///
    /// # Security
    ///
    /// A device list changes; an old statement that was kept would bring back what it said.
    pub fn is_fresh(&self, now_unix_seconds: u64) -> bool {
        self.issued <= now_unix_seconds.saturating_add(MAX_ACK_AHEAD_SECONDS)
            && now_unix_seconds <= self.issued.saturating_add(MAX_ACK_AGE_SECONDS)
    }

    /// Verifies the statement of one holder of a realm. Its age is [`DeviceAck::is_fresh`]'s part.
    pub fn verify(&self, realm: &VerifiedRealm) -> bool {
        let statement = DeviceStatement {
            realm: realm.id(),
            holder: self.holder,
            owner: &self.owner,
            device: self.device,
            state: self.state,
            issued: self.issued,
        };
        realm.record().holder(self.holder).is_some_and(|card| {
            card.signing_key
                .verify(&statement.to_signed_bytes(), &self.signature.0)
                .is_ok()
        })
    }
}

/// One device on a holder's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceEntry {
    /// Thumbprint of its key.
    pub device: Thumbprint,
    /// Whether it may act.
    pub state: DeviceState,
    /// Unix seconds at which the holder first saw it.
    pub added: u64,
    /// Unix seconds of its last use that the holder saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<u64>,
}

/// The devices of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceList {
    /// At most 64.
    pub devices: Vec<DeviceEntry>,
}

/// Shares of a new key. The evidence is
/// [`Operation::CreateWallet`](crate::intent::Operation).
///
/// May be repeated with other shares for the same key, owner and generation, until a share of the
/// key was released: a wallet whose making was cut off is made again. A holder keeps what it had
/// beside the new, since of two attempts at once it cannot tell which became the wallet;
/// [`ShareRelease::commitment`] says which is meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareStore {
    /// Signed request and attestation of the owner.
    pub evidence: Evidence,
    /// The new key's id.
    pub key: KeyId,
    /// Generation, from 1.
    pub generation: u32,
    /// One for each purpose; entropy and leaf key are shared separately.
    pub shares: Vec<StoredShare>,
}

/// One share to store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredShare {
    /// What it is a share of.
    pub purpose: SharePurpose,
    /// Sealed to the holder.
    pub share: SealedShare,
    /// What the share must match.
    pub commitment: ShareCommitment,
}

/// Asks for a share of the key that the signed intent names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareRelease {
    /// Signed request and attestation.
    pub evidence: Evidence,
    /// The key's current generation.
    pub generation: u32,
    /// What the share must match, as the wallet's record says for this holder.
    pub commitment: ShareCommitment,
    /// The account's record, so that its anchor comes with the share.
    pub record: RecordId,
}

/// Asks what a holder remembers of records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorRead {
    /// At most 16.
    pub records: Vec<RecordId>,
}

/// What a holder remembers, in the order asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Anchors {
    /// `None` where nothing is remembered.
    pub anchors: Vec<Option<AnchorAck>>,
}

/// Asks for a step of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorCommit {
    /// The step.
    pub step: AnchorStep,
}

/// Shows a holder what a write quorum of others remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorRepair {
    /// Statements about one and the same record and anchor.
    pub acks: Vec<AnchorAck>,
}

/// Counts one mail to an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailReserve {
    /// The project that sends it.
    pub project: ProjectId,
    /// Keyed hash of the address.
    pub address: Digest32,
}

/// Counts one mail with a code that a device asked for which may act for the account.
///
/// It is counted apart from those of [`MailReserve`], so that strangers cannot use up what the
/// owner's devices may have; the address is not named. The evidence is the signed request to begin
/// a sign-in, and a holder looks for its device on its own list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceMailReserve {
    /// The account, in the project that the device addressed.
    pub account: AccountId,
    /// Signed request ([`Profile::SignIn`](crate::signed_request::Profile)) for
    /// [`Operation::SignInStart`](crate::intent::Operation).
    pub evidence: Evidence,
}

/// Counts one attempt at a secret that somebody could guess, before it is compared.
///
/// Nothing clears a count but time: whoever counts cannot be made to forget by a success, by
/// beginning again, or by the enclave's host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptReserve {
    /// The project that the secret belongs to.
    pub project: ProjectId,
    /// What is guessed at.
    pub kind: AttemptKind,
    /// Keyed hash of whose secret it is and from where it is guessed at. An enclave uses one for
    /// each device that the account knows, and one for all others, so that a stranger's guesses
    /// leave the owner theirs.
    pub subject: Digest32,
}

/// A secret that can be guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptKind {
    /// A password.
    Password,
    /// A code of an app.
    Totp,
    /// A code on paper.
    RecoveryCode,
    /// A token of an app's own issuer: no guess, and yet something that counts once in a day.
    Token,
}

/// Confirms that an identity belongs to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityLinked {
    /// Unix seconds, by the holder's clock, from which it vouches for devices.
    pub counts_from: u64,
}

/// Says that a project is about to be changed by a command that enough administrators signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectNotice {
    /// The project.
    pub project: ProjectId,
    /// The version that it is to have then.
    pub version: u64,
    /// [`ProjectCommand::digest`](crate::project_command::ProjectCommand::digest).
    pub command: Digest32,
}

/// Asks for the holder's time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRequest {
    /// Random, from the enclave.
    pub nonce: Digest32,
}

/// A holder's signed time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedTime {
    /// Unix milliseconds.
    pub unix_ms: u64,
    /// Ed25519 over the canonical encoding.
    pub signature: Signature64,
}

/// What a [`SignedTime`] signs.
#[derive(Debug)]
pub struct TimeStatement {
    /// The enclave's nonce.
    pub nonce: Digest32,
    /// Unix milliseconds.
    pub unix_ms: u64,
}

impl Canonical for TimeStatement {
    const LABEL: &'static str = "keyfold/time/v1";

    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.nonce.as_bytes());
        out.u64(self.unix_ms);
    }
}

impl TimeStatement {
    /// Signs the time.
    pub fn sign(&self, key: &ed25519::SigningKey) -> SignedTime {
        SignedTime {
            unix_ms: self.unix_ms,
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }

    /// Verifies a holder's time.
    pub fn verify(&self, key: &ed25519::VerifyingKey, signature: &Signature64) -> bool {
        key.verify(&self.to_signed_bytes(), &signature.0).is_ok()
    }
}

/// HPKE additional data of a released share: the request it is released for.
#[derive(Debug)]
pub struct ReleaseAad {
    /// The request's id.
    pub request: RequestId,
    /// The digest that will be signed; zero for the seed.
    pub digest: Digest32,
}

impl Canonical for ReleaseAad {
    const LABEL: &'static str = "keyfold/release-aad/v1";

    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.request.as_bytes());
        out.bytes(self.digest.as_bytes());
    }
}
