//! The platform for development and tests: an issuer of attestation documents.
//!
//! In no release: only `keyfold-dev` and tests link it.
//!
//! # What this crate may touch
//!
//! The issuer touches its arguments and nothing else: no clock, randomness or files of its own.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod issuer;
