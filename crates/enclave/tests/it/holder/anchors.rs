//! What is remembered of records.

use std::collections::HashSet;

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStatement, StepDecision};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorCommit, AnchorRead, AnchorRepair, Anchors};
use keyfold_protocol::ids::{Digest32, RecordId};

use super::SimHolder;
use crate::world::{Answer, ok, refuse};

impl SimHolder {
    pub(super) fn read_anchors(&self, read: &AnchorRead) -> Answer {
        let anchors = read
            .records
            .iter()
            .map(|id| self.says(id).map(|anchor| self.anchor_ack(*id, anchor)))
            .collect();
        ok(Anchors { anchors })
    }

    pub(super) fn commit_anchor(&mut self, commit: &AnchorCommit) -> Answer {
        let step = commit.step;
        match step.decide(self.anchors.get(&step.record)) {
            StepDecision::Conflict => refuse(Code::AnchorConflict),
            StepDecision::Apply | StepDecision::Already => {
                self.anchors.insert(step.record, step.next);
                ok(self.anchor_ack(step.record, step.next))
            }
        }
    }

    pub(super) fn repair_anchor(&mut self, repair: &AnchorRepair) -> Answer {
        let realm = self.realm.as_ref().unwrap();
        let first = repair.acks[0];
        let holders: HashSet<u8> = repair.acks.iter().map(|ack| ack.holder).collect();
        let good = repair
            .acks
            .iter()
            .all(|ack| ack.anchor == first.anchor && ack.verify(realm));
        let newer = self
            .anchors
            .get(&first.record)
            .is_some_and(|own| own.version > first.anchor.version);
        if !good || newer || holders.len() < realm.record().write_quorum() {
            return refuse(Code::AnchorConflict);
        }
        self.anchors.insert(first.record, first.anchor);
        ok(self.anchor_ack(first.record, first.anchor))
    }

    /// The anchor that it names, remembered or made up.
    pub(super) fn says(&self, record: &RecordId) -> Option<Anchor> {
        if self.denies_anchors {
            return None;
        }
        let anchor = match self.claims.get(record) {
            Some(claimed) => *claimed,
            None => self.anchors.get(record).copied(),
        };
        let Some(ahead) = self.invents_anchors else {
            return anchor;
        };
        Some(Anchor {
            version: anchor.map_or(0, |a| a.version).saturating_add(ahead),
            hash: Digest32::from_bytes([0xff; 32]),
        })
    }

    pub(super) fn anchor_ack(&self, record: RecordId, anchor: Anchor) -> AnchorAck {
        let realm = self.realm.as_ref().unwrap().id();
        AnchorStatement {
            realm,
            holder: self.index,
            record,
            anchor,
        }
        .sign(&self.signing)
    }
}
