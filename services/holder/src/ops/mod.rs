//! What the holder does for each message: verify, decide ([`crate::core`]), store, answer.
//!
//! Nothing here reads HTTP; nothing here writes SQL.

pub(crate) mod anchors;
pub(crate) mod devices;
pub(crate) mod genesis;
pub(crate) mod open;
pub(crate) mod registration;
pub(crate) mod sessions;
pub(crate) mod shares;

use crate::holder::Holder;
use crate::ledger::Occasion;
use crate::member::Member;

/// Who asks, and when, for the log.
pub(crate) fn occasion(member: &Member, now_ms: u64) -> Occasion {
    Occasion {
        realm: member.realm().id(),
        unix_ms: now_ms,
        instance: member.instance().id,
    }
}

/// The moment of a call: read once, so that every check of it sees one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) ms: u64,
    pub(crate) seconds: u64,
}

impl Moment {
    pub(crate) fn now(holder: &Holder) -> Self {
        let ms = holder.now_ms();
        Self {
            ms,
            seconds: ms / 1000,
        }
    }
}
