//! Shares of keys in batches: out and in under a warrant, confirmed, retired, drilled.
//! [`crate::core::maintenance`] has what is decided, and the order.

use keyfold_crypto::commitment::{CommittedShare, SharePurpose};
use keyfold_protocol::holder_api::Empty;
use keyfold_protocol::log_entry::Event;
use keyfold_protocol::maintenance::{
    Confirm, Drill, Drilled, HandOver, HandedOver, KeyPage, KeyQuery, KeyShares, Retire, SharesAck,
    TakeOver,
};

use super::{Moment, occasion};
use crate::core::maintenance::drill::Question;
use crate::core::maintenance::hand_over::Asked;
use crate::core::maintenance::retire::{Held, Retirement};
use crate::core::maintenance::take_over::{Arrived, Staging, decide};
use crate::core::maintenance::{MaintenanceRefusal, Opened, OwnBatch};
use crate::error::ApiError;
use crate::holder::{Holder, rng};
use crate::member::Member;
use crate::store;
use crate::store::keys::Sharing;
use crate::store::maintenance::{Retired, SealedShares};
use crate::store::sealing::Place;

/// Lists keys of earlier generations.
pub(crate) async fn list(
    holder: &Holder,
    _member: Member,
    message: KeyQuery,
) -> Result<KeyPage, ApiError> {
    let mut connection = holder.reader().await?;
    Ok(store::maintenance::list(&mut connection, &message).await?)
}

/// Hands shares over, for new ones to be made under a warrant.
pub(crate) async fn hand_over(
    holder: &Holder,
    member: Member,
    message: HandOver,
) -> Result<HandedOver, ApiError> {
    let now = Moment::now(holder);
    let asked = Asked::verify(&member, message, now.seconds)?;
    let at = occasion(&member, now.ms);
    let (handing, sealed) = holder
        .ledger()
        .record(at, move |connection| {
            Box::pin(async move {
                let (mut found, mut sealed) = (Vec::new(), Vec::new());
                for key in asked.keys() {
                    let shares = store::maintenance::shares(connection, key, now.seconds).await?;
                    found.push(shares.is_some());
                    if let Some(shares) = shares {
                        store::maintenance::mark_released(connection, key.key).await?;
                        sealed.push(shares);
                    }
                }
                Ok((asked.admit(&found), sealed))
            })
        })
        .await?;
    let keys = handing.value().keys().iter().zip(&sealed);
    let opened = keys
        .map(|(key, sealed)| open(holder, key, sealed))
        .collect();
    handing.seal(&member, opened, &mut rng())
}

/// Takes new shares in, beside those that are here.
pub(crate) async fn take_over(
    holder: &Holder,
    member: Member,
    message: TakeOver,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let arrived = Arrived::verify(&member, message, holder.keys().hpke(), now.seconds)?;
    let mut rows = Vec::new();
    for (_, part, shares) in arrived.each() {
        let mut sealed = Vec::with_capacity(shares.len());
        for share in shares {
            let place = Place::of_key(&part.owner, &sharing(part), share.purpose);
            let bytes = place.seal(holder.keys().ring(), &share.bytes, &mut rng())?;
            sealed.push((share.purpose, share.commitment, bytes));
        }
        rows.push(sealed);
    }
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let mut stored = Vec::new();
                for (place, ((splitting, part, _), rows)) in arrived.each().zip(&rows).enumerate() {
                    use store::maintenance as table;
                    let key = table::standing(connection, splitting, part, now.seconds).await?;
                    match decide(place, key, splitting)? {
                        Staging::Already => continue,
                        // What it had of it before this generation is unknown: nothing is settled.
                        Staging::NewKey => {
                            store::keys::add(connection, &part.owner, part.key, 1, now.seconds)
                                .await?;
                        }
                        Staging::Beside => {}
                        Staging::InsteadOfOldest => {
                            table::drop_oldest(connection, part.key, part.generation).await?;
                        }
                    }
                    let sharing = sharing(part);
                    for (purpose, commitment, sealed) in rows {
                        let (purpose, at) = (*purpose, now.seconds);
                        store::keys::add_share(
                            connection, &sharing, purpose, commitment, sealed, at,
                        )
                        .await?;
                    }
                    table::set_digest(connection, splitting, part).await?;
                    stored.push(splitting.clone());
                }
                let warrant = arrived.warrant().id();
                let entry = (!stored.is_empty()).then(|| {
                    let keys = &stored[..];
                    at.entry(Event::KeysTakenOver { warrant, keys })
                });
                Ok((Empty {}, entry.transpose()?))
            })
        })
        .await
}

