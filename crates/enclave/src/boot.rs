//! Into a realm that exists: the seed from t holders, the realm's keys from the seed.

use std::sync::Arc;

use keyfold_crypto::shamir::{Share, Threshold, combine};
use keyfold_crypto::{Secret, b64};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::host_path;
use keyfold_protocol::holder_api::{
    AttestationKeys, Empty, ReleaseAad, Released, path, seed_share_context,
};
use keyfold_protocol::ids::{Digest32, RequestId};
use keyfold_protocol::realm::{SignedRealmRecord, VerifiedRealm};
use keyfold_protocol::session::{AttestationKeySet, AttestationSigner};
use zeroize::Zeroizing;

use crate::BootError;
use crate::core::Core;
use crate::holders::{Holders, first};
use crate::keys::RealmKeys;
use crate::peers::{call_host, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::{Realm, check_clock};
use crate::records::{Change, RealmKeysRecord, Records, StoredAttestationKey};
use crate::released::open_share;

/// Most bytes of a stored attestation key.
const MAX_STORED_KEY: usize = 4 * 1024;

/// Asks the host for the realm record. `None` where there was no genesis yet.
pub(crate) async fn realm_record<P: Platform>(
    platform: &P,
) -> Result<Option<VerifiedRealm>, BootError> {
    let Some(body) = call_host(platform, "GET", host_path::REALM, Vec::new())
        .await
        .map_err(|error| {
            tracing::warn!(%error, "the host did not say whether there is a realm");
            BootError::Host
        })?
    else {
        return Ok(None);
    };
    let signed: SignedRealmRecord = serde_json::from_slice(&body).map_err(|_| BootError::Host)?;
    // Nobody pins an id here: a record of the host's own making gives a realm of the host's own
    // making, with another id in PCR16, that no client of this one talks to.
    Ok(Some(signed.verify_unpinned()?))
}

/// Asks every holder for its share of the seed and goes on with the first t that match.
pub(crate) async fn fetch_seed<P: Platform>(
    core: &Arc<Core<P>>,
    verified: &Arc<VerifiedRealm>,
    holders: &Arc<Holders<P>>,
) -> Result<Secret<32>, Problem> {
    let asked = holders.ask(|holder| {
        let (core, verified) = (Arc::clone(core), Arc::clone(verified));
        async move {
            holder.link.register(None).await?;
            let released: Released = holder.link.call(path::SEED, &to_json(&Empty {})?).await?;
            let record = verified.record();
            let context = seed_share_context(&record.genesis_nonce, holder.index);
            // No device asks for the seed: request and digest are zeros.
            let aad = ReleaseAad {
                request: RequestId::from_bytes([0; 16]),
                digest: Digest32::from_bytes([0; 32]),
            };
            let commitments = &record.seed_commitments;
            open_share(&core, holder.index, commitments, &context, &aad, &released)
        }
    });
    let gathered = first(holders.threshold(), asked).await;
    for (index, error) in &gathered.bad {
        tracing::warn!(holder = holders.name(*index), %error, "no share of the seed");
    }
    if gathered.good.len() < holders.threshold() {
        return Err(holders.shortage(holders.threshold(), &gathered.bad));
    }
    let shares: Vec<Share> = gathered
        .let_rest_finish(core)
        .into_iter()
        .map(|(_, share)| share)
        .collect();
    let record = verified.record();
    let total = u8::try_from(record.holders.len()).unwrap_or(u8::MAX);
    Threshold::new(record.threshold, total)
        .ok()
        .and_then(|threshold| combine(threshold, &shares).ok())
        .and_then(|seed| seed.to_secret::<32>())
        .ok_or_else(|| Problem::internal("the seed's shares do not combine"))
}

/// Takes the realm's keys into use: from here on the instance serves.
pub(crate) async fn enter<P: Platform>(
    core: &Arc<Core<P>>,
    verified: Arc<VerifiedRealm>,
    holders: Arc<Holders<P>>,
    seed: &Secret<32>,
) -> Result<Realm<P>, Problem> {
    let keys = RealmKeys::derive(seed)
        .map_err(|_| Problem::internal("the seed gives no checkpointer key"))?;
    if keys.checkpointer() != verified.record().checkpointer {
        return Err(Problem::internal(
            "the seed is not the one of the realm record",
        ));
    }
    check_clock(core, &holders).await?;
    let keys = Arc::new(keys);
    let records = Records::new(
        Arc::clone(core),
        Arc::clone(&holders),
        Arc::clone(&verified),
        Arc::clone(&keys),
    );
    let signers = attestation_keys(core, &records).await?;
    let published = signers
        .iter()
        .map(|signer| signer.public_jwk().clone())
        .collect();
    let published = AttestationKeySet::new(published)
        .map_err(|_| Problem::internal("the attestation keys do not make a set"))?;
    let statement = to_json(&AttestationKeys {
        keys: published.clone(),
    })
    .map_err(|_| Problem::internal("the attestation keys cannot be stated"))?;
    for holder in holders.list() {
        holder.link.set_statement(statement.clone().into());
    }
    let threshold = holders.threshold();
    let stated = first(
        threshold,
        holders.ask_same::<Empty>(path::ATTESTATION_KEYS, statement),
    )
    .await;
    if stated.good.len() < threshold {
        return Err(holders.shortage(threshold, &stated.bad));
    }
    stated.let_rest_finish(core);
    let current = signers.into_iter().next();
    let current = current.ok_or_else(|| Problem::internal("there is no attestation key"))?;
    Ok(Realm::new(
        Arc::clone(core),
        verified,
        holders,
        keys,
        records,
        current,
        published,
    ))
}

/// Loads the attestation keys, or makes the first one where genesis was cut off before it could.
async fn attestation_keys<P: Platform>(
    core: &Core<P>,
    records: &Records<P>,
) -> Result<Vec<AttestationSigner>, Problem> {
    let id = records.id::<RealmKeysRecord>(None, b"");
    let now = core.now();
    let stored = records
        .change(id, |record: Option<RealmKeysRecord>| match record {
            Some(record) => Ok(Change::Keep(record.attestation)),
            None => {
                let secret = AttestationSigner::generate_rs256()
                    .and_then(|signer| signer.to_secret_bytes())
                    .map_err(|_| Problem::internal("no attestation key can be made"))?;
                let key = || StoredAttestationKey {
                    secret: secret.expose(b64::encode),
                    created: now,
                };
                let record = RealmKeysRecord {
                    v: Default::default(),
                    attestation: vec![key()],
                };
                Ok(Change::Write(record, vec![key()]))
            }
        })
        .await?;
    stored
        .iter()
        .map(|key| {
            b64::decode(&key.secret, MAX_STORED_KEY)
                .map(Zeroizing::new)
                .ok()
                .and_then(|bytes| AttestationSigner::from_secret_bytes(&bytes).ok())
                .ok_or_else(|| Problem::internal("a stored attestation key is not readable"))
        })
        .collect()
}

/// Says whether asking again may help.
pub(crate) fn may_pass(problem: &Problem) -> bool {
    matches!(
        problem.code,
        Code::HoldersUnavailable | Code::RecordPending | Code::Unavailable
    )
}
