//! The end of devices: of one, or of all others.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceRevoke, Empty, MAX_REVOKED_AT_ONCE};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::log_entry::Event;

use super::{Moment, occasion, verify_session};
use crate::core::devices::Place;
use crate::core::revocation::{Target, decide};
use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;
use crate::store;

/// Takes devices off the account, for good: all of them in one transaction, or none.
///
/// What stands on the word of such a device vouches for nothing from then on.
///
/// A device that this holder never knew goes too, so that it cannot come later. Once one is gone,
/// neither sign-in nor approval nor the statements of others bring its key back.
pub(crate) async fn revoke(
    holder: &Holder,
    member: Member,
    message: DeviceRevoke,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    if message.devices.len() > MAX_REVOKED_AT_ONCE {
        return Err(ApiError::code(Code::MalformedRequest));
    }
    let allowed = [Operation::RevokeDevice, Operation::RevokeDevices];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let target = Target::of(operation.intent(), &message.devices)?;
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let (owner, by) = (operation.owner(), operation.device());
                let standing = store::sessions::standing(connection, &operation).await?;
                let listed = store::devices::list(connection, owner).await?;
                let listed = listed.into_iter().map(|entry| entry.device);
                let mut left = Vec::new();
                for device in target.devices(listed, by) {
                    match store::devices::place(connection, owner, device).await? {
                        Place::Revoked => {}
                        place => left.push((device, place)),
                    }
                }
                let revoked = store::revocations::count(connection, owner).await?;
                if !decide(&standing, &target, by, &left, revoked, now.seconds)? {
                    return Ok((Empty {}, None));
                }
                for (device, place) in &left {
                    if let Place::Listed(_) = place {
                        store::devices::remove(connection, owner, *device).await?;
                    }
                    store::revocations::add(connection, owner, *device, now.seconds).await?;
                    store::identities::disown(connection, owner, *device).await?;
                }
                if let Target::Others(_) = target {
                    store::revocations::clear(connection, owner, now.seconds).await?;
                    store::identities::disown_but(connection, owner, by).await?;
                }
                let devices: Vec<Thumbprint> = left.into_iter().map(|(device, _)| device).collect();
                if !devices.contains(&by) {
                    store::devices::touch(connection, owner, by, now.seconds).await?;
                }
                let entry = at.entry(Event::DevicesRevoked {
                    owner,
                    by,
                    devices: &devices,
                })?;
                Ok((Empty {}, Some(entry)))
            })
        })
        .await
}
