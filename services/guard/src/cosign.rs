//! One decision: from a verified instance's question to a signature or a refusal.

use alloy_primitives::Address;
use keyfold_guard::{Refusal, decide};
use keyfold_protocol::client_api::PayloadError;
use keyfold_protocol::guard_api::{Cosign, Cosigned};

use crate::keys::GuardKeys;
use crate::policies::Policies;

/// Says why the guard does not sign.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CosignError {
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error("the project has no policy, so nothing is allowed")]
    NoPolicy,
    #[error("refused by the policy")]
    Refused(Refusal),
}

/// Decides and signs.
///
/// The digest is computed here, from the payload that was decided on.
pub(crate) fn cosign(
    question: &Cosign,
    policies: &Policies,
    keys: &GuardKeys,
) -> Result<Cosigned, CosignError> {
    let (payload, digest) = question.sign.digest()?;
    let policy = policies
        .of(&question.project)
        .ok_or(CosignError::NoPolicy)?;
    let wallet: Address = question.sign.wallet;
    let approval = decide(&policy, wallet, &payload).map_err(CosignError::Refused)?;
    let signature = keys.sign(&question.project, &digest, &approval);
    let mut bytes = signature.to_rs().to_vec();
    bytes.push(u8::from(signature.y_parity));
    Ok(Cosigned {
        digest,
        signature: bytes.into(),
        policy_version: approval.revision,
    })
}
