//! The payload as the contracts pass it on: `abi.encode` of the struct of format section 4.1.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{ANY_CHAIN, BehaviorOnError, Call, MAX_CALLS, NONCE_LIMIT, Payload, PayloadBody};
use crate::bytes::word;

const KIND_CALLS: u64 = 0;
const KIND_MESSAGE: u64 = 1;
const KIND_CONFIG_UPDATE: u64 = 2;
const KIND_DIGEST: u64 = 3;
/// Words of the struct before its dynamic fields.
const HEAD: usize = 9;
/// Words of a call before its data.
const CALL_HEAD: usize = 7;
/// Longest encoding read.
pub const MAX_ABI: usize = 1 << 24;

/// Why bytes are not the ABI form of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AbiDecodeError {
    /// An offset or length points beyond the bytes.
    #[error("an offset or length points beyond the bytes")]
    Truncated,
    /// Longer than [`MAX_ABI`], or with more calls than a payload can have.
    #[error("the encoding is longer than {MAX_ABI} bytes, or has too many calls")]
    TooLong,
    /// A kind of payload that no contract knows.
    #[error("unknown kind of payload {0}")]
    UnknownKind(U256),
    /// A value that does not fit its type.
    #[error("{0} does not fit its type")]
    OutOfRange(&'static str),
}

/// Encodes a payload as contracts pass it to a sapient signer, the leading offset included.
///
/// `no_chain_id` says whether the signature that shows it counts on every chain.
#[must_use]
pub fn abi_encode(payload: &Payload, no_chain_id: bool) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(32);
    out.structure(payload, no_chain_id);
    out.0
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn word(&mut self, word: B256) {
        self.0.extend_from_slice(word.as_slice());
    }

    fn number(&mut self, number: usize) {
        self.word(word(number as u64));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(32), 0);
    }

    fn structure(&mut self, payload: &Payload, no_chain_id: bool) {
        let mut calls_out = Writer::default();
        let mut message: &[u8] = &[];
        let (mut space, mut nonce) = (U256::ZERO, 0);
        let (mut image_hash, mut digest) = (B256::ZERO, B256::ZERO);
        let kind = match &payload.body {
            PayloadBody::Calls {
                space: in_space,
                nonce: next,
                calls,
            } => {
                (space, nonce) = (U256::from(*in_space), *next);
                calls_out.calls(calls);
                KIND_CALLS
            }
            PayloadBody::Message(bytes) => {
                message = bytes;
                KIND_MESSAGE
            }
            PayloadBody::ConfigUpdate(hash) => {
                image_hash = *hash;
                KIND_CONFIG_UPDATE
            }
            PayloadBody::Digest(hash) => {
                digest = *hash;
                KIND_DIGEST
            }
        };
        if kind != KIND_CALLS {
            calls_out.number(0);
        }
        let calls_at = HEAD * 32;
        let message_at = calls_at + calls_out.0.len();
        let parents_at = message_at + 32 + message.len().next_multiple_of(32);
        self.word(word(kind));
        self.word(word(u8::from(no_chain_id)));
        self.number(calls_at);
        self.word(space.into());
        self.word(word(nonce));
        self.number(message_at);
        self.word(image_hash);
        self.word(digest);
        self.number(parents_at);
        self.0.append(&mut calls_out.0);
        self.bytes(message);
        self.number(payload.parent_wallets.len());
        for parent in &payload.parent_wallets {
            self.word(parent.into_word());
        }
    }

    fn calls(&mut self, calls: &[Call]) {
        self.number(calls.len());
        let mut offset = calls.len() * 32;
        for call in calls {
            self.number(offset);
            offset += (CALL_HEAD + 1) * 32 + call.data.len().next_multiple_of(32);
        }
        for call in calls {
            self.word(call.to.into_word());
            self.word(call.value.into());
            self.number(CALL_HEAD * 32);
            self.word(call.gas_limit.into());
            self.word(word(u8::from(call.delegate_call)));
            self.word(word(u8::from(call.only_fallback)));
            self.word(word(call.behavior_on_error as u8));
            self.bytes(&call.data);
        }
    }
}

