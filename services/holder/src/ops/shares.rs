//! Shares of users' keys: in once, out for one signature at a time.

use keyfold_crypto::commitment::SharePurpose;
use keyfold_protocol::holder_api::{Empty, Released, ShareRelease, ShareStore};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::log_entry::Event;

use super::{Moment, occasion, verify_session};
use crate::core::deposit::{Deposit, decide, open_shares};
use crate::core::release::{ReleaseRefusal, Requested};
use crate::error::ApiError;
use crate::holder::{Holder, rng};
use crate::member::Member;
use crate::store;
use crate::store::keys::Sharing;
use crate::store::sealing::Place;

/// Takes in the shares of a new key, or of a further attempt at one that was never used.
pub(crate) async fn store(
    holder: &Holder,
    member: Member,
    message: ShareStore,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::CreateWallet, Operation::PrepareOwner];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let (key, generation) = (message.key, message.generation);
    let shares = open_shares(&member, operation.owner(), &message, holder.keys().hpke())?;
    let sharing = Sharing {
        key,
        generation,
        leaf: shares
            .iter()
            .find(|share| share.purpose == SharePurpose::LeafKey)
            .map(|share| share.commitment)
            .ok_or(ApiError::Broken("checked shares have no leaf share"))?,
    };
    let mut rows = Vec::with_capacity(shares.len());
    for share in shares {
        let place = Place::of_key(operation.owner(), &sharing, share.purpose);
        let sealed = place.seal(holder.keys().ring(), &share.bytes, &mut rng())?;
        rows.push((share.purpose, share.commitment, sealed));
    }
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let standing = store::sessions::standing(connection, &operation).await?;
                let _good = standing.check(now.seconds)?;
                let (owner, device) = (operation.owner(), operation.device());
                let existing = store::keys::existing(connection, owner, key, now.seconds).await?;
                let count = store::keys::count(connection, owner).await?;
                match decide(existing.as_ref(), count, generation)? {
                    Deposit::New => {
                        store::keys::add(connection, owner, key, generation, now.seconds).await?;
                    }
                    Deposit::Beside => {}
                    Deposit::InsteadOfOldest => {
                        store::keys::drop_oldest_sharing(connection, key, generation).await?;
                    }
                }
                for (purpose, commitment, sealed) in &rows {
                    let (purpose, at) = (*purpose, now.seconds);
                    store::keys::add_share(connection, &sharing, purpose, commitment, sealed, at)
                        .await?;
                }
                store::devices::touch(connection, owner, device, now.seconds).await?;
                let entry = at.entry(Event::KeyStored {
                    owner,
                    key,
                    generation,
                })?;
                Ok((Empty {}, Some(entry)))
            })
        })
        .await
}

/// Releases the share of a leaf key for one signature. [`crate::core::release`] has the order of
/// checks.
pub(crate) async fn release(
    holder: &Holder,
    member: Member,
    message: ShareRelease,
) -> Result<Released, ApiError> {
    let now = Moment::now(holder);
    let attestation_keys = holder.attestation_keys();
    let rules = holder.rules(&attestation_keys, now.seconds);
    let requested = Requested::verify(&member, &message, &rules)?;

    let limit = holder.config().releases_per_key_per_minute;
    let at = occasion(&member, now.ms);
    let (admitted, (sharing, sealed, anchor)) = holder
        .ledger()
        .record(at, move |connection| {
            Box::pin(async move {
                let operation = requested.operation();
                let standing = store::sessions::standing(connection, operation).await?;
                let owner = operation.owner();
                let facts = store::keys::facts(connection, owner, requested.key_use().key).await?;
                let admitted = requested.admit(&standing, &facts, now.seconds, limit)?;

                let (operation, key) = (admitted.operation(), admitted.key_use().key);
                let (owner, device) = (operation.owner(), operation.device());
                store::keys::set_window(connection, owner, key, admitted.window()).await?;
                store::devices::touch(connection, owner, device, now.seconds).await?;
                let sharing = Sharing {
                    key,
                    generation: admitted.generation(),
                    leaf: message.commitment,
                };
                let leaf = SharePurpose::LeafKey;
                let sealed = store::keys::share(connection, owner, &sharing, leaf, now.seconds)
                    .await?
                    .ok_or(ReleaseRefusal::OtherSharing)?;
                let anchor = store::anchors::find(connection, message.record).await?;
                Ok((admitted, (sharing, sealed, anchor)))
            })
        })
        .await?;

    let owner = admitted.value().operation().owner();
    let place = Place::of_key(owner, &sharing, SharePurpose::LeafKey);
    let share = place.open(holder.keys().ring(), &sealed)?;
    admitted.seal(&member, &share, anchor, &mut rng())
}
