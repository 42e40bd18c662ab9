//! Which version is current: asking the holders, and completing what a writer left undone.
//!
//! # What is believed, and why
//!
//! Of n holders, t decide a read and W = max(n-t+1, majority) a write, so every read meets every
//! confirmed write in one holder at least. One holder may lie, and the host may lose, withhold or
//! delay anything:
//!
//! * **A newer version than there is.** Anchors carry a stamp under a key that only enclaves have
//!   ([`RealmKeys::anchor`](crate::keys::RealmKeys::anchor)). One without it was never made by an
//!   enclave, so it cannot be a confirmed write however many say it; its holder is named in the
//!   log, counts as one that did not answer, and the others suffice. No counting of answers could
//!   do that: with n = 3 one holder that says "newer" is either a liar, or the only honest one of
//!   the two that confirmed a write.
//! * **A genuine version that the host does not have.** Its bytes were stored before any holder
//!   heard of it, so the host lost or hides them, and it may have been confirmed: the read is
//!   refused with `record_rolled_back`, naming who said so. Nothing is committed at anybody: an
//!   anchor that fewer than W hold is carried to others only after its bytes were found at the
//!   host and opened under record, kind and version. So a claim can stop a read for as long as it is made, and
//!   never for good.
//! * **Two versions of one number.** Both are genuine, and one writer was cut off. One of them has
//!   W holders, or all n answer and none has: then nobody was told of either, and the one whose
//!   bytes are there becomes the current one.
//! * **No version at all.** A liar beside a holder that missed the write makes t answers of
//!   "nothing", while the third, which knows better, is kept from answering. Making anew what
//!   exists would be loss (another account for the same address), so a record is created only when
//!   all n holders answered and all remember nothing: of W that confirmed it at least one is honest
//!   and says so.
//! * **An older version.** The same liar (or a holder whose disk was restored) can hide one write
//!   from a reader, together with a host that keeps it from the third holder; and the next write
//!   then takes the hidden one's place. What must not come back by that (ended sessions, lists of
//!   devices) holders decide by themselves. What must never be lost, a wallet, nobody is told of
//!   before all n holders hold a version with it ([`Records::read_held_by_all`]): from then on every
//!   t of them include an honest one that takes no step from before it. And whoever missed a write
//!   is shown it until it has it ([`CatchUp`](super::catch_up::CatchUp)).
//! * **A rival.** A holder that refuses a step because it remembers another version of that number,
//!   or a newer one, says what the others left out: either two writers raced and one was cut off,
//!   or the version that it holds was confirmed with a holder that has forgotten it. The writer
//!   cannot tell, so it raises an alarm that names the holder, repairs nothing, and answers
//!   `record_conflict`; the next reader asks everybody, and settles it as loudly.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStep, AnchorView, combine};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::RecordVersion;
use keyfold_protocol::holder_api::{AnchorCommit, path};
use keyfold_protocol::ids::RecordId;

use super::catch_up::Message;
use super::memory::{Memory, check_ack, is_conflict};
use super::{Body, Held, Records};
use crate::holders::{Gathered, first};
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;

/// What the holders say of a record.
pub(super) enum Named {
    /// Nothing is remembered.
    Absent {
        /// Those that did not say so, and why.
        silent: Vec<(u8, CallError)>,
    },
    /// One version, by a write quorum of those that answered.
    Confirmed(Anchor),
    /// One or two versions, by fewer. Everybody was asked.
    Unconfirmed(Unconfirmed),
}

/// Versions that a writer may not have finished, newest number only, most likely first.
pub(super) struct Unconfirmed {
    answers: Vec<(u8, Memory)>,
    candidates: Vec<(Anchor, usize)>,
    /// Whether somebody did not answer.
    silent: bool,
}

impl Named {
    /// Every version that may be the current one.
    pub(super) fn versions(&self) -> Vec<Anchor> {
        match self {
            Self::Absent { .. } => Vec::new(),
            Self::Confirmed(anchor) => vec![*anchor],
            Self::Unconfirmed(unconfirmed) => {
                let anchors = unconfirmed.candidates.iter();
                anchors.map(|(anchor, _)| *anchor).collect()
            }
        }
    }
}

