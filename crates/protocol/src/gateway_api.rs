//! Messages of the gateway: what clients ask of it, and what it keeps for the enclaves.
//!
//! The gateway reads nothing of what it carries: it forwards sealed requests and stores sealed
//! records. What clients learn from it they verify.

use serde::{Deserialize, Serialize};

use crate::error_code::Code;
use crate::evidence::AccountRef;
use crate::ids::{Digest32, InstanceId, KeyId, RealmId, RecordId};
use crate::registration::AttestedBinding;
use crate::warrant::SignedWarrant;

/// Public paths.
pub mod path {
    /// `GET`: [`SignedRealmRecord`](crate::realm::SignedRealmRecord).
    pub const REALM: &str = "/v1/realm";
    /// `GET`: [`super::Instances`].
    pub const INSTANCES: &str = "/v1/instances";
    /// `POST` [`super::AttestationRequest`]: [`super::AttestedBinding`]; `{instance}` in the path.
    pub const ATTESTATION: &str = "/v1/instances/{instance}/attestation";
    /// `POST` `message/ohttp-req`: `message/ohttp-res`; `{instance}` in the path.
    pub const OHTTP: &str = "/v1/instances/{instance}/ohttp";
    /// `GET`: session attestation keys as a JWK set.
    pub const JWKS: &str = "/.well-known/jwks.json";
    /// `GET`: metadata of OpenID Connect Discovery 1.0.
    pub const DISCOVERY: &str = "/.well-known/openid-configuration";
    /// `POST` [`Relay`](crate::relayer_api::Relay): [`Relayed`](crate::relayer_api::Relayed).
    pub const TRANSACTIONS: &str = "/v1/transactions";
    /// `GET`: [`Relayed`](crate::relayer_api::Relayed); `{id}` in the path.
    pub const TRANSACTION: &str = "/v1/transactions/{id}";
    /// `GET`: [`StoredTree`](crate::config::StoredTree); `{root}` in the path, 0x and hexadecimal.
    pub const TREE: &str = "/v1/trees/{root}";
    /// `GET`: [`WalletOnChain`](crate::relayer_api::WalletOnChain).
    pub const WALLET: &str = "/v1/chains/{chain}/wallets/{address}";
}

/// Paths between the enclave and its host, over the two pipes; never on the network.
pub mod host_path {
    /// Inbound `POST` [`super::AttestationRequest`].
    pub const ATTESTATION: &str = "/v1/attestation";
    /// Inbound `POST` `message/ohttp-req`.
    pub const OHTTP: &str = "/v1/ohttp";
    /// Inbound `GET`: [`super::InstanceStatus`].
    pub const STATUS: &str = "/v1/status";
    /// Inbound `POST` [`super::GenesisPlan`]: [`SignedRealmRecord`](crate::realm::SignedRealmRecord).
    pub const GENESIS: &str = "/v1/genesis";
    /// Inbound `GET`: [`super::HolderStates`].
    pub const HOLDERS: &str = "/v1/holders";
    /// Inbound `POST` [`super::RefreshBatch`]: [`super::RefreshedBatch`].
    pub const REFRESH: &str = "/v1/refresh";
    /// Inbound `POST` [`super::DrillBatch`]: [`super::DrilledBatch`].
    pub const DRILL: &str = "/v1/drill";
    /// Inbound `GET`: JWK set.
    pub const JWKS: &str = "/v1/jwks";
    /// Outbound `GET`/`PUT`: the realm record; `not_found` before there is one.
    pub const REALM: &str = "/v1/host/realm";
    /// Outbound `PUT` [`StoredTree`](crate::config::StoredTree).
    pub const TREE: &str = "/v1/host/trees";
    /// Outbound `POST` [`super::RecordGet`]: [`super::RecordVersions`].
    pub const RECORD_GET: &str = "/v1/host/records/get";
    /// Outbound `POST` [`super::RecordPut`].
    pub const RECORD_PUT: &str = "/v1/host/records/put";
    /// Outbound `POST` [`super::RecordSettle`].
    pub const RECORD_SETTLE: &str = "/v1/host/records/settle";
}

/// The name by which the outbound pipe reaches the host's own record store.
pub const HOST_AUTHORITY: &str = "records.keyfold.internal:1";
/// Largest sealed request, bytes.
pub const MAX_SEALED: usize = 128 * 1024;
/// Largest tree, bytes of JSON.
pub const MAX_TREE: usize = 64 * 1024;
/// Largest sealed record, bytes.
pub const MAX_RECORD: usize = 256 * 1024;

