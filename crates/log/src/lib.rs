//! The append-only transparency log: entries, Merkle proofs and signed checkpoints.
//!
//! Everything here is a function of its arguments. The crate reaches no clock, no randomness, no
//! network and no disk, and it builds for `wasm32-unknown-unknown`; who keeps the entries and the
//! nodes is the caller's affair (see `keyfold-storage` for the durable one).
//!
//! - [`hash`]: RFC 6962 leaf and node hashing, [`LogEntry`].
//! - [`frontier`]: the O(log n) state that turns an appended leaf into the next root.
//! - [`proof`]: inclusion and consistency proofs, built over a [`LeafReader`] and verified alone.
//! - [`note`]: C2SP signed notes with Ed25519.
//! - [`checkpoint`]: C2SP tree heads inside signed notes.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod checkpoint;
pub mod frontier;
pub mod hash;
pub mod note;
pub mod proof;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use frontier::{CompletedNode, Frontier, FrontierError};
pub use hash::{EntryTooLarge, Hash, LogEntry, MAX_ENTRY_BYTES, empty_root, leaf_hash, node_hash};
pub use note::{Ed25519Signer, NoteError, NoteKey, NoteSigner, NoteVerifier, SignedNote};
pub use proof::{
    LeafReader, ProofBuildError, ProofError, consistency_proof, inclusion_proof,
    verify_consistency, verify_inclusion,
};
