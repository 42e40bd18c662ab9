//! Anchors: how sealed records that the host keeps cannot go backwards.
//!
//! The host stores a new version beside the old; a write quorum of holders, max(n-t+1, majority),
//! commits its anchor durably; the host drops the old. On reading, t holders are asked: any t of
//! them meet every confirmed write in one holder at least. What an enclave believes of the answers,
//! with one of them a lie, is its own matter; holders only remember and never step back.

use keyfold_crypto::ed25519;
use keyfold_crypto::{Canonical, Encoder};
use serde::{Deserialize, Serialize};

use crate::ids::{Digest32, RealmId, RecordId, Signature64};

/// The version of a record that a holder remembers, and what stands for its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Version, from 1.
    pub version: u64,
    /// What stands for the sealed bytes; opaque to holders. An enclave makes it of a hash of the
    /// bytes and a MAC that only enclaves of the realm can make.
    pub hash: Digest32,
}

/// One step of a record: from an anchor (or nothing) to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorStep {
    /// The record.
    pub record: RecordId,
    /// What it was; absent for a new record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Anchor>,
    /// What it becomes: one version later.
    pub next: Anchor,
}

/// What a holder does with a step, given what it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepDecision {
    /// Store `next`.
    Apply,
    /// `next` is stored already; answer the same again.
    Already,
    /// The holder remembers something else: answer that.
    Conflict,
}

impl AnchorStep {
    /// Decides a step against what is remembered. A step that skips or repeats versions conflicts.
    pub fn decide(&self, remembered: Option<&Anchor>) -> StepDecision {
        let follows = match &self.previous {
            None => self.next.version == 1,
            Some(previous) => previous.version.checked_add(1) == Some(self.next.version),
        };
        if remembered == Some(&self.next) {
            StepDecision::Already
        } else if follows && remembered == self.previous.as_ref() {
            StepDecision::Apply
        } else {
            StepDecision::Conflict
        }
    }
}

/// A holder's signed statement that it remembers an anchor.
///
/// Those of a write quorum let a holder that fell behind take the anchor over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorAck {
    /// The holder's index, 1..=n.
    pub holder: u8,
    /// The record.
    pub record: RecordId,
    /// What is remembered.
    pub anchor: Anchor,
    /// Ed25519 over the canonical encoding.
    pub signature: Signature64,
}

/// What an [`AnchorAck`] signs.
#[derive(Debug)]
pub struct AnchorStatement {
    /// The realm.
    pub realm: RealmId,
    /// The holder's index.
    pub holder: u8,
    /// The record.
    pub record: RecordId,
    /// What is remembered.
    pub anchor: Anchor,
}

impl Canonical for AnchorStatement {
    const LABEL: &'static str = "keyfold/anchor-ack/v1";

    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.realm.as_bytes());
        out.u8(self.holder);
        out.bytes(self.record.as_bytes());
        out.u64(self.anchor.version);
        out.bytes(self.anchor.hash.as_bytes());
    }
}

impl AnchorStatement {
    /// Signs the statement.
    pub fn sign(&self, key: &ed25519::SigningKey) -> AnchorAck {
        AnchorAck {
            holder: self.holder,
            record: self.record,
            anchor: self.anchor,
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }
}

impl AnchorAck {
    /// Verifies the statement of one holder of a realm.
    pub fn verify(&self, realm: &crate::realm::VerifiedRealm) -> bool {
        let statement = AnchorStatement {
            realm: realm.id(),
            holder: self.holder,
            record: self.record,
            anchor: self.anchor,
        };
        realm.record().holder(self.holder).is_some_and(|card| {
            card.signing_key
                .verify(&statement.to_signed_bytes(), &self.signature.0)
                .is_ok()
        })
    }
}

/// What t or more holders together say of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorView {
    /// Nobody remembers it.
    Absent,
    /// The newest anchor, and by how many of the answers it is held.
    Newest {
        /// The anchor.
        anchor: Anchor,
        /// Answers that hold it.
        held_by: usize,
    },
    /// Two hashes stand for the newest version: a commit was cut off. More answers decide.
    Split,
}

/// Combines the answers of holders into one view.
pub fn combine(answers: &[Option<Anchor>]) -> AnchorView {
    let Some(newest) = answers.iter().flatten().max_by_key(|anchor| anchor.version) else {
        return AnchorView::Absent;
    };
    let same_version = answers
        .iter()
        .flatten()
        .filter(|a| a.version == newest.version);
    if same_version
        .clone()
        .any(|anchor| anchor.hash != newest.hash)
    {
        return AnchorView::Split;
    }
    AnchorView::Newest {
        anchor: *newest,
        held_by: same_version.count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(version: u64, hash: u8) -> Anchor {
        Anchor {
            version,
            hash: Digest32::from_bytes([hash; 32]),
        }
    }

    fn step(previous: Option<Anchor>, next: Anchor) -> AnchorStep {
        AnchorStep {
            record: RecordId::from_bytes([0; 32]),
            previous,
            next,
        }
    }

    #[test]
    fn a_step_applies_only_from_what_is_remembered() {
        let (one, two, other) = (anchor(1, 1), anchor(2, 2), anchor(2, 3));
        assert_eq!(step(None, one).decide(None), StepDecision::Apply);
        assert_eq!(step(Some(one), two).decide(Some(&one)), StepDecision::Apply);
        assert_eq!(
            step(Some(one), two).decide(Some(&two)),
            StepDecision::Already
        );
        assert_eq!(
            step(Some(one), other).decide(Some(&two)),
            StepDecision::Conflict
        );
        assert_eq!(step(None, one).decide(Some(&two)), StepDecision::Conflict);
        assert_eq!(step(Some(one), two).decide(None), StepDecision::Conflict);
    }

    #[test]
    fn a_step_backwards_or_over_a_version_conflicts() {
        let (one, two) = (anchor(1, 1), anchor(2, 2));
        assert_eq!(
            step(Some(two), one).decide(Some(&two)),
            StepDecision::Conflict
        );
        assert_eq!(
            step(Some(one), anchor(3, 3)).decide(Some(&one)),
            StepDecision::Conflict
        );
        assert_eq!(step(None, two).decide(None), StepDecision::Conflict);
    }

    #[test]
    fn the_newest_answer_counts() {
        let (old, new) = (anchor(4, 1), anchor(5, 2));
        assert_eq!(combine(&[None, None]), AnchorView::Absent);
        assert_eq!(
            combine(&[Some(old), Some(new)]),
            AnchorView::Newest {
                anchor: new,
                held_by: 1
            }
        );
        assert_eq!(combine(&[Some(new), Some(anchor(5, 9))]), AnchorView::Split);
    }
}
