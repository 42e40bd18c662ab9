//! Which revert of the session manager says the same as which error of Rust, in one place.
//!
//! Rust reads the tree (1), judges its leaves (2), counts its identity signers (3) and blacklists
//! (4), reads the signatures (5), verifies attestations (6), calls (7) and totals (9). What no
//! session may ever do (8) Rust sees call by call; a contract may look for it in all calls before.

use keyfold_wallet::session::{SessionDecodeError, SessionError, SessionTopology};

use crate::mocks::REFUSED;
use crate::verdict::{NOTHING, PANIC, Row, name};

const fn row(rust: &'static str, pass: u8, solidity: &'static [&'static str]) -> Row {
    Row {
        rust,
        pass,
        solidity,
    }
}

const INCREMENT: &[&str] = &["InvalidLimitUsageIncrement()"];
const SIGNER: &[&str] = &["InvalidSessionSigner(address)"];

pub(super) const ERRORS: &[Row] = &[
    row("NotCalls", 0, &["InvalidPayloadKind()"]),
    row("Space", 0, &["InvalidSpace(uint256)"]),
    row("ParentWallets", 0, &["InvalidParentWallets()"]),
    row("CallCount", 0, &["InvalidCallsLength()"]),
    row("TreeTruncated", 1, &["Truncated()"]),
    row("TreeUnknownFlag", 1, &["InvalidNodeType(uint256)"]),
    row("TreeMalformedTree", 1, &["MalformedTree()"]),
    row("TreeTooDeep", 1, &["TooDeep()"]),
    row(
        "TreeMalformedSession",
        1,
        &[
            "Truncated()",
            "InvalidSession(address)",
            "InvalidParameterOperation(uint256)",
        ],
    ),
    row("TreeZeroSigner", 2, &["ZeroSigner()"]),
    row("TreeZeroIdentitySigner", 2, &["InvalidIdentitySigner()"]),
    row("TreeEmptyMask", 2, &["EmptyMask()"]),
    row("TreeBlacklistUnsorted", 2, &["InvalidBlacklistUnsorted()"]),
    row("TreeNoIdentitySigner", 3, &["InvalidIdentitySigner()"]),
    row("TreeManyIdentitySigners", 3, &["InvalidIdentitySigner()"]),
    row("TreeManyBlacklists", 4, &["InvalidBlacklist()"]),
    row("SignatureTruncated", 5, &["Truncated()"]),
    row(
        "SignatureAttestationWithoutBlacklist",
        5,
        &["InvalidBlacklist()"],
    ),
    row("SignatureInvalidEcdsa", 5, SIGNER),
    // The number of an attestation that is not there.
    row("SignatureUnknownFlag", 5, &["InvalidAttestation()"]),
    row("SignatureTrailingBytes", 5, &["InvalidSignatureLength()"]),
    row(
        "Attestation",
        6,
        &["InvalidAttestation()", "InvalidSessionSigner(address)"],
    ),
    row("CallDelegateCall", 8, &["InvalidDelegateCall()"]),
    row("CallSelfCall", 8, &["InvalidSelfCall()"]),
    row("CallAbortOnError", 8, &["InvalidBehavior()"]),
    row("CallInvalidEcdsa", 7, SIGNER),
    row("CallUnknownSigner", 7, SIGNER),
    row("CallBlacklisted", 7, &["BlacklistedAddress(address)"]),
    row("CallValue", 7, &["InvalidValue()", PANIC]),
    row(
        "CallNotAccepted",
        7,
        &["InvalidImplicitResult()", REFUSED, NOTHING],
    ),
    row("CallWrongChain", 7, &["InvalidChainId(uint256)"]),
    row("CallSessionExpired", 7, &["SessionExpired(uint256)"]),
    row("CallMissingPermission", 7, &["MissingPermission()"]),
    row("CallTarget", 7, &["InvalidPermission()"]),
    row("CallRule", 7, &["InvalidPermission()", PANIC]),
    row("CallIncrementNotFirst", 7, INCREMENT),
    row("CallImplicitIncrement", 7, INCREMENT),
    row("CallUncounted", 7, INCREMENT),
    row("WrongIncrement", 9, INCREMENT),
    row("NeedlessIncrement", 9, INCREMENT),
];

/// The name of the error in the table.
pub(super) fn name_of(error: &SessionError, bytes: &[u8]) -> String {
    match error {
        SessionError::Malformed(SessionDecodeError::Tree(tree)) | SessionError::Tree(tree) => {
            format!("Tree{}", name(tree))
        }
        SessionError::Malformed(error) if tree_is_read(bytes) => {
            format!("Signature{}", name(error))
        }
        SessionError::Malformed(error) => format!("Tree{}", name(error)),
        SessionError::Call { reason, .. } => format!("Call{}", name(reason)),
        other => name(other),
    }
}

/// Whether the bytes begin with a tree that Rust reads.
fn tree_is_read(bytes: &[u8]) -> bool {
    let Some((&[a, b, c], rest)) = bytes.split_first_chunk::<3>() else {
        return false;
    };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    rest.get(..length)
        .is_some_and(|tree| SessionTopology::decode(tree).is_ok())
}
