//! How many attempts were made at a secret, by a keyed hash that tells this holder nothing.

use keyfold_protocol::holder_api::{AttemptKind, AttemptReserve};
use keyfold_storage::{StorageError, changed_one, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::window::Window;

type Result<T> = core::result::Result<T, StorageError>;

/// Attempts at one secret.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptCounts {
    pub(crate) hour: Window,
    pub(crate) day: Window,
}

/// The number that stands for a kind, for good.
const fn kind_code(kind: AttemptKind) -> i64 {
    match kind {
        AttemptKind::Password => 1,
        AttemptKind::Totp => 2,
        AttemptKind::RecoveryCode => 3,
        AttemptKind::Token => 4,
    }
}

/// Returns the counts of a secret.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    of: &AttemptReserve,
) -> Result<AttemptCounts> {
    let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT hour_start, hour_count, day_start, day_count FROM attempt_counts
         WHERE subject = ? AND project = ? AND kind = ?",
    )
    .bind(&of.subject.as_bytes()[..])
    .bind(of.project.as_str())
    .bind(kind_code(of.kind))
    .fetch_optional(connection)
    .await?;
    let Some((hour_start, hour_count, day_start, day_count)) = row else {
        return Ok(AttemptCounts::default());
    };
    Ok(AttemptCounts {
        hour: window(hour_start, hour_count)?,
        day: window(day_start, day_count)?,
    })
}

fn window(start: i64, count: i64) -> Result<Window> {
    let count = u32::try_from(from_i64(count)?)
        .map_err(|_| StorageError::Inconsistent("a count of attempts is not a u32"))?;
    Ok(Window {
        start: from_i64(start)?,
        count,
    })
}

/// Stores the counts of a secret.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    of: &AttemptReserve,
    counts: &AttemptCounts,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO attempt_counts
            (subject, project, kind, hour_start, hour_count, day_start, day_count)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (subject, project, kind) DO UPDATE SET
            hour_start = excluded.hour_start, hour_count = excluded.hour_count,
            day_start = excluded.day_start, day_count = excluded.day_count",
    )
    .bind(&of.subject.as_bytes()[..])
    .bind(of.project.as_str())
    .bind(kind_code(of.kind))
    .bind(to_i64(counts.hour.start)?)
    .bind(i64::from(counts.hour.count))
    .bind(to_i64(counts.day.start)?)
    .bind(i64::from(counts.day.count))
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Removes counts whose day is long over.
pub(crate) async fn purge(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    sqlx::query("DELETE FROM attempt_counts WHERE day_start < ?")
        .bind(to_i64(now.saturating_sub(2 * 86_400))?)
        .execute(connection)
        .await?;
    Ok(())
}
