//! The relayer: brings wallets' signed calls to chains, once each, and pays the gas.
//!
//! It is trusted with gas money and nothing else: a wallet's call is signed before it comes here,
//! and whoever brings it, the chain checks the same. A wallet that is not on the chain yet is
//! deployed in the same transaction.
//!
//! **Once each.** A request's key, the relayer's nonce and the signed transaction are one durable
//! row before the first byte goes to a node. From then on only those bytes are sent, again and
//! again until they are in a block: they have one hash, and a chain takes them once.
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
mod rpc;
mod store;
mod watch;

pub use config::{ChainConfig, Identity, NodeUrl, RelayLimits, RelayerConfig, RelayerError, init};
pub use deploy::{Deployed, deploy_contracts};
pub use http::run;
