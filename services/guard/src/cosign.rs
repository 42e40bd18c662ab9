//! One decision: from a verified instance's question to a signature or a refusal.

use alloy_primitives::{Address, B256};
use keyfold_crypto::secp256k1::{RecoverableSignature, recover};
use keyfold_guard::{Approval, Refusal, decide, decide_change, decide_publication};
use keyfold_protocol::client_api::PayloadError;
use keyfold_protocol::config::{ChangeError, published_root, update_digest};
use keyfold_protocol::guard_api::{Cosign, CosignUpdate, Cosigned};
use keyfold_protocol::ids::{Digest32, ProjectId};

use crate::keys::GuardKeys;
use crate::policies::{Policies, PolicyFileError};

/// Says why the guard does not sign.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CosignError {
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error("the project's policy cannot be used: {0}")]
    Policy(#[from] PolicyFileError),
    #[error("refused by the policy: {0}")]
    Refused(Refusal),
    #[error("this is not a root that the guard agreed to")]
    NotAgreed,
}

impl CosignError {
    /// Returns the revision of the policy that refused, where one did.
    pub(crate) fn revision(&self) -> Option<u32> {
        match self {
            Self::Refused(refusal) => Some(refusal.revision),
            Self::Payload(_) | Self::Change(_) | Self::Policy(_) | Self::NotAgreed => None,
        }
    }
}

/// Decides and signs. Blocks.
///
/// The digest is computed here, from the wallet, chain and payload that were decided on.
pub(crate) fn cosign(
    question: &Cosign,
    policies: &Policies,
    keys: &GuardKeys,
) -> Result<Cosigned, CosignError> {
    let (payload, digest) = question.sign.digest()?;
    let policy = policies.of(&question.project)?;
    let (wallet, chain_id) = (question.sign.wallet, question.sign.chain_id);
    let decided = match question.agreed {
        None => decide(&policy, wallet, chain_id, &payload),
        Some(agreed) => {
            let root = published_root(&wallet, &payload).ok_or(CosignError::NotAgreed)?;
            let signer = keys.signer(&question.project);
            if agreed_by(&wallet, &root, &agreed.0) != Some(signer) {
                return Err(CosignError::NotAgreed);
            }
            decide_publication(&policy, chain_id)
        }
    };
    let approval = decided.map_err(CosignError::Refused)?;
    Ok(signed(keys, &question.project, digest, &approval))
}

/// Who signed that a wallet may have a root. A guard signs that after it decided on the change that
/// leads there, and at no other time.
fn agreed_by(wallet: &Address, root: &B256, signature: &[u8; 65]) -> Option<Address> {
    let digest = update_digest(wallet, root);
    let (rs, parity) = signature.split_first_chunk::<64>()?;
    let signature = RecoverableSignature::from_rs(rs, parity == [1]);
    recover(digest.as_bytes(), &signature)
        .ok()
        .map(Address::from)
}

/// Decides on a change of a configuration and signs. Blocks.
///
/// What the change does is read from the configuration it is of, and the root that is signed is
/// computed here.
pub(crate) fn cosign_update(
    question: &CosignUpdate,
    policies: &Policies,
    keys: &GuardKeys,
) -> Result<Cosigned, CosignError> {
    let update = &question.update;
    update.check(&question.state)?;
    let policy = policies.of(&question.project)?;
    let approval = decide_change(&policy, &update.change).map_err(CosignError::Refused)?;
    Ok(signed(keys, &question.project, update.digest(), &approval))
}

fn signed(
    keys: &GuardKeys,
    project: &ProjectId,
    digest: Digest32,
    approval: &Approval,
) -> Cosigned {
    let signature = keys.sign(project, &digest, approval);
    let mut bytes = signature.to_rs().to_vec();
    bytes.push(u8::from(signature.y_parity));
    Cosigned {
        digest,
        signature: bytes.into(),
        policy_version: approval.revision,
    }
}
