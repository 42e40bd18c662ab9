//! Group commit: one task, one transaction for many items, one fsync, one signed checkpoint.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use keyfold_log::{Checkpoint, CheckpointError, Frontier, LogEntry, NoteSigner};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{mpsc, oneshot};

use crate::database::Database;
use crate::error::StorageError;
use crate::log::job::{AppendError, Appended, Committed, Decided, Job, TypedJob, Verdict};
use crate::row::{changed_one, from_i64, to_i64};

/// How many callers may wait before the next one has to wait for a place.
const QUEUE: usize = 4096;
/// How many items one transaction takes at most, so that the first is not kept waiting for long.
const MAX_BATCH: usize = 256;

/// Why a log cannot be opened for appending.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogOpenError {
    /// The database failed or contradicts itself.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The stored checkpoint is not one that this log's key signed.
    #[error("the stored checkpoint is not ours")]
    Checkpoint(#[from] CheckpointError),
}

/// A handle to the one task that appends to a log. Clones share it.
///
/// Everything that waits while a commit is under way goes together into the next one, so that
/// under load many callers share one write to disk. An item that refuses or fails is undone by
/// itself (a savepoint); the others of its batch are not touched. Nobody gets an answer before the
/// commit is on disk.
#[derive(Clone)]
pub struct LogAppender {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl LogAppender {
    /// Opens the log in a database that has [`crate::LOG_SCHEMA`], and starts the task.
    ///
    /// The log's origin is the signer's name. The task ends once all handles are gone and the queue
    /// is empty.
    ///
    /// # Errors
    ///
    /// [`LogOpenError`] if entries, frontier and checkpoint do not belong together, or the
    /// checkpoint is not signed by this key.
    pub async fn start(db: Database, signer: NoteSigner) -> Result<Self, LogOpenError> {
        let mut connection = db.writer().acquire().await.map_err(StorageError::from)?;
        let state = load_or_create(&mut connection, &signer).await?;
        drop(connection);
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(
            Writer {
                db,
                signer,
                state: Some(state),
            }
            .run(jobs),
        );
        Ok(Self { queue })
    }

    /// Appends one entry.
    ///
    /// # Errors
    ///
    /// [`AppendError`].
    pub async fn append(&self, entry: LogEntry) -> Result<Appended<()>, AppendError<StorageError>> {
        let decided = Decided {
            entry: Some(entry),
            output: (),
        };
        self.run(move |_| Box::pin(async move { Ok(decided) }))
            .await
    }

    /// Does work in a transaction, and appends the entry that it decides on in the same.
    ///
    /// The work sees what earlier items did, runs alone, and must only use the connection it is
    /// given: everybody else's append waits for it. If it returns an error, all it did is undone.
    /// Dropping the returned future before the work began cancels it; afterwards it does not.
    ///
    /// # Errors
    ///
    /// [`AppendError::Refused`] with the work's own error; the others are about the log.
    pub async fn run<T, E, F>(&self, work: F) -> Result<Appended<T>, AppendError<E>>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Decided<T>, E>>
            + Send
            + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(TypedJob::new(work, reply))
            .await
            .map_err(|_| AppendError::Stopped)?;
        answer.await.unwrap_or(Err(AppendError::Stopped))
    }
}

impl std::fmt::Debug for LogAppender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogAppender").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct State {
    frontier: Frontier,
    checkpoint: Arc<str>,
}

struct Writer {
    db: Database,
    signer: NoteSigner,
    /// None after a failed batch: then nobody knows what is on disk, and it is read again.
    state: Option<State>,
}

impl Writer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while jobs.recv_many(&mut batch, MAX_BATCH).await > 0 {
            batch.retain(|job| !job.abandoned());
            if batch.is_empty() {
                continue;
            }
            let mut indices = vec![None; batch.len()];
            let outcome = self.commit(&mut batch, &mut indices).await;
            let outcome = outcome.map_err(|error| {
                tracing::error!(%error, cause = ?error, "a log batch was not committed");
                self.state = None;
                Arc::new(error)
            });
            for (job, index) in batch.drain(..).zip(indices) {
                job.finish(index, outcome.clone());
            }
        }
    }

    async fn commit(
        &mut self,
        batch: &mut [Box<dyn Job>],
        indices: &mut [Option<u64>],
    ) -> Result<Committed, StorageError> {
        let mut tx = self.db.writer().begin_with("BEGIN IMMEDIATE").await?;
        let before = match self.state.take() {
            Some(state) => state,
            None => load_or_create(&mut tx, &self.signer)
                .await
                .map_err(|error| match error {
                    LogOpenError::Storage(error) => error,
                    LogOpenError::Checkpoint(_) => {
                        StorageError::Inconsistent("the stored checkpoint is not ours")
                    }
                })?,
        };
        let mut frontier = before.frontier.clone();
        for (job, index) in batch.iter_mut().zip(indices) {
            *index = run_one(&mut tx, job.as_mut(), &mut frontier).await?;
        }
        let after = if frontier.size() == before.frontier.size() {
            before
        } else {
            let next = State {
                checkpoint: sign(&self.signer, &frontier)?,
                frontier,
            };
            let updated = sqlx::query(
                "UPDATE log_state SET frontier = ?, checkpoint = ? WHERE id = 1 AND frontier = ?",
            )
            .bind(next.frontier.to_bytes())
            .bind(&*next.checkpoint)
            .bind(before.frontier.to_bytes())
            .execute(&mut *tx)
            .await?;
            // Zero rows: another process appends to our log. Nothing of this batch may stand.
            changed_one(&updated)?;
            next
        };
        tx.commit().await?;
        let committed = Committed {
            size: after.frontier.size(),
            checkpoint: Arc::clone(&after.checkpoint),
        };
        self.state = Some(after);
        Ok(committed)
    }
}

