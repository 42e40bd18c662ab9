//! Sealed records: kept by the host, kept current by the holders.
//!
//! The host stores bytes that it cannot read and may lose, withhold or roll back; the holders
//! remember version and hash. What is read here is what the holders say is current, or nothing.

mod anchors;
mod cache;
mod catch_up;
mod kinds;
mod memory;
mod spread;

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

use anchors::Named;
pub(crate) use cache::Cache;
use catch_up::CatchUp;
pub(crate) use catch_up::Message;
pub(crate) use kinds::{
    Account, DeviceRecord, Identity, IdentityRecord, OwnerKey, Project, RealmKeysRecord,
    SessionRecord, StoredAttestationKey, TotpRecord, UpdateRecord, WalletRecord,
};
use memory::Asker;

use crate::core::Core;
use crate::holders::{Gathered, Holders};
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
    /// SHA-256 of the sealed bytes, by which the host knows the version.
    hash: Digest32,
}

/// A record, or who did not say that there is none.
type Look<T> = Result<Held<T>, Vec<(u8, CallError)>>;

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
    asker: Asker<P>,
    locks: Vec<AsyncMutex<()>>,
    accounts: Mutex<Cache<RecordId, Arc<Held<Account>>>>,
    catch_up: Arc<CatchUp>,
}

impl<P: Platform> Records<P> {
    pub(crate) fn new(
        core: Arc<Core<P>>,
        holders: Arc<Holders<P>>,
        realm: Arc<keyfold_protocol::realm::VerifiedRealm>,
        keys: Arc<RealmKeys>,
    ) -> Self {
        let asker = Asker {
            holders: Arc::clone(&holders),
            realm: Arc::clone(&realm),
            keys: Arc::clone(&keys),
        };
        Self {
            core,
            holders,
            realm,
            keys,
            asker,
            locks: (0..LOCKS).map(|_| AsyncMutex::new(())).collect(),
            accounts: Mutex::new(Cache::new(CACHED_ACCOUNTS)),
            catch_up: Arc::new(CatchUp::new()),
        }
    }

    /// The id of a record.
    pub(crate) fn id<T: Body>(&self, project: Option<&ProjectId>, name: &[u8]) -> RecordId {
        self.keys.record_id(T::KIND, project, name)
    }

    /// Reads the current version.
    ///
    /// # Security
    ///
    /// That there is none is what t holders say. It decides nothing but this request: what is to
    /// be made anew goes through [`Records::change`], which asks all of them.
    pub(crate) async fn read<T: Body>(&self, id: RecordId) -> Result<Option<Held<T>>, Problem> {
        Ok(self.look(id, false).await?.ok())
    }

    /// As [`Records::read`], of all n holders: no one of them can hide the newest version.
    pub(crate) async fn read_of_all<T: Body>(
        &self,
        id: RecordId,
    ) -> Result<Option<Held<T>>, Problem> {
        Ok(self.look(id, true).await?.ok())
    }

    /// Reads the current version, or learns who did not say that there is none.
    async fn look<T: Body>(&self, id: RecordId, everybody: bool) -> Result<Look<T>, Problem> {
        let (named, stored) = join(self.named(id, everybody), self.stored(id)).await;
        let mut named = named?;
        let mut stored = stored?;
        for _ in 0..READ_ATTEMPTS {
            if let Named::Absent { silent } = named {
                return Ok(Err(silent));
            }
            let mut held = self.open_named::<T>(id, &named, &stored).await?;
            if held.is_none() {
                // The host may have answered before the holders.
                stored = self.stored(id).await?;
                held = self.open_named(id, &named, &stored).await?;
            }
            if let Some(held) = held {
                if stored.len() > 1 {
                    self.settle(id, held.anchor.version, held.hash);
                }
                return Ok(Ok(held));
            }
            // Or a newer version took this one's place. Lost is what the host does not have after
            // it was named, and is named still.
            let again = self.named(id, everybody).await?;
            if again.versions() == named.versions() {
                return Err(self.rolled_back(id, &named));
            }
            named = again;
        }
        Err(Code::RecordConflict.into())
    }

