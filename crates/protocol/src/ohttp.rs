//! The channel between client and enclave: Oblivious HTTP, the enclave being its gateway.
//!
//! A client seals one HTTP request to a key that an attestation document names; whoever forwards
//! it sees its length rounded up, the key's one-byte number, and nothing else. The reply can be
//! opened only by the sealer of that very request.
//!
//! Pure in this project's sense but for one thing: the ephemeral key and the response nonce are
//! drawn by the `ohttp` library from the platform's generator, which it does not let a caller
//! supply. The gateway's long-term key comes from the caller's randomness.
//!
//! # Security
//!
//! - Who can open a request: the holder of the gateway key of that hour. There is no forward
//!   secrecy within the life of one key (an hour and ten minutes), which is why
//!   [`GatewayKeys`] rotates and erases.
//! - A recorded request can be sent again and will be opened again. Replays are refused one layer
//!   further in, by the nonce of the signed request.
//! - Sizes are padded to a multiple of [`PADDING_BLOCK`] bytes in both directions.
//!
//! RFC 9458 (Oblivious HTTP), RFC 9292 (binary HTTP, known-length form), RFC 9180 (HPKE).

mod client;
mod gateway;
mod key_config;
mod message;
#[cfg(test)]
mod tests;

pub use client::{EncapsulateError, ResponseContext, ResponseError, encapsulate};
pub use gateway::{GatewayKeys, OpenError, ResponseSealer, SealError};
pub use key_config::{EncodedKeyConfig, KeyConfigError};
pub use message::{InnerRequest, InnerResponse, MessageError};

/// Media type of an encoded key configuration.
pub const KEY_CONFIG_MEDIA_TYPE: &str = "application/ohttp-keys";
/// Media type of an encapsulated request.
pub const REQUEST_MEDIA_TYPE: &str = "message/ohttp-req";
/// Media type of an encapsulated response.
pub const RESPONSE_MEDIA_TYPE: &str = "message/ohttp-res";

/// Most bytes of the body of an inner request or response.
pub const MAX_BODY_LEN: usize = 1 << 20;
/// Most header fields of an inner request or response.
pub const MAX_HEADERS: usize = 32;
/// Most bytes of an encoded header section.
pub const MAX_HEADER_SECTION_LEN: usize = 32 << 10;
/// Inner messages are padded with zeros to a multiple of this many bytes.
pub const PADDING_BLOCK: usize = 512;
/// Seconds for which the previous gateway key still opens requests after a rotation.
pub const PREVIOUS_KEY_SECONDS: u64 = 600;

/// Most bytes of an inner message: body, header section, request line, lengths, padding.
const MAX_INNER_LEN: usize = MAX_BODY_LEN + MAX_HEADER_SECTION_LEN + (16 << 10);
/// Most bytes of an encapsulated request or response that is looked at.
///
/// An edge may refuse longer bodies before it reads them.
pub const MAX_ENCAPSULATED_LEN: usize = MAX_INNER_LEN + 128;
