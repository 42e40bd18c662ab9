//! The anchors of records.

use keyfold_protocol::anchor::Anchor;
use keyfold_protocol::ids::{Digest32, RecordId};
use keyfold_storage::{StorageError, changed_one, fixed, from_i64, to_i64};
use sqlx::SqliteConnection;

type Result<T> = core::result::Result<T, StorageError>;

/// Returns what is remembered of a record.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    record: RecordId,
) -> Result<Option<Anchor>> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, hash FROM anchors WHERE record = ?")
            .bind(&record.as_bytes()[..])
            .fetch_optional(connection)
            .await?;
    row.map(|(version, hash)| {
        Ok(Anchor {
            version: from_i64(version)?,
            hash: Digest32::from_bytes(fixed(&hash)?),
        })
    })
    .transpose()
}

/// Moves a record's anchor from what is remembered to what comes next.
pub(crate) async fn advance(
    connection: &mut SqliteConnection,
    record: RecordId,
    remembered: Option<&Anchor>,
    next: &Anchor,
) -> Result<()> {
    let done = match remembered {
        None => {
            sqlx::query("INSERT INTO anchors (record, version, hash) VALUES (?, ?, ?)")
                .bind(&record.as_bytes()[..])
                .bind(to_i64(next.version)?)
                .bind(&next.hash.as_bytes()[..])
                .execute(connection)
                .await?
        }
        Some(previous) => {
            sqlx::query(
                "UPDATE anchors SET version = ?, hash = ?
                 WHERE record = ? AND version = ? AND hash = ?",
            )
            .bind(to_i64(next.version)?)
            .bind(&next.hash.as_bytes()[..])
            .bind(&record.as_bytes()[..])
            .bind(to_i64(previous.version)?)
            .bind(&previous.hash.as_bytes()[..])
            .execute(connection)
            .await?
        }
    };
    changed_one(&done)
}
