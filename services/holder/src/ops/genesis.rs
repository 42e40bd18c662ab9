//! Genesis: agree to a realm record once, and keep a share of its seed.

use keyfold_crypto::Canonical as _;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{Empty, GenesisConsent, GenesisPropose, seed_share_context};
use keyfold_protocol::ids::{RealmId, Signature64};
use keyfold_protocol::log_entry::Event;
use keyfold_protocol::realm::{RealmRecord, SignedRealmRecord};

use crate::core::deposit::open_share;
use crate::core::genesis::{GenesisRefusal, own_index};
use crate::error::ApiError;
use crate::holder::{Holder, rng};
use crate::ledger::Occasion;
use crate::member::Caller;
use crate::store;
use crate::store::sealing::Place;

/// First step: check the record and our share of the seed, keep both as pending, consent.
///
/// A later proposal replaces an earlier one, until one is committed.
pub(crate) async fn propose(
    holder: &Holder,
    caller: Caller,
    message: GenesisPropose,
) -> Result<GenesisConsent, ApiError> {
    let id = message.record.id();
    let consent = |record: &RealmRecord| GenesisConsent {
        signature: Signature64(holder.keys().signing().sign(&record.to_signed_bytes())),
    };
    if let Some(own) = holder.realm() {
        // Asked again after a commit whose answer was lost.
        return if own.realm.id() == id {
            Ok(consent(&message.record))
        } else {
            Err(GenesisRefusal::RealmExists.into())
        };
    }
    let index = own_index(&message.record, holder.card(), &holder.trust().root)?;
    let commitment = usize::from(index)
        .checked_sub(1)
        .and_then(|at| message.record.seed_commitments.get(at))
        .ok_or(ApiError::Broken("a checked record lacks our commitment"))?;
    let context = seed_share_context(&message.record.genesis_nonce, index);
    let instance = caller.instance().id;
    let share = open_share(
        instance,
        &context,
        &message.seed_share,
        commitment,
        holder.keys().hpke(),
    )?;
    let sealed = Place::of_seed(id).seal(holder.keys().ring(), &share, &mut rng())?;
    for warning in message.record.concentration_warnings() {
        tracing::warn!(%warning, "the proposed realm is less independent than it looks");
    }
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                if store::realm::id(connection).await?.is_some() {
                    return Err(GenesisRefusal::RealmExists.into());
                }
                store::realm::propose(connection, id, &sealed).await?;
                Ok(((), None))
            })
        })
        .await?;
    Ok(consent(&message.record))
}

/// Second step: with every holder's signature, the pending record becomes the realm, for good.
pub(crate) async fn commit(
    holder: &Holder,
    caller: Caller,
    message: SignedRealmRecord,
) -> Result<Empty, ApiError> {
    let id = message.record.id();
    if let Some(own) = holder.realm() {
        return again(own.realm.id(), id);
    }
    let text = serde_json::to_string(&message)
        .map_err(|_| ApiError::refused(Code::MalformedRequest, "the record has no JSON"))?;
    let own = holder.verify_realm(message)?;
    let at = Occasion {
        realm: id,
        unix_ms: holder.now_ms(),
        instance: caller.instance().id,
    };
    let entry = at.entry(Event::Genesis)?;
    let done = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                if store::realm::id(connection).await?.is_some() {
                    return Err(GenesisRefusal::RealmExists.into());
                }
                if store::realm::pending(connection).await? != Some(id) {
                    return Err(GenesisRefusal::NotProposed.into());
                }
                store::realm::commit(connection, id, &text).await?;
                Ok(((), Some(entry)))
            })
        })
        .await;
    match done {
        Ok(()) => {
            holder.set_realm(own);
            tracing::info!(realm = %id, "this holder is part of a realm");
            Ok(Empty {})
        }
        // Two commits at once: the other one was first, perhaps with the same record.
        Err(refused) => match holder.realm() {
            Some(own) => again(own.realm.id(), id),
            None => Err(refused),
        },
    }
}

fn again(ours: RealmId, asked: RealmId) -> Result<Empty, ApiError> {
    if ours == asked {
        Ok(Empty {})
    } else {
        Err(GenesisRefusal::RealmExists.into())
    }
}
