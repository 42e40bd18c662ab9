//! Trees by their roots: written by enclaves, read by anybody.

use alloy_primitives::B256;
use keyfold_protocol::config::{ChangeError, StoredTree};
use keyfold_protocol::gateway_api::MAX_TREE;
use keyfold_storage::{Database, StorageError};

/// Why a tree was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreePutError {
    /// No root follows from it.
    #[error(transparent)]
    Invalid(#[from] ChangeError),
    /// It is too large.
    #[error("a tree has at most {MAX_TREE} bytes")]
    TooLarge,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The trees.
#[derive(Debug, Clone)]
pub(crate) struct TreeStore {
    db: Database,
}

impl TreeStore {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }

    /// Returns the JSON of the tree of a root.
    pub(crate) async fn get(&self, root: &B256) -> Result<Option<String>, StorageError> {
        Ok(sqlx::query_scalar("SELECT tree FROM trees WHERE root = ?")
            .bind(root.as_slice())
            .fetch_optional(self.db.readers())
            .await?)
    }

    /// Stores a tree under the root that follows from it: the caller names none, so nothing can
    /// stand under another's. Repeating it changes nothing.
    pub(crate) async fn put(&self, tree: &StoredTree) -> Result<(), TreePutError> {
        let root = tree.root()?;
        let json = serde_json::to_string(tree)
            .map_err(|_| StorageError::Inconsistent("a tree that cannot be written"))?;
        if json.len() > MAX_TREE {
            return Err(TreePutError::TooLarge);
        }
        sqlx::query("INSERT INTO trees (root, tree) VALUES (?, ?) ON CONFLICT (root) DO NOTHING")
            .bind(root.as_slice())
            .bind(&json)
            .execute(self.db.writer())
            .await
            .map_err(StorageError::from)?;
        Ok(())
    }
}
