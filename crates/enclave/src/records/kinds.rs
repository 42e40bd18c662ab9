//! What the records hold. Each has a version `v` of its form, 1.

use core::fmt;

use alloy_primitives::{Address, B256};
use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_protocol::client_api::{GuardSettings, MailSettings, WalletInfo};
use keyfold_protocol::ids::{AccountId, Digest32, KeyId, ProjectId, SessionId};
use keyfold_wallet::Config;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Body;
use crate::limits::MAX_SESSIONS;

/// The version of a form; reading another one fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct One;

impl TryFrom<u32> for One {
    type Error = &'static str;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 {
            Ok(Self)
        } else {
            Err("a record of a version that this release does not read")
        }
    }
}

impl From<One> for u32 {
    fn from(One: One) -> Self {
        1
    }
}

/// The keys that session attestations are signed with.
#[derive(Serialize, Deserialize)]
pub(crate) struct RealmKeysRecord {
    pub(crate) v: One,
    /// The current one first.
    pub(crate) attestation: Vec<StoredAttestationKey>,
}

/// One attestation key.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredAttestationKey {
    /// Tagged private key, base64url.
    pub(crate) secret: String,
    /// Unix seconds.
    pub(crate) created: u64,
}

impl Drop for StoredAttestationKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for StoredAttestationKey {}

impl Body for RealmKeysRecord {
    const KIND: &'static str = "realm-keys";
}

/// A project.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) v: One,
    pub(crate) project: ProjectId,
    pub(crate) display_name: String,
    pub(crate) administrators: Vec<PublicJwk>,
    pub(crate) mail: MailSettings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<GuardSettings>,
    /// Unix seconds.
    pub(crate) created: u64,
}

impl Body for Project {
    const KIND: &'static str = "project";
}

/// From an identity to its account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) v: One,
    pub(crate) account: AccountId,
}

impl Body for Identity {
    const KIND: &'static str = "identity";
}

/// A person's account in one project.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) v: One,
    pub(crate) account: AccountId,
    pub(crate) project: ProjectId,
    pub(crate) identities: Vec<IdentityRecord>,
    pub(crate) devices: Vec<DeviceRecord>,
    pub(crate) sessions: Vec<SessionRecord>,
    pub(crate) wallets: Vec<WalletRecord>,
}

impl Body for Account {
    const KIND: &'static str = "account";
}

/// A way to sign in to the account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdentityRecord {
    /// Such as `email`.
    pub(crate) method: String,
    /// Keyed hash of project, method and address.
    pub(crate) hash: Digest32,
    /// The address itself, for notices.
    pub(crate) address: String,
}

/// A device that signed in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub(crate) jkt: Thumbprint,
    pub(crate) jwk: PublicJwk,
    pub(crate) name: String,
    /// Unix seconds.
    pub(crate) added: u64,
}

/// A session.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) sid: SessionId,
    pub(crate) jkt: Thumbprint,
    /// Unix seconds.
    pub(crate) auth_time: u64,
    /// Unix seconds.
    pub(crate) ends: u64,
}

/// A wallet. Nothing in it is secret: shares are with the holders.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WalletRecord {
    pub(crate) label: String,
    pub(crate) key: KeyId,
    pub(crate) generation: u32,
    pub(crate) threshold: u8,
    /// One for each holder, in order.
    pub(crate) leaf: Vec<ShareCommitment>,
    /// One for each holder, in order.
    pub(crate) entropy: Vec<ShareCommitment>,
    pub(crate) config: Config,
    /// The guard's signer in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<Address>,
    pub(crate) address: Address,
    pub(crate) image_hash: B256,
    /// Unix seconds.
    pub(crate) created: u64,
}

impl Account {
    /// The session of an id, if it was not ended.
    pub(crate) fn session(&self, sid: &SessionId) -> Option<&SessionRecord> {
        self.sessions.iter().find(|session| session.sid == *sid)
    }

    pub(crate) fn wallet(&self, address: &Address) -> Option<&WalletRecord> {
        self.wallets
            .iter()
            .find(|wallet| wallet.address == *address)
    }

    /// Adds a session; those that ended make room, then the oldest.
    pub(crate) fn add_session(&mut self, session: SessionRecord, now_unix_seconds: u64) {
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions
                .retain(|session| session.ends > now_unix_seconds);
        }
        while self.sessions.len() >= MAX_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
    }
}

impl WalletRecord {
    pub(crate) fn info(&self) -> WalletInfo {
        WalletInfo {
            label: self.label.clone(),
            address: self.address,
            context: "keyfold".to_owned(),
            key: self.key,
            config: self.config.clone(),
            image_hash: self.image_hash,
            created: self.created,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Project")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RealmKeysRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RealmKeysRecord([redacted])")
    }
}
