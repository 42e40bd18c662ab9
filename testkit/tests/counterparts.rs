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
#[path = "counterparts/passkeys.rs"]
mod passkeys;
#[path = "counterparts/provider.rs"]
mod provider;
#[path = "counterparts/tokens.rs"]
mod tokens;
#[path = "counterparts/wallets.rs"]
mod wallets;

use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_identity::challenge::Challenge;

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Unix seconds: counterparts have the machine's clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// The same challenge again: production never makes two of one.
fn again(of: &Challenge) -> Challenge {
    struct Fixed([u8; 32]);
    impl getrandom::rand_core::TryRng for Fixed {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!("challenges draw bytes")
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!("challenges draw bytes")
        }
        fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Self::Error> {
            target.copy_from_slice(&self.0);
            Ok(())
        }
    }
    impl getrandom::rand_core::TryCryptoRng for Fixed {}
    let mut fixed = Fixed(*of.random());
    Challenge::new(
        of.method(),
        of.project(),
        *of.device(),
        of.issued_at_unix_seconds(),
        &mut fixed,
    )
}
