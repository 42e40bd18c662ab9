//! The shortest signature that suffices.

use std::collections::BTreeSet;

use alloy_primitives::{Address, Bytes};

use super::encode::encode_unjudged;
use super::{EncodeError, Header, Parts, SignaturePart};
use crate::config::ValidConfig;

impl SignaturePart {
    /// Bytes it takes, roughly: enough to say which of two is longer.
    fn length(&self) -> usize {
        match self {
            Self::EcdsaHash(_) | Self::EthSign(_) => 64,
            Self::Erc1271(data) | Self::Sapient(data) | Self::SapientCompact(data) => {
                23 + data.len()
            }
        }
    }
}

/// Leaves out what is not needed to reach the threshold: the longest parts first, and among parts
/// of one length the one with the highest address. If all together do not reach it, all are kept.
#[must_use]
pub fn needed_parts(config: &ValidConfig, parts: &Parts) -> Parts {
    let enough = |signers: &BTreeSet<Address>| {
        config.topology.weight_of(signers) >= u64::from(config.threshold)
    };
    let mut signers: BTreeSet<Address> = parts.keys().copied().collect();
    if enough(&signers) {
        let mut order: Vec<(usize, Address)> = parts
            .iter()
            .map(|(address, part)| (part.length(), *address))
            .collect();
        order.sort_unstable();
        for (_, address) in order.into_iter().rev() {
            signers.remove(&address);
            if !enough(&signers) {
                signers.insert(address);
            }
        }
    }
    parts
        .iter()
        .filter(|(address, _)| signers.contains(*address))
        .map(|(address, part)| (*address, part.clone()))
        .collect()
}

/// Encodes the shortest signature that the parts allow: parts that are not needed are left out,
/// and what nobody signed in the tree is hidden behind hashes.
///
/// The image hash is the configuration's. The order in which parts were collected has no say.
///
/// # Errors
/// As [`super::encode()`].
pub fn encode_minimal(
    config: &ValidConfig,
    parts: &Parts,
    header: &Header,
) -> Result<Bytes, EncodeError> {
    let known = config.topology.signers();
    if let Some(address) = parts.keys().find(|address| !known.contains(*address)) {
        return Err(EncodeError::UnknownSigner(*address));
    }
    let parts = needed_parts(config, parts);
    let signers = parts.keys().copied().collect();
    encode_unjudged(&config.pruned(&signers), &parts, header)
}
