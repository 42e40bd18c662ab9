//! Changes of a wallet's configuration: what may be asked, what follows from it, what is signed.
//!
//! Client, guard and enclave each compute the next configuration from the one before by the same
//! rules, so all three mean the same root, and the device signs exactly that root.

use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_wallet::abi::update_image_hash;
use keyfold_wallet::config::{ConfigError, Members, MembersError};
use keyfold_wallet::payload::ANY_CHAIN;
use keyfold_wallet::{Call, Config, ContextName, Payload, PayloadBody, ValidConfig};
use serde::{Deserialize, Serialize};

use crate::client_api::WireCall;
use crate::ids::Digest32;

mod replay;

pub use replay::{ReplayError, Replayed};

pub use keyfold_wallet::passkey::{PasskeyPublicKey, credential_metadata};
pub use keyfold_wallet::recovery::RecoveryLeaf;
pub use keyfold_wallet::session::SessionPermissions;

/// The version of the messages of this module.
pub const CONFIG_VERSION: u32 = 1;
/// Most updates of one wallet: each makes every later signature longer.
pub const MAX_UPDATES: usize = 32;
/// How many updates there may be before only removals and rotations are accepted: what was added
/// can always be taken away again.
pub const MAX_UPDATES_TO_ADD: usize = 24;
/// Most keys, most passkeys, most sessions, most recovery signers of one wallet.
pub const MAX_OF_A_KIND: usize = 16;
/// Largest JSON of one change, bytes.
pub const MAX_CHANGE: usize = 4 * 1024;
/// The shortest delay of a recovery signer: whoever has its key alone has the wallet afterwards,
/// without the guard, so the owner needs the time to cancel.
pub const MIN_RECOVERY_DELAY_SECONDS: u32 = 86_400;
/// How much earlier than now a new recovery signer's minimal time may be, seconds.
pub const RECOVERY_SKEW_SECONDS: u64 = 600;

/// One change of a wallet's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConfigChange {
    /// Lets a further key of the owner act like the owner's signer.
    AddKey {
        /// Its address.
        key: Address,
    },
    /// Removes a further key.
    RemoveKey {
        /// Its address.
        key: Address,
    },
    /// Lets a passkey act like the owner's signer.
    AddPasskey {
        /// Its public key.
        passkey: PasskeyPublicKey,
    },
    /// Removes a passkey.
    RemovePasskey {
        /// Its root, by which the configuration names it.
        root: B256,
    },
    /// Adds an explicit session.
    AddSession {
        /// Its key and what it may do.
        session: SessionPermissions,
    },
    /// Removes a session.
    RemoveSession {
        /// Its key's address.
        signer: Address,
    },
    /// Lets a key take the wallet over after a delay.
    AddRecovery {
        /// The key and its delay.
        recovery: RecoveryLeaf,
    },
    /// Removes a recovery signer.
    RemoveRecovery {
        /// Its address.
        signer: Address,
    },
    /// Replaces the owner's signer by a key that was prepared for it.
    RotateOwner {
        /// Address of the new signer.
        owner: Address,
    },
}

/// What a change does, without its particulars: what a guard's policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// [`ConfigChange::AddKey`].
    AddKey,
    /// [`ConfigChange::RemoveKey`].
    RemoveKey,
    /// [`ConfigChange::AddPasskey`].
    AddPasskey,
    /// [`ConfigChange::RemovePasskey`].
    RemovePasskey,
    /// [`ConfigChange::AddSession`].
    AddSession,
    /// [`ConfigChange::RemoveSession`].
    RemoveSession,
    /// [`ConfigChange::AddRecovery`].
    AddRecovery,
    /// [`ConfigChange::RemoveRecovery`].
    RemoveRecovery,
    /// [`ConfigChange::RotateOwner`].
    RotateOwner,
}

impl ChangeKind {
    /// Every kind, with its name on the wire.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::AddKey, "add-key"),
        (Self::RemoveKey, "remove-key"),
        (Self::AddPasskey, "add-passkey"),
        (Self::RemovePasskey, "remove-passkey"),
        (Self::AddSession, "add-session"),
        (Self::RemoveSession, "remove-session"),
        (Self::AddRecovery, "add-recovery"),
        (Self::RemoveRecovery, "remove-recovery"),
        (Self::RotateOwner, "rotate-owner"),
    ];
}

