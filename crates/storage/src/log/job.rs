//! One item of a batch: the work a caller wants done together with its log entry.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use keyfold_log::LogEntry;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::error::StorageError;

/// What a caller's work decided.
#[derive(Debug)]
pub struct Decided<T> {
    /// The entry to append, if this work is one that is logged.
    pub entry: Option<LogEntry>,
    /// What the caller gets back once everything is durable.
    pub output: T,
}

/// What a caller gets back: its work, and the checkpoint that covers it, are on disk.
#[derive(Debug, Clone)]
pub struct Appended<T> {
    /// The index of the entry in the log, if one was appended.
    pub index: Option<u64>,
    /// The number of entries the checkpoint covers.
    pub size: u64,
    /// The signed checkpoint (a C2SP signed note).
    pub checkpoint: Arc<str>,
    /// What the work returned.
    pub output: T,
}

/// Why work was not done. Nothing of it is in the database, except where [`AppendError::Stopped`]
/// says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError<E> {
    /// The work itself refused; it alone was undone.
    #[error("refused")]
    Refused(E),
    /// The batch could not be committed.
    #[error("the log cannot be written")]
    Storage(#[source] Arc<StorageError>),
    /// The work panicked; it alone was undone.
    #[error("the work panicked")]
    Panicked,
    /// The appender is gone. The work was not done, or the process is ending while it is: only
    /// reading the database tells.
    #[error("the log is closed")]
    Stopped,
}

/// Where a batch stands after its commit.
#[derive(Clone)]
pub(super) struct Committed {
    pub(super) size: u64,
    pub(super) checkpoint: Arc<str>,
}

/// How one item's work went; its details stay in the job until the batch is committed.
pub(super) enum Verdict {
    Keep(Option<LogEntry>),
    Undo,
}

pub(super) trait Job: Send {
    /// Tells whether nobody waits for this any more.
    fn abandoned(&self) -> bool;
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Verdict>;
    /// Answers the caller, after the batch was committed or given up.
    fn finish(self: Box<Self>, index: Option<u64>, batch: Result<Committed, Arc<StorageError>>);
}

pub(super) struct TypedJob<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, AppendError<E>>>,
    reply: oneshot::Sender<Result<Appended<T>, AppendError<E>>>,
}

impl<F, T, E> TypedJob<F, T, E> {
    pub(super) fn new(
        work: F,
        reply: oneshot::Sender<Result<Appended<T>, AppendError<E>>>,
    ) -> Box<Self> {
        Box::new(Self {
            work: Some(work),
            result: None,
            reply,
        })
    }
}

impl<F, T, E> Job for TypedJob<F, T, E>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Decided<T>, E>> + Send,
    T: Send,
    E: Send,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Verdict> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return Verdict::Undo;
            };
            // The call itself may panic as well as the future it returns.
            let outcome = AssertUnwindSafe(async { work(connection).await })
                .catch_unwind()
                .await;
            let (result, verdict) = match outcome {
                Ok(Ok(decided)) => (Ok(decided.output), Verdict::Keep(decided.entry)),
                Ok(Err(refused)) => (Err(AppendError::Refused(refused)), Verdict::Undo),
                Err(_panic) => (Err(AppendError::Panicked), Verdict::Undo),
            };
            self.result = Some(result);
            verdict
        })
    }

    fn finish(self: Box<Self>, index: Option<u64>, batch: Result<Committed, Arc<StorageError>>) {
        let answer = match (self.result, batch) {
            // A refusal stands whether or not the others could be committed.
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(error)) => Err(AppendError::Storage(error)),
            (Some(Ok(output)), Ok(Committed { size, checkpoint })) => Ok(Appended {
                index,
                size,
                checkpoint,
                output,
            }),
            (None, Ok(_)) => Err(AppendError::Stopped),
        };
        // The caller may have gone away; what was committed stays.
        let _ = self.reply.send(answer);
    }
}
