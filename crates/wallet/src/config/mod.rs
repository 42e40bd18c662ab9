//! Who may act for a wallet: a threshold over a binary tree of weighted leaves, with one hash.

pub(crate) mod hash;
mod json;
mod members;
mod prune;
mod tree;
mod valid;

#[cfg(test)]
pub(crate) mod tests;

use alloy_primitives::{Address, B256};

pub use members::{Members, MembersError};
pub use tree::{balanced_tree, default_tree};
pub use valid::{ConfigError, MAX_DEPTH, ValidConfig};

/// The first checkpoint the format cannot express (2^56).
pub const CHECKPOINT_LIMIT: u64 = 1 << 56;

/// A wallet's configuration as it is written down, not yet judged. See [`ValidConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Weight that signatures must reach together.
    pub threshold: u16,
    /// Version of the configuration; updates must increase it. Below [`CHECKPOINT_LIMIT`].
    pub checkpoint: u64,
    /// Contract that knows the latest configuration, if the wallet has one.
    pub checkpointer: Option<Address>,
    /// The tree of leaves.
    pub topology: Topology,
}

/// A node of the configuration tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// A key or an ERC-1271 contract; the tree does not say which.
    Signer {
        /// Address of the signer.
        address: Address,
        /// Weight its signature adds.
        weight: u8,
    },
    /// A contract that validates its own signature format and answers with a root.
    Sapient {
        /// Address of the contract.
        address: Address,
        /// Weight its signature adds.
        weight: u8,
        /// Root that the contract must answer.
        image_hash: B256,
    },
    /// A payload hash that needs no signature.
    Subdigest(B256),
    /// A payload hash, computed for address zero, that needs no signature.
    AnyAddressSubdigest(B256),
    /// A tree of its own that counts as one leaf once it reaches its own threshold.
    Nested {
        /// The inner tree.
        tree: Box<Topology>,
        /// Weight the whole adds.
        weight: u8,
        /// Weight the inner signatures must reach.
        threshold: u16,
    },
    /// A subtree of which only the hash is shown.
    Node(B256),
    /// Two subtrees, in order.
    Branch(Box<Topology>, Box<Topology>),
}

impl Topology {
    /// Joins two trees.
    #[must_use]
    pub fn branch(left: Topology, right: Topology) -> Self {
        Self::Branch(Box::new(left), Box::new(right))
    }
}
