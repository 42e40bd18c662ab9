//! Who may act for a wallet of the default shape, and the tree that follows from it.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, Topology, ValidConfig, balanced_tree};
use crate::context::Extensions;
use crate::passkey::PasskeyPublicKey;
use crate::recovery::{RecoveryLeaf, RecoveryTree, RecoveryTreeError};
use crate::session::{SessionPermissions, SessionTopology, SessionTreeError};

/// Weight that signatures of the default tree must reach together.
const THRESHOLD: u16 = 2;

/// Everybody who may act for a wallet of the default shape.
///
/// The tree has a threshold of 2. The owner's side is a nested tree with a threshold of 1: owner,
/// further keys, passkeys, sessions. It weighs 1 beside a guard of weight 1, and 2 without one.
/// Recovery weighs 2: it suffices, after its delay. What is absent has no leaf. The same members
/// always make the same tree, so two who agree on the members agree on the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// The owner's signer; also the identity signer of the sessions.
    pub owner: Address,
    /// The guard's signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Address>,
    /// Further keys of the owner's devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Address>,
    /// Passkeys of the owner's devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<PasskeyPublicKey>,
    /// Explicit sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionPermissions>,
    /// Who may take the wallet over after a delay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<RecoveryLeaf>,
}

/// Why members make no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// The tree is not a good one.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sessions make no tree.
    #[error(transparent)]
    Sessions(#[from] SessionTreeError),
    /// The recovery signers make no tree.
    #[error(transparent)]
    Recovery(#[from] RecoveryTreeError),
    /// One key has two places: it would count for both.
    #[error("{0} stands in the tree already")]
    Twice(Address),
    /// One passkey has two places.
    #[error("the passkey {0} stands in the tree already")]
    PasskeyTwice(B256),
    /// The wallet's contracts have no passkeys, sessions or recovery.
    #[error("the wallet's contracts know no passkeys, sessions or recovery")]
    NoExtensions,
}

impl Members {
    /// The members of a new wallet: its owner, and the guard where there is one.
    #[must_use]
    pub fn new(owner: Address, guard: Option<Address>) -> Self {
        Self {
            owner,
            guard,
            keys: Vec::new(),
            passkeys: Vec::new(),
            sessions: Vec::new(),
            recovery: Vec::new(),
        }
    }

    /// Finds the members of a new wallet: owner and guard where the default tree has them.
    ///
    /// `None` for any other shape. Checkpoint and checkpointer are not looked at.
    #[must_use]
    pub fn of_new_wallet(config: &Config) -> Option<Self> {
        let (owners, guard) = match &config.topology {
            Topology::Branch(owners, guard) => match **guard {
                Topology::Signer { address, .. } => (owners.as_ref(), Some(address)),
                _ => return None,
            },
            owners => (owners, None),
        };
        let Topology::Nested { tree, .. } = owners else {
            return None;
        };
        let Topology::Signer { address, .. } = **tree else {
            return None;
        };
        let members = Self::new(address, guard);
        let expected = members.config(config.checkpoint, config.checkpointer, None);
        expected
            .is_ok_and(|expected| *expected == *config)
            .then_some(members)
    }

    /// The tree of sessions; `None` where there are none.
    ///
    /// # Errors
    /// [`SessionTreeError`].
    pub fn session_tree(&self) -> Result<Option<SessionTopology>, SessionTreeError> {
        if self.sessions.is_empty() {
            return Ok(None);
        }
        let mut tree = SessionTopology::empty(self.owner)?;
        for session in &self.sessions {
            tree = tree.with_session(session.clone())?;
        }
        tree.check()?;
        Ok(Some(tree))
    }

    /// The tree of recovery signers; `None` where there are none.
    ///
    /// # Errors
    /// [`RecoveryTreeError`].
    pub fn recovery_tree(&self) -> Result<Option<RecoveryTree>, RecoveryTreeError> {
        if self.recovery.is_empty() {
            return Ok(None);
        }
        let tree = RecoveryTree::balanced(&self.recovery)?;
        tree.check()?;
        Ok(Some(tree))
    }

    /// Builds the configuration.
    ///
    /// # Errors
    /// [`MembersError`].
    pub fn config(
        &self,
        checkpoint: u64,
        checkpointer: Option<Address>,
        extensions: Option<&Extensions>,
    ) -> Result<ValidConfig, MembersError> {
        self.check_distinct()?;
        let known = || extensions.ok_or(MembersError::NoExtensions);
        let signer = |address, weight| Topology::Signer { address, weight };
        let mut owners = vec![signer(self.owner, 1)];
        owners.extend(self.keys.iter().map(|key| signer(*key, 1)));
        for passkey in &self.passkeys {
            owners.push(Topology::Sapient {
                address: known()?.passkeys,
                weight: 1,
                image_hash: passkey.root(),
            });
        }
        if let Some(sessions) = self.session_tree()? {
            owners.push(Topology::Sapient {
                address: known()?.sessions,
                weight: 1,
                image_hash: sessions.hash()?,
            });
        }
        let mut leaves = vec![Topology::Nested {
            tree: Box::new(balanced_tree(owners)?),
            weight: if self.guard.is_some() { 1 } else { 2 },
            threshold: 1,
        }];
        leaves.extend(self.guard.map(|guard| signer(guard, 1)));
        if let Some(recovery) = self.recovery_tree()? {
            leaves.push(Topology::Sapient {
                address: known()?.recovery,
                weight: 2,
                image_hash: recovery.hash(),
            });
        }
        Ok(ValidConfig::new(Config {
            threshold: THRESHOLD,
            checkpoint,
            checkpointer,
            topology: balanced_tree(leaves)?,
        })?)
    }

    /// One key must not count on both sides, nor take two places that look like two devices.
    fn check_distinct(&self) -> Result<(), MembersError> {
        if self.guard == Some(self.owner) {
            return Err(ConfigError::OwnerIsGuard.into());
        }
        let mut known = vec![self.owner];
        known.extend(self.guard);
        for key in &self.keys {
            if known.contains(key) {
                return Err(MembersError::Twice(*key));
            }
            known.push(*key);
        }
        // A recovery key that is the guard's would let the guard act alone, after the delay.
        for leaf in &self.recovery {
            if known.contains(&leaf.signer) {
                return Err(MembersError::Twice(leaf.signer));
            }
            known.push(leaf.signer);
        }
        for session in &self.sessions {
            if known.contains(&session.signer) {
                return Err(MembersError::Twice(session.signer));
            }
            known.push(session.signer);
        }
        let mut roots: Vec<B256> = Vec::new();
        for passkey in &self.passkeys {
            let root = passkey.root();
            if roots.contains(&root) {
                return Err(MembersError::PasskeyTwice(root));
            }
            roots.push(root);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;
    use crate::ContextName;
    use crate::config::default_tree;

    const OWNER: Address = address!("1111111111111111111111111111111111111111");
    const GUARD: Address = address!("2222222222222222222222222222222222222222");
    const OTHER: Address = address!("3333333333333333333333333333333333333333");

    fn extensions() -> Extensions {
        ContextName::Keyfold.extensions().unwrap()
    }

    fn everything() -> Members {
        Members {
            keys: vec![OTHER],
            passkeys: vec![PasskeyPublicKey {
                x: B256::repeat_byte(1),
                y: B256::repeat_byte(2),
                require_user_verification: true,
                metadata: None,
            }],
            sessions: vec![SessionPermissions {
                signer: Address::repeat_byte(4),
                chain_id: 1,
                value_limit: Default::default(),
                deadline: 2_000_000_000,
                permissions: vec![crate::session::Permission {
                    target: Address::repeat_byte(5),
                    rules: Vec::new(),
                }],
            }],
            recovery: vec![RecoveryLeaf {
                signer: Address::repeat_byte(6),
                required_delta_seconds: 86_400,
                min_timestamp: 7,
            }],
            ..Members::new(OWNER, Some(GUARD))
        }
    }

    #[test]
    fn a_new_wallet_is_the_default_tree_and_needs_no_extensions() {
        for guard in [None, Some(GUARD)] {
            let members = Members::new(OWNER, guard);
            let built = members.config(0, None, None).unwrap();
            assert_eq!(built, default_tree(OWNER, guard).unwrap());
            assert_eq!(Members::of_new_wallet(&built), Some(members));
        }
        let later = everything().config(1, None, Some(&extensions())).unwrap();
        assert_eq!(Members::of_new_wallet(&later), None);
        let mut heavier = default_tree(OWNER, Some(GUARD)).unwrap().into_inner();
        heavier.threshold = 1;
        assert_eq!(Members::of_new_wallet(&heavier), None);
    }

    #[test]
    fn each_member_has_its_leaf_with_its_weight_in_its_place() {
        let sapient = |address, weight, image_hash| Topology::Sapient {
            address,
            weight,
            image_hash,
        };
        let signer = |address| Topology::Signer { address, weight: 1 };
        let members = everything();
        let sessions = members.session_tree().unwrap().unwrap();
        let Extensions {
            passkeys,
            recovery,
            sessions: manager,
        } = extensions();
        let owners = Topology::branch(
            Topology::branch(signer(OWNER), signer(OTHER)),
            Topology::branch(
                sapient(passkeys, 1, members.passkeys[0].root()),
                sapient(manager, 1, sessions.hash().unwrap()),
            ),
        );
        let expected = Config {
            threshold: 2,
            checkpoint: 9,
            checkpointer: Some(OTHER),
            topology: Topology::branch(
                Topology::Nested {
                    tree: Box::new(owners),
                    weight: 1,
                    threshold: 1,
                },
                Topology::branch(
                    signer(GUARD),
                    sapient(recovery, 2, members.recovery[0].hash()),
                ),
            ),
        };
        let built = members.config(9, Some(OTHER), Some(&extensions())).unwrap();
        assert_eq!(*built, expected);
    }

    #[test]
    fn json_returns_the_same_members() {
        for members in [everything(), Members::new(OWNER, None)] {
            let json = serde_json::to_string(&members).unwrap();
            assert_eq!(serde_json::from_str::<Members>(&json).unwrap(), members);
            let more = json.replacen('{', "{\"more\":1,", 1);
            assert!(serde_json::from_str::<Members>(&more).is_err());
        }
    }

    #[test]
    fn one_key_in_two_places_is_refused() {
        let refused = |change: fn(&mut Members)| {
            let mut members = everything();
            change(&mut members);
            members.config(0, None, Some(&extensions())).unwrap_err()
        };
        assert_eq!(
            refused(|m| m.guard = Some(OWNER)),
            ConfigError::OwnerIsGuard.into()
        );
        for change in [
            (|m| m.keys.push(OWNER)) as fn(&mut Members),
            |m| m.keys.push(GUARD),
            |m| m.keys.push(OTHER),
            |m| m.recovery[0].signer = GUARD,
            |m| m.recovery[0].signer = OTHER,
            |m| m.sessions[0].signer = GUARD,
        ] {
            assert!(matches!(refused(change), MembersError::Twice(_)));
        }
        let twice = refused(|m| m.passkeys.push(m.passkeys[0]));
        assert!(matches!(twice, MembersError::PasskeyTwice(_)));
    }

    #[test]
    fn zero_signers_and_contexts_without_extensions_are_refused() {
        let mut zero = everything();
        zero.recovery[0].signer = Address::ZERO;
        let refused = zero.config(0, None, Some(&extensions())).unwrap_err();
        assert_eq!(refused, RecoveryTreeError::ZeroSigner.into());
        let mut zero = everything();
        zero.keys[0] = Address::ZERO;
        let refused = zero.config(0, None, Some(&extensions())).unwrap_err();
        assert_eq!(refused, ConfigError::ZeroSigner.into());
        let refused = everything().config(0, None, None).unwrap_err();
        assert_eq!(refused, MembersError::NoExtensions);
    }
}
