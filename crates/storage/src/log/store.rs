//! Reading a log: entries, checkpoint, proofs, and a full audit.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use futures_util::TryStreamExt as _;
use keyfold_log::{
    Checkpoint, Frontier, Hash, LeafReader, LogEntry, NoteVerifier, ProofBuildError,
    consistency_proof, inclusion_proof,
};
use sqlx::SqliteConnection;

use crate::database::Database;
use crate::error::StorageError;
use crate::row::{fixed, from_i64, to_i64};

/// The most entries that [`LogStore::entries`] returns at once.
pub const MAX_ENTRIES_PER_READ: u32 = 1_000;

/// The reading side of a log.
#[derive(Debug, Clone)]
pub struct LogStore {
    db: Database,
}

impl LogStore {
    /// Reads the log in a database that has [`crate::LOG_SCHEMA`].
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    /// Returns the newest signed checkpoint, or `None` before the log was first opened.
    ///
    /// # Errors
    ///
    /// [`StorageError`].
    pub async fn checkpoint(&self) -> Result<Option<String>, StorageError> {
        Ok(
            sqlx::query_scalar("SELECT checkpoint FROM log_state WHERE id = 1")
                .fetch_optional(self.db.readers())
                .await?,
        )
    }

    /// Returns up to `count` (at most [`MAX_ENTRIES_PER_READ`]) entries from index `start` on.
    ///
    /// # Errors
    ///
    /// [`StorageError`].
    pub async fn entries(&self, start: u64, count: u32) -> Result<Vec<LogEntry>, StorageError> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT entry FROM log_entries WHERE seq >= ? ORDER BY seq LIMIT ?")
                .bind(to_i64(start)?)
                .bind(i64::from(count.min(MAX_ENTRIES_PER_READ)))
                .fetch_all(self.db.readers())
                .await?;
        rows.into_iter()
            .map(|row| {
                LogEntry::new(row).map_err(|_| StorageError::Inconsistent("a huge log entry"))
            })
            .collect()
    }

    /// Proves that the entry at `index` is in the tree of the first `size` entries.
    ///
    /// Returns `None` if there is no such entry or tree.
    ///
    /// # Errors
    ///
    /// [`StorageError`].
    pub async fn inclusion_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<Option<Vec<Hash>>, StorageError> {
        self.prove(size, |nodes| inclusion_proof(nodes, index, size))
            .await
    }

    /// Proves that the tree of `old_size` entries is a prefix of that of `new_size`.
    ///
    /// Returns `None` if there are no such trees.
    ///
    /// # Errors
    ///
    /// [`StorageError`].
    pub async fn consistency_proof(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Option<Vec<Hash>>, StorageError> {
        self.prove(new_size, |nodes| {
            consistency_proof(nodes, old_size, new_size)
        })
        .await
    }

    /// Reads the whole log again and checks it against its signed checkpoint.
    ///
    /// # Errors
    ///
    /// [`StorageError::Inconsistent`] with the first thing that does not hold.
    pub async fn audit(&self, verifier: &NoteVerifier) -> Result<Checkpoint, StorageError> {
        // One transaction: entries and checkpoint of the same moment.
        let mut tx = self.db.readers().begin().await?;
        let checkpoint: String =
            sqlx::query_scalar("SELECT checkpoint FROM log_state WHERE id = 1")
                .fetch_one(&mut *tx)
                .await?;
        let head = Checkpoint::open(checkpoint.as_bytes(), verifier.name(), verifier)
            .map_err(|_| StorageError::Inconsistent("the checkpoint is not signed by the log"))?;
        let mut frontier = Frontier::new();
        {
            let mut rows = sqlx::query_as::<_, (i64, Vec<u8>, Vec<u8>)>(
                "SELECT seq, leaf_hash, entry FROM log_entries ORDER BY seq",
            )
            .fetch(&mut *tx);
            while let Some((seq, leaf, entry)) = rows.try_next().await? {
                let hash = keyfold_log::leaf_hash(&entry);
                if from_i64(seq)? != frontier.size() || leaf != hash.as_bytes() {
                    return Err(StorageError::Inconsistent(
                        "a log entry is missing or altered",
                    ));
                }
                frontier
                    .append(hash)
                    .map_err(|_| StorageError::Inconsistent("the log is full"))?;
            }
        }
        if head.size() != frontier.size() || *head.root() != frontier.root() {
            return Err(StorageError::Inconsistent(
                "the entries are not those of the checkpoint",
            ));
        }
        Ok(head)
    }

    /// Runs the builder of a proof twice: first to learn which nodes it asks for, then with them.
    ///
    /// Which nodes those are depends on the sizes alone, so two runs always suffice.
    async fn prove(
        &self,
        size: u64,
        build: impl Fn(&Nodes) -> Result<Vec<Hash>, ProofBuildError<Infallible>>,
    ) -> Result<Option<Vec<Hash>>, StorageError> {
        let mut connection = self.db.readers().acquire().await?;
        let entries: i64 = sqlx::query_scalar("SELECT coalesce(max(seq) + 1, 0) FROM log_entries")
            .fetch_one(&mut *connection)
            .await?;
        if size > from_i64(entries)? {
            return Ok(None);
        }
        let mut nodes = Nodes::default();
        if build(&nodes).is_err() {
            return Ok(None);
        }
        for (level, index) in std::mem::take(nodes.wanted.get_mut()) {
            let hash = read_node(&mut connection, level, index).await?;
            nodes.known.insert((level, index), hash);
        }
        Ok(build(&nodes).ok())
    }
}

/// The nodes that were read, and a note of those that were asked for and were not.
#[derive(Default)]
struct Nodes {
    known: HashMap<(u8, u64), Hash>,
    wanted: RefCell<BTreeSet<(u8, u64)>>,
}

impl LeafReader for Nodes {
    type Error = Infallible;

    fn leaf(&self, index: u64) -> Result<Hash, Infallible> {
        self.subtree(0, index)
    }

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.known.get(&(level, index)).copied().unwrap_or_else(|| {
            self.wanted.borrow_mut().insert((level, index));
            Hash::default()
        }))
    }
}

async fn read_node(
    connection: &mut SqliteConnection,
    level: u8,
    index: u64,
) -> Result<Hash, StorageError> {
    let found: Option<Vec<u8>> = if level == 0 {
        sqlx::query_scalar("SELECT leaf_hash FROM log_entries WHERE seq = ?")
            .bind(to_i64(index)?)
            .fetch_optional(&mut *connection)
            .await?
    } else {
        sqlx::query_scalar("SELECT hash FROM log_nodes WHERE level = ? AND idx = ?")
            .bind(i64::from(level))
            .bind(to_i64(index)?)
            .fetch_optional(&mut *connection)
            .await?
    };
    let blob = found.ok_or(StorageError::Inconsistent("a log node is missing"))?;
    Ok(Hash(fixed(&blob)?))
}
