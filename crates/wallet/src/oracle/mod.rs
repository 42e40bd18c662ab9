//! The conformance oracle of format section 9: the 29 methods by which tests in any language have
//! configurations, payloads, signatures, sessions, recovery trees and passkey signatures made, with
//! the byte choices of `@0xsequence/wallet-primitives` 3.0.9 ([`crate::quirks`]).
//!
//! Pure: text in, text out; where a method needs randomness it asks the caller. A server is a loop
//! around [`answer`].
//!
//! # Security
//!
//! For tests, never for wallets: it writes down what it is asked to, trees that are open to
//! everybody and signatures out of range included, since tests of a contract need those most. What
//! it reads is bounded in size and depth and never makes it panic.

mod config;
mod jsonrpc;
mod params;
mod passkey;
mod payload;
mod random;
mod raw;
mod recovery;
mod session;

#[cfg(test)]
mod tests;

use alloy_primitives::hex;
use serde_json::Value;

pub use jsonrpc::{Reply, answer};

/// Longest parameters of one call, in bytes of JSON.
pub const MAX_PARAMS: usize = 1 << 25;

/// Every method, by name.
pub const METHODS: [&str; 29] = [
    "config_new",
    "config_imageHash",
    "config_encode",
    "signature_encode",
    "signature_concat",
    "signature_decode",
    "devTools_randomConfig",
    "devTools_randomSessionTopology",
    "payload_toPacked",
    "payload_hashFor",
    "payload_toJson",
    "payload_toAbi",
    "session_empty",
    "session_encodeTopology",
    "session_imageHash",
    "session_encodeCallSignatures",
    "session_explicit_add",
    "session_explicit_remove",
    "session_implicit_addBlacklistAddress",
    "session_implicit_removeBlacklistAddress",
    "address_calculate",
    "recovery_hashFromLeaves",
    "recovery_encode",
    "recovery_trim",
    "recovery_hashEncoded",
    "passkeys_encodeSignature",
    "passkeys_decodeSignature",
    "passkeys_computeRoot",
    "passkeys_validateSignature",
];

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OracleError {
    /// There is no such method.
    #[error("Method not found: {0}")]
    UnknownMethod(String),
    /// The method refused; the message says why.
    #[error("{0}")]
    Failed(String),
}

impl OracleError {
    fn failed(reason: impl core::fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// What the package's server answers where it has nothing.
    fn not_implemented() -> Self {
        Self::failed("Not implemented")
    }
}

/// Where randomness comes from: asked at most once for each call, and only by the two methods that
/// make something random without a seed.
pub type Entropy<'a> = &'a mut dyn FnMut() -> [u8; 32];

/// Calls a method with its parameters, a JSON object as text.
///
/// The result is a string in nearly every case: `0x` and hex of bytes, or of the UTF-8 text where
/// the result is JSON, since some versions of forge take no other string. The parameters are text so
/// that the order of an object's fields survives: a passkey's client data is signed as it stands.
///
/// # Errors
/// [`OracleError`].
pub fn call(method: &str, params: &str, entropy: Entropy<'_>) -> Result<Value, OracleError> {
    if params.len() > MAX_PARAMS {
        return Err(OracleError::failed("the parameters are too long"));
    }
    match method {
        "config_new" => config::new(params),
        "config_imageHash" => config::image_hash(params),
        "config_encode" => config::encode(params),
        "signature_encode" => config::encode_signature(params),
        "signature_concat" => raw::concat(params),
        "signature_decode" => raw::decode_to_json(params),
        "devTools_randomConfig" => random::config(params, entropy),
        "devTools_randomSessionTopology" => random::session_topology(params, entropy),
        "payload_toPacked" => payload::to_packed(params),
        "payload_hashFor" => payload::hash_for(params),
        "payload_toJson" => payload::to_json(params),
        "payload_toAbi" => Err(OracleError::not_implemented()),
        "session_empty" => session::empty(params),
        "session_encodeTopology" => session::encode_topology(params),
        "session_imageHash" => session::image_hash(params),
        "session_encodeCallSignatures" => session::encode_call_signatures(params),
        "session_explicit_add" => session::add(params),
        "session_explicit_remove" => session::remove(params),
        "session_implicit_addBlacklistAddress" => session::blacklist_add(params),
        "session_implicit_removeBlacklistAddress" => session::blacklist_remove(params),
        "address_calculate" => payload::address(params),
        "recovery_hashFromLeaves" => recovery::hash_from_leaves(params),
        "recovery_encode" => recovery::encode(params),
        "recovery_trim" => recovery::trim(params),
        "recovery_hashEncoded" => recovery::hash_encoded(params),
        "passkeys_encodeSignature" => passkey::encode(params),
        "passkeys_decodeSignature" => passkey::decode(params),
        "passkeys_computeRoot" => passkey::root(params),
        "passkeys_validateSignature" => passkey::validate(params),
        unknown => Err(OracleError::UnknownMethod(
            unknown.chars().take(64).collect(),
        )),
    }
}

type Answer = Result<Value, OracleError>;

/// Bytes as a result.
fn bytes(bytes: impl AsRef<[u8]>) -> Answer {
    Ok(Value::String(hex::encode_prefixed(bytes)))
}

/// A structure as a result: hex of its JSON text.
fn json(value: &impl serde::Serialize) -> Answer {
    serde_json::to_string(value)
        .map_err(OracleError::failed)
        .and_then(bytes)
}
