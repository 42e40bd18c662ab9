//! Sealed records: kept by the host, kept current by the holders.
//!
//! The host stores bytes that it cannot read and may lose, withhold or roll back; the holders
//! remember version and hash. What is read here is what the holders say is current, or nothing.

mod anchors;
mod cache;
mod kinds;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join;
use futures_util::lock::Mutex as AsyncMutex;
use keyfold_crypto::envelope::Aad;
use keyfold_crypto::hash::sha256;
use keyfold_protocol::anchor::{Anchor, AnchorStep};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{
    MAX_RECORD, RecordGet, RecordPut, RecordSettle, RecordVersion, RecordVersions, host_path,
};
use keyfold_protocol::ids::{Digest32, ProjectId, RecordId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub(crate) use cache::Cache;
pub(crate) use kinds::{
    Account, DeviceRecord, Identity, IdentityRecord, Project, RealmKeysRecord, SessionRecord,
    StoredAttestationKey, WalletRecord,
};

use crate::core::Core;
use crate::holders::Holders;
use crate::keys::RealmKeys;
use crate::limits::{CACHED_ACCOUNTS, CHANGE_ATTEMPTS};
use crate::peers::{CallError, call_host, to_json};
use crate::platform::Platform;
use crate::problem::Problem;

/// Most stored versions of one record that are looked at.
const MAX_VERSIONS: usize = 64;
/// Times a record is read again that changed while it was read.
const READ_ATTEMPTS: usize = 4;
/// Locks that keep one instance from racing with itself.
const LOCKS: usize = 64;

/// What a record holds.
pub(crate) trait Body: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind: column of the envelope, part of the record's name.
    const KIND: &'static str;
}

/// A record as it was read: what it holds and which version of it that was.
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) value: T,
    pub(crate) anchor: Anchor,
}

/// What a change makes of a record.
pub(crate) enum Change<T, R> {
    /// Leaves it.
    Keep(R),
    /// Writes the next version.
    Write(T, R),
}

/// The records of a realm.
pub(crate) struct Records<P> {
    core: Arc<Core<P>>,
    holders: Arc<Holders<P>>,
    realm: Arc<keyfold_protocol::realm::VerifiedRealm>,
    keys: Arc<RealmKeys>,
    locks: Vec<AsyncMutex<()>>,
    accounts: Mutex<Cache<RecordId, Arc<Held<Account>>>>,
}

impl<P: Platform> Records<P> {
    pub(crate) fn new(
        core: Arc<Core<P>>,
        holders: Arc<Holders<P>>,
        realm: Arc<keyfold_protocol::realm::VerifiedRealm>,
        keys: Arc<RealmKeys>,
    ) -> Self {
        Self {
            core,
            holders,
            realm,
            keys,
            locks: (0..LOCKS).map(|_| AsyncMutex::new(())).collect(),
            accounts: Mutex::new(Cache::new(CACHED_ACCOUNTS)),
        }
    }

    /// The id of a record.
    pub(crate) fn id<T: Body>(&self, project: Option<&ProjectId>, name: &[u8]) -> RecordId {
        self.keys.record_id(T::KIND, project, name)
    }

    /// Reads the current version.
    pub(crate) async fn read<T: Body>(&self, id: RecordId) -> Result<Option<Held<T>>, Problem> {
        let (current, stored) = join(self.current_anchor(id), self.stored(id)).await;
        let Some(mut anchor) = current? else {
            return Ok(None);
        };
        let mut stored = stored?;
        for _ in 0..READ_ATTEMPTS {
            let several = stored.len() > 1;
            if let Some(held) = self.open_version(id, anchor, stored)? {
                if several {
                    self.settle(id, anchor);
                }
                return Ok(Some(held));
            }
            // The host may have answered before the holders, or after a newer version took this
            // one's place. Lost is what it does not have after it was named, and is named still.
            stored = self.stored(id).await?;
            let named = self
                .current_anchor(id)
                .await?
                .ok_or(Code::RecordRolledBack)?;
            let found = stored.iter().any(|version| is_version(version, &named));
            if !found && named == anchor {
                return Err(Code::RecordRolledBack.into());
            }
            anchor = named;
        }
        Err(Code::RecordConflict.into())
    }

    /// Changes a record: reads it, lets `change` decide, writes the next version.
    ///
    /// `change` runs again on the newer version when somebody else was first.
    pub(crate) async fn change<T: Body, R>(
        &self,
        id: RecordId,
        mut change: impl FnMut(Option<T>) -> Result<Change<T, R>, Problem>,
    ) -> Result<R, Problem> {
        let lock = self.locks.get(usize::from(id.as_bytes()[0]) % LOCKS);
        let lock = lock.ok_or_else(|| Problem::internal("no lock"))?;
        let _writing = lock.lock().await;
        for _ in 0..CHANGE_ATTEMPTS {
            let (value, previous) = match self.read::<T>(id).await? {
                Some(held) => (Some(held.value), Some(held.anchor)),
                None => (None, None),
            };
            let (value, result) = match change(value)? {
                Change::Keep(result) => return Ok(result),
                Change::Write(value, result) => (value, result),
            };
            let next_version = previous.map_or(1, |anchor| anchor.version.saturating_add(1));
            let version = self.seal(id, next_version, &value)?;
            let next = Anchor {
                version: version.version,
                hash: version.hash,
            };
            if !self.put(id, version).await? {
                continue;
            }
            let step = AnchorStep {
                record: id,
                previous,
                next,
            };
            if self.commit(step).await? {
                self.settle(id, next);
                return Ok(result);
            }
        }
        Err(Code::RecordConflict.into())
    }