impl core::fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = Self::ALL.iter().find(|(kind, _)| kind == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

/// Says why a change was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The version is not one this release reads.
    #[error("the change has an unknown version")]
    UnknownVersion,
    /// What is to be removed is not there.
    #[error("what is to be removed is not in the configuration")]
    NotThere,
    /// What is to be added is there.
    #[error("what is to be added is in the configuration already")]
    There,
    /// Too many of a kind.
    #[error("the configuration has as many of this kind as it may have ({MAX_OF_A_KIND})")]
    TooMany,
    /// The change is too large.
    #[error("the change is larger than {MAX_CHANGE} bytes")]
    TooLarge,
    /// The delay would leave no time to cancel.
    #[error("a recovery signer waits at least {MIN_RECOVERY_DELAY_SECONDS} seconds")]
    DelayTooShort,
    /// What was queued before the signer was one would count.
    #[error("a new recovery signer's minimal time is now: what it queued before must not count")]
    QueuedBefore,
    /// The configuration that would follow is not a good one.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// The root that was named does not follow from the change.
    #[error("the root that was named does not follow from the change")]
    OtherRoot,
}

impl ConfigChange {
    /// Returns the kind.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::AddKey { .. } => ChangeKind::AddKey,
            Self::RemoveKey { .. } => ChangeKind::RemoveKey,
            Self::AddPasskey { .. } => ChangeKind::AddPasskey,
            Self::RemovePasskey { .. } => ChangeKind::RemovePasskey,
            Self::AddSession { .. } => ChangeKind::AddSession,
            Self::RemoveSession { .. } => ChangeKind::RemoveSession,
            Self::AddRecovery { .. } => ChangeKind::AddRecovery,
            Self::RemoveRecovery { .. } => ChangeKind::RemoveRecovery,
            Self::RotateOwner { .. } => ChangeKind::RotateOwner,
        }
    }

    /// Whether somebody gets a say who had none, besides a new owner in the old one's place.
    pub fn adds(&self) -> bool {
        matches!(
            self,
            Self::AddKey { .. }
                | Self::AddPasskey { .. }
                | Self::AddSession { .. }
                | Self::AddRecovery { .. }
        )
    }

    /// Returns the addresses that would get a say, or that a session could call.
    pub fn addresses(&self) -> Vec<Address> {
        match self {
            Self::AddKey { key } => vec![*key],
            Self::AddSession { session } => {
                let targets = session.permissions.iter().map(|allowed| allowed.target);
                core::iter::once(session.signer).chain(targets).collect()
            }
            Self::AddRecovery { recovery } => vec![recovery.signer],
            Self::RotateOwner { owner } => vec![*owner],
            Self::AddPasskey { .. }
            | Self::RemoveKey { .. }
            | Self::RemovePasskey { .. }
            | Self::RemoveSession { .. }
            | Self::RemoveRecovery { .. } => Vec::new(),
        }
    }

    /// Checks what a change says of time. Anybody can queue a recovery at any time, so what a new
    /// recovery signer queued before it was one would skip its delay.
    ///
    /// # Errors
    ///
    /// [`ChangeError::QueuedBefore`].
    pub fn check_time(&self, now_unix_seconds: u64) -> Result<(), ChangeError> {
        let Self::AddRecovery { recovery } = self else {
            return Ok(());
        };
        if recovery.min_timestamp < now_unix_seconds.saturating_sub(RECOVERY_SKEW_SECONDS) {
            return Err(ChangeError::QueuedBefore);
        }
        Ok(())
    }

    /// Applies the change.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]. Whether the members that result make a tree is not checked yet.
    fn apply(&self, members: &mut Members) -> Result<(), ChangeError> {
        match self {
            Self::AddKey { key } => add(&mut members.keys, *key),
            Self::RemoveKey { key } => remove(&mut members.keys, |known| known == key),
            Self::AddPasskey { passkey } => add(&mut members.passkeys, *passkey),
            Self::RemovePasskey { root } => {
                remove(&mut members.passkeys, |known| known.root() == *root)
            }
            Self::AddSession { session } => {
                // A session that allows nothing is refused by the chain only when it is used.
                add(&mut members.sessions, session.clone())
            }
            Self::RemoveSession { signer } => {
                remove(&mut members.sessions, |known| known.signer == *signer)
            }
            Self::AddRecovery { recovery } => {
                if recovery.required_delta_seconds < MIN_RECOVERY_DELAY_SECONDS {
                    return Err(ChangeError::DelayTooShort);
                }
                add(&mut members.recovery, *recovery)
            }
            Self::RemoveRecovery { signer } => {
                remove(&mut members.recovery, |known| known.signer == *signer)
            }
            Self::RotateOwner { owner } if *owner == members.owner => Err(ChangeError::There),
            Self::RotateOwner { owner } => {
                members.owner = *owner;
                Ok(())
            }
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, new: T) -> Result<(), ChangeError> {
    if list.contains(&new) {
        return Err(ChangeError::There);
    }
    if list.len() >= MAX_OF_A_KIND {
        return Err(ChangeError::TooMany);
    }
    list.push(new);
    Ok(())
}

fn remove<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Result<(), ChangeError> {
    let at = list.iter().position(is_it).ok_or(ChangeError::NotThere)?;
    list.remove(at);
    Ok(())
}

/// A configuration of the default shape, with all that its root stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigState {
    /// Which contracts, by name: they say where the leaves of passkeys, sessions and recovery point.
    pub context: ContextName,
    /// Who may act.
    pub members: Members,
    /// Counts the updates.
    pub checkpoint: u64,
    /// The contract that knows the latest root, where the wallet has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpointer: Option<Address>,
}

