//! Static signatures: approvals that a wallet stored on chain (format section 3.2).

use alloy_primitives::{Address, B256};

use super::{Recover, RecoverError, Request};
use crate::payload::ANY_CHAIN;

/// An approval that a wallet stored for a payload's hash, and the moment of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticApproval {
    /// Who alone may use it; address zero: anybody.
    pub caller: Address,
    /// Unix time from which on it no longer counts. Zero: there is no approval.
    pub expiry: u128,
    /// Who asks now.
    pub asking: Address,
    /// Time of the block, in Unix seconds.
    pub now_unix_seconds: u64,
}

/// Verifies a static signature and returns the hash it approves.
///
/// `no_chain_id` is the signature's flag. Unlike every other signature, it needs no configuration.
///
/// # Errors
/// [`RecoverError::Static`] if the stored approvals cannot be read,
/// [`RecoverError::StaticExpired`], [`RecoverError::StaticWrongCaller`].
pub fn recover_static(
    request: &Request<'_>,
    no_chain_id: bool,
    reader: &impl Recover,
) -> Result<B256, RecoverError> {
    let chain_id = if no_chain_id {
        ANY_CHAIN
    } else {
        request.chain_id
    };
    let op_hash = request.payload.op_hash(&request.wallet, chain_id);
    let approval = reader
        .static_approval(&request.wallet, &op_hash)
        .ok_or(RecoverError::Static)?;
    if approval.expiry <= u128::from(approval.now_unix_seconds) {
        return Err(RecoverError::StaticExpired);
    }
    if !approval.caller.is_zero() && approval.caller != approval.asking {
        return Err(RecoverError::StaticWrongCaller(approval.caller));
    }
    Ok(op_hash)
}
