//! What holders that were away still have to hear: anchors that the others confirmed, sessions and
//! devices that were ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use futures_util::lock::Mutex as AsyncMutex;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::anchor::AnchorAck;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorRepair, path};
use keyfold_protocol::ids::{AccountId, SessionId};
use serde::de::IgnoredAny;

use crate::holders::Holders;
use crate::limits::CATCH_UP;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;

/// Refusals that say nothing about the message.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::NotRegistered
            | Code::RateLimited
            | Code::Unavailable
            | Code::NotReady
            | Code::Timeout
            | Code::Internal
    )
}

/// What a message is about; a later one about the same takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Record([u8; 32]),
    Session([u8; 16]),
    Device([u8; 16], [u8; 32]),
    OtherDevices([u8; 16]),
}

/// Something that every holder must hear, and may hear twice.
#[derive(Clone)]
pub(crate) struct Message {
    subject: Subject,
    /// Of two messages about one subject the higher counts.
    version: u64,
    path: &'static str,
    body: Arc<[u8]>,
    /// Unix seconds from which on nobody would accept it.
    ends: Option<u64>,
}

impl Message {
    /// An anchor that a write quorum confirmed.
    pub(super) fn repair(acks: Vec<AnchorAck>) -> Option<Self> {
        let first = acks.first()?;
        Some(Self {
            subject: Subject::Record(*first.record.as_bytes()),
            version: first.anchor.version,
            path: path::ANCHOR_REPAIR,
            body: to_json(&AnchorRepair { acks }).ok()?.into(),
            ends: None,
        })
    }

    /// The end of a session, as its device signed it. Holders accept it as long as that signature.
    pub(crate) fn revocation(session: &SessionId, body: Arc<[u8]>, ends: u64) -> Self {
        Self {
            subject: Subject::Session(*session.as_bytes()),
            version: 0,
            path: path::SESSION_REVOKE,
            body,
            ends: Some(ends),
        }
    }

    /// The end of a device of an account, or of all but one, likewise.
    pub(crate) fn device_revocation(
        account: &AccountId,
        device: Option<Thumbprint>,
        body: Arc<[u8]>,
        ends: u64,
    ) -> Self {
        let account = *account.as_bytes();
        Self {
            subject: device.map_or(Subject::OtherDevices(account), |device| {
                Subject::Device(account, device.0)
            }),
            version: 0,
            path: path::DEVICE_REVOKE,
            body,
            ends: Some(ends),
        }
    }
}

/// Messages to holders that did not take them yet.
///
/// Losing them loses no promise: what they say was confirmed by a write quorum before. They make
/// the time short in which that quorum is all there is.
pub(crate) struct CatchUp {
    waiting: Mutex<BTreeMap<(u8, Subject), Message>>,
    /// One round at a time.
    round: AsyncMutex<()>,
}

impl CatchUp {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(BTreeMap::new()),
            round: AsyncMutex::new(()),
        }
    }

    /// Tells a holder; where it cannot be reached, again later. `false` then.
    pub(crate) async fn tell<P: Platform>(
        &self,
        holders: &Holders<P>,
        index: u8,
        message: Message,
    ) -> bool {
        let Some(holder) = holders.get(index) else {
            return true;
        };
        let told: Result<IgnoredAny, _> = holder.link.call(message.path, &message.body).await;
        match told {
            Ok(_) => true,
            Err(CallError::Refused(problem)) if !may_pass(problem.code) => {
                tracing::info!(holder = holder.card.name, path = message.path, code = %problem.code, "a holder did not catch up");
                true
            }
            Err(error) => {
                tracing::debug!(holder = holder.card.name, %error, "a holder will hear it later");
                self.keep(index, message);
                false
            }
        }
    }

    fn keep(&self, index: u8, message: Message) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (index, message.subject);
        match waiting.get(&key) {
            Some(known) if known.version > message.version => return,
            Some(_) => {}
            None if waiting.len() >= CATCH_UP => {
                tracing::warn!("too much waits for holders that are away; a message is dropped");
                return;
            }
            None => {}
        }
        waiting.insert(key, message);
    }

    /// Tells every holder what waits for it; the first that cannot be delivered ends its turn.
    pub(crate) async fn round<P: Platform>(&self, holders: &Holders<P>, now_unix_seconds: u64) {
        let Some(_one_at_a_time) = self.round.try_lock() else {
            return;
        };
        let mut turns: BTreeMap<u8, Vec<Message>> = BTreeMap::new();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for ((index, _), message) in core::mem::take(&mut *waiting) {
                if message.ends.is_none_or(|ends| now_unix_seconds < ends) {
                    turns.entry(index).or_default().push(message);
                }
            }
        }
        join_all(turns.into_iter().map(|(index, messages)| async move {
            let mut messages = messages.into_iter();
            for message in messages.by_ref() {
                if !self.tell(holders, index, message).await {
                    break;
                }
            }
            for message in messages {
                self.keep(index, message);
            }
        }))
        .await;
    }
}