impl ConfigState {
    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub fn config(&self) -> Result<ValidConfig, ChangeError> {
        let extensions = self.context.extensions();
        Ok(self
            .members
            .config(self.checkpoint, self.checkpointer, extensions.as_ref())?)
    }

    /// Returns the configuration that follows by a change: its checkpoint is one more.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; what is returned makes a tree.
    pub fn after(&self, change: &ConfigChange) -> Result<Self, ChangeError> {
        let size = serde_json::to_vec(change).map_or(usize::MAX, |json| json.len());
        if size > MAX_CHANGE {
            return Err(ChangeError::TooLarge);
        }
        let mut next = self.clone();
        change.apply(&mut next.members)?;
        next.checkpoint = next.checkpoint.saturating_add(1);
        next.config()?;
        Ok(next)
    }
}

/// Asks for a change. The intent names wallet, key, both roots, and the digest that is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConfig {
    /// [`CONFIG_VERSION`].
    pub version: u32,
    /// The wallet.
    pub wallet: Address,
    /// Root of the configuration that is changed: the latest one, or the change is refused.
    pub previous: B256,
    /// Root of the configuration that follows.
    pub next: B256,
    /// What is changed.
    pub change: ConfigChange,
}

impl UpdateConfig {
    /// Makes the request that changes a configuration.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub fn new(
        wallet: Address,
        state: &ConfigState,
        change: ConfigChange,
    ) -> Result<Self, ChangeError> {
        Ok(Self {
            version: CONFIG_VERSION,
            wallet,
            previous: state.config()?.image_hash(),
            next: state.after(&change)?.config()?.image_hash(),
            change,
        })
    }

    /// Computes what follows from a configuration, if it is the one that is changed and what
    /// follows is what was named.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; [`ChangeError::OtherRoot`] where either root differs.
    pub fn check(&self, state: &ConfigState) -> Result<ConfigState, ChangeError> {
        if self.version != CONFIG_VERSION {
            return Err(ChangeError::UnknownVersion);
        }
        let next = state.after(&self.change)?;
        if state.config()?.image_hash() != self.previous || next.config()?.image_hash() != self.next
        {
            return Err(ChangeError::OtherRoot);
        }
        Ok(next)
    }

    /// Computes the digest that the signers of the previous configuration sign.
    pub fn digest(&self) -> Digest32 {
        update_digest(&self.wallet, &self.next)
    }
}

/// Computes the digest under which a wallet's signers agree to a next root, on every chain.
pub fn update_digest(wallet: &Address, next: &B256) -> Digest32 {
    let payload = Payload::from(PayloadBody::ConfigUpdate(*next));
    Digest32::from_bytes(payload.op_hash(wallet, ANY_CHAIN).0)
}

/// Makes the call by which a wallet tells a chain of a root.
pub fn publication(wallet: Address, root: &B256) -> WireCall {
    WireCall {
        to: wallet,
        value: U256::ZERO,
        data: update_image_hash(root),
        gas_limit: U256::ZERO,
        ignore_error: false,
    }
}

