//! The three ways in which a database disappoints, kept apart.

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database or the disk failed; the same operation may work later.
    #[error("the database failed")]
    Driver(#[source] sqlx::Error),
    /// Somebody else was first: a unique value is taken, or a compare-and-set found another
    /// version.
    #[error("the record was changed or exists already")]
    Conflict,
    /// A row is impossible: our own invariants do not hold in the file. Nothing that depends on it
    /// may go on.
    #[error("the database contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Conflict,
            sqlx::Error::RowNotFound => Self::Inconsistent("a row that must exist is missing"),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Inconsistent("a column does not have its type")
            }
            _ => Self::Driver(error),
        }
    }
}
