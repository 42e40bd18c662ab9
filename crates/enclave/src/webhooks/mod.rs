//! Telling an app's server what happens: a queue in this instance's memory, and who works it off.
//!
//! Whoever makes something happen leaves a word and goes on ([`Webhooks::emit`]); it waits for
//! nothing. The queue is bounded, in all and for each project, and what does not fit is lost. So is
//! everything in it when the instance ends: an app that must know asks (introspection).
//!
//! # Security
//!
//! The address, the key and the roots are those of the project's settings at the time of each attempt,
//! so what its administrators change counts for what waits, too. No log names address, key or body.

mod queue;
mod send;
#[cfg(test)]
mod tests;

use core::future::pending;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_channel::mpsc;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, select};
use futures_util::lock::Mutex as AsyncMutex;
use futures_util::stream::FuturesUnordered;
use keyfold_protocol::ids::ProjectId;
use keyfold_protocol::webhook::{Happened, SECRET_NAME, WebhookBody};

use self::queue::{Delivery, Queue};
pub(crate) use self::send::Destination;
use self::send::{Outcome, send};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::records::Project;

/// Events that wait or are under way, in all.
const EVENTS: usize = 4_096;
/// Of these, how many may be one project's.
const EVENTS_PER_PROJECT: usize = 256;
/// Requests under way at once.
const UNDER_WAY: usize = 16;
/// Of these, how many may be one project's: a server that answers late holds up its own project.
const UNDER_WAY_PER_PROJECT: usize = 2;
/// Pauses before each further attempt, seconds. After the last one an event is lost.
const PAUSES: [u64; 6] = [5, 300, 1_800, 7_200, 18_000, 36_000];
/// Projects whose server said that it is gone, with its address.
const GONE: usize = 1_024;

/// Finds where a project's events go now: nowhere, for a project without a webhook.
pub(crate) type Find<'a> =
    dyn Fn(ProjectId) -> BoxFuture<'a, Result<Option<Destination>, Problem>> + Sync + 'a;

/// What waits to be told, and to whom.
pub(crate) struct Webhooks {
    queue: Mutex<Queue>,
    /// One sender for all: every clone of it would have a place of its own in the channel.
    bell: Mutex<mpsc::Sender<()>>,
    door: AsyncMutex<mpsc::Receiver<()>>,
}

impl Webhooks {
    pub(crate) fn new() -> Self {
        let (bell, door) = mpsc::channel(1);
        Self {
            queue: Mutex::new(Queue::new(EVENTS, EVENTS_PER_PROJECT)),
            bell: Mutex::new(bell),
            door: AsyncMutex::new(door),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves word of something that happened. `id` is random; it names the event at every attempt.
    pub(crate) fn emit(&self, project: &ProjectId, id: [u8; 16], happened: Happened, now_ms: u64) {
        let Ok(body) = serde_json::to_vec(&WebhookBody::new(happened, now_ms / 1000)) else {
            return;
        };
        let delivery = Delivery {
            project: project.clone(),
            id: format!("msg_{}", keyfold_crypto::b64::encode(&id)),
            body,
            failed: 0,
        };
        if self.queue().add(delivery, now_ms) {
            // A bell that was rung and not heard yet is enough.
            let mut bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = bell.try_send(());
        } else {
            tracing::warn!(%project, "too many events wait to be told; one is lost");
        }
    }

    /// Works the queue off, for ever.
    pub(crate) async fn drive<P: Platform>(
        &self,
        platform: &P,
        clock_ms: &(dyn Fn() -> u64 + Sync),
        find: &Find<'_>,
    ) {
        let mut door = self.door.lock().await;
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < UNDER_WAY {
                let due = self.queue().take_due(clock_ms(), UNDER_WAY_PER_PROJECT);
                let Some(delivery) = due else { break };
                under_way.push(self.attempt(platform, clock_ms, find, delivery));
            }
            let pause = self.queue().until_due(clock_ms(), UNDER_WAY_PER_PROJECT);
            let pause = pause.filter(|_| under_way.len() < UNDER_WAY);
            let rung = door.next();
            let done = async {
                if under_way.next().await.is_none() {
                    pending::<()>().await;
                }
            };
            let due = async {
                match pause {
                    Some(ms) => platform.sleep(Duration::from_millis(ms)).await,
                    None => pending().await,
                }
            };
            select(rung, select(Box::pin(done), Box::pin(due))).await;
        }
    }

    async fn attempt<P: Platform>(
        &self,
        platform: &P,
        clock_ms: &(dyn Fn() -> u64 + Sync),
        find: &Find<'_>,
        mut delivery: Delivery,
    ) {
        let project = delivery.project.clone();
        let found = find(project.clone()).await;
        let outcome = match found {
            Ok(Some(to)) if self.queue().is_gone(&project, to.url.as_str()) => Outcome::Unwanted,
            Ok(Some(to)) => {
                let outcome = send(platform, &to, &delivery, clock_ms() / 1000).await;
                if matches!(outcome, Outcome::Gone) {
                    self.queue().gone(&project, to.url.as_str(), GONE);
                }
                outcome
            }
            Ok(None) => Outcome::Unwanted,
            Err(problem) => Outcome::Failed(problem.code.to_string()),
        };
        let mut queue = self.queue();
        match outcome {
            Outcome::Told | Outcome::Unwanted => queue.finish(&project),
            Outcome::Gone => {
                tracing::warn!(%project, "a webhook's server is gone; nothing more is sent there");
                queue.finish(&project);
            }
            Outcome::Failed(why) => {
                tracing::info!(%project, event = delivery.id, why, "an event was not told");
                match PAUSES.get(delivery.failed) {
                    Some(pause) => {
                        delivery.failed += 1;
                        let due = clock_ms().saturating_add(pause.saturating_mul(1000));
                        queue.put_back(delivery, due);
                    }
                    None => {
                        tracing::warn!(%project, event = delivery.id, "an event is given up");
                        queue.finish(&project);
                    }
                }
            }
        }
    }
}

/// Where a project's events go.
pub(crate) fn destination(project: &Project) -> Option<Destination> {
    let settings = project.sign_in.webhook.as_ref()?;
    let destination = Destination::new(settings, project.secrets.get(SECRET_NAME));
    if destination.is_none() {
        tracing::warn!(project = %project.project, "a project has a webhook without a usable key");
    }
    destination
}
