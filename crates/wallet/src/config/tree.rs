//! Building trees: balanced lists and Keyfold's default tree.

use alloy_primitives::Address;

use super::{Config, ConfigError, Topology, ValidConfig};

/// Joins leaves to a balanced tree, the left half having `floor(n / 2)` of them.
///
/// # Errors
/// [`ConfigError::EmptyTree`] for no leaves.
pub fn balanced_tree(mut leaves: Vec<Topology>) -> Result<Topology, ConfigError> {
    if leaves.len() < 2 {
        return leaves.pop().ok_or(ConfigError::EmptyTree);
    }
    let right = leaves.split_off(leaves.len() / 2);
    Ok(Topology::branch(
        balanced_tree(leaves)?,
        balanced_tree(right)?,
    ))
}

/// Builds the configuration a new wallet starts with.
///
/// Threshold 2. The owner's side is a nested tree with threshold 1 and weight 1; the guard has
/// weight 1, so both are needed. Without a guard the owner's side weighs 2 and suffices.
///
/// # Errors
/// [`ConfigError::ZeroSigner`] for an address of zero, [`ConfigError::OwnerIsGuard`] if both are
/// the same.
pub fn default_tree(owner: Address, guard: Option<Address>) -> Result<ValidConfig, ConfigError> {
    if guard == Some(owner) {
        return Err(ConfigError::OwnerIsGuard);
    }
    let owners = Topology::Nested {
        tree: Box::new(Topology::Signer {
            address: owner,
            weight: 1,
        }),
        weight: if guard.is_some() { 1 } else { 2 },
        threshold: 1,
    };
    let topology = match guard {
        Some(address) => Topology::branch(owners, Topology::Signer { address, weight: 1 }),
        None => owners,
    };
    ValidConfig::new(Config {
        threshold: 2,
        checkpoint: 0,
        checkpointer: None,
        topology,
    })
}
