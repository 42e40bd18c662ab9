//! What every enclave platform shares: a server on the inbound pipe, and TLS that ends inside the
//! enclave on everything that leaves through the outbound pipe.
//!
//! A platform brings a [`SecurityModule`] and two sockets; this crate makes a
//! [`Platform`](keyfold_enclave::Platform) of them and runs the application on it. Does network and
//! time; decides nothing.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod inbound;
mod machine;
mod mail;
mod peers;
mod roots;

pub use inbound::{INBOUND_PORT, serve, serve_streams};
pub use machine::{Machine, SecurityModule};
