//! The tree of sessions as bytes (format section 5.1).

use alloy_primitives::Address;

use super::topology::{MAX_BLACKLIST, MAX_SESSION_DEPTH};
use super::{SessionPermissions, SessionTopology, SessionTreeError};
use crate::Encoding;
use crate::bytes::{Reader, byte_len, push_uint};

pub(super) const TAG_PERMISSIONS: u8 = 0;
const TAG_NODE: u8 = 1;
const TAG_BRANCH: u8 = 2;
pub(super) const TAG_BLACKLIST: u8 = 3;
pub(super) const TAG_IDENTITY: u8 = 4;

/// The low nibble that says: the count stands in the next two bytes.
const WIDE_COUNT: u8 = 0x0f;

/// Why bytes are not a tree of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionDecodeError {
    /// The bytes end too early.
    #[error("the sessions end too early")]
    Truncated,
    /// Bytes remain after the end.
    #[error("bytes remain after the end of the sessions")]
    TrailingBytes,
    /// A tag or flag without meaning.
    #[error("unknown flag {0:#04x} in the sessions")]
    UnknownFlag(u8),
    /// A session leaf that is cut off, or whose numbers are out of range.
    #[error("a session is cut off, or has a field without meaning")]
    MalformedSession,
    /// An attestation without a blacklist: implicit sessions need one to be judged.
    #[error("there are attestations, but the tree shows no blacklist")]
    AttestationWithoutBlacklist,
    /// An ECDSA signature out of range or in the upper half.
    #[error("an ECDSA signature is out of range or not in the lower half")]
    InvalidEcdsa,
    /// The tree breaks a rule of its own.
    #[error(transparent)]
    Tree(#[from] SessionTreeError),
}

impl SessionTopology {
    /// Encodes the tree.
    ///
    /// [`Encoding::Shortest`] judges it first and writes left subtrees inline; [`Encoding::Npm`]
    /// wraps every branch, and leaves judging to the reader.
    ///
    /// # Errors
    /// [`SessionTreeError`] for a tree that is refused or that the format cannot express.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, SessionTreeError> {
        let mut out = Vec::new();
        match encoding {
            Encoding::Npm => write(self, &mut out, encoding, false)?,
            Encoding::Shortest => {
                self.check_proof()?;
                write(self, &mut out, encoding, true)?;
            }
        }
        Ok(out)
    }

    /// Reads a tree as the chain gets it: exactly one identity signer, at most one blacklist.
    ///
    /// # Security
    /// For untrusted bytes: depth and every read are bounded; what a contract of ours refuses is
    /// refused. Compare its [`SessionTopology::hash`] with the wallet's before you believe it.
    ///
    /// # Errors
    /// [`SessionDecodeError`] names the first defect.
    pub fn decode(bytes: &[u8]) -> Result<Self, SessionDecodeError> {
        let tree = read_all(bytes, MAX_SESSION_DEPTH)?;
        tree.check_proof()?;
        Ok(tree)
    }
}

/// `inline`: without a header of its own, as the first of its slice.
fn write(
    tree: &SessionTopology,
    out: &mut Vec<u8>,
    encoding: Encoding,
    inline: bool,
) -> Result<(), SessionTreeError> {
    match tree {
        SessionTopology::Session(session) => {
            out.push(TAG_PERMISSIONS << 4);
            session.write(out)
        }
        SessionTopology::Node(hash) => {
            out.push(TAG_NODE << 4);
            out.extend_from_slice(hash.as_slice());
            Ok(())
        }
        SessionTopology::IdentitySigner(address) => {
            out.push(TAG_IDENTITY << 4);
            out.extend_from_slice(address.as_slice());
            Ok(())
        }
        SessionTopology::Blacklist(addresses) => {
            if addresses.len() > MAX_BLACKLIST {
                return Err(SessionTreeError::BlacklistTooLong);
            }
            if addresses.len() < usize::from(WIDE_COUNT) {
                out.push((TAG_BLACKLIST << 4) | addresses.len() as u8);
            } else {
                out.push((TAG_BLACKLIST << 4) | WIDE_COUNT);
                push_uint(out, addresses.len() as u64, 2);
            }
            out.extend(addresses.iter().flatten());
            Ok(())
        }
        SessionTopology::Branch(children) => {
            let mut inner = Vec::new();
            for (index, child) in children.iter().enumerate() {
                let first = index == 0 && encoding == Encoding::Shortest;
                write(child, &mut inner, encoding, first)?;
            }
            if !inline {
                let width = byte_len(inner.len() as u64).max(1);
                out.push((TAG_BRANCH << 4) | width as u8);
                push_uint(out, inner.len() as u64, width);
            }
            out.append(&mut inner);
            Ok(())
        }
    }
}

/// Everything in a slice is one tree, hashed from the left.
fn read_all(bytes: &[u8], depth: usize) -> Result<SessionTopology, SessionDecodeError> {
    let below = depth.checked_sub(1).ok_or(SessionTreeError::TooDeep)?;
    let mut reader = Reader::new(bytes);
    let mut children = Vec::new();
    while !reader.is_empty() {
        children.push(read(&mut reader, below)?);
    }
    if children.len() > 1 {
        return Ok(SessionTopology::Branch(children));
    }
    children
        .pop()
        .ok_or(SessionDecodeError::Tree(SessionTreeError::MalformedTree))
}

fn read(reader: &mut Reader<'_>, depth: usize) -> Result<SessionTopology, SessionDecodeError> {
    let first = reader.byte().ok_or(SessionDecodeError::Truncated)?;
    let (tag, free) = (first >> 4, first & 0x0f);
    match tag {
        TAG_PERMISSIONS | TAG_NODE | TAG_IDENTITY if free != 0 => {
            Err(SessionDecodeError::UnknownFlag(first))
        }
        TAG_PERMISSIONS => SessionPermissions::read(reader)
            .map(SessionTopology::Session)
            .ok_or(SessionDecodeError::MalformedSession),
        TAG_NODE => reader
            .hash()
            .map(SessionTopology::Node)
            .ok_or(SessionDecodeError::Truncated),
        TAG_IDENTITY => reader
            .address()
            .map(SessionTopology::IdentitySigner)
            .ok_or(SessionDecodeError::Truncated),
        TAG_BLACKLIST => {
            let count = match free {
                WIDE_COUNT => reader.uint(2).ok_or(SessionDecodeError::Truncated)?,
                count => u64::from(count),
            };
            let bytes = reader
                .take(count as usize * 20)
                .ok_or(SessionDecodeError::Truncated)?;
            let addresses = bytes.chunks_exact(20).map(Address::from_slice).collect();
            Ok(SessionTopology::Blacklist(addresses))
        }
        TAG_BRANCH if free == 0 => Err(SessionDecodeError::UnknownFlag(first)),
        TAG_BRANCH => {
            let slice = reader
                .sized(usize::from(free))
                .ok_or(SessionDecodeError::Truncated)?;
            match read_all(slice, depth)? {
                branch @ SessionTopology::Branch(_) => Ok(branch),
                // Its hash would be that of its only child.
                _ => Err(SessionTreeError::MalformedTree.into()),
            }
        }
        _ => Err(SessionDecodeError::UnknownFlag(first)),
    }
}
