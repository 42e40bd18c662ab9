//! Platform configuration registers.

use sha2::{Digest, Sha384};

/// The length of a register in bytes: one SHA-384.
pub const PCR_LEN: usize = 48;

/// The value of a register.
pub type Pcr = [u8; PCR_LEN];

/// Extends a register the way the Nitro security module does: SHA-384 of the old value followed
/// by the data, with nothing between or around them.
///
/// A register begins as 48 zero bytes. What is measured at boot is hashed once before it is
/// extended (PCR0 to 2 and 8 are `extend(zeros, SHA384(content))`); what is extended by name,
/// like the instance id in PCR4 or data given to `ExtendPCR`, goes in as it is.
///
/// # Security
///
/// Extending twice with `a` and `b` differs from extending once with `a ‖ b`, but one call does
/// not tell `a ‖ b` from another split of the same bytes: extend with a hash of a fixed length.
///
/// Specification: AWS Nitro Enclaves NSM API, `ExtendPCR`.
#[must_use]
pub fn extend(pcr: Pcr, data: &[u8]) -> Pcr {
    Sha384::new()
        .chain_update(pcr)
        .chain_update(data)
        .finalize()
        .into()
}

/// Says whether a register was never extended.
pub(crate) fn is_zero(pcr: &Pcr) -> bool {
    pcr.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PCR4 of the genuine document of 2022-10-13, whose instance is `i-020b6af9246d90e92`.
    #[test]
    fn extend_gives_pcr4_of_a_genuine_instance() {
        assert_eq!(
            hex::encode(extend([0; PCR_LEN], b"i-020b6af9246d90e92")),
            "1f442c86d494a88185642086d904ed89f62fb66ee9997d7b1a4f040faab3bba4\
             244c768a584e5778195b3afc715637c6"
        );
    }

    #[test]
    fn the_order_of_extensions_counts() {
        let start = [0; PCR_LEN];
        assert_ne!(
            extend(extend(start, b"a"), b"b"),
            extend(extend(start, b"b"), b"a")
        );
        assert_ne!(extend(extend(start, b"a"), b"b"), extend(start, b"ab"));
    }
}
