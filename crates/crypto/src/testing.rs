//! Deterministic randomness for tests.
//!
//! Behind the feature `testing`, which no released binary turns on: everything drawn from here can
//! be predicted by anybody who knows the seed.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use crate::canonical::Encoder;

/// A random number generator whose whole output follows from its seed.
///
/// # Security
///
/// For tests alone. It implements `CryptoRng` so that it can stand where one is asked for.
#[derive(Debug, Clone)]
pub struct SeededRng {
    seed: u64,
    block: u64,
    buffer: [u8; 32],
    used: usize,
}

impl SeededRng {
    /// Starts the stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            block: 0,
            buffer: [0; 32],
            used: 32,
        }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used >= self.buffer.len() {
            self.buffer = Encoder::new("keyfold/test-rng/v1")
                .u64(self.seed)
                .u64(self.block)
                .sha256();
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.buffer.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }
}

impl TryRng for SeededRng {
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

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for byte in dst {
            *byte = self.next_byte();
        }
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}
