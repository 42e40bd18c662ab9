//! A running holder: its keys, its database, and what it keeps in memory.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use getrandom::SysRng;
use keyfold_log::NoteError;
use keyfold_net::limit::RateLimit;
use keyfold_protocol::realm::{HolderCard, RealmError, SignedRealmRecord};
use keyfold_protocol::registry::Registry;
use keyfold_protocol::session::AttestationKeySet;
use keyfold_storage::{
    Database, LogAppender, LogOpenError, LogStore, MigrateError, OpenError, StorageError, migrate,
};
use rand_core::UnwrapErr;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;

use crate::clock::Clock;
use crate::config::{HolderConfig, Trust};
use crate::core::genesis::{self, GenesisRefusal};
use crate::core::operation::Rules;
use crate::error::ApiError;
use crate::issuers::{Issuers, IssuersError};
use crate::keys::HolderKeys;
use crate::ledger::Ledger;
use crate::member::OwnRealm;
use crate::store;

/// Documents that are verified for one peer in a minute; an instance needs about one in an hour.
const REGISTRATIONS_PER_MINUTE: NonZeroU32 = match NonZeroU32::new(120) {
    Some(number) => number,
    None => NonZeroU32::MIN,
};

/// Why a holder could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HolderOpenError {
    /// The database file cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database cannot be brought to this release's schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The log's entries and checkpoint do not belong together, or are not ours.
    #[error(transparent)]
    Log(#[from] LogOpenError),
    /// The log's origin is not a name.
    #[error("the log's origin cannot be used")]
    Origin(#[from] NoteError),
    /// The database fails or contradicts itself.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The issuers that are believed cannot be used as they are configured.
    #[error(transparent)]
    Issuers(#[from] IssuersError),
    /// The stored realm record does not verify.
    #[error("the stored realm record is not valid: {0}")]
    Realm(#[from] RealmError),
    /// The stored realm is not this holder's any more: card or root of attestation changed.
    #[error("the stored realm does not name this holder with its keys, address and root: {0}")]
    NotOurRealm(String),
}

/// A key holder, without its sockets.
pub struct Holder {
    config: HolderConfig,
    trust: Trust,
    keys: HolderKeys,
    card: HolderCard,
    clock: Arc<dyn Clock>,
    database: Database,
    ledger: Ledger,
    registry: Registry,
    registration_limit: RateLimit,
    issuers: Issuers,
    realm: RwLock<Option<Arc<OwnRealm>>>,
    attestation_keys: RwLock<Arc<AttestationKeySet>>,
    /// Held over a statement of attestation keys, so that memory and disk agree on the last one.
    stating: tokio::sync::Mutex<()>,
}

impl Holder {
    /// Opens the database, brings it to this release's schema, and reads what it holds.
    ///
    /// # Errors
    ///
    /// [`HolderOpenError`]; nothing is repaired silently.
    pub async fn open(
        config: HolderConfig,
        keys: HolderKeys,
        trust: Trust,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, HolderOpenError> {
        let issuers = Issuers::new(&config.issuers)?;
        let database = Database::open(config.database_path()).await?;
        migrate(&database, store::MIGRATIONS).await?;
        let signer = keys.log_signer(config.log_origin())?;
        let ledger = Ledger::new(LogAppender::start(database.clone(), signer).await?);
        let card = keys.card(&config);

        let mut connection = database
            .readers()
            .acquire()
            .await
            .map_err(StorageError::from)?;
        let realm = match store::realm::load(&mut connection).await? {
            None => None,
            Some(record) => Some(Arc::new(verify_own(record, &card, &trust)?)),
        };
        let attestation_keys = store::realm::attestation_keys(&mut connection).await?;
        drop(connection);

        Ok(Arc::new(Self {
            registry: Registry::new(&mut UnwrapErr(SysRng)),
            registration_limit: RateLimit::new(REGISTRATIONS_PER_MINUTE, Duration::from_secs(60)),
            issuers,
            config,
            trust,
            keys,
            card,
            clock,
            database,
            ledger,
            realm: RwLock::new(realm),
            attestation_keys: RwLock::new(Arc::new(attestation_keys)),
            stating: tokio::sync::Mutex::new(()),
        }))
    }

    /// Describes the holder for the realm record.
    pub fn card(&self) -> &HolderCard {
        &self.card
    }

    /// Reads the holder's log.
    pub fn log(&self) -> LogStore {
        LogStore::new(self.database.clone())
    }

    /// Waits for what is running and closes the database.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Removes what can no longer matter: spent nonces, ended sessions, old counts, retired shares.
    ///
    /// # Errors
    ///
    /// A sentence for the log; the next call tries again.
    pub async fn purge(&self) -> Result<(), String> {
        let now = self.clock.unix_seconds();
        self.ledger
            .commit(move |connection| {
                Box::pin(async move {
                    store::sessions::purge(connection, now).await?;
                    store::mail::purge(connection, now).await?;
                    store::attempts::purge(connection, now).await?;
                    store::slots::purge(connection, now).await?;
                    Ok(((), None))
                })
            })
            .await
            .map_err(|error: ApiError| error.to_string())?;
        // What was overwritten in the database stands in the journal until that is cut.
        match self.database.empty_journal().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the journal is being read, so it keeps what was removed".to_owned()),
            Err(error) => Err(format!("the journal cannot be emptied: {error}")),
        }
    }

    /// Returns a connection that reads.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, ApiError> {
        Ok(self.database.readers().acquire().await?)
    }

    pub(crate) fn config(&self) -> &HolderConfig {
        &self.config
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    pub(crate) fn keys(&self) -> &HolderKeys {
        &self.keys
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Limits how often one peer may have a document verified.
    pub(crate) fn registration_limit(&self) -> &RateLimit {
        &self.registration_limit
    }

    /// The issuers that are believed.
    pub(crate) fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.unix_ms()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    pub(crate) fn realm(&self) -> Option<Arc<OwnRealm>> {
        self.realm
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_realm(&self, realm: OwnRealm) {
        *self.realm.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(realm));
    }

    pub(crate) fn attestation_keys(&self) -> Arc<AttestationKeySet> {
        Arc::clone(
            &self
                .attestation_keys
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(crate) fn set_attestation_keys(&self, keys: AttestationKeySet) {
        *self
            .attestation_keys
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Lets one statement of attestation keys be stored at a time.
    pub(crate) async fn state_keys(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.stating.lock().await
    }

    /// Returns what evidence is judged by at a time.
    pub(crate) fn rules<'a>(&self, keys: &'a AttestationKeySet, now: u64) -> Rules<'a> {
        Rules {
            keys,
            now,
            max_auth_age: self.config.max_auth_age_seconds,
        }
    }

    /// Verifies a signed record and finds this holder in it.
    pub(crate) fn verify_realm(
        &self,
        record: SignedRealmRecord,
    ) -> Result<OwnRealm, GenesisRefusal> {
        let index = genesis::own_index(&record.record, &self.card, &self.trust.root)?;
        Ok(OwnRealm {
            realm: record.verify_unpinned()?,
            index,
        })
    }
}

fn verify_own(
    record: SignedRealmRecord,
    card: &HolderCard,
    trust: &Trust,
) -> Result<OwnRealm, HolderOpenError> {
    let index = genesis::own_index(&record.record, card, &trust.root)
        .map_err(|refusal| HolderOpenError::NotOurRealm(refusal.to_string()))?;
    Ok(OwnRealm {
        realm: record.verify_unpinned()?,
        index,
    })
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holder")
            .field("name", &self.config.name)
            .finish_non_exhaustive()
    }
}

/// The operating system's randomness.
pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
