//! How many mails went to an address, by a keyed hash that tells this holder nothing; and how many
//! an account's devices asked for.

use keyfold_crypto::Encoder;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::{Digest32, ProjectId};
use keyfold_storage::{StorageError, changed_one, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::window::Window;

type Result<T> = core::result::Result<T, StorageError>;

/// What mails are counted by.
#[derive(Debug)]
pub(crate) struct Counted {
    project: ProjectId,
    /// In this project.
    own: Digest32,
    /// In all.
    total: Digest32,
}

impl Counted {
    /// An address: in one project, and in all of them.
    pub(crate) fn address(project: ProjectId, address: Digest32) -> Self {
        Self {
            project,
            own: address,
            total: address,
        }
    }

    /// A device of an account, and all of the account's together. No address is the same: an
    /// enclave's names of addresses are a MAC, and none of its callers chooses one.
    pub(crate) fn device(owner: &AccountRef, device: Thumbprint) -> Self {
        let name = |kind: &'static str, device: Option<&[u8]>| {
            let mut encoder = Encoder::new(kind);
            encoder
                .str(owner.project.as_str())
                .bytes(owner.account.as_bytes())
                .opt_bytes(device);
            Digest32::from_bytes(encoder.sha256())
        };
        Self {
            project: owner.project.clone(),
            own: name("keyfold/holder/mail-of-device/v1", Some(&device.0)),
            total: name("keyfold/holder/mail-of-account/v1", None),
        }
    }
}

/// Counts of one address, or of one device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MailCounts {
    /// Of one project, or of the device.
    pub(crate) hour: Window,
    /// The same.
    pub(crate) day: Window,
    /// Of all projects together, or of the account, in a day.
    pub(crate) total: Window,
}

/// Returns the counts.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    counted: &Counted,
) -> Result<MailCounts> {
    let own: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT hour_start, hour_count, day_start, day_count FROM mail_counts
         WHERE address = ? AND project = ?",
    )
    .bind(&counted.own.as_bytes()[..])
    .bind(counted.project.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let total: Option<(i64, i64)> =
        sqlx::query_as("SELECT day_start, day_count FROM mail_totals WHERE address = ?")
            .bind(&counted.total.as_bytes()[..])
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

/// Stores the counts.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    counted: &Counted,
    counts: &MailCounts,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO mail_counts (address, project, hour_start, hour_count, day_start, day_count)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (address, project) DO UPDATE SET
            hour_start = excluded.hour_start, hour_count = excluded.hour_count,
            day_start = excluded.day_start, day_count = excluded.day_count",
    )
    .bind(&counted.own.as_bytes()[..])
    .bind(counted.project.as_str())
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
    .bind(&counted.total.as_bytes()[..])
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