    /// Changes a record: reads it, lets `change` decide, writes the next version.
    ///
    /// `change` runs again on the newer version when somebody else was first. A record is created
    /// only when all n holders say that there is none; [`anchors`] says why.
    pub(crate) async fn change<T: Body, R>(
        &self,
        id: RecordId,
        mut change: impl FnMut(Option<T>) -> Result<Change<T, R>, Problem>,
    ) -> Result<R, Problem> {
        let lock = self.locks.get(usize::from(id.as_bytes()[0]) % LOCKS);
        let lock = lock.ok_or_else(|| Problem::internal("no lock"))?;
        let _writing = lock.lock().await;
        for _ in 0..CHANGE_ATTEMPTS {
            let (value, previous, silent) = match self.look::<T>(id, false).await? {
                Ok(held) => (Some(held.value), Some(held.anchor), Vec::new()),
                Err(silent) => (None, None, silent),
            };
            let (value, result) = match change(value)? {
                Change::Keep(result) => return Ok(result),
                Change::Write(value, result) => (value, result),
            };
            if !silent.is_empty() {
                let everybody = self.holders.count();
                return Err(self.holders.shortage(everybody, &silent));
            }
            let next_version = previous.map_or(1, |anchor| anchor.version.saturating_add(1));
            let version = self.seal(id, next_version, &value)?;
            let next = self.keys.anchor(&id, next_version, &version.sealed);
            let hash = version.hash;
            if !self.put(id, version).await? {
                continue;
            }
            let step = AnchorStep {
                record: id,
                previous,
                next,
            };
            if self.commit(step).await? {
                self.settle(id, next_version, hash);
                return Ok(result);
            }
        }
        Err(Code::RecordConflict.into())
    }

    /// Tells holders that were away what they missed, in the background.
    pub(crate) fn catch_up(&self) {
        let (holders, catch_up) = (Arc::clone(&self.holders), Arc::clone(&self.catch_up));
        let now = self.core.now();
        self.core
            .background
            .run(async move { catch_up.round(&holders, now).await });
    }

    /// Tells those who did not confirm something again, until they have, in the background.
    pub(crate) fn tell_missed<T: Send + 'static>(&self, told: Gathered<T>, message: Message) {
        if told.rest.is_empty() && told.bad.is_empty() {
            return;
        }
        let (holders, catch_up) = (Arc::clone(&self.holders), Arc::clone(&self.catch_up));
        self.core.background.run(async move {
            for (index, _) in told.all().await.bad {
                catch_up.tell(&holders, index, message.clone()).await;
            }
        });
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

    /// Opens the version that an anchor stands for; `None` where it is not there.
    ///
    /// The hash is computed here: what the host says it is decides nothing.
    fn open_version<T: Body>(
        &self,
        id: RecordId,
        anchor: Anchor,
        stored: &[RecordVersion],
    ) -> Result<Option<Held<T>>, Problem> {
        let aad = Self::aad(&id, T::KIND, anchor.version);
        let plain = stored
            .iter()
            .filter(|found| self.keys.anchor(&id, anchor.version, &found.sealed) == anchor)
            .find_map(|found| {
                let plain = self.keys.sealing.open(&aad, &found.sealed).ok()?;
                Some((plain, Digest32::from_bytes(sha256(&found.sealed))))
            });
        let Some((plain, hash)) = plain else {
            return Ok(None);
        };
        let value = plain
            .expose(|bytes| serde_json::from_slice(bytes))
            .map_err(|_| Problem::internal("a current record is not readable"))?;
        Ok(Some(Held {
            value,
            anchor,
            hash,
        }))
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
    fn settle(&self, id: RecordId, version: u64, hash: Digest32) {
        let body = RecordSettle {
            record: id,
            version,
            hash,
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

fn host_problem(error: CallError) -> Problem {
    tracing::warn!(%error, "the host's record store");
    Problem::new(Code::Unavailable, "the record store does not answer")
}
