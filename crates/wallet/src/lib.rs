//! The smart wallet's formats on chain: configuration trees, payloads, signatures, addresses.
//!
//! Wire-compatible with Sequence wallet v3. Pure: no clock, randomness, network or files; every
//! function takes what it needs and returns a value. Nothing here holds a secret: signatures are
//! made elsewhere and arrive as bytes. Builds for `wasm32-unknown-unknown`.
//!
//! What is decoded is bounded (size and depth) and never panics; what is encoded is refused when
//! the format cannot express it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

pub mod abi;
pub mod address;
pub mod checkpointer;
pub mod config;
pub mod context;
#[cfg(feature = "oracle")]
pub mod oracle;
pub mod passkey;
pub mod payload;
pub mod quirks;
pub mod recovery;
pub mod session;
pub mod signature;
pub mod text;

mod bytes;
mod json;

#[cfg(test)]
mod contract_tests;

pub use address::{Context, wallet_address};
pub use config::{Config, Topology, ValidConfig};
pub use context::ContextName;
pub use payload::{BehaviorOnError, Call, Payload, PayloadBody};
pub use signature::{EcdsaSignature, Recover, Recovered, SignaturePart};

/// Which of the two valid encodings an encoder emits.
///
/// Both are accepted on chain; [`Encoding::Npm`] exists so that bytes can be compared with those
/// of `@0xsequence/wallet-primitives` 3.0.9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// The fewest bytes the format allows.
    #[default]
    Shortest,
    /// Byte for byte what the npm package emits, with its quirks.
    Npm,
}
