//! Hiding what a proof does not need. The root stays the same.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};

use super::{Config, Topology};

/// Bytes of a hash in a signature: its tag and itself.
const NODE_LENGTH: usize = 33;

impl Topology {
    /// Replaces by hashes the subtrees in which nobody of `signers` is, wherever that makes a
    /// signature shorter.
    ///
    /// Approved digests stay visible: one of them may be what approves.
    #[must_use]
    pub fn pruned(&self, signers: &BTreeSet<Address>) -> Self {
        self.cut(signers).tree
    }

    fn cut(&self, signers: &BTreeSet<Address>) -> Cut {
        match self {
            Self::Signer { address, weight } => Cut {
                tree: self.clone(),
                length: if (1..=15).contains(weight) { 21 } else { 22 },
                needed: signers.contains(address),
            },
            Self::Sapient { address, .. } => Cut {
                // Unsigned, it is shown as a hash anyway.
                tree: self.clone(),
                length: NODE_LENGTH,
                needed: signers.contains(address),
            },
            Self::Subdigest(_) | Self::AnyAddressSubdigest(_) => Cut {
                tree: self.clone(),
                length: NODE_LENGTH,
                needed: true,
            },
            Self::Node(_) => Cut {
                tree: self.clone(),
                length: NODE_LENGTH,
                needed: false,
            },
            Self::Nested {
                tree,
                weight,
                threshold,
            } => {
                let inner = tree.cut(signers);
                let tree = Self::Nested {
                    tree: Box::new(inner.tree),
                    weight: *weight,
                    threshold: *threshold,
                };
                let weight_length = usize::from(!(1..=3).contains(weight));
                let threshold_length = if (1..=3).contains(threshold) { 0 } else { 2 };
                let length = inner.length + 4 + weight_length + threshold_length;
                Cut::shorter(tree, length, inner.needed)
            }
            Self::Branch(left, right) => {
                let (left, right) = (left.cut(signers), right.cut(signers));
                let head = match right.tree {
                    Self::Branch(..) => 1 + crate::bytes::byte_len(right.length as u64).max(1),
                    _ => 0,
                };
                let length = left.length + head + right.length;
                let needed = left.needed || right.needed;
                Cut::shorter(Self::branch(left.tree, right.tree), length, needed)
            }
        }
    }

    /// The visible signers and sapient signers, each once.
    #[must_use]
    pub fn signers(&self) -> BTreeSet<Address> {
        let mut signers = BTreeSet::new();
        self.collect(&mut signers);
        signers
    }

    fn collect(&self, signers: &mut BTreeSet<Address>) {
        match self {
            Self::Signer { address, .. } | Self::Sapient { address, .. } => {
                signers.insert(*address);
            }
            Self::Nested { tree, .. } => tree.collect(signers),
            Self::Branch(left, right) => {
                left.collect(signers);
                right.collect(signers);
            }
            Self::Subdigest(_) | Self::AnyAddressSubdigest(_) | Self::Node(_) => {}
        }
    }

    /// The weight that these signers reach together, approved digests aside.
    #[must_use]
    pub fn weight_of(&self, signers: &BTreeSet<Address>) -> u64 {
        match self {
            Self::Signer { address, weight }
            | Self::Sapient {
                address, weight, ..
            } => {
                if signers.contains(address) {
                    u64::from(*weight)
                } else {
                    0
                }
            }
            Self::Nested {
                tree,
                weight,
                threshold,
            } => {
                if tree.weight_of(signers) >= u64::from(*threshold) {
                    u64::from(*weight)
                } else {
                    0
                }
            }
            Self::Branch(left, right) => left
                .weight_of(signers)
                .saturating_add(right.weight_of(signers)),
            Self::Subdigest(_) | Self::AnyAddressSubdigest(_) | Self::Node(_) => 0,
        }
    }
}

/// A subtree, how many bytes it takes unsigned, and whether it must stay visible.
struct Cut {
    tree: Topology,
    length: usize,
    needed: bool,
}

impl Cut {
    /// The tree, or its hash where that is allowed and shorter.
    fn shorter(tree: Topology, length: usize, needed: bool) -> Self {
        if needed || length <= NODE_LENGTH {
            return Self {
                tree,
                length,
                needed,
            };
        }
        let hash: B256 = tree.hash();
        Self {
            tree: Topology::Node(hash),
            length: NODE_LENGTH,
            needed: false,
        }
    }
}

impl Config {
    /// As [`Topology::pruned`], for the whole configuration.
    #[must_use]
    pub fn pruned(&self, signers: &BTreeSet<Address>) -> Self {
        Self {
            topology: self.topology.pruned(signers),
            ..self.clone()
        }
    }
}
