//! The frontier of a growing tree: the roots of its complete subtrees, largest first.
//!
//! It is all that is needed to append a leaf and to compute the next root, and has at most 64
//! hashes however long the log is.

use crate::hash::{Hash, empty_root, node_hash};

/// A serialised frontier starts with this byte, so that a later form can be told apart.
const FORMAT: u8 = 1;

/// The state of a log between two appends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One hash for each set bit of `size`, the most significant first.
    nodes: Vec<Hash>,
}

/// An inner node that became complete with an append, worth storing for later proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedNode {
    /// Height above the leaves; 1 covers two leaves. Never 0.
    pub level: u8,
    /// Position among the nodes of its level, from the left.
    pub index: u64,
    /// The node's hash.
    pub hash: Hash,
}

/// Why a frontier cannot be read or grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The bytes are not a frontier that [`Frontier::to_bytes`] wrote.
    #[error("the stored frontier is malformed")]
    Malformed,
    /// The tree has 2^64 - 1 leaves.
    #[error("the log is full")]
    Full,
}

impl Frontier {
    /// Makes the frontier of an empty log.
    pub const fn new() -> Self {
        Self {
            size: 0,
            nodes: Vec::new(),
        }
    }

    /// Returns how many leaves the log has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf and returns the inner nodes that it completed, lowest first.
    ///
    /// # Errors
    ///
    /// [`FrontierError::Full`] after 2^64 - 1 leaves; the frontier is then unchanged.
    pub fn append(&mut self, leaf: Hash) -> Result<Vec<CompletedNode>, FrontierError> {
        let next_size = self.size.checked_add(1).ok_or(FrontierError::Full)?;
        let mut completed = Vec::new();
        let mut hash = leaf;
        // Each trailing one of the old size is a complete subtree as large as what we carry.
        for level in 1..=self.size.trailing_ones() {
            let Some(left) = self.nodes.pop() else { break };
            hash = node_hash(&left, &hash);
            completed.push(CompletedNode {
                level: u8::try_from(level).unwrap_or(u8::MAX),
                index: self.size.checked_shr(level).unwrap_or(0),
                hash,
            });
        }
        self.nodes.push(hash);
        self.size = next_size;
        Ok(completed)
    }

    /// Computes the root of the tree as it stands.
    pub fn root(&self) -> Hash {
        let mut from_right = self.nodes.iter().rev();
        let Some(last) = from_right.next() else {
            return empty_root();
        };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Writes the frontier: a format byte, the size (8 bytes, big-endian), the hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + 32 * self.nodes.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for node in &self.nodes {
            bytes.extend_from_slice(&node.0);
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`FrontierError::Malformed`] for any other bytes: another format, or a number of hashes that
    /// does not belong to the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (head, rest) = bytes
            .split_first_chunk::<9>()
            .ok_or(FrontierError::Malformed)?;
        let [format, size @ ..] = *head;
        let size = u64::from_be_bytes(size);
        let (nodes, tail) = rest.as_chunks::<32>();
        let expected = usize::try_from(size.count_ones()).map_err(|_| FrontierError::Malformed)?;
        if format != FORMAT || !tail.is_empty() || nodes.len() != expected {
            return Err(FrontierError::Malformed);
        }
        Ok(Self {
            size,
            nodes: nodes.iter().map(|node| Hash(*node)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    // Leaves and roots of the test tree of google/certificate-transparency
    // (transparency-dev/merkle, testonly/constants.go).
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_roots_of_the_certificate_transparency_test_tree() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root().to_string(), ROOTS[0]);
        for (leaf, root) in LEAVES.iter().zip(&ROOTS[1..]) {
            frontier
                .append(leaf_hash(&hex::decode(leaf).unwrap()))
                .unwrap();
            assert_eq!(frontier.root().to_string(), *root);
        }
    }

    #[test]
    fn completed_nodes_are_those_of_the_test_tree() {
        let mut frontier = Frontier::new();
        let mut nodes = Vec::new();
        for leaf in LEAVES {
            nodes.extend(
                frontier
                    .append(leaf_hash(&hex::decode(leaf).unwrap()))
                    .unwrap(),
            );
        }
        let at = |level, index| {
            nodes
                .iter()
                .find(|n| (n.level, n.index) == (level, index))
                .unwrap()
                .hash
                .to_string()
        };
        // testonly/constants.go, NodeHashes.
        assert_eq!(at(1, 0), ROOTS[2]);
        assert_eq!(
            at(1, 1),
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
        );
        assert_eq!(
            at(1, 3),
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
        );
        assert_eq!(
            at(2, 1),
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
        );
        assert_eq!(at(3, 0), ROOTS[8]);
        assert_eq!(nodes.len(), 7);
    }

    #[test]
    fn a_frontier_read_back_goes_on_to_the_same_roots() {
        let mut straight = Frontier::new();
        let mut resumed = Frontier::new();
        for i in 0..300u32 {
            let leaf = leaf_hash(&i.to_be_bytes());
            straight.append(leaf).unwrap();
            resumed.append(leaf).unwrap();
            resumed = Frontier::from_bytes(&resumed.to_bytes()).unwrap();
            assert_eq!(resumed, straight);
        }
    }

    #[test]
    fn a_frontier_with_a_hash_too_few_or_too_many_is_refused() {
        let mut frontier = Frontier::new();
        for i in 0..3u8 {
            frontier.append(leaf_hash(&[i])).unwrap();
        }
        let bytes = frontier.to_bytes();
        for wrong in [
            Vec::new(),
            bytes[..8].to_vec(),
            bytes[..bytes.len() - 1].to_vec(),
            bytes[..bytes.len() - 32].to_vec(),
            [bytes.clone(), vec![0; 32]].concat(),
            [&[2], &bytes[1..]].concat(),
        ] {
            assert_eq!(Frontier::from_bytes(&wrong), Err(FrontierError::Malformed));
        }
    }

    #[test]
    fn a_full_log_refuses_another_leaf_and_keeps_its_root() {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        bytes.extend_from_slice(&[7; 64 * 32]);
        let mut frontier = Frontier::from_bytes(&bytes).unwrap();
        let root = frontier.root();
        assert_eq!(frontier.append(leaf_hash(b"x")), Err(FrontierError::Full));
        assert_eq!(frontier.root(), root);
    }
}
