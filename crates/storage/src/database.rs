//! A SQLite database file: one connection that writes, a few that read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};

use crate::error::StorageError;
use crate::private_file::{self, Fault};

const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the journal's end waits for who reads it.
const PATIENCE_FOR_READERS: Duration = Duration::from_millis(250);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be created or read.
    #[error("cannot open the database file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is a symlink, a folder or a device.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may open it.
    #[error("{path} has mode {mode:o}; make it private with: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else, who can open it whatever its mode.
    #[error("{path} belongs to user {owner}, not to the user that runs this program")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
    },
    /// SQLite refuses the file.
    #[error("SQLite cannot open the database")]
    Driver(#[source] sqlx::Error),
}

/// An open database.
///
/// SQLite has one writer at a time. Here that is one connection, for which tasks queue fairly,
/// instead of many that wait for each other's lock and time out.
#[derive(Debug, Clone)]
pub struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Database {
    /// Opens the database file, creating it with mode 0600 if it does not exist.
    ///
    /// Journal in WAL; every commit is on disk before it returns (`synchronous = FULL`); foreign
    /// keys are enforced.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; a file that is a symlink, open to others or another user's is refused, not
    /// repaired.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        create_or_check(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("trusted_schema", "OFF")
            .pragma("secure_delete", "ON")
            .pragma("cell_size_check", "ON")
            // No rows in other folders, where a confined process could not write them either.
            .pragma("temp_store", "MEMORY");
        let writer = pool()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(OpenError::Driver)?;
        let readers = pool()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(OpenError::Driver)?;
        Ok(Self { writer, readers })
    }

    /// Returns the pool of the one writing connection.
    ///
    /// Begin transactions with `begin_with("BEGIN IMMEDIATE")` and keep them short: everything else
    /// that writes is waiting.
    pub const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Returns the pool of reading connections; a statement that writes fails there.
    pub const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Brings every change into the database file and cuts the journal to nothing, so that it keeps
    /// nothing that was overwritten or removed. Returns whether it could: not while somebody reads.
    ///
    /// Who writes meanwhile waits a quarter of a second at most.
    ///
    /// # Errors
    ///
    /// [`StorageError`].
    pub async fn empty_journal(&self) -> Result<bool, StorageError> {
        let mut writer = self.writer.acquire().await?;
        sqlx::query(sqlx::AssertSqlSafe(patience(PATIENCE_FOR_READERS)))
            .execute(&mut *writer)
            .await?;
        let done: Result<(i64, i64, i64), _> = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut *writer)
            .await;
        sqlx::query(sqlx::AssertSqlSafe(patience(BUSY_TIMEOUT)))
            .execute(&mut *writer)
            .await?;
        let (busy, _, _) = done?;
        Ok(busy == 0)
    }

    /// Waits for what is running and closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn patience(time: Duration) -> String {
    format!("PRAGMA busy_timeout = {}", time.as_millis())
}

fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not hang up: asking first would cost each query a second round trip.
        .test_before_acquire(false)
        // Where a statement or the commit fails for want of space, SQLite ends the transaction by
        // itself. The driver's own ROLLBACK then finds none, fails, and leaves the driver counting a
        // transaction for ever: no other could begin. Such a connection is closed and opened anew.
        // What was queued on it has been done by now: the pool waits for that on release.
        .before_acquire(|connection, _| {
            let reusable = !connection.is_in_transaction();
            if !reusable {
                tracing::warn!("a failed transaction's connection is replaced");
            }
            Box::pin(std::future::ready(Ok(reusable)))
        })
}

