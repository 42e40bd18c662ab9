//! Telling holders what they do not hold: until all of them do, or in the background.

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStep};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorRepair, path};
use keyfold_protocol::ids::RecordId;

use super::anchors::divide;
use super::catch_up::Message;
use super::memory::{check_ack, is_conflict, is_rival};
use super::{Body, Held, READ_ATTEMPTS, Records};
use crate::holders::{Gathered, first};
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;

use std::sync::Arc;

impl<P: Platform> Records<P> {
    /// Reads the current version, and makes sure that all n holders hold it.
    ///
    /// # Security
    ///
    /// What was in it can then no more be left behind by a later change, whatever fewer than t
    /// holders forget and the host keeps back: t answers include one that remembers it, and no W
    /// confirm a step from before it.
    ///
    /// # Errors
    ///
    /// `record_pending`, naming those that do not hold it; to be asked again then.
    pub(crate) async fn read_held_by_all<T: Body>(&self, id: RecordId) -> Result<Held<T>, Problem> {
        for _ in 0..READ_ATTEMPTS {
            let held = self.read::<T>(id).await?.ok_or(Code::RecordPending)?;
            if self.spread(id, held.anchor).await? {
                return Ok(held);
            }
        }
        Err(Code::RecordConflict.into())
    }

    /// Tells those that do not hold a version, and waits for them. `false` where the record went
    /// on meanwhile.
    async fn spread(&self, id: RecordId, anchor: Anchor) -> Result<bool, Problem> {
        let everybody = self.holders.count();
        let gathered = first(everybody, self.asker.ask_all(id)?).await.all().await;
        self.asker.accuse(id, &gathered.bad);
        let mut went_on = false;
        for (index, memory) in &gathered.good {
            let rival = memory.filter(|ack| is_rival(&ack.anchor, &anchor));
            if let Some(rival) = rival {
                went_on = true;
                if rival.anchor.version == anchor.version {
                    self.asker.alarm(id, *index, &rival.anchor, &anchor);
                }
            }
        }
        if went_on {
            return Ok(false);
        }
        let mut bad = gathered.bad;
        let (acks, behind) = divide(&gathered.good, anchor);
        if bad.is_empty() && !behind.is_empty() {
            let body = to_json(&AnchorRepair { acks })
                .map_err(|_| Problem::internal("an anchor cannot be shown"))?;
            for index in behind {
                if let Err(error) = self.repair_now(index, id, anchor, &body).await {
                    bad.push((index, error));
                }
            }
        }
        if bad.is_empty() {
            return Ok(true);
        }
        let detail = self.holders.shortage(everybody, &bad).detail;
        Err(Problem {
            code: Code::RecordPending,
            detail,
        })
    }

    async fn repair_now(
        &self,
        index: u8,
        id: RecordId,
        anchor: Anchor,
        body: &[u8],
    ) -> Result<(), CallError> {
        let holder = self.holders.get(index).ok_or(CallError::Local)?;
        let ack: AnchorAck = holder.link.call(path::ANCHOR_REPAIR, body).await?;
        check_ack(ack, index, id, anchor, &self.realm).map(drop)
    }

    /// Shows holders that missed a step what the others hold, once all have answered. `behind` are
    /// those that refused it already and remember something older.
    pub(super) fn repair_late(
        &self,
        step: AnchorStep,
        gathered: Gathered<AnchorAck>,
        mut behind: Vec<u8>,
    ) {
        if gathered.rest.is_empty() && gathered.bad.is_empty() {
            return;
        }
        let (asker, catch_up) = (self.asker.clone(), Arc::clone(&self.catch_up));
        let heard: Vec<u8> = gathered.bad.iter().map(|(index, _)| *index).collect();
        self.core.background.run(async move {
            let gathered = gathered.all().await;
            let acks: Vec<AnchorAck> = gathered.good.into_iter().map(|(_, ack)| ack).collect();
            let Some(message) = Message::repair(acks) else {
                return;
            };
            let (refused, silent): (Vec<_>, Vec<_>) = gathered
                .bad
                .into_iter()
                .partition(|(_, error)| is_conflict(error));
            let late: Vec<_> = refused
                .into_iter()
                .filter(|(index, _)| !heard.contains(index))
                .collect();
            let dissent = asker.dissent(&step, &late).await;
            let _for_the_log = asker.alarm_all(&step, &dissent.rivals);
            behind.extend(dissent.behind);
            behind.extend(silent.into_iter().map(|(index, _)| index));
            for index in behind {
                catch_up.tell(&asker.holders, index, message.clone()).await;
            }
        });
    }
}
