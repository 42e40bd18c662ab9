//! Record anchors: read, step, repair.

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStatement, StepDecision};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorCommit, AnchorRead, AnchorRepair, Anchors};
use keyfold_protocol::ids::RecordId;

use crate::core::anchors::{AnchorRefusal, QuorumAnchor};
use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;
use crate::store;

/// Most records in one question.
const MAX_RECORDS: usize = 16;

fn statement(holder: &Holder, member: &Member, record: RecordId, anchor: Anchor) -> AnchorAck {
    AnchorStatement {
        realm: member.realm().id(),
        holder: member.index(),
        record,
        anchor,
    }
    .sign(holder.keys().signing())
}

/// Answers what is remembered of records, in the order asked.
pub(crate) async fn read(
    holder: &Holder,
    member: Member,
    message: AnchorRead,
) -> Result<Anchors, ApiError> {
    if message.records.len() > MAX_RECORDS {
        return Err(ApiError::refused(
            Code::MalformedRequest,
            "at most 16 records at once",
        ));
    }
    let mut connection = holder.reader().await?;
    let mut anchors = Vec::with_capacity(message.records.len());
    for record in message.records {
        let anchor = store::anchors::find(&mut connection, record).await?;
        anchors.push(anchor.map(|anchor| statement(holder, &member, record, anchor)));
    }
    Ok(Anchors { anchors })
}

/// Takes a step of a record; the same step again is answered the same.
pub(crate) async fn commit(
    holder: &Holder,
    member: Member,
    message: AnchorCommit,
) -> Result<AnchorAck, ApiError> {
    let step = message.step;
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let remembered = store::anchors::find(connection, step.record).await?;
                match step.decide(remembered.as_ref()) {
                    StepDecision::Already => {}
                    StepDecision::Conflict => return Err(AnchorRefusal::Conflict.into()),
                    StepDecision::Apply => {
                        let before = remembered.as_ref();
                        store::anchors::advance(connection, step.record, before, &step.next)
                            .await?;
                    }
                }
                Ok(((), None))
            })
        })
        .await?;
    Ok(statement(holder, &member, step.record, step.next))
}

/// Takes over an anchor that a write quorum of holders remembers. Never goes back.
pub(crate) async fn repair(
    holder: &Holder,
    member: Member,
    message: AnchorRepair,
) -> Result<AnchorAck, ApiError> {
    let quorum = QuorumAnchor::verify(member.realm(), &message.acks)?;
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let remembered = store::anchors::find(connection, quorum.record).await?;
                if let Some(next) = quorum.apply(remembered.as_ref())? {
                    let before = remembered.as_ref();
                    if let Some(rival) = before.filter(|own| own.version == next.version) {
                        tracing::error!(
                            record = %quorum.record,
                            version = rival.version,
                            given_up = %rival.hash,
                            taken = %next.hash,
                            "the others confirmed another version of a record than this holder: \
                             two writers raced, or a holder has forgotten what it confirmed"
                        );
                    }
                    store::anchors::advance(connection, quorum.record, before, &next).await?;
                }
                Ok(((), None))
            })
        })
        .await?;
    Ok(statement(holder, &member, quorum.record, quorum.anchor))
}
