//! The realm's signed record: stored once, read from memory.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use keyfold_protocol::realm::{RealmError, SignedRealmRecord};
use keyfold_storage::{Database, StorageError, changed_if};

/// Why a realm record was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RealmPutError {
    /// It is not one that holders signed.
    #[error(transparent)]
    Invalid(#[from] RealmError),
    /// There is another.
    #[error("this gateway already serves another realm")]
    Exists,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The realm record. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct RealmStore {
    db: Database,
    known: Arc<OnceLock<Bytes>>,
}

impl RealmStore {
    /// Opens the store and reads the record if there is one.
    pub(crate) async fn load(db: Database) -> Result<Self, StorageError> {
        let store = Self {
            db,
            known: Arc::default(),
        };
        if let Some((_, signed)) = store.read().await? {
            let _ = store.known.set(signed.into());
        }
        Ok(store)
    }

    /// Returns the signed record as JSON, once there is one.
    pub(crate) fn json(&self) -> Option<Bytes> {
        self.known.get().cloned()
    }

    /// Stores the record of a realm, if there is none. Repeating it changes nothing.
    ///
    /// The signatures are verified, so that a broken genesis does not settle here for good; whether
    /// it is the right realm, clients and enclaves say.
    pub(crate) async fn put(&self, signed: SignedRealmRecord) -> Result<(), RealmPutError> {
        let verified = signed.verify_unpinned()?;
        let id = verified.id();
        let json = serde_json::to_string(verified.signed())
            .map_err(|_| StorageError::Inconsistent("a realm record that cannot be written"))?;
        let inserted = sqlx::query(
            "INSERT INTO realm (only, id, signed) VALUES (1, ?, ?) ON CONFLICT (only) DO NOTHING",
        )
        .bind(id.as_bytes().as_slice())
        .bind(&json)
        .execute(self.db.writer())
        .await
        .map_err(StorageError::from)?;
        if changed_if(&inserted)? {
            let _ = self.known.set(json.into());
            return Ok(());
        }
        match self.read().await? {
            Some((stored, signed)) if stored == id.as_bytes() => {
                // Another process may have been the one that stored it.
                let _ = self.known.set(signed.into());
                Ok(())
            }
            _ => Err(RealmPutError::Exists),
        }
    }

    async fn read(&self) -> Result<Option<(Vec<u8>, String)>, StorageError> {
        Ok(
            sqlx::query_as("SELECT id, signed FROM realm WHERE only = 1")
                .fetch_optional(self.db.readers())
                .await?,
        )
    }
}
