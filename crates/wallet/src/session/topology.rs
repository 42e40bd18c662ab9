//! The tree of sessions: its leaves, its root, and what a good tree is.

use alloy_primitives::{Address, B256, keccak256};

use super::SessionPermissions;
use super::wire::{TAG_BLACKLIST, TAG_IDENTITY, TAG_PERMISSIONS};
use crate::bytes::hash_pair;

/// Deepest tree of sessions that is read.
pub const MAX_SESSION_DEPTH: usize = 64;
/// Most addresses on a blacklist (a 16-bit count).
pub const MAX_BLACKLIST: usize = 0xffff;

/// A tree of sessions as it is written down, not yet judged. See [`SessionTopology::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionTopology {
    /// An explicit session: a key and what it may do.
    Session(SessionPermissions),
    /// Signers and targets that implicit sessions must not have, sorted.
    Blacklist(Vec<Address>),
    /// The key that attests implicit sessions.
    IdentitySigner(Address),
    /// A hash in place of a subtree.
    Node(B256),
    /// Subtrees in order, hashed from the left. At least two.
    Branch(Vec<SessionTopology>),
}

/// Why a tree of sessions was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionTreeError {
    /// A failed signature check yields address zero: as a session key it is open to everybody.
    #[error("address zero cannot be a session key")]
    ZeroSigner,
    /// As above, for the identity signer.
    #[error("address zero cannot be the identity signer")]
    ZeroIdentitySigner,
    /// A session of this key is there already; the chain would only see the first.
    #[error("there is a session of {0} already")]
    SignerExists(Address),
    /// There is no session of this key, or it is hidden behind a hash.
    #[error("there is no session of {0}")]
    UnknownSigner(Address),
    /// More than [`super::MAX_PERMISSIONS`] permissions in one session.
    #[error("a session has more than {} permissions", super::MAX_PERMISSIONS)]
    TooManyPermissions,
    /// More than [`super::MAX_RULES`] rules in one permission.
    #[error("a permission has more than {} rules", super::MAX_RULES)]
    TooManyRules,
    /// A rule that looks at nothing.
    #[error("the mask of a rule is zero")]
    EmptyMask,
    /// A blacklist out of order, with an address twice or with address zero: searching it would
    /// miss some.
    #[error("the blacklist is not strictly increasing from above zero")]
    BlacklistUnsorted,
    /// More than [`MAX_BLACKLIST`] addresses.
    #[error("the blacklist is longer than {MAX_BLACKLIST}")]
    BlacklistTooLong,
    /// The address is on the blacklist already.
    #[error("{0} is on the blacklist already")]
    Blacklisted(Address),
    /// The address is not on the blacklist.
    #[error("{0} is not on the blacklist")]
    NotBlacklisted(Address),
    /// No blacklist is visible.
    #[error("the tree shows no blacklist")]
    NoBlacklist,
    /// More than one blacklist.
    #[error("the tree shows more than one blacklist")]
    ManyBlacklists,
    /// No identity signer is visible.
    #[error("the tree shows no identity signer")]
    NoIdentitySigner,
    /// More than one identity signer where the chain takes exactly one.
    #[error("the tree shows more than one identity signer")]
    ManyIdentitySigners,
    /// A branch of fewer than two subtrees, or a node hash of zero: no real root.
    #[error("a branch has fewer than two subtrees, or a hash is zero")]
    MalformedTree,
    /// Deeper than [`MAX_SESSION_DEPTH`].
    #[error("the tree of sessions is deeper than {MAX_SESSION_DEPTH} levels")]
    TooDeep,
    /// Longer than its length field can say.
    #[error("the tree of sessions is too long")]
    TooLong,
}

/// Hash of a leaf: its tag, unshifted, and its body.
fn leaf_hash(tag: u8, body: &[u8]) -> B256 {
    keccak256([&[tag], body].concat())
}

impl SessionTopology {
    /// Computes the root that stands for the sessions in the wallet's configuration.
    ///
    /// # Errors
    /// [`SessionTreeError`] for a session the format cannot express, and for branches of fewer
    /// than two subtrees.
    pub fn hash(&self) -> Result<B256, SessionTreeError> {
        match self {
            Self::Session(session) => {
                let mut body = vec![TAG_PERMISSIONS];
                session.write(&mut body)?;
                Ok(keccak256(body))
            }
            Self::Blacklist(addresses) => Ok(leaf_hash(
                TAG_BLACKLIST,
                &addresses.iter().flatten().copied().collect::<Vec<u8>>(),
            )),
            Self::IdentitySigner(address) => Ok(leaf_hash(TAG_IDENTITY, address.as_slice())),
            Self::Node(hash) => Ok(*hash),
            Self::Branch(children) => match children.as_slice() {
                [first, second, rest @ ..] => {
                    let mut root = hash_pair(&first.hash()?, &second.hash()?);
                    for child in rest {
                        root = hash_pair(&root, &child.hash()?);
                    }
                    Ok(root)
                }
                _ => Err(SessionTreeError::MalformedTree),
            },
        }
    }

