//! Proofs of identity against programs that are not ours: what they make is accepted, and refused as
//! soon as one thing of it is another; what we make is judged by them.
//!
//! This is the verification by itself, with nothing of ours between it and the counterpart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "counterparts/app.rs"]
mod app;
#[path = "counterparts/companies.rs"]
mod companies;
#[path = "counterparts/provider.rs"]
mod provider;
#[path = "counterparts/tokens.rs"]
mod tokens;
#[path = "counterparts/wallets.rs"]
mod wallets;

use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Unix seconds: counterparts have the machine's clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}
