//! What a wallet is asked to approve, its EIP-712 hash, and the packed form of calls.

mod abi;
mod hash;
mod json;
mod pack;

#[cfg(test)]
mod tests;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};

pub use abi::{AbiDecodeError, MAX_ABI, abi_decode, abi_encode, effective_chain_id};
pub use pack::{MAX_CALL_DATA, MAX_CALLS, NONCE_LIMIT, PackError, UnpackError, pack, unpack};

/// The chain id under which a payload counts on every chain.
pub const ANY_CHAIN: u64 = 0;

/// Something a wallet approves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What is approved.
    pub body: PayloadBody,
    /// The wallets through which a nested wallet was asked, outermost last. Empty for a wallet
    /// that is asked directly.
    pub parent_wallets: Vec<Address>,
}

/// The four kinds of payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadBody {
    /// Calls to make, once.
    Calls {
        /// Independent nonce space.
        space: U160,
        /// Next nonce of that space, below [`NONCE_LIMIT`].
        nonce: u64,
        /// The calls, in order.
        calls: Vec<Call>,
    },
    /// A message. For text in the sense of EIP-191 see [`eip191`].
    Message(Bytes),
    /// The image hash of the next configuration.
    ConfigUpdate(B256),
    /// A hash whose preimage only the asking contract knows. It counts like the message with that
    /// keccak256.
    Digest(B256),
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Address called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata, at most [`MAX_CALL_DATA`] bytes.
    pub data: Bytes,
    /// Gas the call may use; zero for all there is.
    pub gas_limit: U256,
    /// Whether the code of `to` runs inside the wallet.
    pub delegate_call: bool,
    /// Whether the call is made only when the one before it failed.
    pub only_fallback: bool,
    /// What happens when the call fails.
    pub behavior_on_error: BehaviorOnError,
}

impl Call {
    /// Creates a call that sends value and data, and that reverts everything if it fails.
    #[must_use]
    pub fn new(to: Address, value: U256, data: impl Into<Bytes>) -> Self {
        Self {
            to,
            value,
            data: data.into(),
            gas_limit: U256::ZERO,
            delegate_call: false,
            only_fallback: false,
            behavior_on_error: BehaviorOnError::Revert,
        }
    }
}

/// What happens when a call fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum BehaviorOnError {
    /// Go on with the next call.
    Ignore = 0,
    /// Undo everything.
    #[default]
    Revert = 1,
    /// Keep what was done and stop.
    Abort = 2,
}

impl Payload {
    /// Creates a payload of calls for a wallet that is asked directly.
    #[must_use]
    pub fn calls(space: U160, nonce: u64, calls: Vec<Call>) -> Self {
        PayloadBody::Calls {
            space,
            nonce,
            calls,
        }
        .into()
    }
}

impl From<PayloadBody> for Payload {
    fn from(body: PayloadBody) -> Self {
        Self {
            body,
            parent_wallets: Vec::new(),
        }
    }
}

/// Wraps a text as EIP-191 "personal sign" does: prefix, length in decimal, text.
#[must_use]
pub fn eip191(text: &[u8]) -> Bytes {
    let mut out = format!("\x19Ethereum Signed Message:\n{}", text.len()).into_bytes();
    out.extend_from_slice(text);
    out.into()
}

/// Joins an EIP-712 domain separator and struct hash to the 66 bytes a wallet signs as a message.
#[must_use]
pub fn eip712(domain_separator: &B256, struct_hash: &B256) -> Bytes {
    [
        &[0x19, 0x01][..],
        domain_separator.as_slice(),
        struct_hash.as_slice(),
    ]
    .concat()
    .into()
}
