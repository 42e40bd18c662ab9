//! Small helpers around one row: did it change, and does a column have its shape.

use sqlx::sqlite::SqliteQueryResult;

use crate::error::StorageError;

/// Checks that a statement changed exactly one row: the end of a compare-and-set.
///
/// ```text
/// UPDATE records SET version = version + 1, value = ? WHERE id = ? AND version = ?
/// ```
///
/// # Errors
///
/// [`StorageError::Conflict`] if no row changed; [`StorageError::Inconsistent`] if several did.
pub fn changed_one(result: &SqliteQueryResult) -> Result<(), StorageError> {
    if changed_if(result)? {
        Ok(())
    } else {
        Err(StorageError::Conflict)
    }
}

/// Tells whether a statement changed its one row or none.
///
/// # Errors
///
/// [`StorageError::Inconsistent`] if several rows changed.
pub fn changed_if(result: &SqliteQueryResult) -> Result<bool, StorageError> {
    match result.rows_affected() {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(StorageError::Inconsistent(
            "a statement about one row changed several",
        )),
    }
}

/// Turns a number into what SQLite can hold.
///
/// # Errors
///
/// [`StorageError::Inconsistent`] above 2^63 - 1.
pub fn to_i64(value: u64) -> Result<i64, StorageError> {
    i64::try_from(value).map_err(|_| StorageError::Inconsistent("a number is too large"))
}

/// Reads a number that must not be negative.
///
/// # Errors
///
/// [`StorageError::Inconsistent`] if it is.
pub fn from_i64(value: i64) -> Result<u64, StorageError> {
    u64::try_from(value).map_err(|_| StorageError::Inconsistent("a number is negative"))
}

/// Reads a blob that must have exactly `N` bytes.
///
/// # Errors
///
/// [`StorageError::Inconsistent`] if it has not.
pub fn fixed<const N: usize>(blob: &[u8]) -> Result<[u8; N], StorageError> {
    blob.try_into()
        .map_err(|_| StorageError::Inconsistent("a blob does not have its length"))
}
