//! What a holder says of its shares to who asks whether they are good. Nothing leaves it.

use keyfold_crypto::ed25519;
use keyfold_protocol::maintenance::{Drill, DrillStatement, Drilled, KeyShares};

use super::{MaintenanceRefusal, Opened, bad_places, check_batch, place};
use crate::member::Member;

/// A question of bounded size.
#[derive(Debug)]
pub(crate) struct Question(Drill);

impl Question {
    /// Checks its size.
    pub(crate) fn of(message: Drill) -> Result<Self, MaintenanceRefusal> {
        check_batch(message.keys.iter().map(|shares| shares.key))?;
        Ok(Self(message))
    }

    pub(crate) fn keys(&self) -> &[KeyShares] {
        &self.0.keys
    }

    /// Checks what was found, and states which of it is not good.
    pub(crate) fn answer(
        &self,
        member: &Member,
        opened: &[Option<Opened>],
        key: &ed25519::SigningKey,
    ) -> Drilled {
        let bad = bad_places(member, &self.0.keys, opened);
        let bad: Vec<u16> = bad.into_iter().map(place).collect();
        DrillStatement {
            realm: member.realm().id(),
            holder: member.index(),
            nonce: self.0.nonce,
            keys: &self.0.keys,
            bad: &bad,
        }
        .sign(key)
    }
}