fn create_or_check(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    match private_file::create_new(path) {
        Ok(file) => {
            file.sync_all().map_err(io)?;
            return private_file::sync_parent(path).map_err(io);
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    private_file::open(path)
        .map(drop)
        .map_err(|fault| match fault {
            Fault::Io(source) => io(source),
            Fault::NotAFile => OpenError::NotAFile {
                path: path.to_owned(),
            },
            Fault::TooOpen(mode) => OpenError::TooOpen {
                path: path.to_owned(),
                mode,
            },
            Fault::NotOurs(owner) => OpenError::NotOurs {
                path: path.to_owned(),
                owner,
            },
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_new_database_and_its_journal_are_private_and_durable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Database::open(&path).await.unwrap();
        sqlx::query("CREATE TABLE t (x INTEGER)")
            .execute(db.writer())
            .await
            .unwrap();
        for name in ["db", "db-wal", "db-shm"] {
            let mode = std::fs::metadata(dir.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let one = |sql: &'static str| {
            let db = db.clone();
            async move {
                sqlx::query_scalar::<_, i64>(sql)
                    .fetch_one(db.writer())
                    .await
                    .unwrap()
            }
        };
        assert_eq!(one("PRAGMA synchronous").await, 2);
        assert_eq!(one("PRAGMA foreign_keys").await, 1);
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(db.writer())
            .await
            .unwrap();
        assert_eq!(mode, "wal");
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path().join("db")).await.unwrap();
        sqlx::query("CREATE TABLE t (x INTEGER)")
            .execute(db.writer())
            .await
            .unwrap();
        assert!(
            sqlx::query("INSERT INTO t VALUES (1)")
                .execute(db.readers())
                .await
                .is_err()
        );
        assert!(
            sqlx::query("INSERT INTO t VALUES (1)")
                .execute(db.writer())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn the_journal_is_emptied_unless_somebody_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Database::open(&path).await.unwrap();
        let run = async |sql: &'static str| sqlx::query(sql).execute(db.writer()).await.unwrap();
        run("CREATE TABLE t (x INTEGER PRIMARY KEY, y BLOB)").await;
        run("INSERT INTO t VALUES (1, x'6b6579666f6c642d6d61726b6572')").await;
        let marked = || {
            let files = std::fs::read_dir(dir.path()).unwrap();
            files
                .map(|file| std::fs::read(file.unwrap().path()).unwrap())
                .any(|bytes| bytes.windows(14).any(|part| part == b"keyfold-marker"))
        };
        let mut reader = db.readers().begin().await.unwrap();
        let _: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
            .fetch_one(&mut *reader)
            .await
            .unwrap();
        run("UPDATE t SET y = zeroblob(length(y))").await;
        assert!(!db.empty_journal().await.unwrap());
        assert!(marked());
        reader.rollback().await.unwrap();
        assert!(db.empty_journal().await.unwrap());
        assert!(!marked());
        let timeout: i64 = sqlx::query_scalar("PRAGMA busy_timeout")
            .fetch_one(db.writer())
            .await
            .unwrap();
        assert_eq!(timeout, 5_000, "as it was");
    }

    #[tokio::test]
    async fn a_database_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        Database::open(&path).await.unwrap().close().await;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            Database::open(&path).await,
            Err(OpenError::TooOpen { mode: 0o644, .. })
        ));
    }

    #[tokio::test]
    async fn a_commit_that_fails_does_not_take_the_writer_along() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path().join("db")).await.unwrap();
        sqlx::query("CREATE TABLE t (x INTEGER)")
            .execute(db.writer())
            .await
            .unwrap();
        let insert = async || {
            let mut tx = db.writer().begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("INSERT INTO t VALUES (1)")
                .execute(&mut *tx)
                .await?;
            tx.commit().await
        };
        let mut writer = db.writer().acquire().await.unwrap();
        let mut handle = writer.lock_handle().await.unwrap();
        // Fails as one for want of space does: after it there is no transaction any more.
        let failing = Arc::new(AtomicBool::new(true));
        let fails = Arc::clone(&failing);
        handle.set_commit_hook(move || !fails.load(Ordering::Relaxed));
        drop(handle);
        drop(writer);
        assert!(insert().await.is_err());
        failing.store(false, Ordering::Relaxed);
        insert().await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
            .fetch_one(db.readers())
            .await
            .unwrap();
        assert_eq!(count, 1);
    }

    #[tokio::test]
    async fn a_symlink_in_place_of_the_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        Database::open(&real).await.unwrap().close().await;
        symlink(&real, &link).unwrap();
        assert!(matches!(
            Database::open(&link).await,
            Err(OpenError::NotAFile { .. })
        ));
    }
}
