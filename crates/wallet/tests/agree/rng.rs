//! Deterministic randomness: one number says everything about a case.

use alloy_primitives::{Address, B256, U256};

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream of one case of one theme.
    pub(crate) fn of(seed: u64, theme: &str, index: u64) -> Self {
        let mut state = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in theme.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut rng = Self(state);
        rng.next();
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    pub(crate) fn some_bytes(&mut self, limit: usize) -> Vec<u8> {
        let length = self.below(limit);
        self.bytes(length)
    }

    pub(crate) fn hash(&mut self) -> B256 {
        B256::from_slice(&self.bytes(32))
    }

    pub(crate) fn address(&mut self) -> Address {
        Address::from_slice(&self.bytes(20))
    }

    /// Small, at a border, or anything.
    pub(crate) fn number(&mut self) -> U256 {
        match self.below(5) {
            0 => U256::ZERO,
            1 => U256::from(self.below(300)),
            2 => U256::from(self.next()),
            3 => U256::MAX - U256::from(self.below(3)),
            _ => self.hash().into(),
        }
    }
}
