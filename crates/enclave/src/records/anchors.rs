//! Which version is current: asking the holders, and completing what a writer left undone.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStep, AnchorView, combine};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorCommit, AnchorRead, AnchorRepair, Anchors, path};
use keyfold_protocol::ids::RecordId;
use keyfold_protocol::realm::VerifiedRealm;

use super::Records;
use crate::holders::{Gathered, first};
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;

/// What one holder remembers of the record.
type Memory = Option<AnchorAck>;

impl<P: Platform> Records<P> {
    /// Asks what is current, and completes it where its writer was cut off.
    pub(super) async fn current_anchor(&self, id: RecordId) -> Result<Option<Anchor>, Problem> {
        let threshold = self.holders.threshold();
        let body = to_json(&AnchorRead { records: vec![id] })
            .map_err(|_| Problem::internal("an anchor cannot be asked for"))?;
        let body: Arc<[u8]> = body.into();
        let asked = self.holders.ask(|holder| {
            let (realm, body) = (Arc::clone(&self.realm), Arc::clone(&body));
            async move {
                let answer: Anchors = holder.link.call(path::ANCHOR_READ, &body).await?;
                let [memory] = <[Memory; 1]>::try_from(answer.anchors)
                    .map_err(|_| CallError::Wrong("answered for other records"))?;
                check(memory, holder.index, id, &realm)
            }
        });
        let gathered = first(threshold, asked).await;
        if gathered.good.len() < threshold {
            return Err(self.holders.shortage(threshold, &gathered.bad));
        }
        match combine(&anchors(&gathered.good)) {
            AnchorView::Absent => {
                gathered.let_rest_finish(&self.core);
                Ok(None)
            }
            AnchorView::Newest { anchor, held_by } if held_by >= self.holders.write_quorum() => {
                gathered.let_rest_finish(&self.core);
                Ok(Some(anchor))
            }
            AnchorView::Newest { .. } | AnchorView::Split => {
                self.complete(id, gathered.all().await).await.map(Some)
            }
        }
    }

    /// Commits the newest version at enough holders before it is used.
    async fn complete(&self, id: RecordId, gathered: Gathered<Memory>) -> Result<Anchor, Problem> {
        let anchor = self.choose(&gathered)?;
        let memories: BTreeMap<u8, Memory> = gathered.good.into_iter().collect();
        let mut acks: Vec<AnchorAck> = memories
            .values()
            .flatten()
            .filter(|ack| ack.anchor == anchor)
            .copied()
            .collect();
        let mut behind = Vec::new();
        let quorum = self.holders.write_quorum();
        if acks.len() < quorum {
            for (index, memory) in &memories {
                if memory.is_some_and(|ack| ack.anchor == anchor) {
                    continue;
                }
                let previous = memory.map(|ack| ack.anchor);
                let step = AnchorStep {
                    record: id,
                    previous,
                    next: anchor,
                };
                match self.commit_at(*index, step).await {
                    Ok(ack) => acks.push(ack),
                    Err(error) => {
                        tracing::info!(holder = self.holders.name(*index), %error, "an anchor stays behind");
                        behind.push(*index);
                    }
                }
            }
        } else {
            behind.extend(
                memories
                    .iter()
                    .filter(|(_, memory)| memory.is_none_or(|ack| ack.anchor != anchor))
                    .map(|(index, _)| *index),
            );
        }
        if acks.len() < quorum {
            return Err(Code::RecordPending.into());
        }
        self.repair(acks, behind);
        Ok(anchor)
    }

    /// Decides which of the newest versions is to become the current one.
    fn choose(&self, gathered: &Gathered<Memory>) -> Result<Anchor, Problem> {
        let answers = anchors(&gathered.good);
        if let AnchorView::Newest { anchor, .. } = combine(&answers) {
            return Ok(anchor);
        }
        let newest = answers.iter().flatten().map(|anchor| anchor.version).max();
        let mut held: BTreeMap<[u8; 32], (usize, Anchor)> = BTreeMap::new();
        for anchor in answers
            .iter()
            .flatten()
            .filter(|anchor| Some(anchor.version) == newest)
        {
            held.entry(*anchor.hash.as_bytes())
                .or_insert((0, *anchor))
                .0 += 1;
        }
        let best = held.values().max_by_key(|(count, _)| *count);
        let (count, anchor) = *best.ok_or_else(|| Problem::internal("no anchor to choose"))?;
        // Those that are silent might hold another one, and somebody might have relied on it.
        let silent = self.holders.count().saturating_sub(answers.len());
        if count < self.holders.write_quorum() && silent > 0 {
            return Err(Code::RecordPending.into());
        }
        Ok(anchor)
    }

    async fn commit_at(&self, index: u8, step: AnchorStep) -> Result<AnchorAck, CallError> {
        let holder = self
            .holders
            .list()
            .iter()
            .find(|holder| holder.index == index)
            .ok_or(CallError::Local)?;
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

    /// Shows holders that were behind what the others hold, once all have answered.
    fn repair_late(&self, gathered: Gathered<AnchorAck>) {
        if gathered.rest.is_empty() && gathered.bad.is_empty() {
            return;
        }
        let holders = Arc::clone(&self.holders);
        self.core.background.run(async move {
            let gathered = gathered.all().await;
            let acks: Vec<AnchorAck> = gathered.good.into_iter().map(|(_, ack)| ack).collect();
            for (index, error) in gathered.bad {
                if error.code() == Some(Code::AnchorConflict) {
                    repair_at(&holders, index, acks.clone()).await;
                }
            }
        });
    }

    fn repair(&self, acks: Vec<AnchorAck>, behind: Vec<u8>) {
        if behind.is_empty() {
            return;
        }
        let holders = Arc::clone(&self.holders);
        self.core.background.run(async move {
            for index in behind {
                repair_at(&holders, index, acks.clone()).await;
            }
        });
    }
}

async fn repair_at<P: Platform>(
    holders: &crate::holders::Holders<P>,
    index: u8,
    acks: Vec<AnchorAck>,
) {
    let Some(holder) = holders.list().iter().find(|holder| holder.index == index) else {
        return;
    };
    let Ok(body) = to_json(&AnchorRepair { acks }) else {
        return;
    };
    let answer: Result<AnchorAck, _> = holder.link.call(path::ANCHOR_REPAIR, &body).await;
    if let Err(error) = answer {
        tracing::info!(holder = holder.card.name, %error, "an anchor was not repaired");
    }
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
