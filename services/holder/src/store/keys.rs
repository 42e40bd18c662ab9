//! Keys and the shares of them.

use keyfold_crypto::commitment::{ShareCommitment, SharePurpose};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::KeyId;
use keyfold_storage::{StorageError, changed_one, from_i64, to_i64};
use sqlx::SqliteConnection;

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
    let row: Option<(i64, i64, i64)> = sqlx::query_as(
        "SELECT generation, window_start, window_count FROM keys
         WHERE key = ? AND project = ? AND account = ?",
    )
    .bind(&key.as_bytes()[..])
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_optional(&mut *connection)
    .await?;
    match row {
        Some((generation, start, count)) => Ok(KeyFacts::Owned {
            generation: small(generation)?,
            window: Window {
                start: from_i64(start)?,
                count: small(count)?,
            },
        }),
        None if exists(connection, key).await? => Ok(KeyFacts::Foreign),
        None => Ok(KeyFacts::Unknown),
    }
}

fn small(number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| StorageError::Inconsistent("a number is not a u32"))
}

/// Tells whether a key of that id exists, whoever has it.
pub(crate) async fn exists(connection: &mut SqliteConnection, key: KeyId) -> Result<bool> {
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

/// Adds a sealed share of a key.
pub(crate) async fn add_share(
    connection: &mut SqliteConnection,
    key: KeyId,
    purpose: SharePurpose,
    generation: u32,
    commitment: &ShareCommitment,
    sealed: &[u8],
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO shares (key, purpose, generation, commitment, sealed) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&key.as_bytes()[..])
    .bind(i64::from(purpose_code(purpose)))
    .bind(i64::from(generation))
    .bind(&commitment.0[..])
    .bind(sealed)
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Returns a sealed share, looked up together with its owner; it must be there.
pub(crate) async fn share(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    key: KeyId,
    purpose: SharePurpose,
    generation: u32,
) -> Result<Vec<u8>> {
    Ok(sqlx::query_scalar(
        "SELECT shares.sealed FROM shares JOIN keys ON keys.key = shares.key
         WHERE shares.key = ? AND shares.purpose = ? AND shares.generation = ?
           AND keys.project = ? AND keys.account = ?",
    )
    .bind(&key.as_bytes()[..])
    .bind(i64::from(purpose_code(purpose)))
    .bind(i64::from(generation))
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_one(connection)
    .await?)
}

/// Stores how often a key was released.
pub(crate) async fn set_window(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    key: KeyId,
    window: Window,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE keys SET window_start = ?, window_count = ?
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
