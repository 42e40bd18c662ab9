//! The relayer: brings wallets' signed calls to chains, once each, and pays the gas.
//!
//! It is trusted with gas money and nothing else: a wallet's call is signed before it comes here,
//! and whoever brings it, the chain checks the same. A wallet that is not on the chain yet is
//! deployed in the same transaction.
//!
//! **Once each.** A request's key, the relayer's nonce and the signed transaction are durable before
//! the first byte goes to a node. From then on its call is sent under that nonce and no other, again
//! and again until it is in a block. Where its price has become too low it is signed anew at a better
//! one, and where nodes refuse it for good an empty transaction takes its place: all have the same
//! nonce, so a chain takes one of them.
//!
//! **Bounded.** What may be spent in a period is counted in the same table, so a restart forgives
//! nothing.
//!
//! Does network, files and time. What is sent and why stands in `keyfold-chain`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod chain;
mod config;
mod deploy;
mod error;
mod http;
mod keys;
mod relay;
mod resend;
mod rpc;
mod store;
mod watch;

pub use config::{
    ChainConfig, Identity, NodeUrl, RelayLimits, RelayerConfig, RelayerError, SpendBounds, init,
};
pub use deploy::{Deployed, deploy_contracts};
pub use http::run;
