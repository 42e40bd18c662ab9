//! JSON-RPC 2.0, without its transport.

use std::future::Future;

use alloy_primitives::{Bytes, hex};
use serde::Deserialize;
use serde_json::{Value, json};

/// Most characters kept of a node's error message.
const MAX_MESSAGE: usize = 300;
/// JSON-RPC error code of a call that reverted (EIP-1474 does not fix it; nodes agree).
const EXECUTION_REVERTED: i64 = 3;

/// Something that carries a call to a node and its answer back.
pub trait Rpc: Send + Sync {
    /// Makes one call.
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> impl Future<Output = Result<Value, RpcError>> + Send;
}

impl<R: Rpc> Rpc for std::sync::Arc<R> {
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> impl Future<Output = Result<Value, RpcError>> + Send {
        (**self).call(method, params)
    }
}

/// Why a node gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No answer came. Whether the node saw the call is unknown.
    #[error("the node does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What came is not an answer to the call.
    #[error("the node's answer is malformed: {0}")]
    Malformed(&'static str),
    /// The node says no.
    #[error("the node refused: {message} ({code})")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words, cut and without control characters. For logs.
        message: String,
        /// What the call returned when it reverted.
        data: Option<Bytes>,
    },
}

/// What it means that a node does not take a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has it.
    Known,
    /// Its nonce is used.
    NonceUsed,
    /// It offers too little.
    Underpriced,
    /// Another time it may be taken: the sender has no coin, the node no room or no patience.
    ForNow,
    /// As it is, it will not be taken.
    AsItIs,
}

/// JSON-RPC error code for too many requests (EIP-1474).
const LIMIT_EXCEEDED: i64 = -32005;

/// Words of go-ethereum, Nethermind, Erigon, Besu, Reth and anvil; the first that fits counts.
const REFUSALS: &[(Refusal, &[&str])] = &[
    (
        Refusal::Known,
        &[
            "already known",
            "alreadyknown",
            "already_exists",
            "already exists",
            "already imported",
            "known transaction",
        ],
    ),
    (
        Refusal::NonceUsed,
        &[
            "nonce too low",
            "nonce_too_low",
            "oldnonce",
            "nonce is too low",
        ],
    ),
    (
        Refusal::Underpriced,
        &[
            "underpriced",
            "fee too low",
            "feetoolow",
            "less than block base fee",
        ],
    ),
    (
        Refusal::ForNow,
        &[
            "insufficient",
            "pool is full",
            "rate limit",
            "too many requests",
        ],
    ),
];

impl RpcError {
    /// Tells why the node did not take a transaction; `None` where it did not say no.
    ///
    /// Nodes agree on neither code nor words.
    pub fn refusal(&self) -> Option<Refusal> {
        let Self::Refused { code, message, .. } = self else {
            return None;
        };
        if *code == LIMIT_EXCEEDED {
            return Some(Refusal::ForNow);
        }
        let said = message.to_ascii_lowercase();
        let fits = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let known = REFUSALS.iter().find(|(_, words)| fits(words));
        Some(known.map_or(Refusal::AsItIs, |(refusal, _)| *refusal))
    }

    /// Tells whether the chain was asked and the call itself fails there; returns what it reverted
    /// with.
    ///
    /// Nodes agree on neither code nor words, so each of the usual signs counts.
    pub fn reverted(&self) -> Option<&[u8]> {
        let Self::Refused {
            code,
            message,
            data,
        } = self
        else {
            return None;
        };
        let said = message.to_ascii_lowercase();
        let reverts = *code == EXECUTION_REVERTED
            || data.is_some()
            || ["revert", "out of gas", "outofgas", "gas required exceeds"]
                .iter()
                .any(|sign| said.contains(sign));
        reverts.then(|| data.as_ref().map_or(&[][..], |data| data))
    }
}

/// Encodes a call.
#[must_use]
pub fn encode_call(id: u64, method: &str, params: &Value) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        .to_string()
        .into_bytes()
}

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

/// A result of `null` is a result (a receipt that is not there yet).
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

/// Decodes the answer to the call with this id.
///
/// # Errors
///
/// [`RpcError::Refused`] if the node says no, [`RpcError::Malformed`] for anything that is not an
/// answer to this call.
///
/// # Security
///
/// For untrusted bytes, whose size the caller has bounded.
pub fn decode_answer(id: u64, body: &[u8]) -> Result<Value, RpcError> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| RpcError::Malformed("not a JSON-RPC answer"))?;
    if let Some(error) = answer.error {
        return Err(RpcError::Refused {
            code: error.code,
            message: printable(&error.message, MAX_MESSAGE),
            data: revert_data(&error.data),
        });
    }
    if answer.id != Some(id) {
        return Err(RpcError::Malformed("the answer to another call"));
    }
    answer
        .result
        .ok_or(RpcError::Malformed("neither result nor error"))
}

