//! The trusted application: sign-in, key machine, signer, over a small [`Platform`].
//!
//! Native only, and bound to no runtime: it awaits what the platform does and spawns nothing. It
//! may touch its platform and its arguments; no clock, randomness, network or files of its own.
//!
//! Three calls are all there is: [`Enclave::start`] once, [`Enclave::maintain`] beside everything
//! else for as long as the process lives, and [`Enclave::handle`] for each request of the host.
//! [`web`] is what they ask of servers elsewhere.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod background;
mod boot;
mod clock;
mod core;
mod delivery;
mod enclave;
mod genesis;
mod holders;
mod host;
mod keys;
mod limits;
mod maintenance;
mod nonces;
mod operations;
mod peers;
pub mod platform;
mod problem;
mod realm;
mod records;
mod released;
mod request;
mod rng;
mod settings;
mod waiting;
pub mod web;
mod webhooks;

pub use enclave::{BootError, Enclave};
pub use host::{HostRequest, HostResponse};
pub use platform::{
    AttestRequest, ComposedMail, MailError, Peer, PeerError, PeerRequest, PeerResponse, PeerTrust,
    Platform, PlatformError,
};
