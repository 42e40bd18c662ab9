//! A key holder: it keeps one share of each key, and decides by itself when to release it.
//!
//! A holder trusts nobody's word for what it can verify itself: which code asks (attestation
//! documents), which device asks (its signature, and this holder's own list), in which session, for
//! which key and which digest. Everything it does is in its log, durably, before it answers.
//!
//! The order of checks before a release stands in one file, `core/release.rs`, in types that
//! cannot be taken out of order.
//!
//! # What this crate may touch
//!
//! Its data folder (master key, TLS key, SQLite database) and the listening socket; the addresses of
//! the issuers that its operator names; the clock through [`Clock`]. `core` touches nothing but its arguments, `store` nothing but SQL.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod clock;
mod config;
mod core;
mod error;
mod holder;
mod http;
mod issuers;
mod keys;
mod ledger;
mod member;
mod ops;
mod run;
mod status;
mod store;
mod warrants;

pub use clock::{Clock, SystemClock};
pub use config::{
    AttemptLimit, AttemptLimits, CONFIG_FILE, ConfigError, HolderConfig, IssuerConfig, Trust,
    load_policy,
};
pub use holder::{Holder, HolderOpenError};
pub use http::router;
pub use issuers::IssuersError;
pub use keyfold_protocol::realm::HolderCard;
pub use keys::{HolderKeys, KeysError};
pub use run::{RunError, card, init, run};
pub use status::{Status, StatusError, status};
pub use warrants::{
    SignWarrantError, WarrantStanding, look_at_warrant, sign_warrant, sign_warrant_at,
};
