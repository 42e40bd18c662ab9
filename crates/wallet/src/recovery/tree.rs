//! The tree of recovery signers: hash, bytes, and what one signer must show (format section 6).

use core::str::FromStr;

use alloy_primitives::{Address, B256, Keccak256};
use serde::{Deserialize, Serialize};

use crate::Encoding;
use crate::bytes::{Reader, hash_pair, push_uint, word};

/// The first waiting time the format cannot express: 2^24 seconds, about 194 days.
pub const DELTA_LIMIT: u32 = 1 << 24;
/// Deepest tree of recovery signers that is read.
pub const MAX_RECOVERY_DEPTH: usize = 64;

const FLAG_LEAF: u8 = 1;
const FLAG_NODE: u8 = 3;
const FLAG_BRANCH: u8 = 4;
const MAX_BRANCH: usize = 0xff_ffff;

/// A key that may take the wallet over, after waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryLeaf {
    /// Address of the key or contract.
    #[serde(with = "crate::json::address")]
    pub signer: Address,
    /// Seconds that must pass between queueing and use; below [`DELTA_LIMIT`].
    #[serde(with = "crate::json::decimal")]
    pub required_delta_seconds: u32,
    /// What was queued before this Unix time never counts.
    #[serde(with = "crate::json::decimal")]
    pub min_timestamp: u64,
}

/// A tree of recovery signers as it is written down, not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryTree {
    /// A recovery signer.
    Leaf(RecoveryLeaf),
    /// A hash in place of a subtree.
    Node(B256),
    /// Two subtrees, in order.
    Branch(Box<RecoveryTree>, Box<RecoveryTree>),
}

/// Why a tree of recovery signers was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryTreeError {
    /// No leaves.
    #[error("a tree needs at least one recovery signer")]
    Empty,
    /// A failed signature check yields address zero: as a signer it is open to everybody.
    #[error("address zero cannot be a recovery signer")]
    ZeroSigner,
    /// The waiting time does not fit 24 bits.
    #[error("the waiting time does not fit 24 bits")]
    DeltaTooLarge,
    /// A branch longer than 2^24 - 1 bytes.
    #[error("the tree of recovery signers is too long")]
    TooLong,
    /// Deeper than [`MAX_RECOVERY_DEPTH`].
    #[error("the tree of recovery signers is deeper than {MAX_RECOVERY_DEPTH} levels")]
    TooDeep,
    /// The bytes end too early.
    #[error("the tree of recovery signers ends too early")]
    Truncated,
    /// A flag without meaning.
    #[error("unknown flag {0:#04x} in the tree of recovery signers")]
    UnknownFlag(u8),
    /// An empty slice, one that begins with a branch, or a node hash of zero: shapes whose root
    /// is not that of any real tree.
    #[error("the tree of recovery signers has no real root")]
    MalformedTree,
    /// No leaf of this signer.
    #[error("{0} is no recovery signer of the tree")]
    UnknownSigner(Address),
}

impl RecoveryLeaf {
    /// Computes the hash of the leaf.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(b"Sequence recovery leaf:\n");
        hasher.update(self.signer);
        hasher.update(word(self.required_delta_seconds));
        hasher.update(word(self.min_timestamp));
        hasher.finalize()
    }

    fn check(&self) -> Result<(), RecoveryTreeError> {
        if self.signer.is_zero() {
            return Err(RecoveryTreeError::ZeroSigner);
        }
        self.check_delta()
    }

    fn check_delta(&self) -> Result<(), RecoveryTreeError> {
        if self.required_delta_seconds >= DELTA_LIMIT {
            return Err(RecoveryTreeError::DeltaTooLarge);
        }
        Ok(())
    }
}

impl FromStr for RecoveryLeaf {
    type Err = &'static str;

    /// Reads `signer:<address>:<delta seconds>:<min timestamp>`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.split(':');
        if fields.next() != Some("signer") {
            return Err("expected signer:<address>:<delta>:<min timestamp>");
        }
        let mut field = || fields.next().ok_or("a field is missing");
        let leaf = Self {
            signer: Address::from(field()?.parse::<crate::json::HexBytes<20>>()?.0),
            required_delta_seconds: field()?.parse().map_err(|_| "the delta is no number")?,
            min_timestamp: field()?.parse().map_err(|_| "the timestamp is no number")?,
        };
        if fields.next().is_some() {
            return Err("too many fields");
        }
        Ok(leaf)
    }
}