/// Reads the ABI form of a payload: the payload, and whether it counts on every chain.
///
/// Fields that its kind does not use are read past, as the contracts do.
///
/// # Security
/// For untrusted bytes: every offset is checked, and what overlaps or is repeated cannot make the
/// result longer than [`MAX_ABI`].
///
/// # Errors
/// [`AbiDecodeError`] names the first defect.
pub fn abi_decode(bytes: &[u8]) -> Result<(Payload, bool), AbiDecodeError> {
    if bytes.len() > MAX_ABI {
        return Err(AbiDecodeError::TooLong);
    }
    let fields = View(bytes).at(0)?;
    let kind = fields.word(0)?;
    let no_chain_id = fields.flag(1, "noChainId")?;
    let body = match u64::try_from(U256::from_be_bytes(kind.0)) {
        Ok(KIND_CALLS) => PayloadBody::Calls {
            space: fields.address(3, "space")?.into(),
            nonce: u64::try_from(fields.uint(4)?)
                .ok()
                .filter(|nonce| *nonce < NONCE_LIMIT)
                .ok_or(out_of_range("nonce"))?,
            calls: calls(fields.at(2)?)?,
        },
        Ok(KIND_MESSAGE) => PayloadBody::Message(fields.at(5)?.bytes()?),
        Ok(KIND_CONFIG_UPDATE) => PayloadBody::ConfigUpdate(fields.word(6)?),
        Ok(KIND_DIGEST) => PayloadBody::Digest(fields.word(7)?),
        _ => return Err(AbiDecodeError::UnknownKind(kind.into())),
    };
    let parents = fields.at(8)?;
    let count = parents.length()?;
    let mut parent_wallets = Vec::new();
    for index in 1..=count {
        parent_wallets.push(parents.address(index, "parentWallets")?);
    }
    let payload = Payload {
        body,
        parent_wallets,
    };
    Ok((payload, no_chain_id))
}

/// The chain id that a payload is hashed for.
#[must_use]
pub fn effective_chain_id(chain_id: u64, no_chain_id: bool) -> u64 {
    if no_chain_id { ANY_CHAIN } else { chain_id }
}

fn calls(list: View<'_>) -> Result<Vec<Call>, AbiDecodeError> {
    let count = list.length()?;
    if count > MAX_CALLS {
        return Err(AbiDecodeError::TooLong);
    }
    let entries = list.skip_word()?;
    let mut total = 0usize;
    let mut calls = Vec::new();
    for index in 0..count {
        let fields = entries.at(index)?;
        let data = fields.at(2)?.bytes()?;
        // Many calls may point at the same data.
        total = total.saturating_add(data.len());
        if total > MAX_ABI {
            return Err(AbiDecodeError::TooLong);
        }
        let behavior = u64::try_from(fields.uint(6)?).ok();
        calls.push(Call {
            to: fields.address(0, "to")?,
            value: fields.uint(1)?,
            data,
            gas_limit: fields.uint(3)?,
            delegate_call: fields.flag(4, "delegateCall")?,
            only_fallback: fields.flag(5, "onlyFallback")?,
            behavior_on_error: match behavior {
                Some(0) => BehaviorOnError::Ignore,
                Some(1) => BehaviorOnError::Revert,
                Some(2) => BehaviorOnError::Abort,
                _ => return Err(out_of_range("behaviorOnError")),
            },
        });
    }
    Ok(calls)
}

fn out_of_range(field: &'static str) -> AbiDecodeError {
    AbiDecodeError::OutOfRange(field)
}

/// Bytes from the start of a struct or list to the end of everything.
#[derive(Clone, Copy)]
struct View<'a>(&'a [u8]);

impl<'a> View<'a> {
    fn word(self, index: usize) -> Result<B256, AbiDecodeError> {
        index
            .checked_mul(32)
            .and_then(|start| self.0.get(start..start.checked_add(32)?))
            .map(B256::from_slice)
            .ok_or(AbiDecodeError::Truncated)
    }

    fn uint(self, index: usize) -> Result<U256, AbiDecodeError> {
        self.word(index).map(Into::into)
    }

    fn flag(self, index: usize, field: &'static str) -> Result<bool, AbiDecodeError> {
        match u64::try_from(self.uint(index)?) {
            Ok(0) => Ok(false),
            Ok(1) => Ok(true),
            _ => Err(out_of_range(field)),
        }
    }

    fn address(self, index: usize, field: &'static str) -> Result<Address, AbiDecodeError> {
        let word = self.word(index)?;
        if word.iter().take(12).any(|byte| *byte != 0) {
            return Err(out_of_range(field));
        }
        Ok(Address::from_word(word))
    }

    /// Where the offset at this index points.
    fn at(self, index: usize) -> Result<View<'a>, AbiDecodeError> {
        let offset = usize::try_from(self.uint(index)?).map_err(|_| AbiDecodeError::Truncated)?;
        self.0
            .get(offset..)
            .map(View)
            .ok_or(AbiDecodeError::Truncated)
    }

    fn length(self) -> Result<usize, AbiDecodeError> {
        usize::try_from(self.uint(0)?).map_err(|_| AbiDecodeError::Truncated)
    }

    fn skip_word(self) -> Result<View<'a>, AbiDecodeError> {
        self.0.get(32..).map(View).ok_or(AbiDecodeError::Truncated)
    }

    fn bytes(self) -> Result<Bytes, AbiDecodeError> {
        let length = self.length()?;
        let rest = self.skip_word()?;
        rest.0
            .get(..length)
            .map(Bytes::copy_from_slice)
            .ok_or(AbiDecodeError::Truncated)
    }
}
