//! Durable work: state changes, the nonce they spend, and the log entry about them, in one commit
//! under one signed checkpoint.

use futures_util::future::BoxFuture;
use keyfold_crypto::Canonical as _;
use keyfold_log::LogEntry;
use keyfold_protocol::holder_api::LogPosition;
use keyfold_protocol::ids::{InstanceId, RealmId};
use keyfold_protocol::log_entry::{self, Event};
use keyfold_storage::{Decided, LogAppender};
use sqlx::SqliteConnection;

use crate::error::ApiError;

/// What leaves an entry in the log before it may happen.
pub(crate) trait Logged: Send + 'static {
    /// What the log says of it.
    fn event(&self) -> Event<'_>;
}

/// Something whose own log entry is on disk under a signed checkpoint.
///
/// Only [`Ledger::record`] makes one, of the very value whose [`Logged::event`] it wrote.
#[derive(Debug)]
pub(crate) struct Durable<T> {
    value: T,
    position: LogPosition,
}

impl<T> Durable<T> {
    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    pub(crate) fn position(&self) -> LogPosition {
        self.position
    }
}

/// The one way to change the holder's state.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    log: LogAppender,
}

impl Ledger {
    pub(crate) fn new(log: LogAppender) -> Self {
        Self { log }
    }

    /// Does work that need not be logged, or only sometimes; returns once it is durable.
    pub(crate) async fn commit<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(
                &'c mut SqliteConnection,
            ) -> BoxFuture<'c, Result<(T, Option<LogEntry>), ApiError>>
            + Send
            + 'static,
    {
        let done = self
            .log
            .run(move |connection| {
                Box::pin(async move {
                    let (output, entry) = work(connection).await?;
                    Ok::<_, ApiError>(Decided { entry, output })
                })
            })
            .await?;
        Ok(done.output)
    }

    /// Does work that must leave an entry about what it decided; returns that once the entry is
    /// durable, and what the work found besides.
    pub(crate) async fn record<T, U, F>(
        &self,
        at: Occasion,
        work: F,
    ) -> Result<(Durable<T>, U), ApiError>
    where
        T: Logged,
        U: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(T, U), ApiError>>
            + Send
            + 'static,
    {
        let done = self
            .log
            .run(move |connection| {
                Box::pin(async move {
                    let (value, found) = work(connection).await?;
                    let entry = Some(at.entry(value.event())?);
                    Ok::<_, ApiError>(Decided {
                        entry,
                        output: (value, found),
                    })
                })
            })
            .await?;
        let index = done
            .index
            .ok_or(ApiError::Broken("an entry was committed without an index"))?;
        let (value, found) = done.output;
        let position = LogPosition {
            index,
            size: done.size,
        };
        Ok((Durable { value, position }, found))
    }
}

/// Who asked for what is logged, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion {
    pub(crate) realm: RealmId,
    pub(crate) unix_ms: u64,
    pub(crate) instance: InstanceId,
}

impl Occasion {
    /// Encodes the entry about an event.
    pub(crate) fn entry(self, event: Event<'_>) -> Result<LogEntry, ApiError> {
        let Self {
            realm,
            unix_ms,
            instance,
        } = self;
        let entry = log_entry::LogEntry {
            realm,
            unix_ms,
            instance,
            event,
        };
        LogEntry::new(entry.to_signed_bytes()).map_err(|_| ApiError::Broken("a log entry is huge"))
    }
}
