//! Sealed records: put beside, read all, settle one.

use keyfold_protocol::gateway_api::{MAX_RECORD, RecordPut, RecordSettle, RecordVersion};
use keyfold_protocol::ids::{Digest32, RecordId};
use keyfold_storage::{Database, StorageError, changed_one, fixed, from_i64, to_i64};
use sha2::{Digest as _, Sha256};
use sqlx::{Sqlite, Transaction};

use super::{ABANDONED_SECONDS, MAX_UNSETTLED, RecordError};

type Row = (i64, Vec<u8>, Vec<u8>);

/// The sealed records.
#[derive(Debug, Clone)]
pub(crate) struct RecordStore {
    db: Database,
}

impl RecordStore {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }

    /// Returns every stored version; none for a record that was never put.
    pub(crate) async fn get(&self, record: &RecordId) -> Result<Vec<RecordVersion>, StorageError> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT version, hash, sealed FROM record_versions WHERE record = ?")
                .bind(record.as_bytes().as_slice())
                .fetch_all(self.db.readers())
                .await?;
        rows.into_iter().map(version_of).collect()
    }

    /// Stores a version beside the others. Repeating it changes nothing.
    pub(crate) async fn put(&self, put: &RecordPut, now: u64) -> Result<(), RecordError> {
        let RecordVersion {
            version,
            hash,
            sealed,
        } = &put.version;
        if sealed.is_empty() || sealed.len() > MAX_RECORD {
            return Err(RecordError::BadSize);
        }
        if Sha256::digest(sealed)[..] != hash.as_bytes()[..] {
            return Err(RecordError::HashMismatch);
        }
        let number = version_number(*version)?;
        let record = put.record.as_bytes().as_slice();
        let mut tx = self.db.writer().begin_with("BEGIN IMMEDIATE").await?;
        let stored: Vec<(i64, Vec<u8>, bool, i64)> = sqlx::query_as(
            "SELECT version, hash, settled, stored_at FROM record_versions WHERE record = ?",
        )
        .bind(record)
        .fetch_all(&mut *tx)
        .await?;
        let same = |(v, h, ..): &&(i64, Vec<u8>, bool, i64)| *v == number && h == hash.as_bytes();
        if stored.iter().any(|row| same(&row)) {
            return Ok(());
        }
        if stored
            .iter()
            .any(|(v, _, settled, _)| *settled && *v >= number)
        {
            return Err(RecordError::Superseded);
        }
        let waiting: Vec<_> = stored
            .iter()
            .filter(|(_, _, settled, _)| !settled)
            .collect();
        if waiting.len() >= MAX_UNSETTLED {
            let long_ago = to_i64(now.saturating_sub(ABANDONED_SECONDS))?;
            // Who writes version n has learned from the holders that n - 1 is current, so nothing
            // older is; and another n that old never became current, or this would be n + 1.
            let abandoned = waiting
                .iter()
                .filter(|(v, _, _, at)| *v < number - 1 || (*v == number && *at < long_ago))
                .min_by_key(|(v, _, _, at)| (*v, *at))
                .ok_or(RecordError::Full)?;
            let dropped = sqlx::query(
                "DELETE FROM record_versions WHERE record = ? AND version = ? AND hash = ? \
                 AND settled = 0",
            )
            .bind(record)
            .bind(abandoned.0)
            .bind(&abandoned.1)
            .execute(&mut *tx)
            .await?;
            changed_one(&dropped)?;
        }
        let inserted = sqlx::query(
            "INSERT INTO record_versions (record, version, hash, sealed, stored_at) \
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(record)
        .bind(number)
        .bind(hash.as_bytes().as_slice())
        .bind(sealed)
        .bind(to_i64(now)?)
        .execute(&mut *tx)
        .await?;
        changed_one(&inserted)?;
        tx.commit().await?;
        Ok(())
    }

    /// Drops what the confirmed version replaces: everything older, and its rivals of the same
    /// version. Repeating it changes nothing.
    ///
    /// A newer version stays. Its writer may be just having it confirmed, and this settlement may
    /// have been on its way for long.
    pub(crate) async fn settle(&self, settle: &RecordSettle) -> Result<(), RecordError> {
        let number = version_number(settle.version)?;
        let record = settle.record.as_bytes().as_slice();
        let hash = settle.hash.as_bytes().as_slice();
        let mut tx = self.db.writer().begin_with("BEGIN IMMEDIATE").await?;
        if !is_stored(&mut tx, record, number, hash).await? {
            return Err(RecordError::NotStored);
        }
        // First the others: one version at most is settled at any time.
        sqlx::query(
            "DELETE FROM record_versions WHERE record = ?1 \
             AND (version < ?2 OR (version = ?2 AND hash <> ?3))",
        )
        .bind(record)
        .bind(number)
        .bind(hash)
        .execute(&mut *tx)
        .await?;
        let settled = sqlx::query(
            "UPDATE record_versions SET settled = 1 WHERE record = ? AND version = ? AND hash = ?",
        )
        .bind(record)
        .bind(number)
        .bind(hash)
        .execute(&mut *tx)
        .await?;
        changed_one(&settled)?;
        tx.commit().await?;
        Ok(())
    }
}

async fn is_stored(
    tx: &mut Transaction<'_, Sqlite>,
    record: &[u8],
    version: i64,
    hash: &[u8],
) -> Result<bool, sqlx::Error> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM record_versions WHERE record = ? AND version = ? AND hash = ?",
    )
    .bind(record)
    .bind(version)
    .bind(hash)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.is_some())
}

fn version_number(version: u64) -> Result<i64, RecordError> {
    i64::try_from(version)
        .ok()
        .filter(|version| *version >= 1)
        .ok_or(RecordError::BadVersion)
}

fn version_of((version, hash, sealed): Row) -> Result<RecordVersion, StorageError> {
    Ok(RecordVersion {
        version: from_i64(version)?,
        hash: Digest32::from_bytes(fixed(&hash)?),
        sealed,
    })
}
