//! Leaf and node hashing with the domain separation of RFC 6962.

use core::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The most bytes one entry may have: what a 16-bit length in a C2SP entry bundle can express.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// A SHA-256 value in a Merkle tree: of a leaf, of an inner node, or the root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Reads a hash from exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ConstantTimeEq for Hash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// The entry was longer than [`MAX_ENTRY_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log entry has {actual} bytes, at most {MAX_ENTRY_BYTES} are allowed")]
pub struct EntryTooLarge {
    /// How many bytes the refused entry had.
    pub actual: usize,
}

/// One entry of the log: bytes the log does not interpret, at most [`MAX_ENTRY_BYTES`] of them.
#[derive(Clone, PartialEq, Eq)]
pub struct LogEntry(Vec<u8>);

impl LogEntry {
    /// Takes the bytes of an entry.
    ///
    /// # Errors
    ///
    /// [`EntryTooLarge`] if there are more than [`MAX_ENTRY_BYTES`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, EntryTooLarge> {
        let bytes = bytes.into();
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryTooLarge {
                actual: bytes.len(),
            });
        }
        Ok(Self(bytes))
    }

    /// Returns the entry's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the entry's bytes, consuming it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Computes the hash under which the tree holds this entry.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.0)
    }
}

impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Entries name accounts and devices; a log line needs neither.
        write!(f, "LogEntry({} bytes)", self.0.len())
    }
}

/// Computes the root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// Computes SHA-256(0x00 ‖ entry), RFC 6962 section 2.1.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([0x00])
            .chain_update(entry)
            .finalize()
            .into(),
    )
}

/// Computes SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([0x01])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_largest_size_is_taken_and_one_byte_more_is_refused() {
        assert!(LogEntry::new(vec![0; MAX_ENTRY_BYTES]).is_ok());
        assert_eq!(
            LogEntry::new(vec![0; MAX_ENTRY_BYTES + 1]),
            Err(EntryTooLarge {
                actual: MAX_ENTRY_BYTES + 1
            })
        );
    }

    #[test]
    fn a_leaf_that_spells_two_hashes_is_not_their_node() {
        let (left, right) = (leaf_hash(b"l"), leaf_hash(b"r"));
        let spelled = [left.0, right.0].concat();
        assert_ne!(leaf_hash(&spelled), node_hash(&left, &right));
    }

    #[test]
    fn debug_of_an_entry_shows_no_content() {
        let entry = LogEntry::new(*b"canary").unwrap();
        assert_eq!(format!("{entry:?}"), "LogEntry(6 bytes)");
    }
}
