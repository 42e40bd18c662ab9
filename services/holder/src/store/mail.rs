//! How many mails went to an address, by a keyed hash that tells this holder nothing.

use keyfold_protocol::ids::{Digest32, ProjectId};
use keyfold_storage::{StorageError, changed_one, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::window::Window;

type Result<T> = core::result::Result<T, StorageError>;

/// Counts of one address.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MailCounts {
    /// Of one project.
    pub(crate) hour: Window,
    /// Of one project.
    pub(crate) day: Window,
    /// Of all projects together, in a day.
    pub(crate) total: Window,
}

/// Returns the counts of an address.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    project: &ProjectId,
    address: Digest32,
) -> Result<MailCounts> {
    let own: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT hour_start, hour_count, day_start, day_count FROM mail_counts
         WHERE address = ? AND project = ?",
    )
    .bind(&address.as_bytes()[..])
    .bind(project.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let total: Option<(i64, i64)> =
        sqlx::query_as("SELECT day_start, day_count FROM mail_totals WHERE address = ?")
            .bind(&address.as_bytes()[..])
            .fetch_optional(connection)
            .await?;
    let mut counts = MailCounts::default();
    if let Some((hour_start, hour_count, day_start, day_count)) = own {
        counts.hour = window(hour_start, hour_count)?;
        counts.day = window(day_start, day_count)?;
    }
    if let Some((start, count)) = total {
        counts.total = window(start, count)?;
    }
    Ok(counts)
}

fn window(start: i64, count: i64) -> Result<Window> {
    let count = u32::try_from(from_i64(count)?)
        .map_err(|_| StorageError::Inconsistent("a mail count is not a u32"))?;
    Ok(Window {
        start: from_i64(start)?,
        count,
    })
}

/// Stores the counts of an address.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    project: &ProjectId,
    address: Digest32,
    counts: &MailCounts,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO mail_counts (address, project, hour_start, hour_count, day_start, day_count)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (address, project) DO UPDATE SET
            hour_start = excluded.hour_start, hour_count = excluded.hour_count,
            day_start = excluded.day_start, day_count = excluded.day_count",
    )
    .bind(&address.as_bytes()[..])
    .bind(project.as_str())
    .bind(to_i64(counts.hour.start)?)
    .bind(i64::from(counts.hour.count))
    .bind(to_i64(counts.day.start)?)
    .bind(i64::from(counts.day.count))
    .execute(&mut *connection)
    .await?;
    changed_one(&done)?;
    let done = sqlx::query(
        "INSERT INTO mail_totals (address, day_start, day_count) VALUES (?, ?, ?)
         ON CONFLICT (address) DO UPDATE SET
            day_start = excluded.day_start, day_count = excluded.day_count",
    )
    .bind(&address.as_bytes()[..])
    .bind(to_i64(counts.total.start)?)
    .bind(i64::from(counts.total.count))
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Removes counts whose day is long over.
pub(crate) async fn purge(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    let before = to_i64(now.saturating_sub(2 * 86_400))?;
    sqlx::query("DELETE FROM mail_counts WHERE day_start < ?")
        .bind(before)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM mail_totals WHERE day_start < ?")
        .bind(before)
        .execute(connection)
        .await?;
    Ok(())
}