impl RecoveryTree {
    /// Joins leaves to a balanced tree, the left half having `floor(n / 2)` of them.
    ///
    /// # Errors
    /// [`RecoveryTreeError::Empty`] for no leaves.
    pub fn balanced(leaves: &[RecoveryLeaf]) -> Result<Self, RecoveryTreeError> {
        match leaves {
            [] => Err(RecoveryTreeError::Empty),
            [leaf] => Ok(Self::Leaf(*leaf)),
            _ => {
                let (left, right) = leaves.split_at(leaves.len() / 2);
                Ok(Self::branch(Self::balanced(left)?, Self::balanced(right)?))
            }
        }
    }

    /// Joins two trees.
    #[must_use]
    pub fn branch(left: Self, right: Self) -> Self {
        Self::Branch(Box::new(left), Box::new(right))
    }

    /// Computes the root that stands for the tree in the wallet's configuration.
    #[must_use]
    pub fn hash(&self) -> B256 {
        match self {
            Self::Leaf(leaf) => leaf.hash(),
            Self::Node(hash) => *hash,
            Self::Branch(left, right) => hash_pair(&left.hash(), &right.hash()),
        }
    }

    /// The visible leaves, from left to right.
    #[must_use]
    pub fn leaves(&self) -> Vec<RecoveryLeaf> {
        match self {
            Self::Leaf(leaf) => vec![*leaf],
            Self::Node(_) => Vec::new(),
            Self::Branch(left, right) => {
                let mut leaves = left.leaves();
                leaves.extend(right.leaves());
                leaves
            }
        }
    }

    /// Judges the visible part of the tree: zero signers, times out of range, depth.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), RecoveryTreeError> {
        self.check_within(MAX_RECOVERY_DEPTH)
    }

    fn check_within(&self, depth: usize) -> Result<(), RecoveryTreeError> {
        match self {
            Self::Leaf(leaf) => leaf.check(),
            Self::Node(hash) if hash.is_zero() => Err(RecoveryTreeError::MalformedTree),
            Self::Node(_) => Ok(()),
            Self::Branch(left, right) => {
                let below = depth.checked_sub(1).ok_or(RecoveryTreeError::TooDeep)?;
                left.check_within(below)?;
                right.check_within(below)
            }
        }
    }

    /// Replaces by hashes all that is not this signer's. The root stays the same.
    ///
    /// # Errors
    /// [`RecoveryTreeError::UnknownSigner`] if nothing would be visible.
    pub fn trimmed(&self, signer: &Address) -> Result<Self, RecoveryTreeError> {
        match self.hide_others(signer) {
            Self::Node(_) => Err(RecoveryTreeError::UnknownSigner(*signer)),
            tree => Ok(tree),
        }
    }

    fn hide_others(&self, signer: &Address) -> Self {
        match self {
            Self::Leaf(leaf) if leaf.signer == *signer => Self::Leaf(*leaf),
            Self::Leaf(leaf) => Self::Node(leaf.hash()),
            Self::Node(hash) => Self::Node(*hash),
            Self::Branch(left, right) => {
                match (left.hide_others(signer), right.hide_others(signer)) {
                    (Self::Node(left), Self::Node(right)) => Self::Node(hash_pair(&left, &right)),
                    (left, right) => Self::branch(left, right),
                }
            }
        }
    }

    /// Encodes the tree: the sapient signature of the recovery contract.
    ///
    /// Both encodings have the same bytes; [`Encoding::Shortest`] judges the tree first.
    ///
    /// # Errors
    /// [`RecoveryTreeError`] for a tree that is refused or that the format cannot express.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, RecoveryTreeError> {
        if encoding == Encoding::Shortest {
            self.check()?;
        }
        let mut out = Vec::new();
        self.write(&mut out)?;
        Ok(out)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), RecoveryTreeError> {
        match self {
            Self::Leaf(leaf) => {
                leaf.check_delta()?;
                out.push(FLAG_LEAF);
                out.extend_from_slice(leaf.signer.as_slice());
                push_uint(out, u64::from(leaf.required_delta_seconds), 3);
                push_uint(out, leaf.min_timestamp, 8);
                Ok(())
            }
            Self::Node(hash) => {
                out.push(FLAG_NODE);
                out.extend_from_slice(hash.as_slice());
                Ok(())
            }
            Self::Branch(left, right) => {
                left.write(out)?;
                if !matches!(**right, Self::Branch(..)) {
                    return right.write(out);
                }
                let mut inner = Vec::new();
                right.write(&mut inner)?;
                if inner.len() > MAX_BRANCH {
                    return Err(RecoveryTreeError::TooLong);
                }
                out.push(FLAG_BRANCH);
                push_uint(out, inner.len() as u64, 3);
                out.append(&mut inner);
                Ok(())
            }
        }
    }

    /// Reads a tree.
    ///
    /// # Security
    /// For untrusted bytes: depth and every read are bounded; what a contract of ours refuses is
    /// refused. Compare its root with the wallet's before you believe it.
    ///
    /// # Errors
    /// [`RecoveryTreeError`] names the first defect.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecoveryTreeError> {
        read_all(bytes, MAX_RECOVERY_DEPTH)
    }
}

