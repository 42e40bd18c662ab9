//! The platform for development and tests: an issuer of attestation documents, and a security
//! module made of it.
//!
//! In no release: only `keyfold-dev` and tests link it.
//!
//! # What this crate may touch
//!
//! The issuer touches its arguments and nothing else: no clock, randomness or files of its own. The
//! module reads the system's clock and generator.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod issuer;
pub mod module;
pub mod notary;
