//! Which queued payloads count, and when.

use alloy_primitives::{Address, B256};

use super::{RecoveryLeaf, RecoveryTree, RecoveryTreeError};
use crate::EcdsaSignature;
use crate::payload::Payload;

/// What the recovery contract knows.
pub trait RecoveryReader {
    /// When the signer queued the payload, in Unix seconds; 0 if it did not. `None` if it cannot
    /// be read.
    fn queued_at(&self, wallet: &Address, signer: &Address, payload_hash: &B256) -> Option<u64>;

    /// Time of the block, in Unix seconds.
    fn now_unix_seconds(&self) -> u64;
}

/// Where a queued payload stands for one recovery signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// It was not queued by this signer.
    NotQueued,
    /// It was queued before the leaf's minimal time: it will never count.
    TooOld,
    /// It counts from this Unix time on.
    Waiting {
        /// The first second at which it counts.
        ready_at: u64,
    },
    /// It counts.
    Ready,
}

/// Why recovery does not approve a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The bytes are no tree of recovery signers.
    #[error(transparent)]
    Tree(#[from] RecoveryTreeError),
    /// No visible signer's payload is ready.
    #[error("no queued payload is ready")]
    NotReady,
    /// The queue cannot be read here.
    #[error("the recovery queue cannot be read")]
    Unreadable,
}

impl RecoveryLeaf {
    /// Says where a payload stands that was queued at `queued_at` (0: it was not).
    #[must_use]
    pub fn state(&self, queued_at: u64, now_unix_seconds: u64) -> QueueState {
        if queued_at == 0 {
            return QueueState::NotQueued;
        }
        if queued_at < self.min_timestamp {
            return QueueState::TooOld;
        }
        let ready_at = queued_at.saturating_add(u64::from(self.required_delta_seconds));
        if now_unix_seconds >= ready_at {
            QueueState::Ready
        } else {
            QueueState::Waiting { ready_at }
        }
    }
}

/// Lists where a payload stands for each visible recovery signer.
///
/// `payload_hash` is the ordinary [`Payload::op_hash`], not the one that is signed to queue it.
///
/// # Errors
/// [`RecoveryError::Unreadable`].
pub fn queue_view(
    tree: &RecoveryTree,
    wallet: &Address,
    payload_hash: &B256,
    reader: &impl RecoveryReader,
) -> Result<Vec<(RecoveryLeaf, QueueState)>, RecoveryError> {
    let now = reader.now_unix_seconds();
    tree.leaves()
        .into_iter()
        .map(|leaf| {
            let queued_at = reader
                .queued_at(wallet, &leaf.signer, payload_hash)
                .ok_or(RecoveryError::Unreadable)?;
            Ok((leaf, leaf.state(queued_at, now)))
        })
        .collect()
}

/// Verifies the sapient signature of the recovery contract and returns the root of its tree.
///
/// # Security
/// The caller must compare the root with the wallet's sapient leaf.
///
/// # Errors
/// [`RecoveryError`].
pub fn recover(
    bytes: &[u8],
    wallet: &Address,
    payload_hash: &B256,
    reader: &impl RecoveryReader,
) -> Result<B256, RecoveryError> {
    let tree = RecoveryTree::decode(bytes)?;
    let view = queue_view(&tree, wallet, payload_hash, reader)?;
    if view.iter().any(|(_, state)| *state == QueueState::Ready) {
        Ok(tree.hash())
    } else {
        Err(RecoveryError::NotReady)
    }
}

/// Verifies that a key asks for a payload to be queued.
///
/// `ecrecover` returns the address whose key made a signature. Contracts as recovery signers are
/// asked on chain. Chain id as in [`Payload::recovery_hash`].
#[must_use]
pub fn verify_queue_signature(
    payload: &Payload,
    wallet: &Address,
    chain_id: u64,
    signer: &Address,
    signature: &EcdsaSignature,
    ecrecover: impl Fn(&B256, &EcdsaSignature) -> Option<Address>,
) -> bool {
    let hash = payload.recovery_hash(wallet, chain_id);
    !signer.is_zero() && ecrecover(&hash, signature).as_ref() == Some(signer)
}
