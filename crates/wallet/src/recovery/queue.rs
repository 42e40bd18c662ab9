//! Which queued payloads count, and when.

use alloy_primitives::{Address, B256, keccak256};

use super::tree::fold;
use super::{RecoveryLeaf, RecoveryTree, RecoveryTreeError};
use crate::EcdsaSignature;
use crate::bytes::word;
use crate::payload::{Payload, PayloadBody};

/// What the recovery contract knows.
pub trait RecoveryReader {
    /// When the signer queued the payload, in Unix seconds; 0 if it did not. `None` if it cannot
    /// be read.
    fn queued_at(&self, wallet: &Address, signer: &Address, payload_hash: &B256) -> Option<u64>;

    /// Time of the block, in Unix seconds.
    fn now_unix_seconds(&self) -> u64;

    /// Unix time up to which everything the signer queued is cancelled; 0 if nothing is. `None`
    /// if it cannot be read. Contracts without cancelling never cancel.
    fn cancelled_until(&self, _wallet: &Address, _signer: &Address) -> Option<u64> {
        Some(0)
    }

    /// How many seconds a payload counts once it is ready. `None`: for ever, as in contracts
    /// without expiry.
    fn window_seconds(&self) -> Option<u64> {
        None
    }

    /// Address and chain of the recovery contract that is asked, if it is Keyfold's: that one also
    /// approves [`membership_hash`] for every leaf that is shown.
    fn keyfold_contract(&self) -> Option<(Address, u64)> {
        None
    }
}

/// Computes the hash that Keyfold's recovery contract approves for a leaf that is shown, queued or
/// not. It means that the wallet has this recovery signer, and nothing else.
#[must_use]
pub fn membership_hash(
    recovery: &Address,
    chain_id: u64,
    wallet: &Address,
    signer: &Address,
) -> B256 {
    let domain = keccak256(
        [
            keccak256(
                "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            ),
            keccak256("Keyfold Recovery"),
            keccak256("1"),
            word(chain_id),
            recovery.into_word(),
        ]
        .concat(),
    );
    let body = keccak256(
        [
            keccak256("RecoverySigner(address wallet,address signer)"),
            wallet.into_word(),
            signer.into_word(),
        ]
        .concat(),
    );
    let digest = keccak256([&[0x19, 0x01], domain.as_slice(), body.as_slice()].concat());
    Payload::from(PayloadBody::Digest(digest)).op_hash(wallet, chain_id)
}

/// How long a payload that is ready counts in Keyfold's recovery contract: 30 days.
pub const KEYFOLD_WINDOW_SECONDS: u64 = 30 * 24 * 60 * 60;

/// What is known of a payload that a signer queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// When it was queued, in Unix seconds; 0 if it was not.
    pub at: u64,
    /// Up to when all that the signer queued is cancelled; 0 if nothing is.
    pub cancelled_until: u64,
    /// How long it counts once it is ready. `None`: for ever.
    pub window_seconds: Option<u64>,
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
    /// It was cancelled.
    Cancelled,
    /// It was not used in time. It has to be queued anew, with another payload.
    Expired,
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
    /// Says where a payload stands.
    #[must_use]
    pub fn state(&self, queued: &Queued, now_unix_seconds: u64) -> QueueState {
        if queued.at == 0 {
            return QueueState::NotQueued;
        }
        if queued.at < self.min_timestamp {
            return QueueState::TooOld;
        }
        if queued.at <= queued.cancelled_until {
            return QueueState::Cancelled;
        }
        let ready_at = queued
            .at
            .saturating_add(u64::from(self.required_delta_seconds));
        if now_unix_seconds < ready_at {
            return QueueState::Waiting { ready_at };
        }
        match queued.window_seconds {
            Some(window) if now_unix_seconds - ready_at > window => QueueState::Expired,
            _ => QueueState::Ready,
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
    let view = |leaf| Ok((leaf, state_of(&leaf, wallet, payload_hash, reader)?));
    tree.leaves().into_iter().map(view).collect()
}

fn state_of(
    leaf: &RecoveryLeaf,
    wallet: &Address,
    payload_hash: &B256,
    reader: &impl RecoveryReader,
) -> Result<QueueState, RecoveryError> {
    let at = reader.queued_at(wallet, &leaf.signer, payload_hash);
    let cancelled_until = reader.cancelled_until(wallet, &leaf.signer);
    let queued = Queued {
        at: at.ok_or(RecoveryError::Unreadable)?,
        cancelled_until: cancelled_until.ok_or(RecoveryError::Unreadable)?,
        window_seconds: reader.window_seconds(),
    };
    Ok(leaf.state(&queued, reader.now_unix_seconds()))
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
    let mut leaves = Vec::new();
    let root = fold(bytes, &mut leaves)?;
    let member = |signer: &Address| {
        let contract = reader.keyfold_contract();
        contract.is_some_and(|(recovery, chain_id)| {
            membership_hash(&recovery, chain_id, wallet, signer) == *payload_hash
        })
    };
    let mut ready = false;
    for leaf in &leaves {
        ready |= match state_of(leaf, wallet, payload_hash, reader)? {
            QueueState::Ready => true,
            QueueState::NotQueued => member(&leaf.signer),
            _ => false,
        };
    }
    if ready {
        Ok(root)
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
