//! What the holder does for each message: verify, decide ([`crate::core`]), store, answer.
//!
//! Nothing here reads HTTP; nothing here writes SQL.

pub(crate) mod anchors;
pub(crate) mod attempts;
pub(crate) mod devices;
pub(crate) mod genesis;
pub(crate) mod identities;
pub(crate) mod mail;
pub(crate) mod maintenance;
pub(crate) mod open;
pub(crate) mod projects;
pub(crate) mod registration;
pub(crate) mod revocations;
pub(crate) mod sessions;
pub(crate) mod shares;

use keyfold_protocol::evidence::Evidence;
use keyfold_protocol::intent::Operation;

use crate::core::operation::{EvidenceRefusal, SessionOperation};
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

/// Verifies the evidence of a request within a session, at `now`, for one of the `allowed`
/// operations. Whether the session still stands is for the store to say, in the same transaction.
pub(crate) fn verify_session(
    holder: &Holder,
    member: &Member,
    evidence: &Evidence,
    allowed: &[Operation],
    now: Moment,
) -> Result<SessionOperation, EvidenceRefusal> {
    let keys = holder.attestation_keys();
    SessionOperation::verify(member, evidence, allowed, &holder.rules(&keys, now.seconds))
}
