//! Proofs of identity: who somebody is, as far as a service may believe it.
//!
//! Pure: no I/O, no clock, no ambient randomness. Each way to prove an identity ends in a value
//! that only its verification can make; for email codes that is [`pending::ProvenEmail`].
//!
//! | Module | Holds |
//! |---|---|
//! | [`email`] | addresses, in the one form that is looked up and mailed |
//! | [`code`] | one-time codes |
//! | [`pending`] | sign-ins that wait for their code, and their attempts |
//! | [`room`] | how much of a table of what waits one project may take |
//! | [`mail`] | the mail that carries a code |
//! | [`oidc`] | OAuth 2.0 and OpenID Connect |
//! | [`challenge`] | what a proof is bound to: method, project, device, time; once |
//! | [`origin`] | pages, in the one form that is compared |
//! | [`passkey`] | WebAuthn |
//! | [`password`] | passwords: read, kept, checked |
//! | [`totp`], [`recovery`] | one-time passwords of an app, and codes on paper |
//! | [`siwe`], [`siws`], [`farcaster`] | messages that a wallet signs |
//!
//! # Security
//!
//! Nothing here knows whether an address has an account, so nothing here can tell a stranger.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod challenge;
pub mod code;
pub mod email;
pub mod farcaster;
pub mod mail;
mod message;
pub mod oidc;
pub mod origin;
pub mod passkey;
pub mod password;
pub mod pending;
pub mod recovery;
pub mod room;
pub mod siwe;
pub mod siws;
pub mod totp;

pub use code::OneTimeCode;
pub use email::EmailAddress;
pub use pending::{PendingSignIns, ProvenEmail, SignInId};
