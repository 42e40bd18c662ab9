//! What single holders remember of a record, and what it means when they do not agree.

use std::sync::Arc;

use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStep};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorRead, Anchors, path};
use keyfold_protocol::ids::RecordId;
use keyfold_protocol::realm::VerifiedRealm;

use crate::holders::{Asked, Holder, Holders};
use crate::keys::RealmKeys;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;

/// What one holder remembers of the record.
pub(super) type Memory = Option<AnchorAck>;

/// Asks holders what they remember, and says aloud what cannot be right.
pub(super) struct Asker<P> {
    pub(super) holders: Arc<Holders<P>>,
    pub(super) realm: Arc<VerifiedRealm>,
    pub(super) keys: Arc<RealmKeys>,
}

/// Those that refused a step which a write quorum took.
#[derive(Default)]
pub(super) struct Dissent {
    /// They remember another version of that number, or a newer one.
    pub(super) rivals: Vec<(u8, Anchor)>,
    /// They remember something older: they were away, and may be shown the step.
    pub(super) behind: Vec<u8>,
}

impl<P: Platform> Asker<P> {
    /// Asks all holders.
    pub(super) fn ask_all(&self, id: RecordId) -> Result<Asked<Memory>, Problem> {
        let body = to_json(&AnchorRead { records: vec![id] })
            .map_err(|_| Problem::internal("an anchor cannot be asked for"))?;
        let body: Arc<[u8]> = body.into();
        Ok(self.holders.ask(|holder| {
            let (realm, keys) = (Arc::clone(&self.realm), Arc::clone(&self.keys));
            let body = Arc::clone(&body);
            async move { remembered(&holder, &realm, &keys, id, &body).await }
        }))
    }

    /// Asks those that refused a step what they remember instead.
    ///
    /// Who does not say is in neither list: it is left as it is, for the next reader to ask.
    pub(super) async fn dissent(&self, step: &AnchorStep, bad: &[(u8, CallError)]) -> Dissent {
        let mut dissent = Dissent::default();
        let Ok(body) = to_json(&AnchorRead {
            records: vec![step.record],
        }) else {
            return dissent;
        };
        for (index, _) in bad.iter().filter(|(_, error)| is_conflict(error)) {
            let Some(holder) = self.holders.get(*index) else {
                continue;
            };
            match remembered(holder, &self.realm, &self.keys, step.record, &body).await {
                Ok(Some(ack)) if is_rival(&ack.anchor, &step.next) => {
                    dissent.rivals.push((*index, ack.anchor));
                }
                Ok(_) => dissent.behind.push(*index),
                Err(error) => {
                    let holder = self.holders.name(*index);
                    tracing::warn!(holder, %error, "refused a step and does not say why");
                }
            }
        }
        dissent
    }

    /// Names holders that signed anchors which nobody made.
    pub(super) fn accuse(&self, id: RecordId, bad: &[(u8, CallError)]) {
        for (index, _) in bad
            .iter()
            .filter(|(_, error)| *error == CallError::InventedAnchor)
        {
            let holder = self.holders.name(*index);
            tracing::error!(holder, record = %id, "a holder signed an anchor that no enclave made");
        }
    }

    /// Raises an alarm for each rival of a step; `Some` says the same to the client.
    pub(super) fn alarm_all(&self, step: &AnchorStep, rivals: &[(u8, Anchor)]) -> Option<String> {
        let mut said = Vec::new();
        for (index, rival) in rivals {
            self.alarm(step.record, *index, rival, &step.next);
            let name = self.holders.name(*index);
            said.push(format!(
                "{name} remembers another version {}",
                rival.version
            ));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Says that a holder remembers what the others have left behind.
    pub(super) fn alarm(&self, id: RecordId, holder: u8, remembers: &Anchor, instead_of: &Anchor) {
        tracing::error!(
            holder = self.holders.name(holder),
            record = %id,
            version = remembers.version,
            hash = %remembers.hash,
            confirmed_version = instead_of.version,
            confirmed_hash = %instead_of.hash,
            "a holder remembers another version of a record than the others confirmed: two \
             writers raced, or a holder has forgotten what it confirmed"
        );
    }
}

impl<P> Clone for Asker<P> {
    fn clone(&self) -> Self {
        Self {
            holders: Arc::clone(&self.holders),
            realm: Arc::clone(&self.realm),
            keys: Arc::clone(&self.keys),
        }
    }
}

/// Whether an anchor stands where another one should, or beyond it.
pub(super) fn is_rival(remembered: &Anchor, expected: &Anchor) -> bool {
    remembered != expected && remembered.version >= expected.version
}

pub(super) fn is_conflict(error: &CallError) -> bool {
    error.code() == Some(Code::AnchorConflict)
}

/// Asks one holder. An anchor that no enclave made is no answer.
async fn remembered<P: Platform>(
    holder: &Holder<P>,
    realm: &VerifiedRealm,
    keys: &RealmKeys,
    id: RecordId,
    body: &[u8],
) -> Result<Memory, CallError> {
    let answer: Anchors = holder.link.call(path::ANCHOR_READ, body).await?;
    let [memory] = <[Memory; 1]>::try_from(answer.anchors)
        .map_err(|_| CallError::Wrong("answered for other records"))?;
    if let Some(ack) = &memory {
        check(ack, holder.index, id, realm)?;
        if !keys.is_stamped(&id, &ack.anchor) {
            return Err(CallError::InventedAnchor);
        }
    }
    Ok(memory)
}

/// Checks that a holder confirmed this anchor of this record.
pub(super) fn check_ack(
    ack: AnchorAck,
    holder: u8,
    record: RecordId,
    anchor: Anchor,
    realm: &VerifiedRealm,
) -> Result<AnchorAck, CallError> {
    if ack.anchor != anchor {
        return Err(CallError::Wrong("confirmed another anchor"));
    }
    check(&ack, holder, record, realm)?;
    Ok(ack)
}

fn check(
    ack: &AnchorAck,
    holder: u8,
    record: RecordId,
    realm: &VerifiedRealm,
) -> Result<(), CallError> {
    if ack.holder != holder || ack.record != record || !ack.verify(realm) {
        return Err(CallError::Wrong("signed for something else"));
    }
    Ok(())
}
