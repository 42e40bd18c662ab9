//! A bounds-checked reader and the few writers that every format here shares.

use alloy_primitives::{Address, B256, U256, keccak256};

/// keccak256 over two 32-byte words.
pub(crate) fn hash_pair(left: &B256, right: &B256) -> B256 {
    let mut buffer = [0u8; 64];
    let (a, b) = buffer.split_at_mut(32);
    a.copy_from_slice(left.as_slice());
    b.copy_from_slice(right.as_slice());
    keccak256(buffer)
}

/// The integer as a 32-byte big-endian word.
pub(crate) fn word(value: impl Into<u128>) -> B256 {
    B256::from(U256::from(value.into()))
}

/// The address as a left-padded 32-byte word.
pub(crate) fn address_word(address: &Address) -> B256 {
    address.into_word()
}

/// How many bytes the integer needs; zero needs none.
pub(crate) fn byte_len(value: u64) -> usize {
    8 - (value.leading_zeros() as usize) / 8
}

/// Appends the lowest `width` bytes of `value`, big-endian. `width` is at most 8.
pub(crate) fn push_uint(out: &mut Vec<u8>, value: u64, width: usize) {
    out.extend(
        value
            .to_be_bytes()
            .iter()
            .skip(8usize.saturating_sub(width)),
    );
}

/// Reads from the front of a slice; `None` when it is too short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(count)?;
        self.rest = tail;
        Some(head)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, tail) = self.rest.split_first()?;
        self.rest = tail;
        Some(*first)
    }

    /// A big-endian integer of `width` bytes. `None` if it does not fit 64 bits.
    pub(crate) fn uint(&mut self, width: usize) -> Option<u64> {
        let mut value: u64 = 0;
        for byte in self.take(width)? {
            if value >> 56 != 0 {
                return None;
            }
            value = (value << 8) | u64::from(*byte);
        }
        Some(value)
    }

    /// A length of `width` bytes followed by that many bytes.
    pub(crate) fn sized(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.uint(width)?).ok()?;
        self.take(length)
    }

    pub(crate) fn address(&mut self) -> Option<Address> {
        self.take(20).map(Address::from_slice)
    }

    pub(crate) fn hash(&mut self) -> Option<B256> {
        self.take(32).map(B256::from_slice)
    }
}