/// Returns the root that a payload tells a chain of, if that is all it does.
pub fn published_root(wallet: &Address, payload: &Payload) -> Option<B256> {
    let PayloadBody::Calls { calls, .. } = &payload.body else {
        return None;
    };
    let [call] = calls.as_slice() else {
        return None;
    };
    let root = B256::try_from(call.data.get(4..)?).ok()?;
    let only = Call::new(*wallet, U256::ZERO, update_image_hash(&root));
    (payload.parent_wallets.is_empty() && *call == only).then_some(root)
}

/// Asks for a wallet's configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfWallet {
    /// The wallet.
    pub wallet: Address,
}

/// A wallet's configurations, from the first, which its address comes from, to the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletConfig {
    /// The wallet.
    pub wallet: Address,
    /// The first configuration.
    pub first: ConfigState,
    /// Every update, oldest first.
    pub updates: Vec<ConfigLink>,
}

/// One update, as the signers of the configuration before agreed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigLink {
    /// What was changed.
    pub change: ConfigChange,
    /// Root of the configuration that followed.
    pub image_hash: B256,
    /// Unix seconds.
    pub signed_at: u64,
    /// Signature of the configuration before over the update, for every chain.
    pub signature: Bytes,
}

/// The key machine's word about a wallet's latest root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedRoot {
    /// The wallet.
    pub wallet: Address,
    /// The contract it is said to.
    pub checkpointer: Address,
    /// Root of the latest configuration.
    pub image_hash: B256,
    /// Its checkpoint.
    pub checkpoint: u64,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
    /// All of it, signed, as the contract takes it.
    pub proof: Bytes,
}

/// A key that waits to become a wallet's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedOwner {
    /// The wallet.
    pub wallet: Address,
    /// Address of the key.
    pub owner: Address,
}

/// A tree, or a part of one, as the public store keeps it: by the root that follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StoredTree {
    /// A configuration.
    Config {
        /// The configuration in the form that wallet tools exchange.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        config: Config,
    },
    /// A tree of sessions.
    Sessions {
        /// Whom its leaves name as the identity signer.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        owner: Address,
        /// The sessions.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
        sessions: Vec<SessionPermissions>,
    },
    /// A tree of recovery signers.
    Recovery {
        /// The leaves, in order.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
        leaves: Vec<RecoveryLeaf>,
    },
    /// A passkey.
    Passkey {
        /// Its public key.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        passkey: PasskeyPublicKey,
    },
}

impl StoredTree {
    /// Computes the root that follows from the tree.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Members`] for what is no good tree.
    pub fn root(&self) -> Result<B256, ChangeError> {
        Ok(self.checked_root()?)
    }

    fn checked_root(&self) -> Result<B256, MembersError> {
        match self {
            Self::Config { config } => Ok(ValidConfig::new(config.clone())?.image_hash()),
            Self::Sessions { owner, sessions } => {
                let members = Members {
                    sessions: sessions.clone(),
                    ..Members::new(*owner, None)
                };
                let tree = members.session_tree()?;
                Ok(tree.ok_or(ConfigError::EmptyTree)?.hash()?)
            }
            Self::Recovery { leaves } => {
                let members = Members {
                    recovery: leaves.clone(),
                    ..Members::new(Address::ZERO, None)
                };
                let tree = members.recovery_tree()?;
                Ok(tree.ok_or(ConfigError::EmptyTree)?.hash())
            }
            Self::Passkey { passkey } => Ok(passkey.root()),
        }
    }

    /// Every tree that a configuration's root stands for.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub fn all_of(state: &ConfigState) -> Result<Vec<Self>, ChangeError> {
        let members = &state.members;
        let mut trees = vec![Self::Config {
            config: state.config()?.into_inner(),
        }];
        if !members.sessions.is_empty() {
            trees.push(Self::Sessions {
                owner: members.owner,
                sessions: members.sessions.clone(),
            });
        }
        if !members.recovery.is_empty() {
            trees.push(Self::Recovery {
                leaves: members.recovery.clone(),
            });
        }
        trees.extend(
            members
                .passkeys
                .iter()
                .map(|passkey| Self::Passkey { passkey: *passkey }),
        );
        Ok(trees)
    }
}

#[cfg(test)]
mod tests;
