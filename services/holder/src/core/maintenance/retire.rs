//! What a holder states of new shares, and when it lets the old ones end.

use keyfold_crypto::ed25519;
use keyfold_protocol::maintenance::{Retire, SharesAck, SharesStatement};

use super::{MaintenanceRefusal, Opened, OwnBatch, bad_places};
use crate::member::Member;

/// A batch of which this holder's shares were found on disk, promised to be kept, opened, and good.
#[derive(Debug)]
pub(crate) struct Held(OwnBatch);

impl Held {
    /// Checks what was found against what it should be.
    pub(crate) fn check(
        member: &Member,
        batch: OwnBatch,
        opened: &[Option<Opened>],
    ) -> Result<Self, MaintenanceRefusal> {
        let bad = bad_places(member, batch.parts(), opened);
        if bad.is_empty() {
            Ok(Self(batch))
        } else {
            Err(MaintenanceRefusal::NotHere(bad))
        }
    }

    /// States it.
    pub(crate) fn sign(&self, member: &Member, key: &ed25519::SigningKey) -> SharesAck {
        SharesStatement {
            realm: member.realm().id(),
            holder: member.index(),
            keys: &self.0.keys,
        }
        .sign(key)
    }
}

/// A batch that every holder of the realm has confirmed.
#[derive(Debug)]
pub(crate) struct Retirement(OwnBatch);

impl Retirement {
    /// Verifies the statements of all holders, this one's among them.
    pub(crate) fn verify(member: &Member, message: Retire) -> Result<Self, MaintenanceRefusal> {
        // Sizes first: the statements are costly to verify.
        let checked = OwnBatch::of(member, message.keys.clone())?;
        if message.is_complete(member.realm()) {
            Ok(Self(checked))
        } else {
            Err(MaintenanceRefusal::NotConfirmed)
        }
    }

    pub(crate) fn batch(&self) -> &OwnBatch {
        &self.0
    }
}
