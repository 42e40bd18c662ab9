//! Attacks on attestation: documents from the development issuer, spoiled in one place each,
//! against the production verifier.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod chain;
mod cose;
mod encoding;
mod expectations;
mod fuzz;
mod issuer;
mod notary;
mod payload;
mod world;
