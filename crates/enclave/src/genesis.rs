//! The beginning of a realm: draw the seed, split it, have every holder sign.

use std::sync::Arc;

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment};
use keyfold_crypto::shamir::{Threshold, split};
use keyfold_crypto::{Canonical, Secret, hpke};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{GenesisPlan, host_path};
use keyfold_protocol::holder_api::{
    Empty, GenesisConsent, GenesisPropose, SealDirection, SealedShare, ShareSeal, path,
    seed_share_context,
};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::{RealmRecord, SignedRealmRecord, VerifiedRealm};

use crate::boot::enter;
use crate::core::Core;
use crate::holders::{Holders, first};
use crate::keys::RealmKeys;
use crate::peers::{CallError, call_host, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// A genesis that may have been cut off: asked again, it goes on with the same record.
pub(crate) struct Proposal {
    record: RealmRecord,
    seed: Secret<32>,
    /// Sealed to each holder, in order.
    shares: Vec<SealedShare>,
    /// Set once every holder signed. From then on there is no other record.
    signed: Option<VerifiedRealm>,
}

impl Proposal {
    fn new<P: Platform>(core: &Core<P>, plan: GenesisPlan) -> Result<Self, Problem> {
        let mut rng = core.rng()?;
        let genesis_nonce = Digest32::random(&mut rng);
        let total = u8::try_from(plan.holders.len()).map_err(|_| Code::RealmInvalid)?;
        let threshold = Threshold::new(plan.threshold, total).map_err(|_| Code::RealmInvalid)?;
        let unusable = || Problem::internal("the seed cannot be used");
        let seed = Secret::<32>::random(&mut rng);
        let keys = RealmKeys::derive(&seed).map_err(|_| unusable())?;
        let parts = seed
            .expose(|seed| split(seed, threshold, &mut rng))
            .map_err(|_| unusable())?;
        let mut shares = Vec::new();
        let mut seed_commitments: Vec<ShareCommitment> = Vec::new();
        for (share, card) in parts.into_iter().zip(&plan.holders) {
            let context = seed_share_context(&genesis_nonce, share.index());
            let (committed, commitment) =
                CommittedShare::new(&context, share, &mut rng).map_err(|_| unusable())?;
            let info = ShareSeal {
                direction: SealDirection::ToHolder,
                instance: core.instance(),
                context: &context,
            };
            let sealed = committed
                .to_bytes()
                .expose(|bytes| {
                    hpke::seal(
                        &card.hpke_key,
                        &info.to_signed_bytes(),
                        &[],
                        bytes,
                        &mut rng,
                    )
                })
                .map_err(|_| Problem::new(Code::RealmInvalid, "a holder's HPKE key is unusable"))?;
            shares.push(SealedShare(sealed));
            seed_commitments.push(commitment);
        }
        let record = RealmRecord {
            version: 1,
            serial: 1,
            previous: None,
            genesis_nonce,
            created: core.now(),
            threshold: plan.threshold,
            holders: plan.holders,
            root: plan.root,
            policy_keys: Vec::new(),
            checkpointer: keys.checkpointer(),
            seed_commitments,
        };
        record
            .check_shape()
            .map_err(|error| Problem::new(Code::RealmInvalid, error.to_string()))?;
        for warning in record.concentration_warnings() {
            tracing::warn!(warning, "genesis");
        }
        Ok(Self {
            record,
            seed,
            shares,
            signed: None,
        })
    }

    /// What each holder is asked to agree to, in order.
    fn bodies(&self) -> Result<Vec<Arc<[u8]>>, Problem> {
        let bodies = self.shares.iter().map(|share| {
            let body = GenesisPropose {
                record: self.record.clone(),
                seed_share: share.clone(),
            };
            to_json(&body).map(Arc::from).map_err(local)
        });
        bodies.collect()
    }

    fn is_for(&self, plan: &GenesisPlan) -> bool {
        self.record.threshold == plan.threshold
            && self.record.holders == plan.holders
            && self.record.root == plan.root
    }
}

/// Makes a realm by a plan, or goes on with making it.
///
/// `kept` outlives a failure: what every holder signed is committed again, not made anew.
pub(crate) async fn run<P: Platform>(
    core: &Arc<Core<P>>,
    kept: &mut Option<Proposal>,
    plan: GenesisPlan,
) -> Result<Realm<P>, Problem> {
    if kept
        .as_ref()
        .is_some_and(|proposal| !proposal.is_for(&plan))
    {
        if kept
            .as_ref()
            .is_some_and(|proposal| proposal.signed.is_some())
        {
            return Err(Code::RealmExists.into());
        }
        *kept = None;
    }
    let proposal = match kept {
        Some(proposal) => proposal,
        None => kept.insert(Proposal::new(core, plan)?),
    };
    let holders = Arc::new(Holders::new(core, &proposal.record));
    let verified = match &proposal.signed {
        Some(verified) => verified.clone(),
        None => {
            let verified = propose(core, &holders, proposal).await?;
            proposal.signed.insert(verified).clone()
        }
    };
    let signed = to_json(verified.signed()).map_err(local)?;
    // Before any holder commits itself: whoever finds the record can go on, and without it nobody
    // finds back into a realm that some holder belongs to already.
    call_host(core.platform(), "PUT", host_path::REALM, signed.clone())
        .await
        .ok()
        .flatten()
        .ok_or_else(|| Problem::new(Code::Unavailable, "the host did not keep the realm record"))?;
    commit(&holders, proposal, signed.into()).await?;
    core.enter_realm(verified.id()).map_err(|error| {
        tracing::error!(%error, "genesis");
        Problem::from(Code::Internal)
    })?;
    everybody(
        &holders,
        holders.ask(|holder| async move { holder.link.register(None).await }),
    )
    .await?;
    enter(core, Arc::new(verified), holders, &proposal.seed).await
}

/// Goes on with a genesis that was cut off after the host had its record: commits it again, where
/// a holder did not hear of it.
///
/// Before the instance enters the realm, since it has no registration at a holder without one
/// afterwards. A holder that cannot be reached or refuses is left out: t others may be enough.
pub(crate) async fn resume<P: Platform>(
    verified: &VerifiedRealm,
    holders: &Arc<Holders<P>>,
) -> Result<(), Problem> {
    let body: Arc<[u8]> = to_json(verified.signed()).map_err(local)?.into();
    let asked = holders.ask(|holder| {
        let body = Arc::clone(&body);
        async move {
            holder.link.register(None).await?;
            holder.link.call::<Empty>(path::GENESIS_COMMIT, &body).await
        }
    });
    for (index, error) in first(holders.count(), asked).await.all().await.bad {
        tracing::warn!(holder = holders.name(index), %error, "a holder does not confirm the realm");
    }
    Ok(())
}

/// Has every holder commit itself.
///
/// A holder keeps one proposal, and that of another enclave may have taken the place of ours since
/// it signed: it is shown ours again, then. It is the same record, so its signature stays good.
async fn commit<P: Platform>(
    holders: &Arc<Holders<P>>,
    proposal: &Proposal,
    signed: Arc<[u8]>,
) -> Result<(), Problem> {
    let bodies = proposal.bodies()?;
    let asked = holders.ask(|holder| {
        let (body, signed) = (at(&bodies, holder.index), Arc::clone(&signed));
        async move {
            let link = &holder.link;
            match link.call::<Empty>(path::GENESIS_COMMIT, &signed).await {
                Err(error) if error.code() == Some(Code::RealmInvalid) => {
                    let name = &holder.card.name;
                    tracing::warn!(holder = name, %error, "another genesis is under way");
                    let _consent: GenesisConsent = link.call(path::GENESIS_PROPOSE, &body?).await?;
                    link.call(path::GENESIS_COMMIT, &signed).await
                }
                other => other,
            }
        }
    });
    everybody(holders, asked).await.map(drop)
}

/// The body for the holder of an index, 1..=n.
fn at(bodies: &[Arc<[u8]>], index: u8) -> Result<Arc<[u8]>, CallError> {
    let body = bodies.get(usize::from(index).saturating_sub(1));
    body.cloned().ok_or(CallError::Local)
}

/// Collects the signatures of every holder.
async fn propose<P: Platform>(
    core: &Arc<Core<P>>,
    holders: &Arc<Holders<P>>,
    proposal: &Proposal,
) -> Result<VerifiedRealm, Problem> {
    let bodies = proposal.bodies()?;
    let bytes: Arc<[u8]> = proposal.record.to_signed_bytes().into();
    let asked = holders.ask(|holder| {
        let body = at(&bodies, holder.index);
        let bytes = Arc::clone(&bytes);
        async move {
            let body = body?;
            holder.link.register(None).await?;
            let consent: GenesisConsent = holder.link.call(path::GENESIS_PROPOSE, &body).await?;
            holder
                .card
                .signing_key
                .verify(&bytes, &consent.signature.0)
                .map_err(|_| CallError::Wrong("did not sign the record with its own key"))?;
            Ok(consent.signature)
        }
    });
    let mut signatures = everybody(holders, asked).await?;
    signatures.sort_by_key(|(index, _)| *index);
    let signed = SignedRealmRecord {
        record: proposal.record.clone(),
        signatures: signatures
            .into_iter()
            .map(|(_, signature)| signature)
            .collect(),
    };
    tracing::info!(instance = %core.instance(), "every holder signed the realm record");
    signed
        .verify_unpinned()
        .map_err(|_| Problem::internal("the signed record does not verify"))
}

async fn everybody<P: Platform, T>(
    holders: &Holders<P>,
    asked: crate::holders::Asked<T>,
) -> Result<Vec<(u8, T)>, Problem> {
    let gathered = first(holders.count(), asked).await.all().await;
    if gathered.bad.is_empty() {
        Ok(gathered.good)
    } else {
        Err(holders.shortage(holders.count(), &gathered.bad))
    }
}

fn local(_: CallError) -> Problem {
    Problem::internal("a message cannot be written")
}
