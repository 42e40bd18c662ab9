//! What anybody may ask.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::Nonce;
use keyfold_protocol::realm::HolderCard;

use crate::error::ApiError;
use crate::holder::{Holder, rng};

/// The holder's card.
pub(crate) fn card(holder: &Holder) -> HolderCard {
    holder.card().clone()
}

/// A nonce for an attestation document.
pub(crate) fn nonce(holder: &Holder) -> Nonce {
    Nonce {
        nonce: holder.registry().issue(holder.now_ms(), &mut rng()),
    }
}

/// The latest signed checkpoint of the log.
pub(crate) async fn checkpoint(holder: &Holder) -> Result<String, ApiError> {
    holder
        .log()
        .checkpoint()
        .await?
        .ok_or_else(|| ApiError::code(Code::NotFound))
}
