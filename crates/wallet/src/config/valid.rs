//! What a configuration must satisfy before a wallet may live by it.

use core::ops::Deref;

use alloy_primitives::{Address, B256};

use super::{CHECKPOINT_LIMIT, Config, Topology};

/// Deepest tree accepted, nested trees included.
pub const MAX_DEPTH: usize = 32;

/// Why a configuration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A threshold of zero lets anybody act.
    #[error("a threshold is zero")]
    ZeroThreshold,
    /// All signers together cannot reach a threshold.
    #[error("the threshold {threshold} cannot be reached: all leaves together weigh {weight}")]
    UnreachableThreshold {
        /// The threshold asked for.
        threshold: u16,
        /// What the leaves can reach.
        weight: u64,
    },
    /// A failed signature check yields address zero: as a signer it is open to everybody.
    #[error("address zero cannot be a signer")]
    ZeroSigner,
    /// Address zero means "no checkpointer"; say so by leaving it out.
    #[error("address zero cannot be the checkpointer")]
    ZeroCheckpointer,
    /// The checkpoint does not fit 56 bits.
    #[error("the checkpoint does not fit 56 bits")]
    CheckpointTooLarge,
    /// The tree is deeper than [`MAX_DEPTH`].
    #[error("the tree is deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The weights add up to more than the format's arithmetic is used for.
    #[error("the weights of one tree add up to more than 65535")]
    WeightOverflow,
    /// A hash hides a part of the tree, so nobody can say who may sign.
    #[error("a part of the tree is hidden behind its hash")]
    HiddenNode,
    /// Owner and guard are one key, so the guard guards nothing.
    #[error("owner and guard are the same address")]
    OwnerIsGuard,
    /// A list of leaves was empty.
    #[error("a tree needs at least one leaf")]
    EmptyTree,
}

/// A configuration that was judged: usable, reachable, and open to nobody by mistake.
///
/// It dereferences to the [`Config`] it holds and cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidConfig(Config);

impl ValidConfig {
    /// Judges a configuration whose whole tree is visible.
    ///
    /// # Errors
    /// The first rule that is broken; [`ConfigError::HiddenNode`] if a part of the tree is a hash.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::judge(config, false)
    }

    /// Judges a configuration of which parts may be hidden behind hashes.
    ///
    /// # Security
    /// A hidden part can hold anything, a signer that everybody can forge included. Only for
    /// configurations whose full form was judged before.
    ///
    /// # Errors
    /// The first rule that is broken by the visible part. Hidden parts count as weight zero.
    pub fn with_hidden_nodes(config: Config) -> Result<Self, ConfigError> {
        Self::judge(config, true)
    }

    fn judge(config: Config, hidden: bool) -> Result<Self, ConfigError> {
        if config.checkpoint >= CHECKPOINT_LIMIT {
            return Err(ConfigError::CheckpointTooLarge);
        }
        if config.checkpointer == Some(Address::ZERO) {
            return Err(ConfigError::ZeroCheckpointer);
        }
        let weight = reachable(&config.topology, MAX_DEPTH, hidden)?;
        check_threshold(config.threshold, weight)?;
        Ok(Self(config))
    }

    /// Gives up the proof and returns the configuration.
    #[must_use]
    pub fn into_inner(self) -> Config {
        self.0
    }

    /// Computes the hash that stands for the whole configuration on chain.
    #[must_use]
    pub fn image_hash(&self) -> B256 {
        self.0.image_hash()
    }
}

impl Deref for ValidConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl TryFrom<Config> for ValidConfig {
    type Error = ConfigError;

    fn try_from(config: Config) -> Result<Self, ConfigError> {
        Self::new(config)
    }
}

fn check_threshold(threshold: u16, weight: u64) -> Result<(), ConfigError> {
    if threshold == 0 {
        return Err(ConfigError::ZeroThreshold);
    }
    if weight > u64::from(u16::MAX) {
        return Err(ConfigError::WeightOverflow);
    }
    if u64::from(threshold) > weight {
        return Err(ConfigError::UnreachableThreshold { threshold, weight });
    }
    Ok(())
}

/// What all signers of the tree weigh together. A digest leaf counts nothing: it approves one
/// payload, and a wallet that can only do that is lost afterwards.
fn reachable(tree: &Topology, depth: usize, hidden: bool) -> Result<u64, ConfigError> {
    match tree {
        Topology::Signer { address, weight }
        | Topology::Sapient {
            address, weight, ..
        } => {
            if address.is_zero() {
                return Err(ConfigError::ZeroSigner);
            }
            Ok(u64::from(*weight))
        }
        Topology::Subdigest(_) | Topology::AnyAddressSubdigest(_) => Ok(0),
        Topology::Nested {
            tree,
            weight,
            threshold,
        } => {
            let below = depth.checked_sub(1).ok_or(ConfigError::TooDeep)?;
            check_threshold(*threshold, reachable(tree, below, hidden)?)?;
            Ok(u64::from(*weight))
        }
        Topology::Node(_) if hidden => Ok(0),
        Topology::Node(_) => Err(ConfigError::HiddenNode),
        Topology::Branch(left, right) => {
            let below = depth.checked_sub(1).ok_or(ConfigError::TooDeep)?;
            let left = reachable(left, below, hidden)?;
            Ok(left.saturating_add(reachable(right, below, hidden)?))
        }
    }
}
