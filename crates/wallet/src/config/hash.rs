//! Leaf hashes, node hashes and the image hash (format sections 2.2 and 2.3).

use alloy_primitives::{Address, B256, Keccak256};

use super::{Config, Topology};
use crate::bytes::{address_word, hash_pair, word};

/// Hash of a signer leaf.
pub(crate) fn signer_leaf(address: &Address, weight: u8) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"Sequence signer:\n");
    hasher.update(address);
    hasher.update(word(weight));
    hasher.finalize()
}

/// Hash of a sapient signer leaf.
pub(crate) fn sapient_leaf(address: &Address, weight: u8, image_hash: &B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"Sequence sapient config:\n");
    hasher.update(address);
    hasher.update(word(weight));
    hasher.update(image_hash);
    hasher.finalize()
}

/// Hash of a leaf that approves one payload.
pub(crate) fn subdigest_leaf(digest: &B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"Sequence static digest:\n");
    hasher.update(digest);
    hasher.finalize()
}

/// Hash of a leaf that approves one payload on every address.
pub(crate) fn any_address_subdigest_leaf(digest: &B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"Sequence any address subdigest:\n");
    hasher.update(digest);
    hasher.finalize()
}

/// Hash of a nested tree; the threshold stands before the weight.
pub(crate) fn nested_leaf(root: &B256, threshold: u16, weight: u8) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"Sequence nested config:\n");
    hasher.update(root);
    hasher.update(word(threshold));
    hasher.update(word(weight));
    hasher.finalize()
}

/// Folds threshold, checkpoint and checkpointer over the root of the tree.
pub(crate) fn image_hash(
    root: &B256,
    threshold: u16,
    checkpoint: u64,
    checkpointer: Option<Address>,
) -> B256 {
    let with_threshold = hash_pair(root, &word(threshold));
    let with_checkpoint = hash_pair(&with_threshold, &word(checkpoint));
    hash_pair(
        &with_checkpoint,
        &address_word(&checkpointer.unwrap_or(Address::ZERO)),
    )
}

impl Topology {
    /// Computes the root of the tree.
    #[must_use]
    pub fn hash(&self) -> B256 {
        match self {
            Self::Signer { address, weight } => signer_leaf(address, *weight),
            Self::Sapient {
                address,
                weight,
                image_hash,
            } => sapient_leaf(address, *weight, image_hash),
            Self::Subdigest(digest) => subdigest_leaf(digest),
            Self::AnyAddressSubdigest(digest) => any_address_subdigest_leaf(digest),
            Self::Nested {
                tree,
                weight,
                threshold,
            } => nested_leaf(&tree.hash(), *threshold, *weight),
            Self::Node(hash) => *hash,
            Self::Branch(left, right) => hash_pair(&left.hash(), &right.hash()),
        }
    }
}

impl Config {
    /// Computes the hash that stands for the whole configuration on chain.
    #[must_use]
    pub fn image_hash(&self) -> B256 {
        image_hash(
            &self.topology.hash(),
            self.threshold,
            self.checkpoint,
            self.checkpointer,
        )
    }
}