    /// The account's record: from memory where it was read before, else current.
    ///
    /// # Security
    ///
    /// What is in memory may be old. Only for the path of a signature, where the anchor that comes
    /// with the shares decides.
    pub(crate) async fn account_maybe_old(
        &self,
        id: RecordId,
    ) -> Result<Option<Arc<Held<Account>>>, Problem> {
        let cached = self
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id);
        if cached.is_some() {
            return Ok(cached);
        }
        Ok(self.read(id).await?.map(|held| self.remember(id, held)))
    }

    /// Keeps an opened account record for later.
    pub(crate) fn remember(&self, id: RecordId, held: Held<Account>) -> Arc<Held<Account>> {
        let held = Arc::new(held);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = accounts
            .get(&id)
            .is_some_and(|old| old.anchor.version > held.anchor.version);
        if !newer {
            accounts.insert(id, Arc::clone(&held));
        }
        held
    }

    fn aad<'a>(id: &'a RecordId, kind: &'a str, version: u64) -> Aad<'a> {
        Aad {
            table: "record",
            row: id.as_bytes(),
            column: kind,
            version,
        }
    }

    fn seal<T: Body>(
        &self,
        id: RecordId,
        version: u64,
        value: &T,
    ) -> Result<RecordVersion, Problem> {
        let plain = serde_json::to_vec(value)
            .map(Zeroizing::new)
            .map_err(|_| Problem::internal("a record cannot be written as JSON"))?;
        let mut rng = self.core.rng()?;
        let sealed = self
            .keys
            .sealing
            .seal(&Self::aad(&id, T::KIND, version), &plain, &mut rng)
            .map_err(|_| Problem::internal("a record cannot be sealed"))?;
        if sealed.len() > MAX_RECORD {
            return Err(Problem::internal("a record is too large"));
        }
        Ok(RecordVersion {
            version,
            hash: Digest32::from_bytes(sha256(&sealed)),
            sealed,
        })
    }

    fn open_version<T: Body>(
        &self,
        id: RecordId,
        anchor: Anchor,
        stored: Vec<RecordVersion>,
    ) -> Result<Option<Held<T>>, Problem> {
        let Some(RecordVersion { sealed, .. }) = stored
            .into_iter()
            .find(|version| is_version(version, &anchor))
        else {
            return Ok(None);
        };
        let plain = self
            .keys
            .sealing
            .open(&Self::aad(&id, T::KIND, anchor.version), &sealed)
            .map_err(|_| Problem::internal("a current record does not open"))?;
        let value = plain
            .expose(|bytes| serde_json::from_slice(bytes))
            .map_err(|_| Problem::internal("a current record is not readable"))?;
        Ok(Some(Held { value, anchor }))
    }

    async fn stored(&self, id: RecordId) -> Result<Vec<RecordVersion>, Problem> {
        let body = to_json(&RecordGet { record: id }).map_err(host_problem)?;
        let answer = call_host(self.core.platform(), "POST", host_path::RECORD_GET, body)
            .await
            .map_err(host_problem)?;
        let Some(answer) = answer else {
            return Ok(Vec::new());
        };
        let RecordVersions { mut versions } =
            serde_json::from_slice(&answer).map_err(|_| host_problem(CallError::Malformed))?;
        versions.truncate(MAX_VERSIONS);
        Ok(versions)
    }

    /// Stores a version beside the others. `false` where the host knows that it comes too late.
    async fn put(&self, id: RecordId, version: RecordVersion) -> Result<bool, Problem> {
        let body = to_json(&RecordPut {
            record: id,
            version,
        })
        .map_err(host_problem)?;
        let path = host_path::RECORD_PUT;
        match call_host(self.core.platform(), "POST", path, body).await {
            Ok(Some(_)) => Ok(true),
            Ok(None) => Err(host_problem(CallError::Malformed)),
            Err(error) if error.code() == Some(Code::RecordConflict) => Ok(false),
            Err(error) => Err(host_problem(error)),
        }
    }

    /// Lets the host drop the other versions, some time later.
    fn settle(&self, id: RecordId, anchor: Anchor) {
        let body = RecordSettle {
            record: id,
            version: anchor.version,
            hash: anchor.hash,
        };
        let Ok(body) = to_json(&body) else { return };
        let core = Arc::clone(&self.core);
        self.core.background.run(async move {
            let path = host_path::RECORD_SETTLE;
            if let Err(error) = call_host(core.platform(), "POST", path, body).await {
                tracing::warn!(%error, "the host did not settle a record");
            }
        });
    }
}

/// Whether stored bytes are what holders remember. The hash is computed here: what the host says it
/// is decides nothing.
fn is_version(version: &RecordVersion, anchor: &Anchor) -> bool {
    sha256(&version.sealed) == *anchor.hash.as_bytes()
}

fn host_problem(error: CallError) -> Problem {
    tracing::warn!(%error, "the host's record store");
    Problem::new(Code::Unavailable, "the record store does not answer")
}
