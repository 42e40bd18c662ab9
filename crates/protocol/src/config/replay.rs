//! Replaying a wallet's configurations: what makes a history worth believing.
//!
//! One reading for clients and guards. The first root makes the address, each link follows from its
//! change, and each is signed by the configuration before it; so nobody can show a configuration
//! that the wallet never had. What was left out at the end cannot be seen from here.

use alloy_primitives::{Address, B256, U256};
use keyfold_crypto::secp256k1::{RecoverableSignature, recover as recover_key};
use keyfold_wallet::payload::ANY_CHAIN;
use keyfold_wallet::signature::{DecodeError, RecoverError, Request, decode, recover};
use keyfold_wallet::{EcdsaSignature, Payload, PayloadBody, Recover, wallet_address};

use super::{ChangeError, ConfigLink, ConfigState, MAX_UPDATES, WalletConfig};

/// Why a history is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The first is not the one that the wallet's address comes from.
    #[error("the first is not the one that the wallet's address comes from")]
    First,
    /// There are more updates than there may be.
    #[error("there are more than {MAX_UPDATES} updates")]
    TooMany,
    /// A change does not fit the configuration that it is of.
    #[error("update {at}: {error}")]
    Change {
        /// Which update, from 1.
        at: usize,
        /// Why.
        error: ChangeError,
    },
    /// A root does not follow from its change.
    #[error("update {at}: its root does not follow from the change")]
    Root {
        /// Which update, from 1.
        at: usize,
    },
    /// A signature is none.
    #[error("update {at}: {error}")]
    Signature {
        /// Which update, from 1.
        at: usize,
        /// Why.
        error: DecodeError,
    },
    /// A signature proves nothing, or not enough.
    #[error("update {at}: {error}")]
    Recover {
        /// Which update, from 1.
        at: usize,
        /// Why.
        error: RecoverError,
    },
    /// A signature is not that of the configuration before.
    #[error("update {at}: it is not signed by the configuration before it")]
    OtherSigners {
        /// Which update, from 1.
        at: usize,
    },
}

/// A wallet's configurations, replayed. Only [`Replayed::of`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    first: (ConfigState, B256),
    /// As many as links.
    later: Vec<(ConfigState, B256)>,
}

impl Replayed {
    /// Replays what is told of a wallet.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] names the first thing that is not as it should be.
    ///
    /// # Security
    ///
    /// For untrusted histories. Whether there is a later update that was not told cannot be seen
    /// from here.
    pub fn of(told: &WalletConfig) -> Result<Self, ReplayError> {
        if told.updates.len() > MAX_UPDATES {
            return Err(ReplayError::TooMany);
        }
        let root = told
            .first
            .config()
            .map_err(|_| ReplayError::First)?
            .image_hash();
        if wallet_address(&root, &told.first.context.context()) != told.wallet {
            return Err(ReplayError::First);
        }
        let first = (told.first.clone(), root);
        let mut latest = first.clone();
        let mut later = Vec::new();
        for (index, link) in told.updates.iter().enumerate() {
            let at = index + 1;
            let (state, root) = &latest;
            let change = |error| ReplayError::Change { at, error };
            let next = state.after(&link.change).map_err(change)?;
            let next_root = next.config().map_err(change)?.image_hash();
            if next_root != link.image_hash {
                return Err(ReplayError::Root { at });
            }
            verify_link(told.wallet, root, link, at)?;
            latest = (next, next_root);
            later.push(latest.clone());
        }
        Ok(Self { first, later })
    }

    /// Returns every configuration with its root, oldest first.
    pub fn states(&self) -> impl Iterator<Item = &(ConfigState, B256)> {
        core::iter::once(&self.first).chain(&self.later)
    }

    /// Returns the latest configuration.
    pub fn latest(&self) -> &ConfigState {
        &self.later.last().unwrap_or(&self.first).0
    }

    /// Returns the latest root.
    pub fn latest_root(&self) -> B256 {
        self.later.last().unwrap_or(&self.first).1
    }
}

/// Checks that the signers of a root agreed to the next.
fn verify_link(
    wallet: Address,
    previous: &B256,
    link: &ConfigLink,
    at: usize,
) -> Result<(), ReplayError> {
    let payload = Payload::from(PayloadBody::ConfigUpdate(link.image_hash));
    let request = Request {
        payload: &payload,
        wallet,
        chain_id: ANY_CHAIN,
    };
    let decoded = decode(&link.signature).map_err(|error| ReplayError::Signature { at, error })?;
    let recovered =
        recover(&request, &decoded, &Silent).map_err(|error| ReplayError::Recover { at, error })?;
    let expected = payload.op_hash(&wallet, ANY_CHAIN);
    if recovered.image_hash != *previous || recovered.op_hash != expected {
        return Err(ReplayError::OtherSigners { at });
    }
    Ok(())
}

/// Recovers keys, and takes checkpointers for silent: for signatures that were good once. Contracts
/// are not asked.
struct Silent;

impl Recover for Silent {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        let signature = RecoverableSignature {
            r: signature.r().0,
            s: signature.s().0,
            y_parity: signature.y_parity(),
        };
        recover_key(&hash.0, &signature).ok().map(Address::from)
    }

    fn snapshot(&self, _: &Address, _: &[u8]) -> Option<(B256, U256)> {
        Some((B256::ZERO, U256::ZERO))
    }
}
