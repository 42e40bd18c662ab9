//! The guard as a service: one more signature that every wallet of a project needs.
//!
//! It holds one signer key for each project, with weight but never enough alone. An enclave that it
//! verified asks; the guard reads the payload, decides by the project's policy, computes the digest
//! itself, and signs or refuses with reasons.
//!
//! Does network, files and time; what is decided, and on what, is in `keyfold-guard`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod config;
mod cosign;
mod http;
mod keys;
mod policies;

pub use config::{GuardConfig, GuardError, Trust, init};
pub use http::run;
pub use keys::GuardKeys;
