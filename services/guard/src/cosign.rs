//! One decision: from a verified instance's question to a signature or a refusal.

use alloy_primitives::{Address, B256};
use keyfold_guard::{Approval, Refusal, decide, decide_change, decide_publication};
use keyfold_protocol::client_api::PayloadError;
use keyfold_protocol::config::{
    ChangeError, ConfigState, ReplayError, Replayed, WalletConfig, published_root,
};
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
    #[error("the wallet's configurations are not what they are said to be: {0}")]
    Replay(#[from] ReplayError),
    #[error("this guard is not a signer of that wallet")]
    OtherWallet,
    #[error("this is not the latest root that the guard agreed to")]
    NotAgreed,
}

impl CosignError {
    /// Returns the revision of the policy that refused, where one did.
    pub(crate) fn revision(&self) -> Option<u32> {
        match self {
            Self::Refused(refusal) => Some(refusal.revision),
            _ => None,
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
    let decided = match &question.history {
        None => decide(&policy, wallet, chain_id, &payload),
        Some(history) => {
            let replayed = replay(keys, &question.project, &wallet, history)?;
            // The first root is known to every chain, and nobody was asked about it.
            let agreed = !history.updates.is_empty();
            if !agreed || published_root(&wallet, &payload) != Some(replayed.latest_root()) {
                return Err(CosignError::NotAgreed);
            }
            decide_publication(&policy, chain_id)
        }
    };
    let approval = decided.map_err(CosignError::Refused)?;
    Ok(signed(keys, &question.project, digest, &approval))
}

/// Replays a wallet's configurations, of which the guard must be a signer: then it has signed every
/// link, because none reaches its weight without it, and did so after it decided on that change.
fn replay(
    keys: &GuardKeys,
    project: &ProjectId,
    wallet: &Address,
    history: &WalletConfig,
) -> Result<Replayed, CosignError> {
    let replayed = Replayed::of(history)?;
    let own = Some(keys.signer(project));
    let guarded = |(state, _): &(ConfigState, B256)| state.members.guard == own;
    if history.wallet != *wallet || !replayed.states().all(guarded) {
        return Err(CosignError::OtherWallet);
    }
    Ok(replayed)
}

/// Decides on a change of a configuration and signs. Blocks.
///
/// What the change does is read from the configuration it is of, which the wallet's address and the
/// guard's own signatures vouch for; the root that is signed is computed here.
pub(crate) fn cosign_update(
    question: &CosignUpdate,
    policies: &Policies,
    keys: &GuardKeys,
    now_unix_seconds: u64,
) -> Result<Cosigned, CosignError> {
    let update = &question.update;
    let replayed = replay(keys, &question.project, &update.wallet, &question.history)?;
    update.check(replayed.latest())?;
    update.change.check_time(now_unix_seconds)?;
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
