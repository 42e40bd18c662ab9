//! Inclusion and consistency proofs.
//!
//! RFC 9162 sections 2.1.3 and 2.1.4 (the same trees as RFC 6962).

use subtle::ConstantTimeEq;

use crate::hash::{Hash, empty_root, node_hash};

/// No proof over a tree of at most 2^64 - 1 leaves is longer than this.
pub const MAX_PROOF_HASHES: usize = 64;

/// Where the builder of a proof finds the hashes of the tree.
pub trait LeafReader {
    /// What a read can fail with.
    type Error;

    /// Returns the hash of the leaf at `index`.
    ///
    /// # Errors
    ///
    /// Whatever the store reports; asking for a leaf that is not there is an error too.
    fn leaf(&self, index: u64) -> Result<Hash, Self::Error>;

    /// Returns the root of the complete subtree of 2^`level` leaves at position `index` of its
    /// level.
    ///
    /// The provided method hashes it together from leaves; a store that keeps inner nodes answers
    /// from those.
    ///
    /// # Errors
    ///
    /// As for [`LeafReader::leaf`].
    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let Some(below) = level.checked_sub(1) else {
            return self.leaf(index);
        };
        let left = self.subtree(below, index.wrapping_mul(2))?;
        let right = self.subtree(below, index.wrapping_mul(2).wrapping_add(1))?;
        Ok(node_hash(&left, &right))
    }
}

impl LeafReader for [Hash] {
    type Error = MissingLeaf;

    fn leaf(&self, index: u64) -> Result<Hash, MissingLeaf> {
        usize::try_from(index)
            .ok()
            .and_then(|i| self.get(i))
            .copied()
            .ok_or(MissingLeaf(index))
    }
}

/// The slice has no leaf at this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no leaf {0}")]
pub struct MissingLeaf(pub u64);

/// Why a proof cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofBuildError<E> {
    /// The index is not in a tree of this size, or the old tree is larger than the new one.
    #[error("the proof asked for is outside the tree")]
    OutOfRange,
    /// The store failed.
    #[error("reading the tree failed")]
    Read(#[source] E),
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not in a tree of this size, or the old tree is larger than the new one.
    #[error("the proof speaks of something outside the tree")]
    OutOfRange,
    /// The proof has more or fewer hashes than a proof for these sizes has.
    #[error("the proof has the wrong length")]
    WrongLength,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    WrongRoot,
}

/// Computes the root of the leaves `start..end`, which must not be empty.
fn range_root<R: LeafReader + ?Sized>(reader: &R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let width = end - start;
    if width.is_power_of_two() {
        // `start` is a multiple of the width: ranges come from splitting at powers of two.
        let level = width.trailing_zeros();
        return reader.subtree(u8::try_from(level).unwrap_or(u8::MAX), start >> level);
    }
    let middle = start + split(width);
    Ok(node_hash(
        &range_root(reader, start, middle)?,
        &range_root(reader, middle, end)?,
    ))
}

/// Returns the largest power of two smaller than `width`, which must be at least 2.
const fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

/// Builds the proof that the leaf at `index` is in the tree of the first `size` leaves.
///
/// # Errors
///
/// [`ProofBuildError::OutOfRange`] unless `index < size`; else what the reader reports.
pub fn inclusion_proof<R: LeafReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofBuildError<R::Error>> {
    if index >= size {
        return Err(ProofBuildError::OutOfRange);
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        let sibling = if index < middle {
            let sibling = range_root(reader, middle, end);
            end = middle;
            sibling
        } else {
            let sibling = range_root(reader, start, middle);
            start = middle;
            sibling
        };
        proof.push(sibling.map_err(ProofBuildError::Read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Builds the proof that the tree of `old_size` leaves is a prefix of the tree of `new_size`.
///
/// It is empty if the sizes are equal or the old tree is.
///
/// # Errors
///
/// [`ProofBuildError::OutOfRange`] if `old_size > new_size`; else what the reader reports.
pub fn consistency_proof<R: LeafReader + ?Sized>(
    reader: &R,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>, ProofBuildError<R::Error>> {
    if old_size > new_size {
        return Err(ProofBuildError::OutOfRange);
    }
    let mut proof = Vec::new();
    if old_size == 0 || old_size == new_size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, new_size);
    // Whether `start..end` began at the left edge: then its part up to `old_size` is the old tree,
    // which the verifier has.
    let mut at_left_edge = true;
    while end != old_size {
        let middle = start + split(end - start);
        let sibling = if old_size <= middle {
            let sibling = range_root(reader, middle, end);
            end = middle;
            sibling
        } else {
            let sibling = range_root(reader, start, middle);
            start = middle;
            at_left_edge = false;
            sibling
        };
        proof.push(sibling.map_err(ProofBuildError::Read)?);
    }
    if !at_left_edge {
        proof.push(range_root(reader, start, end).map_err(ProofBuildError::Read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that the leaf with hash `leaf` is at `index` of the tree of `size` leaves with `root`.
///
/// # Errors
///
/// A [`ProofError`]; nothing then follows about the leaf.
///
/// # Security
///
/// Checks the length of the proof and the root it leads to. It does not check that the root is
/// anybody's: take it from a verified checkpoint.
///
/// RFC 9162 section 2.1.3.2.
pub fn verify_inclusion(
    proof: &[Hash],
    index: u64,
    size: u64,
    leaf: &Hash,
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // On the right edge, levels where the node has no left sibling add nothing.
            if node & 1 == 0 {
                let lone = node.trailing_zeros();
                node = node.checked_shr(lone).unwrap_or(0);
                last = last.checked_shr(lone).unwrap_or(0);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    same(&hash, root)
}

/// Verifies that the tree of `old_size` leaves with `old_root` is a prefix of the tree of
/// `new_size` leaves with `new_root`.
///
/// # Errors
///
/// A [`ProofError`]; the two trees may then contradict each other.
///
/// # Security
///
/// The sizes and roots must come from verified checkpoints. The empty tree is a prefix of every
/// tree, and its root must then be the empty root.
///
/// RFC 9162 section 2.1.4.2.
pub fn verify_consistency(
    proof: &[Hash],
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange);
    }
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(ProofError::WrongLength);
        }
        return if old_size == new_size {
            same(old_root, new_root)
        } else {
            same(old_root, &empty_root())
        };
    }
    // A complete old tree is a node of the new one: the verifier has it, the proof leaves it out.
    let (first, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::WrongLength)?;
        (*first, rest)
    };
    let level = (old_size - 1).trailing_ones();
    let mut node = (old_size - 1).checked_shr(level).unwrap_or(0);
    let mut last = (new_size - 1).checked_shr(level).unwrap_or(0);
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            if node & 1 == 0 {
                let lone = node.trailing_zeros();
                node = node.checked_shr(lone).unwrap_or(0);
                last = last.checked_shr(lone).unwrap_or(0);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    same(&old_hash, old_root)?;
    same(&new_hash, new_root)
}

fn same(computed: &Hash, claimed: &Hash) -> Result<(), ProofError> {
    if bool::from(computed.ct_eq(claimed)) {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

#[cfg(test)]
mod tests;