/// Finds the returned bytes: a hex string, one behind a word (`Reverted 0x..`), or one in an object.
fn revert_data(data: &Value) -> Option<Bytes> {
    let text = match data {
        Value::String(text) => text,
        Value::Object(object) => object.get("data")?.as_str()?,
        _ => return None,
    };
    let digits = text.get(text.find("0x")?..)?;
    hex::decode(digits).ok().map(Bytes::from)
}

/// Keeps what can be printed on one line, cut to a length.
pub(crate) fn printable(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_its_call() {
        assert_eq!(
            decode_answer(7, br#"{"id":7,"result":"0x1"}"#).unwrap(),
            json!("0x1")
        );
        assert_eq!(
            decode_answer(7, br#"{"id":7,"result":null}"#).unwrap(),
            Value::Null
        );
        for bad in [
            &br#"{"id":8,"result":"0x1"}"#[..],
            br#"{"result":"0x1"}"#,
            br#"{"id":7}"#,
            br#"[]"#,
            b"",
            b"<html>502</html>",
        ] {
            assert!(matches!(decode_answer(7, bad), Err(RpcError::Malformed(_))));
        }
    }

    #[test]
    fn reverts_are_recognised_in_the_words_of_several_nodes() {
        for (body, data) in [
            (
                r#"{"id":1,"error":{"code":3,"message":"execution reverted","data":"0x08c379a0"}}"#,
                4,
            ),
            (
                r#"{"id":1,"error":{"code":-32015,"message":"VM execution error.","data":"Reverted 0x08c379a0"}}"#,
                4,
            ),
            (
                r#"{"id":1,"error":{"code":-32000,"message":"execution reverted"}}"#,
                0,
            ),
            (
                r#"{"id":1,"error":{"code":-32000,"message":"gas required exceeds allowance (5000000)"}}"#,
                0,
            ),
        ] {
            let error = decode_answer(1, body.as_bytes()).unwrap_err();
            assert_eq!(error.reverted().map(<[u8]>::len), Some(data), "{body}");
        }
        for body in [
            r#"{"id":1,"error":{"code":-32005,"message":"limit exceeded"}}"#,
            r#"{"id":1,"error":{"code":-32003,"message":"insufficient funds for gas * price + value"}}"#,
        ] {
            let error = decode_answer(1, body.as_bytes()).unwrap_err();
            assert!(error.reverted().is_none(), "{body}");
        }
    }

    #[test]
    fn why_a_transaction_is_not_taken_is_recognised_in_the_words_of_several_nodes() {
        for (code, message, expected) in [
            (-32000, "already known", Refusal::Known),
            (-32000, "ALREADY_EXISTS: already known", Refusal::Known),
            (-32003, "transaction already imported", Refusal::Known),
            (
                -32000,
                "nonce too low: next nonce 7, tx nonce 6",
                Refusal::NonceUsed,
            ),
            (
                -32000,
                "replacement transaction underpriced",
                Refusal::Underpriced,
            ),
            (
                -32000,
                "max fee per gas less than block base fee",
                Refusal::Underpriced,
            ),
            (
                -32000,
                "insufficient funds for gas * price + value",
                Refusal::ForNow,
            ),
            (-32000, "txpool is full", Refusal::ForNow),
            (-32005, "slow down", Refusal::ForNow),
            (
                -32000,
                "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
                Refusal::AsItIs,
            ),
            (-32000, "exceeds block gas limit", Refusal::AsItIs),
        ] {
            let error = RpcError::Refused {
                code,
                message: message.to_owned(),
                data: None,
            };
            assert_eq!(error.refusal(), Some(expected), "{message}");
        }
        assert_eq!(RpcError::Malformed("not JSON").refusal(), None);
    }

    #[test]
    fn a_nodes_words_are_cut_and_stay_on_one_line() {
        let body = json!({"id": 1, "error": {"code": 1, "message": "a\n\u{1b}[31m".repeat(1000)}});
        let Err(RpcError::Refused { message, .. }) = decode_answer(1, body.to_string().as_bytes())
        else {
            panic!("not refused");
        };
        assert_eq!(message.chars().count(), MAX_MESSAGE);
        assert!(!message.chars().any(char::is_control));
    }
}