impl<P: Platform> Records<P> {
    /// Asks what is current. With `everybody`, waits for all n holders, however many agree.
    pub(super) async fn named(&self, id: RecordId, everybody: bool) -> Result<Named, Problem> {
        let threshold = self.holders.threshold();
        let asked = self.asker.ask_all(id)?;
        let needed = if everybody {
            self.holders.count()
        } else {
            threshold
        };
        let mut gathered = first(needed, asked).await;
        let mut view = combine(&anchors(&gathered.good));
        if !self.is_confirmed(&view) || gathered.good.len() < needed {
            gathered = gathered.all().await;
            view = combine(&anchors(&gathered.good));
        }
        self.asker.accuse(id, &gathered.bad);
        if gathered.good.len() < needed {
            return Err(self.holders.shortage(needed, &gathered.bad));
        }
        Ok(match view {
            AnchorView::Absent => Named::Absent {
                silent: gathered.bad,
            },
            AnchorView::Newest { anchor, .. } if self.is_confirmed(&view) => {
                let (acks, behind) = divide(&gathered.good, anchor);
                self.repair(acks, behind);
                gathered.let_rest_finish(&self.core);
                Named::Confirmed(anchor)
            }
            AnchorView::Newest { .. } | AnchorView::Split => {
                Named::Unconfirmed(unconfirmed(gathered))
            }
        })
    }

    fn is_confirmed(&self, view: &AnchorView) -> bool {
        let quorum = self.holders.write_quorum();
        matches!(view, AnchorView::Newest { held_by, .. } if *held_by >= quorum)
    }

    /// Finds the bytes of what was named, and completes it where its writer was cut off.
    ///
    /// `None` where the host does not have them.
    pub(super) async fn open_named<T: Body>(
        &self,
        id: RecordId,
        named: &Named,
        stored: &[RecordVersion],
    ) -> Result<Option<Held<T>>, Problem> {
        match named {
            Named::Absent { .. } => Ok(None),
            Named::Confirmed(anchor) => self.open_version(id, *anchor, stored),
            Named::Unconfirmed(unconfirmed) => {
                let quorum = self.holders.write_quorum();
                for (anchor, held_by) in &unconfirmed.candidates {
                    // Those that are silent might hold the other one, and somebody might have been
                    // told of it.
                    let undecided = unconfirmed.candidates.len() > 1 && unconfirmed.silent;
                    if undecided && *held_by < quorum {
                        return Err(Code::RecordPending.into());
                    }
                    if let Some(held) = self.open_version(id, *anchor, stored)? {
                        self.complete(id, *anchor, &unconfirmed.answers).await?;
                        return Ok(Some(held));
                    }
                    if *held_by >= quorum {
                        return Ok(None);
                    }
                }
                Ok(None)
            }
        }
    }

    /// Refuses a version that the host does not have, naming those who remember it.
    pub(super) fn rolled_back(&self, id: RecordId, named: &Named) -> Problem {
        let Named::Unconfirmed(unconfirmed) = named else {
            tracing::error!(record = %id, "the host lost a confirmed version of a record");
            return Code::RecordRolledBack.into();
        };
        let mut said = Vec::new();
        for (index, memory) in &unconfirmed.answers {
            let remembers =
                memory.filter(|ack| unconfirmed.candidates.iter().any(|(a, _)| *a == ack.anchor));
            if let Some(ack) = remembers {
                let name = self.holders.name(*index);
                said.push(format!("{name} remembers version {}", ack.anchor.version));
            }
        }
        let said = said.join("; ");
        tracing::error!(record = %id, said, "the host does not have a version that was named");
        Problem::new(Code::RecordRolledBack, said)
    }

    /// Commits a version, whose bytes were opened, at enough holders before it is used.
    async fn complete(
        &self,
        id: RecordId,
        anchor: Anchor,
        answers: &[(u8, Memory)],
    ) -> Result<(), Problem> {
        let holds = |memory: &Memory| memory.is_some_and(|ack| ack.anchor == anchor);
        let (mut acks, _) = divide(answers, anchor);
        let mut behind = Vec::new();
        let quorum = self.holders.write_quorum();
        for (index, memory) in answers.iter().filter(|(_, memory)| !holds(memory)) {
            if let Some(rival) = memory.filter(|ack| ack.anchor.version == anchor.version) {
                self.asker.alarm(id, *index, &rival.anchor, &anchor);
            }
            if acks.len() >= quorum {
                behind.push(*index);
                continue;
            }
            let step = AnchorStep {
                record: id,
                previous: memory.map(|ack| ack.anchor),
                next: anchor,
            };
            match self.commit_at(*index, step).await {
                Ok(ack) => acks.push(ack),
                Err(error) => {
                    let holder = self.holders.name(*index);
                    tracing::info!(holder, %error, "an anchor stays behind");
                    behind.push(*index);
                }
            }
        }
        if acks.len() < quorum {
            return Err(Code::RecordPending.into());
        }
        let answered: Vec<u8> = answers.iter().map(|(index, _)| *index).collect();
        behind.extend(
            self.holders
                .list()
                .iter()
                .map(|holder| holder.index)
                .filter(|index| !answered.contains(index)),
        );
        self.repair(acks, behind);
        Ok(())
    }

