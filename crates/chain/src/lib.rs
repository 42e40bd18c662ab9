//! What Keyfold says to an EVM chain: its contracts, transactions, fees, and typed calls to a node.
//!
//! Opens no socket and holds no key: calls go through the [`Rpc`] trait, signatures arrive as
//! values. Does not read clocks or files either; the contracts are compiled in.
//!
//! - [`deployments`]: the committed contracts, where they belong, and how to put them there.
//! - [`transaction`]: EIP-1559 transactions, from fields to the bytes a node takes.
//! - [`fees`]: what to pay, within what the operator allows.
//! - [`rpc`], [`node`]: JSON-RPC over any transport, and the calls we need of it.
//! - [`wallet_call`]: a wallet's signed call as one transaction, deploying it where it is not yet.
//! - [`revert`]: why a call would fail, in words that are safe to show.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod deployments;
pub mod fees;
pub mod node;
pub mod revert;
pub mod rpc;
pub mod transaction;
pub mod wallet_call;

pub use deployments::{ArtifactError, DeployError, DeployerCall, Deployments, lacking};
pub use fees::{FeeBounds, FeeHistory, Fees, FeesTooHigh};
pub use node::{CallRequest, Node, Receipt};
pub use rpc::{Refusal, Rpc, RpcError};
pub use transaction::{SignedTransaction, Transaction};
pub use wallet_call::{RelayedCall, WalletCall, WalletCallError};
