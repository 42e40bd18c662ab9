//! Randomness that cannot fail halfway.

use core::convert::Infallible;

use keyfold_crypto::Secret;
use keyfold_crypto::hash::hmac_sha256;
use rand_core::{TryCryptoRng, TryRng};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::platform::{Platform, PlatformError};

/// The randomness of one operation: a stream under a key of 32 bytes from the security module.
///
/// The module is asked once, before anything is done, and can fail only then; a generator that
/// could fail in the middle would have to panic, or worse, give zeros.
///
/// # Security
///
/// HMAC-SHA256 over a counter, under the drawn key: predicting it is breaking HMAC as a
/// pseudo-random function. Key and block are wiped on drop; not shared between operations.
pub(crate) struct OperationRng {
    key: Secret<32>,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl OperationRng {
    pub(crate) fn draw(platform: &impl Platform) -> Result<Self, PlatformError> {
        let mut drawn = Ok(());
        let key = Secret::init_with(|bytes| drawn = platform.random(bytes));
        drawn?;
        Ok(Self {
            key,
            counter: 0,
            block: [0; 32],
            used: 32,
        })
    }

    fn next_byte(&mut self) -> u8 {
        if self.used >= self.block.len() {
            let counter = self.counter.to_be_bytes();
            self.block = self.key.expose(|key| hmac_sha256(key, &counter));
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }
}

impl TryRng for OperationRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.next_byte();
        }
        Ok(())
    }
}

impl TryCryptoRng for OperationRng {}

impl Drop for OperationRng {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}

impl ZeroizeOnDrop for OperationRng {}