    /// Calls `visit` for every leaf and node hash, from left to right.
    pub(super) fn each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a SessionTopology)) {
        match self {
            Self::Branch(children) => {
                for child in children {
                    child.each_leaf(visit);
                }
            }
            leaf => visit(leaf),
        }
    }

    fn leaves(&self) -> Vec<&SessionTopology> {
        let mut leaves = Vec::new();
        self.each_leaf(&mut |leaf| leaves.push(leaf));
        leaves
    }

    /// The first visible session of a key: the one the chain uses.
    #[must_use]
    pub fn session(&self, signer: &Address) -> Option<&SessionPermissions> {
        self.sessions().find(|session| session.signer == *signer)
    }

    /// The visible sessions, from left to right.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &SessionPermissions> {
        self.leaves().into_iter().filter_map(|leaf| match leaf {
            Self::Session(session) => Some(session),
            _ => None,
        })
    }

    /// The visible sessions' keys, from left to right.
    #[must_use]
    pub fn session_signers(&self) -> Vec<Address> {
        self.sessions().map(|session| session.signer).collect()
    }

    /// The visible identity signers, from left to right.
    #[must_use]
    pub fn identity_signers(&self) -> Vec<Address> {
        let leaves = self.leaves().into_iter();
        leaves
            .filter_map(|leaf| match leaf {
                Self::IdentitySigner(address) => Some(*address),
                _ => None,
            })
            .collect()
    }

    /// The first visible blacklist.
    #[must_use]
    pub fn blacklist(&self) -> Option<&[Address]> {
        self.leaves().into_iter().find_map(|leaf| match leaf {
            Self::Blacklist(addresses) => Some(addresses.as_slice()),
            _ => None,
        })
    }

    /// Judges the visible part of the tree: leaves that a contract of ours would refuse, keys
    /// with two sessions, more than one blacklist, no identity signer.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), SessionTreeError> {
        self.check_shape(MAX_SESSION_DEPTH)?;
        let mut keys = std::collections::BTreeSet::new();
        let mut blacklists = 0usize;
        let mut identities = 0usize;
        for leaf in self.leaves() {
            match leaf {
                Self::Session(session) if !keys.insert(session.signer) => {
                    return Err(SessionTreeError::SignerExists(session.signer));
                }
                Self::Blacklist(_) => blacklists += 1,
                Self::IdentitySigner(_) => identities += 1,
                _ => {}
            }
        }
        if blacklists > 1 {
            return Err(SessionTreeError::ManyBlacklists);
        }
        if identities == 0 {
            return Err(SessionTreeError::NoIdentitySigner);
        }
        Ok(())
    }

    /// Judges what the chain judges: each leaf by itself, exactly one identity signer, at most
    /// one blacklist.
    pub(super) fn check_proof(&self) -> Result<(), SessionTreeError> {
        self.check_shape(MAX_SESSION_DEPTH)?;
        match self.identity_signers().len() {
            0 => return Err(SessionTreeError::NoIdentitySigner),
            1 => {}
            _ => return Err(SessionTreeError::ManyIdentitySigners),
        }
        let is_blacklist = |leaf: &&&SessionTopology| matches!(leaf, Self::Blacklist(_));
        if self.leaves().iter().filter(is_blacklist).count() > 1 {
            return Err(SessionTreeError::ManyBlacklists);
        }
        Ok(())
    }

    fn check_shape(&self, depth: usize) -> Result<(), SessionTreeError> {
        match self {
            Self::Session(session) => session.check(),
            Self::Blacklist(addresses) => {
                if addresses.len() > MAX_BLACKLIST {
                    Err(SessionTreeError::BlacklistTooLong)
                } else if addresses.is_sorted_by(|one, next| one < next)
                    && addresses.first() != Some(&Address::ZERO)
                {
                    Ok(())
                } else {
                    Err(SessionTreeError::BlacklistUnsorted)
                }
            }
            Self::IdentitySigner(address) if address.is_zero() => {
                Err(SessionTreeError::ZeroIdentitySigner)
            }
            Self::IdentitySigner(_) => Ok(()),
            Self::Node(hash) if hash.is_zero() => Err(SessionTreeError::MalformedTree),
            Self::Node(_) => Ok(()),
            Self::Branch(children) => {
                let below = depth.checked_sub(1).ok_or(SessionTreeError::TooDeep)?;
                if children.len() < 2 {
                    return Err(SessionTreeError::MalformedTree);
                }
                children
                    .iter()
                    .try_for_each(|child| child.check_shape(below))
            }
        }
    }
}
