//! Opening what a holder released.

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, ShareContext};
use keyfold_crypto::shamir::Share;
use keyfold_crypto::{Canonical, hpke};
use keyfold_protocol::holder_api::{ReleaseAad, Released, SealDirection, ShareSeal};

use crate::core::Core;
use crate::peers::CallError;
use crate::platform::Platform;

/// Opens the share of the holder of an index, 1..=n, if it is the one that was committed to.
///
/// `commitments` has one for each holder, in order.
pub(crate) fn open_share<P: Platform>(
    core: &Core<P>,
    index: u8,
    commitments: &[ShareCommitment],
    context: &ShareContext,
    aad: &ReleaseAad,
    released: &Released,
) -> Result<Share, CallError> {
    let commitment = usize::from(index)
        .checked_sub(1)
        .and_then(|at| commitments.get(at))
        .ok_or(CallError::Local)?;
    let info = ShareSeal {
        direction: SealDirection::ToInstance,
        instance: core.instance(),
        context,
    };
    let opened = hpke::open(
        core.hpke_key(),
        &info.to_signed_bytes(),
        &aad.to_signed_bytes(),
        &released.share.0,
    )
    .map_err(|_| CallError::WrongShare)?;
    opened
        .expose(CommittedShare::from_bytes)
        .ok()
        .and_then(|share| share.open(context, commitment).ok())
        .ok_or(CallError::WrongShare)
}
