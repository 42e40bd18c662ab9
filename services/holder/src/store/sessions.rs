//! Spent nonces and ended sessions.

use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::SessionId;
use keyfold_protocol::session::MAX_SESSION_SECONDS;
use keyfold_storage::{StorageError, changed_if, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::operation::{SessionOperation, SpentNonce};
use crate::core::standing::Standing;

type Result<T> = core::result::Result<T, StorageError>;

/// How long a spent nonce is kept after its signature expired, so that a clock that is set back
/// within it does not make the signature good again. Seconds.
const NONCE_MARGIN: u64 = 3_600;
/// A day longer than any session lives. Seconds.
const REVOCATION_LIFE: u64 = MAX_SESSION_SECONDS + 86_400;

/// Spends a nonce; tells whether it was new.
pub(crate) async fn spend(connection: &mut SqliteConnection, nonce: &SpentNonce) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO nonces (device, nonce, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(&nonce.device.0[..])
    .bind(&nonce.nonce)
    .bind(to_i64(nonce.expires)?)
    .execute(connection)
    .await?;
    changed_if(&done)
}

/// Ends a session; tells whether it was not ended before.
pub(crate) async fn revoke(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    session: SessionId,
    now: u64,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO revoked_sessions (project, account, session, expires) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&session.as_bytes()[..])
    .bind(to_i64(now.saturating_add(REVOCATION_LIFE))?)
    .execute(connection)
    .await?;
    changed_if(&done)
}

/// Tells whether a session was ended.
pub(crate) async fn is_revoked(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    session: SessionId,
) -> Result<bool> {
    let found: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM revoked_sessions
         WHERE project = ? AND account = ? AND session = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&session.as_bytes()[..])
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}

/// Counts the sessions of an account that were ended.
pub(crate) async fn count_revoked(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
) -> Result<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM revoked_sessions WHERE project = ? AND account = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_one(connection)
    .await?;
    from_i64(count)
}

/// Spends the nonce of an operation and reads what decides whether it may go on.
pub(crate) async fn standing(
    connection: &mut SqliteConnection,
    operation: &SessionOperation,
) -> Result<Standing> {
    let owner = operation.owner();
    Ok(Standing {
        nonce_is_new: spend(connection, operation.nonce()).await?,
        session_revoked: is_revoked(connection, owner, operation.session()).await?,
        device: super::devices::place(connection, owner, operation.device()).await?,
    })
}

/// Removes what can no longer matter.
pub(crate) async fn purge(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    sqlx::query("DELETE FROM nonces WHERE expires < ?")
        .bind(to_i64(now.saturating_sub(NONCE_MARGIN))?)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM revoked_sessions WHERE expires < ?")
        .bind(to_i64(now)?)
        .execute(connection)
        .await?;
    Ok(())
}