    async fn commit_at(&self, index: u8, step: AnchorStep) -> Result<AnchorAck, CallError> {
        let holder = self.holders.get(index).ok_or(CallError::Local)?;
        let body = to_json(&AnchorCommit { step })?;
        let ack: AnchorAck = holder.link.call(path::ANCHOR_COMMIT, &body).await?;
        check_ack(ack, index, step.record, step.next, &self.realm)
    }

    /// Commits a step. `false` where somebody else was first.
    pub(super) async fn commit(&self, step: AnchorStep) -> Result<bool, Problem> {
        let quorum = self.holders.write_quorum();
        let body = to_json(&AnchorCommit { step })
            .map_err(|_| Problem::internal("an anchor cannot be committed"))?;
        let body: Arc<[u8]> = body.into();
        let asked = self.holders.ask(|holder| {
            let (realm, body) = (Arc::clone(&self.realm), Arc::clone(&body));
            async move {
                let ack: AnchorAck = holder.link.call(path::ANCHOR_COMMIT, &body).await?;
                check_ack(ack, holder.index, step.record, step.next, &realm)
            }
        });
        let gathered = first(quorum, asked).await;
        if gathered.good.len() >= quorum {
            let dissent = self.asker.dissent(&step, &gathered.bad).await;
            let said = self.asker.alarm_all(&step, &dissent.rivals);
            self.repair_late(step, gathered, dissent.behind);
            return match said {
                None => Ok(true),
                Some(said) => Err(Problem::new(Code::RecordConflict, said)),
            };
        }
        let gathered = gathered.all().await;
        if gathered.bad.iter().any(|(_, error)| is_conflict(error)) {
            return Ok(false);
        }
        let named = self.holders.shortage(quorum, &gathered.bad).detail;
        Err(Problem {
            code: Code::RecordPending,
            detail: named,
        })
    }

    fn repair(&self, acks: Vec<AnchorAck>, behind: Vec<u8>) {
        let Some(message) = Message::repair(acks).filter(|_| !behind.is_empty()) else {
            return;
        };
        let (holders, catch_up) = (Arc::clone(&self.holders), Arc::clone(&self.catch_up));
        self.core.background.run(async move {
            for index in behind {
                catch_up.tell(&holders, index, message.clone()).await;
            }
        });
    }
}

/// Orders the versions of the newest number: by how many hold them, then by hash, so that every
/// reader comes to the same.
fn unconfirmed(gathered: Gathered<Memory>) -> Unconfirmed {
    let answers = gathered.good;
    let newest = answers
        .iter()
        .filter_map(|(_, memory)| memory.map(|ack| ack.anchor.version))
        .max();
    let mut held: BTreeMap<[u8; 32], (Anchor, usize)> = BTreeMap::new();
    for ack in answers.iter().filter_map(|(_, memory)| *memory) {
        if Some(ack.anchor.version) == newest {
            held.entry(*ack.anchor.hash.as_bytes())
                .or_insert((ack.anchor, 0))
                .1 += 1;
        }
    }
    let mut candidates: Vec<(Anchor, usize)> = held.into_values().collect();
    candidates.sort_by_key(|(_, held_by)| core::cmp::Reverse(*held_by));
    Unconfirmed {
        answers,
        candidates,
        silent: !gathered.bad.is_empty(),
    }
}

/// Those who hold an anchor, and those who hold another one or none.
pub(super) fn divide(answers: &[(u8, Memory)], anchor: Anchor) -> (Vec<AnchorAck>, Vec<u8>) {
    let (mut acks, mut behind) = (Vec::new(), Vec::new());
    for (index, memory) in answers {
        match memory {
            Some(ack) if ack.anchor == anchor => acks.push(*ack),
            _ => behind.push(*index),
        }
    }
    (acks, behind)
}

fn anchors(answers: &[(u8, Memory)]) -> Vec<Option<Anchor>> {
    answers
        .iter()
        .map(|(_, memory)| memory.map(|ack| ack.anchor))
        .collect()
}
