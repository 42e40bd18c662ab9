//! The devices of accounts.

use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{DeviceEntry, DeviceState};
use keyfold_storage::{StorageError, changed_one, fixed, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::devices::{Change, ListFacts, Place};

type Result<T> = core::result::Result<T, StorageError>;

fn state(active_at: Option<i64>) -> Result<DeviceState> {
    Ok(match active_at {
        None => DeviceState::Active,
        Some(at) => DeviceState::Pending {
            active_at: from_i64(at)?,
        },
    })
}

fn active_at(state: DeviceState) -> Result<Option<i64>> {
    match state {
        DeviceState::Active => Ok(None),
        DeviceState::Pending { active_at } => to_i64(active_at).map(Some),
    }
}

/// Returns where a device stands with an account.
pub(crate) async fn place(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
) -> Result<Place> {
    // First what lasts: no row of the list says anything against it.
    if super::revocations::has(&mut *connection, owner, device).await? {
        return Ok(Place::Revoked);
    }
    let row: Option<Option<i64>> = sqlx::query_scalar(
        "SELECT active_at FROM devices WHERE project = ? AND account = ? AND device = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&device.0[..])
    .fetch_optional(connection)
    .await?;
    row.map_or(Ok(Place::Unknown), |at| state(at).map(Place::Listed))
}

/// Returns what a decision about a device needs to know.
pub(crate) async fn facts(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
) -> Result<ListFacts> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM devices WHERE project = ? AND account = ?")
            .bind(owner.project.as_str())
            .bind(&owner.account.as_bytes()[..])
            .fetch_one(&mut *connection)
            .await?;
    // Who was let in has no waiting time, and who acted was used: `touch` is for devices that may.
    let dispensable: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT device FROM devices
         WHERE project = ? AND account = ? AND active_at IS NOT NULL AND last_used IS NULL
         ORDER BY added, device LIMIT 1",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_optional(&mut *connection)
    .await?;
    Ok(ListFacts {
        device: place(connection, owner, device).await?,
        revoked: super::revocations::count(connection, owner).await?,
        cleared: super::revocations::cleared(connection, owner).await?,
        count: from_i64(count)?,
        dispensable: dispensable
            .map(|device| fixed(&device).map(Thumbprint))
            .transpose()?,
    })
}

/// Adds a device to an account's list.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    jwk: &PublicJwk,
    state: DeviceState,
    now: u64,
) -> Result<()> {
    let text = serde_json::to_string(jwk)
        .map_err(|_| StorageError::Inconsistent("a device's key has no JSON"))?;
    let done = sqlx::query(
        "INSERT INTO devices (project, account, device, jwk, active_at, added)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&jwk.thumbprint().0[..])
    .bind(text)
    .bind(active_at(state)?)
    .bind(to_i64(now)?)
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Strikes a device off the list.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
) -> Result<()> {
    let done = sqlx::query("DELETE FROM devices WHERE project = ? AND account = ? AND device = ?")
        .bind(owner.project.as_str())
        .bind(&owner.account.as_bytes()[..])
        .bind(&device.0[..])
        .execute(connection)
        .await?;
    changed_one(&done)
}

/// Changes the state of a listed device.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
    state: DeviceState,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE devices SET active_at = ? WHERE project = ? AND account = ? AND device = ?",
    )
    .bind(active_at(state)?)
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&device.0[..])
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Does what was decided about a device that signed in or that others know.
pub(crate) async fn apply(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    jwk: &PublicJwk,
    change: Change,
    now: u64,
) -> Result<()> {
    match change {
        Change::Keep(_) => Ok(()),
        Change::Add(state) => add(connection, owner, jwk, state, now).await,
        Change::AddInsteadOf(gone, state) => {
            remove(connection, owner, gone).await?;
            add(connection, owner, jwk, state, now).await
        }
        Change::Set(state) => set(connection, owner, jwk.thumbprint(), state).await,
    }
}

/// Notes that a listed device acted. Not for one that still waits.
pub(crate) async fn touch(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
    now: u64,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE devices SET last_used = ? WHERE project = ? AND account = ? AND device = ?",
    )
    .bind(to_i64(now)?)
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&device.0[..])
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Returns the devices of an account, the first added first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
) -> Result<Vec<DeviceEntry>> {
    type Row = (Vec<u8>, Option<i64>, i64, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT device, active_at, added, last_used FROM devices
         WHERE project = ? AND account = ? ORDER BY added, device LIMIT 64",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(device, active_at, added, last_used)| {
            Ok(DeviceEntry {
                device: Thumbprint(fixed(&device)?),
                state: state(active_at)?,
                added: from_i64(added)?,
                last_used: last_used.map(from_i64).transpose()?,
            })
        })
        .collect()
}
