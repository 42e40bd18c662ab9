//! The durable transparency log: [`LogAppender`] writes it, [`LogStore`] reads and proves.

mod appender;
mod job;
mod store;

pub use appender::{LogAppender, LogOpenError};
pub use job::{AppendError, Appended, Decided};
pub use store::{LogStore, MAX_ENTRIES_PER_READ};

use crate::migrate::Migration;

/// The tables of a log, for the list of migrations of the service that keeps one.
pub const LOG_SCHEMA: Migration = Migration {
    name: "transparency log",
    sql: include_str!("schema.sql"),
};

#[cfg(test)]
mod tests;
