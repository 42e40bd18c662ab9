//! Which revert of a wallet says the same as which error of Rust, in one place.
//!
//! Pass 1 reads all bytes, pass 2 verifies. The two have no order between them on chain.

use crate::mocks::REFUSED;
use crate::verdict::{NOTHING, PANIC, Row};

const fn row(rust: &'static str, pass: u8, solidity: &'static [&'static str]) -> Row {
    Row {
        rust,
        pass,
        solidity,
    }
}

pub(super) const ERRORS: &[Row] = &[
    // Reading: `DecodeError`.
    row("DecodeTruncated", 1, &["Truncated()"]),
    row("DecodeUnknownFlag", 1, &["InvalidSignatureFlag(uint256)"]),
    row("DecodeInvalidEcdsa", 1, &["InvalidEcdsaSignature()"]),
    row("DecodeZeroAddress", 1, &["ZeroSigner()"]),
    row("DecodeZeroThreshold", 1, &["ZeroThreshold()"]),
    row("DecodeMalformedTree", 1, &["MalformedTree()"]),
    row("DecodeTooDeep", 1, &["TooDeep()"]),
    row(
        "DecodeMalformedChain",
        1,
        &["EmptyChain()", "ChainedSignatureNestedInChainedSignature()"],
    ),
    // Only a static signature can have bytes after its end. Where none are taken, its flag is refused.
    row(
        "DecodeTrailingBytes",
        1,
        &[
            "InvalidStaticSignatureLength(uint256)",
            "InvalidSignatureFlag(uint256)",
        ],
    ),
    // Verifying: `RecoverError`.
    row("RecoverInvalidEcdsa", 2, &["InvalidEcdsaSignature()"]),
    row(
        "RecoverContractSigner",
        2,
        &[
            "InvalidERC1271Signature(bytes32,address,bytes)",
            REFUSED,
            NOTHING,
        ],
    ),
    row("RecoverCheckpointer", 2, &[REFUSED, NOTHING]),
    row("RecoverWeightOverflow", 2, &[PANIC]),
    row(
        "RecoverInsufficientWeight",
        2,
        &[
            "LowWeightChainedSignature(bytes,uint256,uint256)",
            "InvalidSignatureWeight(uint256,uint256)",
        ],
    ),
    row(
        "RecoverCheckpointOrder",
        2,
        &["WrongChainedCheckpointOrder(uint256,uint256)"],
    ),
    row(
        "RecoverUnusedSnapshot",
        2,
        &["UnusedSnapshot((bytes32,uint256))"],
    ),
    // Where the weight is not judged, static signatures are not taken.
    row("RecoverStatic", 2, &["InvalidSignatureFlag(uint256)"]),
    row(
        "RecoverStaticExpired",
        2,
        &["InvalidStaticSignatureExpired(bytes32,uint256)"],
    ),
    row(
        "RecoverStaticWrongCaller",
        2,
        &["InvalidStaticSignatureWrongCaller(bytes32,address,address)"],
    ),
];
