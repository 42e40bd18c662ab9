//! The relayer against a real node (anvil), through its public HTTPS interface.
//!
//! Between relayer and node stands a proxy that can fail on purpose and counts what passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod anvil;
mod faults;
mod proxy;
mod receipts;
mod relaying;
mod replacing;
mod requests;
mod wallet;
mod world;
