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
//! * **An older version.** The same liar can hide one write from a reader, together with a host
//!   that keeps it from the third holder. What must not come back by that (ended sessions, lists
//!   of devices) holders decide by themselves; and whoever missed a write is shown it until it has
//!   it ([`CatchUp`](super::catch_up::CatchUp)), so that there are few moments for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStep, AnchorView, combine};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::RecordVersion;
use keyfold_protocol::holder_api::{AnchorCommit, AnchorRead, Anchors, path};
use keyfold_protocol::ids::RecordId;
use keyfold_protocol::realm::VerifiedRealm;

use super::catch_up::Message;
use super::{Body, Held, Records};
use crate::holders::{Gathered, first};
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;

/// What one holder remembers of the record.
type Memory = Option<AnchorAck>;

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
        let body = to_json(&AnchorRead { records: vec![id] })
            .map_err(|_| Problem::internal("an anchor cannot be asked for"))?;
        let body: Arc<[u8]> = body.into();
        let asked = self.holders.ask(|holder| {
            let (realm, keys) = (Arc::clone(&self.realm), Arc::clone(&self.keys));
            let body = Arc::clone(&body);
            async move {
                let answer: Anchors = holder.link.call(path::ANCHOR_READ, &body).await?;
                let [memory] = <[Memory; 1]>::try_from(answer.anchors)
                    .map_err(|_| CallError::Wrong("answered for other records"))?;
                let memory = check(memory, holder.index, id, &realm)?;
                if let Some(ack) = &memory
                    && !keys.is_stamped(&id, &ack.anchor)
                {
                    return Err(CallError::InventedAnchor);
                }
                Ok(memory)
            }
        });
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
        self.accuse(id, &gathered.bad);
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

    /// Names holders that signed anchors which nobody made.
    fn accuse(&self, id: RecordId, bad: &[(u8, CallError)]) {
        for (index, _) in bad
            .iter()
            .filter(|(_, error)| *error == CallError::InventedAnchor)
        {
            let holder = self.holders.name(*index);
            tracing::error!(holder, record = %id, "a holder signed an anchor that no enclave made");
        }
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
        check_ack(ack, index, &step, &self.realm)
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
                check_ack(ack, holder.index, &step, &realm)
            }
        });
        let gathered = first(quorum, asked).await;
        if gathered.good.len() >= quorum {
            self.repair_late(gathered);
            return Ok(true);
        }
        let gathered = gathered.all().await;
        if gathered
            .bad
            .iter()
            .any(|(_, error)| error.code() == Some(Code::AnchorConflict))
        {
            return Ok(false);
        }
        let named = self.holders.shortage(quorum, &gathered.bad).detail;
        Err(Problem {
            code: Code::RecordPending,
            detail: named,
        })
    }

    /// Shows holders that missed a step what the others hold, once all have answered.
    fn repair_late(&self, gathered: Gathered<AnchorAck>) {
        if gathered.rest.is_empty() && gathered.bad.is_empty() {
            return;
        }
        let (holders, catch_up) = (Arc::clone(&self.holders), Arc::clone(&self.catch_up));
        self.core.background.run(async move {
            let gathered = gathered.all().await;
            let acks: Vec<AnchorAck> = gathered.good.into_iter().map(|(_, ack)| ack).collect();
            let Some(message) = Message::repair(acks) else {
                return;
            };
            for (index, _) in gathered.bad {
                catch_up.tell(&holders, index, message.clone()).await;
            }
        });
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
fn divide(answers: &[(u8, Memory)], anchor: Anchor) -> (Vec<AnchorAck>, Vec<u8>) {
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

fn check(
    memory: Memory,
    holder: u8,
    record: RecordId,
    realm: &VerifiedRealm,
) -> Result<Memory, CallError> {
    match memory {
        Some(ack) if ack.holder != holder || ack.record != record || !ack.verify(realm) => {
            Err(CallError::Wrong("signed for something else"))
        }
        other => Ok(other),
    }
}

fn check_ack(
    ack: AnchorAck,
    holder: u8,
    step: &AnchorStep,
    realm: &VerifiedRealm,
) -> Result<AnchorAck, CallError> {
    if ack.anchor != step.next {
        return Err(CallError::Wrong("confirmed another anchor"));
    }
    check(Some(ack), holder, step.record, realm)?.ok_or(CallError::Local)
}
