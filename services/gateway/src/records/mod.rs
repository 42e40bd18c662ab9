//! The record store: SQL, and nothing that knows HTTP.
//!
//! # Security
//!
//! The store is not trusted: what it returns is sealed, and key holders say which version is
//! current. Its own duty is to lose nothing that may be current, and to stay bounded. Trees are
//! public: whoever reads one computes its root again.

mod realm;
mod store;
mod trees;

use keyfold_storage::{Migration, StorageError};

pub(crate) use realm::{RealmPutError, RealmStore};
pub(crate) use store::RecordStore;
pub(crate) use trees::{TreePutError, TreeStore};

/// Every step of this service's schema.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "sealed records and the realm",
        sql: include_str!("schema.sql"),
    },
    Migration {
        name: "trees",
        sql: include_str!("trees.sql"),
    },
];

/// Most versions of one record that wait to be settled.
pub(crate) const MAX_UNSETTLED: usize = 4;
/// After how many seconds a version that lost its race counts as abandoned: far longer than any
/// request lives.
pub(crate) const ABANDONED_SECONDS: u64 = 600;

/// Why a record was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The hash is not that of the bytes.
    #[error("the hash is not the SHA-256 of the sealed bytes")]
    HashMismatch,
    /// More bytes than a record has, or none.
    #[error("a sealed record has between 1 and 262144 bytes")]
    BadSize,
    /// Versions go from 1 to 2^63 - 1.
    #[error("that is not a version")]
    BadVersion,
    /// A version as new as this one is settled.
    #[error("this version of the record, or a newer one, is settled")]
    Superseded,
    /// Too many versions wait.
    #[error("too many versions of this record wait to be settled")]
    Full,
    /// The version to be settled is not stored.
    #[error("the version to be settled is not stored")]
    NotStored,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for RecordError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

#[cfg(test)]
mod tests;
