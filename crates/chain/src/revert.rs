//! Why a call would fail, in words that are safe to show.

use alloy_primitives::{U256, keccak256};

use crate::rpc::printable;

/// Most characters of a contract's own words.
const MAX_REASON: usize = 120;
/// How many reverts inside each other are opened: guest, wallet, wallets below it.
const MAX_DEPTH: usize = 6;

/// Errors without arguments worth showing, and what they mean.
const KNOWN: &[(&str, &str)] = &[
    (
        "InvalidSignatureWeight(uint256,uint256)",
        "the signers do not reach the wallet's threshold",
    ),
    (
        CALLS_INVALID_SIGNATURE,
        "the signature is not of the wallet's configuration",
    ),
    ("InvalidEcdsaSignature()", "a signature is malformed"),
    (
        "InvalidSignatureFlag(uint256)",
        "the signature has a part of unknown kind",
    ),
    (
        "InvalidStaticSignatureExpired(bytes32,uint256)",
        "static signatures are not accepted",
    ),
    (
        "InvalidERC1271Signature(bytes32,address,bytes)",
        "a signing contract refuses its signature",
    ),
    ("MalformedTree()", "the signature is malformed"),
    ("Truncated()", "the payload or signature ends too early"),
    ("InvalidPackedLength()", "the payload is malformed"),
    (
        "InvalidPackedFlag(uint256)",
        "the payload has an unknown flag",
    ),
    (
        "ZeroSigner()",
        "the configuration has a signer of address zero",
    ),
    (
        "ZeroThreshold()",
        "the configuration has a threshold of zero",
    ),
    ("ReentrantCall()", "the wallet is already executing"),
    (
        "DeployFailed(address,bytes32)",
        "the wallet cannot be deployed",
    ),
];
const CALLS_INVALID_SIGNATURE: &str = "InvalidSignature((uint8,bool,(address,uint256,bytes,uint256,bool,bool,uint256)[],uint256,uint256,bytes,bytes32,bytes32,address[]),bytes)";
const CALL_REVERTED: &str = "Reverted((uint8,bool,(address,uint256,bytes,uint256,bool,bool,uint256)[],uint256,uint256,bytes,bytes32,bytes32,address[]),uint256,bytes)";
const NOT_ENOUGH_GAS: &str = "NotEnoughGas((uint8,bool,(address,uint256,bytes,uint256,bool,bool,uint256)[],uint256,uint256,bytes,bytes32,bytes32,address[]),uint256,uint256)";
const BAD_NONCE: &str = "BadNonce(uint256,uint256,uint256)";

/// Says why a call would fail, from what it reverted with.
///
/// # Security
///
/// For untrusted bytes. Words of contracts are cut and quoted, and control characters left out;
/// nothing of the node's own message is shown.
#[must_use]
pub fn explain(data: &[u8]) -> String {
    let mut data = data;
    for _ in 0..MAX_DEPTH {
        match inner(data) {
            Some(deeper) => data = deeper,
            None => break,
        }
    }
    let Some((selector, body)) = data.split_first_chunk::<4>() else {
        return "it reverts without a reason".to_owned();
    };
    if is(selector, "Error(string)") {
        if let Some(text) = dynamic(body, 0) {
            let text = printable(&String::from_utf8_lossy(text), MAX_REASON);
            return format!("a contract says {text:?}");
        }
    } else if is(selector, "Panic(uint256)") {
        if let Some(code) = word(body, 0) {
            return format!("a contract panics with code {code:#x}");
        }
    } else if is(selector, BAD_NONCE) {
        if let (Some(provided), Some(current)) = (word(body, 1), word(body, 2)) {
            return format!("the payload has nonce {provided}, the wallet is at {current}");
        }
    } else if is(selector, NOT_ENOUGH_GAS) {
        return "it needs more gas than is allowed here".to_owned();
    } else if let Some((_, meaning)) = KNOWN.iter().find(|(name, _)| is(selector, name)) {
        return (*meaning).to_owned();
    }
    format!(
        "it reverts with error 0x{}",
        alloy_primitives::hex::encode(selector)
    )
}

/// Opens the revert of one call in a batch.
fn inner(data: &[u8]) -> Option<&[u8]> {
    let (selector, body) = data.split_first_chunk::<4>()?;
    is(selector, CALL_REVERTED)
        .then(|| dynamic(body, 2))
        .flatten()
}

fn is(selector: &[u8; 4], signature: &str) -> bool {
    keccak256(signature).starts_with(selector)
}

fn word(body: &[u8], index: usize) -> Option<U256> {
    let start = index.checked_mul(32)?;
    U256::try_from_be_slice(body.get(start..start.checked_add(32)?)?)
}

fn dynamic(body: &[u8], index: usize) -> Option<&[u8]> {
    let start = usize::try_from(word(body, index)?).ok()?;
    let tail = body.get(start..)?;
    let length = usize::try_from(word(tail, 0)?).ok()?;
    tail.get(32..32usize.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use proptest::prelude::*;

    use super::*;

    fn error(signature: &str, words: &[U256]) -> Vec<u8> {
        let mut out = keccak256(signature)[..4].to_vec();
        for word in words {
            out.extend_from_slice(&word.to_be_bytes::<32>());
        }
        out
    }

    fn reverted(inner: &[u8]) -> Vec<u8> {
        let mut out = error(
            CALL_REVERTED,
            &[
                U256::from(96),
                U256::from(1),
                U256::from(96),
                U256::from(inner.len()),
            ],
        );
        out.extend_from_slice(inner);
        out
    }

    #[test]
    fn the_innermost_reason_is_shown() {
        let nonce = error(BAD_NONCE, &[U256::ZERO, U256::from(4), U256::from(5)]);
        let wrapped = reverted(&reverted(&nonce));
        assert_eq!(
            explain(&wrapped),
            "the payload has nonce 4, the wallet is at 5"
        );
        assert_eq!(explain(&reverted(&[])), "it reverts without a reason");
    }

    /// `Error("Not enough")`, from the Solidity documentation's section on errors.
    #[test]
    fn a_contracts_own_words_are_quoted() {
        let data = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "000000000000000000000000000000000000000000000000000000000000001a"
            "4e6f7420656e6f7567682045746865722070726f76696465642e000000000000"
        );
        assert_eq!(
            explain(&data),
            "a contract says \"Not enough Ether provided.\""
        );
    }

    #[test]
    fn hostile_words_cannot_break_out_of_a_log_line_or_fill_it() {
        let mut data = error("Error(string)", &[U256::from(32), U256::from(4000)]);
        data.extend_from_slice(&b"\n\x1b[2J\"".repeat(1000));
        let shown = explain(&data);
        assert!(shown.len() < 3 * MAX_REASON);
        assert!(!shown.chars().any(char::is_control));
    }

    proptest! {
        #[test]
        fn nothing_panics(data in prop::collection::vec(any::<u8>(), 0..200), at in 0..4usize) {
            let heads = [CALL_REVERTED, "Error(string)", "Panic(uint256)", BAD_NONCE];
            let head = error(heads[at], &[]);
            let _ = explain(&data);
            let _ = explain(&[head, data].concat());
        }
    }
}
