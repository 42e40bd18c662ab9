//! What every service needs of a disk: SQLite pools, migrations, compare-and-set, the master key
//! file, and the durable append to its transparency log.
//!
//! This crate touches the file system and SQLite, nothing else: no network, no clock, and
//! randomness only as an argument. It knows no service's tables but its own (`log_*`); SQL and
//! migrations of a service stand in that service.
//!
//! - [`database`]: opening a database file nobody else may read, with full durability.
//! - [`migrate`]: embedded migrations, checksummed, refusing a schema from the future.
//! - [`error`], [`row`]: driver failure, lost race and impossible row kept apart.
//! - [`log`]: [`LogStore`] reads and proves, [`LogAppender`] commits in groups.
//! - [`sealed`]: columns that only their own cell can open.
//! - [`master_key`]: the 32 bytes every other key of a process hangs on.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod config_file;
pub mod database;
pub mod error;
pub mod log;
pub mod master_key;
pub mod migrate;
mod private_file;
pub mod row;
pub mod sealed;

pub use database::{Database, OpenError};
pub use error::StorageError;
pub use log::{AppendError, Appended, Decided, LOG_SCHEMA, LogAppender, LogOpenError, LogStore};
pub use master_key::{MasterKey, MasterKeyError};
pub use migrate::{MigrateError, Migration, migrate};
pub use row::{changed_if, changed_one, fixed, from_i64, to_i64};
pub use sealed::SealedColumn;
