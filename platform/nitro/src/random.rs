//! Two sources of randomness made one.

use sha2::{Digest as _, Sha256};

/// Most bytes that are drawn at once.
pub(crate) const CHUNK: usize = 32;

/// Mixes what the security module gave with what the kernel's generator gave.
///
/// As good as the better of the two. It also makes copies of the module's bytes that its library left
/// in memory worth nothing by themselves.
pub(crate) fn mix(module: &[u8], kernel: &[u8; CHUNK]) -> [u8; CHUNK] {
    // The kernel's part has a fixed length, so no two inputs run together.
    Sha256::new()
        .chain_update(b"keyfold/nitro-random/v1\0")
        .chain_update(kernel)
        .chain_update(module)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_source_is_enough_and_neither_shows() {
        let mixed = mix(&[1; 256], &[2; CHUNK]);
        assert_ne!(mixed, mix(&[3; 256], &[2; CHUNK]));
        assert_ne!(mixed, mix(&[1; 256], &[4; CHUNK]));
        assert_ne!(mix(&[0; 256], &[0; CHUNK]), [0; CHUNK]);
        assert_ne!(mixed, [1; CHUNK]);
        assert_ne!(mixed, [2; CHUNK]);
    }
}
