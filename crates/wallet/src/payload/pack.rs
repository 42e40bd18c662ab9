//! The packed form of calls: what `execute` takes (format section 4.4).

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, Bytes, U256};

use super::{BehaviorOnError, Call, Payload, PayloadBody};
use crate::Encoding;
use crate::bytes::{Reader, byte_len, push_uint};

/// The first nonce the format cannot express (2^56).
pub const NONCE_LIMIT: u64 = 1 << 56;
/// Most calls in one payload.
pub const MAX_CALLS: usize = 0xffff;
/// Most bytes of calldata in one call.
pub const MAX_CALL_DATA: usize = 0xff_ffff;

const GLOBAL_SPACE_ZERO: u8 = 0x01;
const GLOBAL_SINGLE_CALL: u8 = 0x10;
const GLOBAL_WIDE_COUNT: u8 = 0x20;
const GLOBAL_UNKNOWN: u8 = 0xc0;

const CALL_TO_SELF: u8 = 0x01;
const CALL_VALUE: u8 = 0x02;
const CALL_DATA: u8 = 0x04;
const CALL_GAS_LIMIT: u8 = 0x08;
const CALL_DELEGATE: u8 = 0x10;
const CALL_ONLY_FALLBACK: u8 = 0x20;
const CALL_BEHAVIOR_SHIFT: u8 = 6;

/// Why a payload has no packed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Only calls are packed.
    #[error("only calls have a packed form")]
    NotCalls,
    /// The nonce does not fit 56 bits.
    #[error("the nonce does not fit 56 bits")]
    NonceTooLarge,
    /// More than [`MAX_CALLS`] calls.
    #[error("more than {MAX_CALLS} calls")]
    TooManyCalls,
    /// Calldata of more than [`MAX_CALL_DATA`] bytes.
    #[error("more than {MAX_CALL_DATA} bytes of calldata in one call")]
    CallDataTooLong,
}

/// Why bytes are not packed calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The bytes end too early.
    #[error("packed calls end too early")]
    Truncated,
    /// Bytes remain after the last call.
    #[error("bytes remain after the last call")]
    TrailingBytes,
    /// A flag that has no meaning is set.
    #[error("unknown flag in packed calls")]
    UnknownFlag,
    /// Behaviour 3 has no meaning: the chain would report a failed call as successful.
    #[error("unknown behaviour on error in packed calls")]
    UnknownBehavior,
}

/// Packs the calls of a payload.
///
/// With the wallet's own address given, calls to it leave the address out. The parent wallets of
/// the payload are not part of the packed form.
///
/// # Errors
/// [`PackError`] when the format cannot express the payload.
pub fn pack(
    payload: &Payload,
    wallet: Option<&Address>,
    encoding: Encoding,
) -> Result<Vec<u8>, PackError> {
    let PayloadBody::Calls {
        space,
        nonce,
        calls,
    } = &payload.body
    else {
        return Err(PackError::NotCalls);
    };
    if *nonce >= NONCE_LIMIT {
        return Err(PackError::NonceTooLarge);
    }
    let count = u16::try_from(calls.len()).map_err(|_| PackError::TooManyCalls)?;
    let nonce_width = match encoding {
        Encoding::Shortest => byte_len(*nonce),
        Encoding::Npm => byte_len(*nonce).max(1),
    };

    let mut flags = (nonce_width as u8) << 1;
    if space.is_zero() {
        flags |= GLOBAL_SPACE_ZERO;
    }
    if count == 1 {
        flags |= GLOBAL_SINGLE_CALL;
    } else if count > 0xff {
        flags |= GLOBAL_WIDE_COUNT;
    }

    let mut out = vec![flags];
    if !space.is_zero() {
        out.extend_from_slice(&space.to_be_bytes::<20>());
    }
    push_uint(&mut out, *nonce, nonce_width);
    if count != 1 {
        push_uint(&mut out, u64::from(count), if count > 0xff { 2 } else { 1 });
    }
    for call in calls {
        pack_call(&mut out, call, wallet == Some(&call.to), encoding)?;
    }
    Ok(out)
}

