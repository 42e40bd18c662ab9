//! Devices that were taken off accounts.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::evidence::AccountRef;
use keyfold_storage::{StorageError, changed_one, from_i64, to_i64};
use sqlx::SqliteConnection;

type Result<T> = core::result::Result<T, StorageError>;

/// Tells whether a device was taken off.
pub(crate) async fn has(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
) -> Result<bool> {
    let found: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM revoked_devices WHERE project = ? AND account = ? AND device = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&device.0[..])
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}

/// Counts the devices that were taken off an account.
pub(crate) async fn count(connection: &mut SqliteConnection, owner: &AccountRef) -> Result<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM revoked_devices WHERE project = ? AND account = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_one(connection)
    .await?;
    from_i64(count)
}

/// Notes that a device was taken off.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
    now: u64,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO revoked_devices (project, account, device, revoked) VALUES (?, ?, ?, ?)",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&device.0[..])
    .bind(to_i64(now)?)
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Notes that every other device of an account was taken off.
pub(crate) async fn clear(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    now: u64,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO cleared_accounts (project, account, cleared) VALUES (?, ?, ?)
         ON CONFLICT (project, account) DO UPDATE SET cleared = max(cleared, excluded.cleared)",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(to_i64(now)?)
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Returns when that was last, in Unix seconds.
pub(crate) async fn cleared(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
) -> Result<Option<u64>> {
    let cleared: Option<i64> = sqlx::query_scalar(
        "SELECT cleared FROM cleared_accounts WHERE project = ? AND account = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_optional(connection)
    .await?;
    cleared.map(from_i64).transpose()
}
