//! Keyfold's cryptography: the few constructions the rest of the project is built from.
//!
//! The crate is pure. It reaches no clock, no randomness, no file and no network: randomness
//! comes in as `&mut impl rand_core::CryptoRng`, and nothing here knows what time it is. It builds
//! for WebAssembly too. On native targets the hot paths (secp256k1, P-256 verification) use C
//! implementations, in the browser pure Rust ones; tests hold the two against each other.
//!
//! | Module | What it is for | Specification |
//! |---|---|---|
//! | [`secret`] | byte strings that wipe themselves and do not print | - |
//! | [`shamir`] | splitting a secret, t of n | Shamir 1979, GF(2^8) mod 0x11b |
//! | [`commitment`] | a share that can be recognised later | - |
//! | [`canonical`] | the encoding of everything that is signed or hashed | RFC 8446 section 3 |
//! | [`mnemonic`], [`hd`] | from entropy to a wallet's keys | BIP-39, BIP-32, BIP-44 |
//! | [`secp256k1`] | Ethereum signatures | SEC 1, RFC 6979, EIP-2 |
//! | [`p256`], [`ed25519`] | device credentials | FIPS 186-5, RFC 8032 |
//! | [`jwk`] | a device's public key and its name | RFC 7517, 7638, 8037 |
//! | [`binding`] | what binds a proof of identity to a device | - |
//! | [`envelope`] | sealing at rest | NIST SP 800-38D, RFC 5869 |
//! | [`hpke`] | sealing to somebody's key | RFC 9180 |
//! | [`hash`] | digests, MACs, key derivation, comparison | FIPS 180-4, RFC 2104, RFC 5869 |
//! | [`b64`] | base64url in JSON, bounded | RFC 4648 section 5 |
//!
//! # Security
//!
//! Secrets live in [`secret::Secret`] and [`secret::SecretBytes`]; see there for what wiping can
//! and cannot promise. Every function that takes bytes from outside bounds their size first and
//! returns an error rather than panic.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod b64;
pub mod binding;
pub mod canonical;
pub mod commitment;
pub mod ed25519;
pub mod envelope;
pub mod hash;
pub mod hd;
pub mod hpke;
pub mod jwk;
pub mod mnemonic;
pub mod p256;
pub mod secp256k1;
pub mod secret;
pub mod shamir;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use canonical::{Canonical, Encoder};
pub use secret::{Secret, SecretBytes};
