//! Taking a wallet over after a time lock: the recovery contract's tree and queue (format
//! section 6).
//!
//! The wallet's configuration holds the tree's root in a sapient leaf of the recovery contract.
//! A recovery signer queues a payload; once its waiting time has passed, the visible leaf alone
//! approves it. Pure, like the rest of the crate: the queue is a [`RecoveryReader`].

mod queue;
mod tree;

#[cfg(test)]
mod tests;

pub use queue::{
    KEYFOLD_WINDOW_SECONDS, QueueState, Queued, RecoveryError, RecoveryReader, membership_hash,
    queue_view, recover, verify_queue_signature,
};
pub use tree::{DELTA_LIMIT, MAX_RECOVERY_DEPTH, RecoveryLeaf, RecoveryTree, RecoveryTreeError};
