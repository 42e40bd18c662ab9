//! Changing a tree of sessions, and cutting it down to what a signature needs.

use alloy_primitives::{Address, B256};

use super::{SessionPermissions, SessionTopology, SessionTreeError};
use crate::Encoding;

impl SessionTopology {
    /// Creates a tree without sessions: an empty blacklist and the identity signer.
    ///
    /// # Errors
    /// [`SessionTreeError::ZeroIdentitySigner`].
    pub fn empty(identity_signer: Address) -> Result<Self, SessionTreeError> {
        if identity_signer.is_zero() {
            return Err(SessionTreeError::ZeroIdentitySigner);
        }
        Self::balanced(vec![
            Self::Blacklist(Vec::new()),
            Self::IdentitySigner(identity_signer),
        ])
    }

    /// Joins leaves to a balanced tree, the left half having `floor(n / 2)` of them.
    ///
    /// # Errors
    /// [`SessionTreeError::MalformedTree`] for no leaves.
    pub fn balanced(mut leaves: Vec<Self>) -> Result<Self, SessionTreeError> {
        if leaves.len() < 2 {
            return leaves.pop().ok_or(SessionTreeError::MalformedTree);
        }
        let right = leaves.split_off(leaves.len() / 2);
        Ok(Self::Branch(vec![
            Self::balanced(leaves)?,
            Self::balanced(right)?,
        ]))
    }

    fn into_leaves(self) -> Vec<Self> {
        match self {
            Self::Branch(children) => children.into_iter().flat_map(Self::into_leaves).collect(),
            leaf => vec![leaf],
        }
    }

    /// Adds an explicit session and balances the tree.
    ///
    /// # Errors
    /// [`SessionTreeError::SignerExists`] if the key has a session already.
    pub fn with_session(self, session: SessionPermissions) -> Result<Self, SessionTreeError> {
        if self.session(&session.signer).is_some() {
            return Err(SessionTreeError::SignerExists(session.signer));
        }
        let mut leaves = self.into_leaves();
        leaves.push(Self::Session(session));
        Self::balanced(leaves)
    }

    /// Removes the sessions of a key and balances the tree.
    ///
    /// # Errors
    /// [`SessionTreeError::UnknownSigner`] if there is none.
    pub fn without_session(self, signer: &Address) -> Result<Self, SessionTreeError> {
        if self.session(signer).is_none() {
            return Err(SessionTreeError::UnknownSigner(*signer));
        }
        let mut leaves = self.into_leaves();
        leaves.retain(|leaf| !matches!(leaf, Self::Session(session) if session.signer == *signer));
        Self::balanced(leaves)
    }

    /// Adds an identity signer and balances the tree.
    ///
    /// # Errors
    /// [`SessionTreeError::ZeroIdentitySigner`], [`SessionTreeError::SignerExists`].
    pub fn with_identity_signer(self, address: Address) -> Result<Self, SessionTreeError> {
        if address.is_zero() {
            return Err(SessionTreeError::ZeroIdentitySigner);
        }
        if self.identity_signers().contains(&address) {
            return Err(SessionTreeError::SignerExists(address));
        }
        let mut leaves = self.into_leaves();
        leaves.push(Self::IdentitySigner(address));
        Self::balanced(leaves)
    }

    /// Removes an identity signer and balances the tree.
    ///
    /// # Errors
    /// [`SessionTreeError::UnknownSigner`]; [`SessionTreeError::NoIdentitySigner`] if it is the
    /// last.
    pub fn without_identity_signer(self, address: &Address) -> Result<Self, SessionTreeError> {
        let known = self.identity_signers();
        if !known.contains(address) {
            return Err(SessionTreeError::UnknownSigner(*address));
        }
        if known.iter().all(|one| one == address) {
            return Err(SessionTreeError::NoIdentitySigner);
        }
        let mut leaves = self.into_leaves();
        leaves.retain(|leaf| leaf != &Self::IdentitySigner(*address));
        Self::balanced(leaves)
    }

    /// Puts an address on the blacklist, in order.
    ///
    /// # Errors
    /// [`SessionTreeError::Blacklisted`] if it is there already,
    /// [`SessionTreeError::NoBlacklist`] if none is visible.
    pub fn with_blacklisted(mut self, address: Address) -> Result<Self, SessionTreeError> {
        let list = self.blacklist_mut().ok_or(SessionTreeError::NoBlacklist)?;
        if list.contains(&address) {
            return Err(SessionTreeError::Blacklisted(address));
        }
        list.push(address);
        list.sort_unstable();
        Ok(self)
    }

    /// Takes an address off the blacklist.
    ///
    /// # Errors
    /// [`SessionTreeError::NotBlacklisted`], [`SessionTreeError::NoBlacklist`].
    pub fn without_blacklisted(mut self, address: &Address) -> Result<Self, SessionTreeError> {
        let list = self.blacklist_mut().ok_or(SessionTreeError::NoBlacklist)?;
        let before = list.len();
        list.retain(|one| one != address);
        if list.len() == before {
            return Err(SessionTreeError::NotBlacklisted(*address));
        }
        Ok(self)
    }

    fn blacklist_mut(&mut self) -> Option<&mut Vec<Address>> {
        match self {
            Self::Blacklist(addresses) => Some(addresses),
            Self::Branch(children) => children.iter_mut().find_map(Self::blacklist_mut),
            _ => None,
        }
    }

    /// Replaces by hashes what a signature of these keys does not need: other sessions, other
    /// identity signers, and without implicit sessions the blacklist. The root stays the same.
    ///
    /// For [`Encoding::Shortest`] an empty blacklist stays, which takes a byte where its hash takes
    /// 33; [`Encoding::Npm`] is the package's choice, which hides it.
    ///
    /// # Errors
    /// As [`SessionTopology::hash`].
    pub fn minimised(
        &self,
        explicit_signers: &[Address],
        implicit: bool,
        identity_signer: &Address,
        encoding: Encoding,
    ) -> Result<Self, SessionTreeError> {
        let needed = match self {
            Self::Session(session) => explicit_signers.contains(&session.signer),
            Self::Blacklist(_) if implicit => true,
            Self::Blacklist(addresses) => encoding == Encoding::Shortest && addresses.is_empty(),
            Self::IdentitySigner(address) => address == identity_signer,
            Self::Node(_) => false,
            Self::Branch(children) => {
                let children = children
                    .iter()
                    .map(|child| {
                        child.minimised(explicit_signers, implicit, identity_signer, encoding)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let hidden = children.iter().all(|child| match child {
                    Self::Node(_) => true,
                    Self::Blacklist(_) => !implicit,
                    _ => false,
                });
                let branch = Self::Branch(children);
                return if hidden {
                    branch.hash().map(Self::Node)
                } else {
                    Ok(branch)
                };
            }
        };
        if needed {
            Ok(self.clone())
        } else {
            self.hash().map(Self::Node)
        }
    }

    /// Computes the root, for a tree that passed [`SessionTopology::check`].
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn checked_hash(&self) -> Result<B256, SessionTreeError> {
        self.check()?;
        self.hash()
    }
}
