//! Whether others' statements move an anchor.

use std::collections::BTreeSet;

use keyfold_protocol::anchor::{Anchor, AnchorAck};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RecordId;
use keyfold_protocol::realm::{MAX_HOLDERS, VerifiedRealm};

use crate::error::Coded;

/// Says why an anchor stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnchorRefusal {
    #[error("this holder remembers another version of the record")]
    Conflict,
    #[error("the statements are not about one and the same anchor")]
    Mixed,
    #[error("too few holders of the realm remember that anchor")]
    TooFewHolders,
}

impl Coded for AnchorRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Conflict => Code::AnchorConflict,
            Self::Mixed | Self::TooFewHolders => Code::EvidenceInvalid,
        }
    }
}

/// An anchor that a write quorum of holders remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuorumAnchor {
    /// The record.
    pub(crate) record: RecordId,
    /// What they remember.
    pub(crate) anchor: Anchor,
    /// Whether no second anchor of that version can have a write quorum too.
    exclusive: bool,
}

impl QuorumAnchor {
    /// Verifies the statements of a write quorum of distinct holders.
    pub(crate) fn verify(realm: &VerifiedRealm, acks: &[AnchorAck]) -> Result<Self, AnchorRefusal> {
        let first = acks.first().ok_or(AnchorRefusal::TooFewHolders)?;
        let same = |ack: &AnchorAck| ack.record == first.record && ack.anchor == first.anchor;
        if acks.len() > MAX_HOLDERS || !acks.iter().all(same) {
            return Err(AnchorRefusal::Mixed);
        }
        let holders: BTreeSet<u8> = acks
            .iter()
            .filter(|ack| ack.verify(realm))
            .map(|ack| ack.holder)
            .collect();
        let record = realm.record();
        if holders.len() < record.write_quorum() {
            return Err(AnchorRefusal::TooFewHolders);
        }
        let others = record.holders.len().saturating_sub(holders.len());
        let exclusive = others < record.write_quorum();
        Ok(Self {
            record: first.record,
            anchor: first.anchor,
            exclusive,
        })
    }

    /// Decides: `Some` is to be stored, `None` stands there already.
    pub(crate) fn apply(
        &self,
        remembered: Option<&Anchor>,
    ) -> Result<Option<Anchor>, AnchorRefusal> {
        match remembered {
            None => Ok(Some(self.anchor)),
            Some(own) if *own == self.anchor => Ok(None),
            Some(own) if own.version < self.anchor.version => Ok(Some(self.anchor)),
            // Two writers raced, and ours was cut off: the quorum's anchor is the committed one.
            Some(own) if own.version == self.anchor.version && self.exclusive => {
                Ok(Some(self.anchor))
            }
            Some(_) => Err(AnchorRefusal::Conflict),
        }
    }
}