/// Runs one item in a savepoint. An error here is the whole batch's.
async fn run_one(
    tx: &mut Transaction<'_, Sqlite>,
    job: &mut dyn Job,
    frontier: &mut Frontier,
) -> Result<Option<u64>, StorageError> {
    let mut savepoint = tx.begin().await?;
    match job.run(&mut savepoint).await {
        Verdict::Undo => {
            savepoint.rollback().await?;
            Ok(None)
        }
        Verdict::Keep(None) => {
            savepoint.commit().await?;
            Ok(None)
        }
        Verdict::Keep(Some(entry)) => {
            let index = insert(&mut savepoint, entry, frontier).await?;
            savepoint.commit().await?;
            Ok(Some(index))
        }
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    entry: LogEntry,
    frontier: &mut Frontier,
) -> Result<u64, StorageError> {
    let index = frontier.size();
    let leaf = entry.leaf_hash();
    let completed = frontier
        .append(leaf)
        .map_err(|_| StorageError::Inconsistent("the log is full"))?;
    sqlx::query("INSERT INTO log_entries (seq, leaf_hash, entry) VALUES (?, ?, ?)")
        .bind(to_i64(index)?)
        .bind(&leaf.as_bytes()[..])
        .bind(entry.into_bytes())
        .execute(&mut *connection)
        .await?;
    for node in completed {
        sqlx::query("INSERT INTO log_nodes (level, idx, hash) VALUES (?, ?, ?)")
            .bind(i64::from(node.level))
            .bind(to_i64(node.index)?)
            .bind(&node.hash.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
    }
    Ok(index)
}

fn sign(signer: &NoteSigner, frontier: &Frontier) -> Result<Arc<str>, StorageError> {
    Checkpoint::of(signer.name(), frontier)
        .map_err(|_| StorageError::Inconsistent("the log's origin cannot be in a checkpoint"))?
        .sign(signer)
        .map(Arc::from)
        .map_err(|_| StorageError::Inconsistent("the checkpoint cannot be signed"))
}

/// Reads the state and checks that its parts belong together; an empty log gets its first
/// checkpoint.
async fn load_or_create(
    connection: &mut SqliteConnection,
    signer: &NoteSigner,
) -> Result<State, LogOpenError> {
    let stored: Option<(Vec<u8>, String)> =
        sqlx::query_as("SELECT frontier, checkpoint FROM log_state WHERE id = 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(StorageError::from)?;
    let entries: i64 = sqlx::query_scalar("SELECT coalesce(max(seq) + 1, 0) FROM log_entries")
        .fetch_one(&mut *connection)
        .await
        .map_err(StorageError::from)?;
    let Some((frontier, checkpoint)) = stored else {
        if entries != 0 {
            return Err(StorageError::Inconsistent("a log without its state").into());
        }
        let frontier = Frontier::new();
        let checkpoint = sign(signer, &frontier)?;
        sqlx::query("INSERT INTO log_state (id, frontier, checkpoint) VALUES (1, ?, ?)")
            .bind(frontier.to_bytes())
            .bind(&*checkpoint)
            .execute(&mut *connection)
            .await
            .map_err(StorageError::from)?;
        return Ok(State {
            frontier,
            checkpoint,
        });
    };
    let frontier = Frontier::from_bytes(&frontier)
        .map_err(|_| StorageError::Inconsistent("the log's frontier is malformed"))?;
    let verifier = signer.verifier().map_err(CheckpointError::from)?;
    let head = Checkpoint::open(checkpoint.as_bytes(), signer.name(), &verifier)?;
    let whole = head.size() == frontier.size()
        && *head.root() == frontier.root()
        && from_i64(entries)? == frontier.size();
    if !whole {
        return Err(
            StorageError::Inconsistent("log entries, frontier and checkpoint differ").into(),
        );
    }
    Ok(State {
        frontier,
        checkpoint: Arc::from(checkpoint),
    })
}
