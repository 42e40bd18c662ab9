//! Keys and the shares of them.

use keyfold_crypto::commitment::{ShareCommitment, SharePurpose};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::KeyId;
use keyfold_storage::{StorageError, changed_one, fixed, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::deposit::{Existing, SHARING_LIFE};
use crate::core::release::KeyFacts;
use crate::core::window::Window;

type Result<T> = core::result::Result<T, StorageError>;

/// Returns the number that stands for a purpose in the table.
pub(crate) const fn purpose_code(purpose: SharePurpose) -> u8 {
    match purpose {
        SharePurpose::Seed => 1,
        SharePurpose::Entropy => 2,
        SharePurpose::LeafKey => 3,
    }
}

/// Returns what a release needs to know of a key, looked up together with its owner.
pub(crate) async fn facts(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    key: KeyId,
) -> Result<KeyFacts> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT window_start, window_count FROM keys
         WHERE key = ? AND project = ? AND account = ?",
    )
    .bind(&key.as_bytes()[..])
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_optional(&mut *connection)
    .await?;
    match row {
        Some((start, count)) => Ok(KeyFacts::Owned {
            window: Window {
                start: from_i64(start)?,
                count: small(count)?,
            },
        }),
        None if exists(connection, key).await? => Ok(KeyFacts::Foreign),
        None => Ok(KeyFacts::Unknown),
    }
}

pub(super) fn small(number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| StorageError::Inconsistent("a number is not a u32"))
}

/// Returns what a deposit needs to know of a key, whoever has it.
pub(crate) async fn existing(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    key: KeyId,
    now: u64,
) -> Result<Option<Existing>> {
    let row: Option<(bool, i64, bool)> = sqlx::query_as(
        "SELECT project = ? AND account = ?, generation, released FROM keys WHERE key = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&key.as_bytes()[..])
    .fetch_optional(&mut *connection)
    .await?;
    let Some((own, generation, released)) = row else {
        return Ok(None);
    };
    let (sharings, old): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(CASE WHEN stored <= ? THEN 1 END) FROM shares
         WHERE key = ? AND generation = ? AND purpose = ?",
    )
    .bind(to_i64(now.saturating_sub(SHARING_LIFE))?)
    .bind(&key.as_bytes()[..])
    .bind(generation)
    .bind(i64::from(purpose_code(SharePurpose::LeafKey)))
    .fetch_one(&mut *connection)
    .await?;
    let staged: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM shares WHERE key = ? AND generation > ?)")
            .bind(&key.as_bytes()[..])
            .bind(generation)
            .fetch_one(connection)
            .await?;
    Ok(Some(Existing {
        own,
        generation: small(generation)?,
        released,
        staged,
        sharings: from_i64(sharings)?,
        old_sharings: from_i64(old)?,
    }))
}

/// Removes the oldest attempt at a key.
pub(crate) async fn drop_oldest_sharing(
    connection: &mut SqliteConnection,
    key: KeyId,
    generation: u32,
) -> Result<()> {
    let oldest: Vec<u8> = sqlx::query_scalar(
        "SELECT sharing FROM shares WHERE key = ? AND generation = ? AND purpose = ?
         ORDER BY stored, sharing LIMIT 1",
    )
    .bind(&key.as_bytes()[..])
    .bind(i64::from(generation))
    .bind(i64::from(purpose_code(SharePurpose::LeafKey)))
    .fetch_one(&mut *connection)
    .await?;
    let oldest = Sharing {
        key,
        generation,
        leaf: ShareCommitment(fixed(&oldest)?),
    };
    super::slots::remove(connection, &oldest).await
}

/// Tells whether a key of that id exists, whoever has it.
pub(super) async fn exists(connection: &mut SqliteConnection, key: KeyId) -> Result<bool> {
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM keys WHERE key = ?")
        .bind(&key.as_bytes()[..])
        .fetch_one(connection)
        .await?;
    Ok(found > 0)
}

/// Returns how many keys an account has.
pub(crate) async fn count(connection: &mut SqliteConnection, owner: &AccountRef) -> Result<u64> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM keys WHERE project = ? AND account = ?")
            .bind(owner.project.as_str())
            .bind(&owner.account.as_bytes()[..])
            .fetch_one(connection)
            .await?;
    from_i64(count)
}

/// Adds a key that does not exist yet.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    key: KeyId,
    generation: u32,
    now: u64,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO keys (key, project, account, generation, created) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&key.as_bytes()[..])
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(i64::from(generation))
    .bind(to_i64(now)?)
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// One attempt at making a key, or new shares of it: its leaf share's commitment names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sharing {
    pub(crate) key: KeyId,
    pub(crate) generation: u32,
    pub(crate) leaf: ShareCommitment,
}

/// Adds a sealed share of a key. The very same again changes nothing.
pub(crate) async fn add_share(
    connection: &mut SqliteConnection,
    sharing: &Sharing,
    purpose: SharePurpose,
    commitment: &ShareCommitment,
    sealed: &[u8],
    now: u64,
) -> Result<()> {
    let same = sqlx::query(
        "UPDATE shares SET stored = ?
         WHERE key = ? AND generation = ? AND sharing = ? AND purpose = ? AND commitment = ?",
    )
    .bind(to_i64(now)?)
    .bind(&sharing.key.as_bytes()[..])
    .bind(i64::from(sharing.generation))
    .bind(&sharing.leaf.0[..])
    .bind(i64::from(purpose_code(purpose)))
    .bind(&commitment.0[..])
    .execute(&mut *connection)
    .await?;
    if same.rows_affected() > 0 {
        return Ok(());
    }
    let slot = super::slots::fill(connection, sealed).await?;
    let done = sqlx::query(
        "INSERT INTO shares (key, generation, sharing, purpose, commitment, slot, stored)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&sharing.key.as_bytes()[..])
    .bind(i64::from(sharing.generation))
    .bind(&sharing.leaf.0[..])
    .bind(i64::from(purpose_code(purpose)))
    .bind(&commitment.0[..])
    .bind(slot)
    .bind(to_i64(now)?)
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Returns a sealed share that has not ended, looked up together with its owner.
pub(crate) async fn share(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    sharing: &Sharing,
    purpose: SharePurpose,
    now: u64,
) -> Result<Option<Vec<u8>>> {
    Ok(sqlx::query_scalar(
        "SELECT sealed_shares.sealed FROM shares
         JOIN keys ON keys.key = shares.key JOIN sealed_shares ON sealed_shares.slot = shares.slot
         WHERE shares.key = ? AND shares.generation = ? AND shares.sharing = ?
           AND shares.purpose = ? AND keys.project = ? AND keys.account = ?
           AND (shares.ends IS NULL OR shares.ends > ?)",
    )
    .bind(&sharing.key.as_bytes()[..])
    .bind(i64::from(sharing.generation))
    .bind(&sharing.leaf.0[..])
    .bind(i64::from(purpose_code(purpose)))
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(to_i64(now)?)
    .fetch_optional(connection)
    .await?)
}

/// Stores that a key was released, and how often.
pub(crate) async fn set_window(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    key: KeyId,
    window: Window,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE keys SET released = 1, window_start = ?, window_count = ?
         WHERE key = ? AND project = ? AND account = ?",
    )
    .bind(to_i64(window.start)?)
    .bind(i64::from(window.count))
    .bind(&key.as_bytes()[..])
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .execute(connection)
    .await?;
    changed_one(&done)
}