fn read_all(bytes: &[u8], depth: usize) -> Result<RecoveryTree, RecoveryTreeError> {
    let below = depth.checked_sub(1).ok_or(RecoveryTreeError::TooDeep)?;
    let mut reader = Reader::new(bytes);
    let mut tree: Option<RecoveryTree> = None;
    let mut items = 0usize;
    while !reader.is_empty() {
        // Items are folded to the left: each makes the tree one level deeper.
        items += 1;
        if items > MAX_RECOVERY_DEPTH {
            return Err(RecoveryTreeError::TooDeep);
        }
        let item = match Item::read(&mut reader, tree.is_none())? {
            Item::Leaf(leaf) => RecoveryTree::Leaf(leaf),
            Item::Node(hash) => RecoveryTree::Node(hash),
            Item::Branch(slice) => read_all(slice, below)?,
        };
        tree = Some(match tree {
            None => item,
            Some(left) => RecoveryTree::branch(left, item),
        });
    }
    tree.ok_or(RecoveryTreeError::MalformedTree)
}

/// Computes the root of a tree without building it, and collects its leaves: as the contracts do,
/// which take any number of items beside each other.
pub(super) fn fold(
    bytes: &[u8],
    leaves: &mut Vec<RecoveryLeaf>,
) -> Result<B256, RecoveryTreeError> {
    fold_within(bytes, MAX_RECOVERY_DEPTH, leaves)
}

fn fold_within(
    bytes: &[u8],
    depth: usize,
    leaves: &mut Vec<RecoveryLeaf>,
) -> Result<B256, RecoveryTreeError> {
    let below = depth.checked_sub(1).ok_or(RecoveryTreeError::TooDeep)?;
    let mut reader = Reader::new(bytes);
    let mut root: Option<B256> = None;
    while !reader.is_empty() {
        let node = match Item::read(&mut reader, root.is_none())? {
            Item::Leaf(leaf) => {
                leaves.push(leaf);
                leaf.hash()
            }
            Item::Node(hash) => hash,
            Item::Branch(slice) => fold_within(slice, below, leaves)?,
        };
        root = Some(root.map_or(node, |root| hash_pair(&root, &node)));
    }
    root.ok_or(RecoveryTreeError::MalformedTree)
}

/// One item of a slice.
enum Item<'a> {
    Leaf(RecoveryLeaf),
    Node(B256),
    Branch(&'a [u8]),
}

impl<'a> Item<'a> {
    fn read(reader: &mut Reader<'a>, first: bool) -> Result<Self, RecoveryTreeError> {
        use RecoveryTreeError::Truncated;
        match reader.byte().ok_or(Truncated)? {
            FLAG_LEAF => {
                let leaf = RecoveryLeaf {
                    signer: reader.address().ok_or(Truncated)?,
                    required_delta_seconds: u32::try_from(reader.uint(3).ok_or(Truncated)?)
                        .map_err(|_| RecoveryTreeError::DeltaTooLarge)?,
                    min_timestamp: reader.uint(8).ok_or(Truncated)?,
                };
                leaf.check()?;
                Ok(Self::Leaf(leaf))
            }
            FLAG_NODE => {
                let hash = reader.hash().ok_or(Truncated)?;
                if hash.is_zero() {
                    return Err(RecoveryTreeError::MalformedTree);
                }
                Ok(Self::Node(hash))
            }
            // A branch as the first of a slice would be hashed with an empty left operand.
            FLAG_BRANCH if first => Err(RecoveryTreeError::MalformedTree),
            FLAG_BRANCH => reader.sized(3).map(Self::Branch).ok_or(Truncated),
            flag => Err(RecoveryTreeError::UnknownFlag(flag)),
        }
    }
}
