//! The bytes of shares: in rows that never move, and that are overwritten where they stand.
//!
//! SQLite overwrites what is deleted (`secure_delete`), but not the copy that stays behind when a row
//! moves to another page, as rows of a table do whose neighbours come and go. So here rows are only
//! added at the end, which moves none, and none is removed: what ended becomes as many zeros, in
//! place, and its row is used for the next share of that length.

use keyfold_storage::{StorageError, to_i64};
use sqlx::SqliteConnection;

use super::keys::Sharing;

type Result<T> = core::result::Result<T, StorageError>;

/// Stores the bytes of a share; returns where.
pub(super) async fn fill(connection: &mut SqliteConnection, sealed: &[u8]) -> Result<i64> {
    let again: Option<i64> = sqlx::query_scalar(
        "UPDATE sealed_shares SET sealed = ?1, free = 0
         WHERE slot = (SELECT slot FROM sealed_shares
                       WHERE free = 1 AND length(sealed) = length(?1) LIMIT 1)
         RETURNING slot",
    )
    .bind(sealed)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(slot) = again {
        return Ok(slot);
    }
    Ok(
        sqlx::query_scalar("INSERT INTO sealed_shares (sealed) VALUES (?) RETURNING slot")
            .bind(sealed)
            .fetch_one(connection)
            .await?,
    )
}

/// Removes the shares of one splitting.
pub(super) async fn remove(connection: &mut SqliteConnection, sharing: &Sharing) -> Result<()> {
    for sql in [
        "UPDATE sealed_shares SET sealed = zeroblob(length(sealed)), free = 1 WHERE slot IN
            (SELECT slot FROM shares WHERE key = ? AND generation = ? AND sharing = ?)",
        "DELETE FROM shares WHERE key = ? AND generation = ? AND sharing = ?",
    ] {
        sqlx::query(sql)
            .bind(&sharing.key.as_bytes()[..])
            .bind(i64::from(sharing.generation))
            .bind(&sharing.leaf.0[..])
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Removes the shares that ended.
pub(crate) async fn purge(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    for sql in [
        "UPDATE sealed_shares SET sealed = zeroblob(length(sealed)), free = 1 WHERE slot IN
            (SELECT slot FROM shares WHERE ends <= ?)",
        "DELETE FROM shares WHERE ends <= ?",
    ] {
        sqlx::query(sql)
            .bind(to_i64(now)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