/// States that this holder's shares of splittings are on disk, and keeps them from now on until
/// others are retired in their place.
pub(crate) async fn confirm(
    holder: &Holder,
    member: Member,
    message: Confirm,
) -> Result<SharesAck, ApiError> {
    let now = Moment::now(holder);
    let batch = OwnBatch::of(&member, message.keys)?;
    let (batch, sealed) = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let sealed = find(connection, &batch, now).await?;
                for part in batch.parts() {
                    store::maintenance::promise(connection, part).await?;
                }
                Ok(((batch, sealed), None))
            })
        })
        .await?;
    let parts = batch.parts().iter().zip(&sealed);
    let opened: Vec<_> = parts
        .map(|(part, sealed)| open(holder, part, sealed))
        .collect();
    let held = Held::check(&member, batch, &opened)?;
    Ok(held.sign(&member, holder.keys().signing()))
}

/// Lets the older shares of keys end, once every holder has confirmed the new.
pub(crate) async fn retire(
    holder: &Holder,
    member: Member,
    message: Retire,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let retirement = Retirement::verify(&member, message)?;
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let batch = retirement.batch();
                find(connection, batch, now).await?;
                let mut retired = Vec::new();
                for (place, (splitting, part)) in batch.each().enumerate() {
                    match store::maintenance::retire(connection, part, now.seconds).await? {
                        Retired::Now => retired.push(splitting.clone()),
                        Retired::Before => {}
                        Retired::TooOld => return Err(MaintenanceRefusal::Settled(place).into()),
                    }
                }
                let entry = (!retired.is_empty())
                    .then(|| at.entry(Event::KeysRetired { keys: &retired }))
                    .transpose()?;
                Ok((Empty {}, entry))
            })
        })
        .await
}

/// Says which shares are not good. Nothing leaves the holder, nothing changes.
pub(crate) async fn drill(
    holder: &Holder,
    member: Member,
    message: Drill,
) -> Result<Drilled, ApiError> {
    let now = Moment::now(holder);
    let question = Question::of(message)?;
    let mut connection = holder.reader().await?;
    let mut opened = Vec::with_capacity(question.keys().len());
    for key in question.keys() {
        let sealed = store::maintenance::shares(&mut connection, key, now.seconds).await?;
        opened.push(sealed.and_then(|sealed| open(holder, key, &sealed)));
    }
    Ok(question.answer(&member, &opened, holder.keys().signing()))
}

/// Finds this holder's shares of every splitting of a batch.
async fn find(
    connection: &mut sqlx::SqliteConnection,
    batch: &OwnBatch,
    now: Moment,
) -> Result<Vec<SealedShares>, ApiError> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (at, (splitting, part)) in batch.each().enumerate() {
        match store::maintenance::shares_of(connection, splitting, part, now.seconds).await? {
            Some(shares) => found.push(shares),
            None => missing.push(at),
        }
    }
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(MaintenanceRefusal::NotHere(missing).into())
    }
}

fn sharing(shares: &KeyShares) -> Sharing {
    Sharing {
        key: shares.key,
        generation: shares.generation,
        leaf: shares.leaf,
    }
}

/// Opens a key's shares; `None` where one of them is damaged.
fn open(holder: &Holder, shares: &KeyShares, sealed: &SealedShares) -> Option<Opened> {
    let open = |purpose, sealed: &[u8]| -> Option<CommittedShare> {
        let place = Place::of_key(&shares.owner, &sharing(shares), purpose);
        place.open(holder.keys().ring(), sealed).ok()
    };
    Some(Opened {
        leaf: open(SharePurpose::LeafKey, &sealed.leaf)?,
        entropy: match &sealed.entropy {
            Some(sealed) => Some(open(SharePurpose::Entropy, sealed)?),
            None => None,
        },
    })
}