/// Asks an instance for a document with the caller's own fresh nonce.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttestationRequest {
    /// 32 random bytes.
    pub nonce: Digest32,
}

/// The instances that serve the realm just now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Instances {
    /// Unverified ids, for routing.
    pub instances: Vec<InstanceId>,
}

/// What an enclave tells its host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The instance.
    pub instance: InstanceId,
    /// Whether it serves requests.
    pub ready: bool,
    /// Whether it waits for genesis.
    pub awaits_genesis: bool,
}

/// Asks an enclave without a realm to make one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GenesisPlan {
    /// How many holders must agree.
    pub threshold: u8,
    /// The holders.
    pub holders: Vec<crate::realm::HolderCard>,
    /// Who signs attestation documents.
    pub root: crate::realm::RootKind,
}

/// The realm's holders, as an enclave finds them now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HolderStates {
    /// The realm.
    pub realm: RealmId,
    /// The version of its record.
    pub serial: u32,
    /// t.
    pub threshold: u8,
    /// One of each holder, in order.
    pub holders: Vec<HolderState>,
}

/// A holder, as an enclave finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderState {
    /// 1..=n.
    pub index: u8,
    /// Its name.
    pub name: String,
    /// The party that runs it.
    pub party: String,
    /// Where it stands.
    pub region: String,
    /// `host:port`.
    pub address: String,
    /// What keeps it from being of use; absent where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Asks an enclave to make new shares of the next keys, under a warrant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshBatch {
    /// By what right.
    pub warrant: SignedWarrant,
    /// The last key that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<KeyId>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshedBatch {
    /// Keys that have new shares now, and none of the old.
    pub refreshed: u32,
    /// Keys that no wallet has: what was left of attempts, and former owners'.
    pub unused: u32,
    /// Keys that have their old shares still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedKey>,
    /// The last key that was looked at; absent where there is none left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<KeyId>,
    /// How many keys of earlier generations some holder had when the batch began.
    pub left: u64,
}

/// A key that something could not be done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedKey {
    /// Whose.
    pub owner: AccountRef,
    /// The key.
    pub key: KeyId,
    /// Why.
    pub code: Code,
    /// The same for people: which holder did what.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Asks an enclave to have the holders check their shares of the next keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillBatch {
    /// The last key that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<KeyId>,
}

/// What the holders said of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrilledBatch {
    /// Keys that every holder has a good share of.
    pub good: u32,
    /// Keys that no wallet has.
    pub unused: u32,
    /// Keys that some holders have no good share of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<BadKey>,
    /// The last key that was looked at; absent where there is none left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<KeyId>,
    /// How many keys some holder had when the batch began.
    pub total: u64,
}

/// A key that not every t holders could put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadKey {
    /// Whose.
    pub owner: AccountRef,
    /// The key.
    pub key: KeyId,
    /// Names of the holders without a good share, or that did not answer.
    pub without: Vec<String>,
    /// Whether t good shares are left.
    pub usable: bool,
}

/// Asks for every stored version of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordGet {
    /// The record.
    pub record: RecordId,
}

/// One stored version of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordVersion {
    /// From 1.
    pub version: u64,
    /// SHA-256 of `sealed`.
    pub hash: Digest32,
    /// Sealed bytes, at most [`MAX_RECORD`].
    #[serde(with = "keyfold_crypto::b64::Bounded::<{ 256 * 1024 }>")]
    pub sealed: Vec<u8>,
}

/// The stored versions of a record: usually one, two while a change is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordVersions {
    /// In no order that means anything.
    pub versions: Vec<RecordVersion>,
}

/// Stores a version beside the others. Idempotent. Refused with `record_conflict` where this version
/// or a newer one is settled, or too many wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordPut {
    /// The record.
    pub record: RecordId,
    /// The new version.
    pub version: RecordVersion,
}

/// Drops every version that the one which holders confirmed replaces: the older ones, and rivals of
/// the same number. A newer one stays: its writer may be just having it confirmed. Idempotent until
/// a newer one is settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordSettle {
    /// The record.
    pub record: RecordId,
    /// The confirmed version.
    pub version: u64,
    /// Its hash.
    pub hash: Digest32,
}

/// The answer to an attestation request.
pub type Attested = AttestedBinding;