fn pack_call(
    out: &mut Vec<u8>,
    call: &Call,
    to_self: bool,
    encoding: Encoding,
) -> Result<(), PackError> {
    if call.data.len() > MAX_CALL_DATA {
        return Err(PackError::CallDataTooLong);
    }
    let with_data = !call.data.is_empty() || encoding == Encoding::Npm;
    let mut flags = (call.behavior_on_error as u8) << CALL_BEHAVIOR_SHIFT;
    for (set, bit) in [
        (to_self, CALL_TO_SELF),
        (!call.value.is_zero(), CALL_VALUE),
        (with_data, CALL_DATA),
        (!call.gas_limit.is_zero(), CALL_GAS_LIMIT),
        (call.delegate_call, CALL_DELEGATE),
        (call.only_fallback, CALL_ONLY_FALLBACK),
    ] {
        if set {
            flags |= bit;
        }
    }
    out.push(flags);
    if !to_self {
        out.extend_from_slice(call.to.as_slice());
    }
    if !call.value.is_zero() {
        out.extend_from_slice(&call.value.to_be_bytes::<32>());
    }
    if with_data {
        push_uint(out, call.data.len() as u64, 3);
        out.extend_from_slice(&call.data);
    }
    if !call.gas_limit.is_zero() {
        out.extend_from_slice(&call.gas_limit.to_be_bytes::<32>());
    }
    Ok(())
}

/// Reads packed calls. `wallet` is the contract that would execute them.
///
/// # Security
/// For untrusted bytes: every read is checked, nothing may follow the last call, and memory is
/// bounded by the input's length. Refuses what Keyfold's contracts refuse: unknown flags and
/// behaviour 3.
///
/// # Errors
/// [`UnpackError`] names the first defect.
pub fn unpack(bytes: &[u8], wallet: &Address) -> Result<Payload, UnpackError> {
    let mut reader = Reader::new(bytes);
    let flags = reader.byte().ok_or(UnpackError::Truncated)?;
    if flags & GLOBAL_UNKNOWN != 0
        || (flags & GLOBAL_SINGLE_CALL != 0 && flags & GLOBAL_WIDE_COUNT != 0)
    {
        return Err(UnpackError::UnknownFlag);
    }
    let space = if flags & GLOBAL_SPACE_ZERO != 0 {
        U160::ZERO
    } else {
        U160::from_be_slice(reader.take(20).ok_or(UnpackError::Truncated)?)
    };
    let nonce = reader
        .uint(usize::from(flags >> 1) & 0x07)
        .ok_or(UnpackError::Truncated)?;
    let count = if flags & GLOBAL_SINGLE_CALL != 0 {
        1
    } else {
        let width = if flags & GLOBAL_WIDE_COUNT != 0 { 2 } else { 1 };
        reader.uint(width).ok_or(UnpackError::Truncated)?
    };
    let mut calls = Vec::new();
    for _ in 0..count {
        calls.push(unpack_call(&mut reader, wallet)?);
    }
    if !reader.is_empty() {
        return Err(UnpackError::TrailingBytes);
    }
    Ok(Payload::calls(space, nonce, calls))
}

fn unpack_call(reader: &mut Reader<'_>, wallet: &Address) -> Result<Call, UnpackError> {
    let flags = reader.byte().ok_or(UnpackError::Truncated)?;
    let behavior_on_error = match flags >> CALL_BEHAVIOR_SHIFT {
        0 => BehaviorOnError::Ignore,
        1 => BehaviorOnError::Revert,
        2 => BehaviorOnError::Abort,
        _ => return Err(UnpackError::UnknownBehavior),
    };
    let to = if flags & CALL_TO_SELF != 0 {
        *wallet
    } else {
        reader.address().ok_or(UnpackError::Truncated)?
    };
    let value = optional_word(reader, flags & CALL_VALUE != 0)?;
    let data = if flags & CALL_DATA != 0 {
        Bytes::copy_from_slice(reader.sized(3).ok_or(UnpackError::Truncated)?)
    } else {
        Bytes::new()
    };
    let gas_limit = optional_word(reader, flags & CALL_GAS_LIMIT != 0)?;
    Ok(Call {
        to,
        value,
        data,
        gas_limit,
        delegate_call: flags & CALL_DELEGATE != 0,
        only_fallback: flags & CALL_ONLY_FALLBACK != 0,
        behavior_on_error,
    })
}

fn optional_word(reader: &mut Reader<'_>, present: bool) -> Result<U256, UnpackError> {
    if !present {
        return Ok(U256::ZERO);
    }
    reader.hash().map(Into::into).ok_or(UnpackError::Truncated)
}
