//! Shares of users' keys: in once, out for one signature at a time.

use keyfold_crypto::commitment::SharePurpose;
use keyfold_protocol::holder_api::{Empty, Released, ShareRelease, ShareStore};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::log_entry::Event;

use super::{Moment, occasion};
use crate::core::deposit::{DepositRefusal, MAX_KEYS, open_shares};
use crate::core::operation::SessionOperation;
use crate::core::release::Requested;
use crate::error::ApiError;
use crate::holder::{Holder, rng};
use crate::member::Member;
use crate::store;
use crate::store::sealing::Place;

/// Takes in the shares of a new key.
pub(crate) async fn store(
    holder: &Holder,
    member: Member,
    message: ShareStore,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let attestation_keys = holder.attestation_keys();
    let operation = SessionOperation::verify(
        &member,
        &message.evidence,
        &[Operation::CreateWallet],
        &holder.rules(&attestation_keys, now.seconds),
    )?;
    let (key, generation) = (message.key, message.generation);
    let mut rows = Vec::with_capacity(message.shares.len());
    for share in open_shares(&member, operation.owner(), &message, holder.keys().hpke())? {
        let place = Place::of_key(operation.owner(), key, share.purpose, generation);
        let sealed = place.seal(holder.keys().ring(), &share.bytes, &mut rng())?;
        rows.push((share.purpose, share.commitment, sealed));
    }
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .record(move |connection| {
            Box::pin(async move {
                let standing = store::sessions::standing(connection, &operation).await?;
                let _good = standing.check(now.seconds)?;
                let (owner, device) = (operation.owner(), operation.device());
                if store::keys::exists(connection, key).await? {
                    return Err(DepositRefusal::KeyExists.into());
                }
                if store::keys::count(connection, owner).await? >= MAX_KEYS {
                    return Err(DepositRefusal::TooMany.into());
                }
                store::keys::add(connection, owner, key, generation, now.seconds).await?;
                for (purpose, commitment, sealed) in &rows {
                    let (purpose, sealed) = (*purpose, sealed.as_slice());
                    store::keys::add_share(
                        connection, key, purpose, generation, commitment, sealed,
                    )
                    .await?;
                }
                store::devices::touch(connection, owner, device, now.seconds).await?;
                let entry = at.entry(Event::KeyStored {
                    owner,
                    key,
                    generation,
                })?;
                Ok(((), entry))
            })
        })
        .await?;
    Ok(Empty {})
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
    let ((admitted, sealed, anchor), durable) = holder
        .ledger()
        .record(move |connection| {
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
                let sealed = store::keys::share(
                    connection,
                    owner,
                    key,
                    SharePurpose::LeafKey,
                    admitted.generation(),
                )
                .await?;
                let anchor = store::anchors::find(connection, message.record).await?;
                let entry = at.entry(admitted.event())?;
                Ok(((admitted, sealed, anchor), entry))
            })
        })
        .await?;

    let place = Place::of_key(
        admitted.operation().owner(),
        admitted.key_use().key,
        SharePurpose::LeafKey,
        admitted.generation(),
    );
    let share = place.open(holder.keys().ring(), &sealed)?;
    admitted
        .recorded(durable)
        .seal(&member, &share, anchor, &mut rng())
}
