//! Documents that are kept: fetched once for all who ask, for so long, so many.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::lock::Mutex as AsyncMutex;

use crate::platform::Platform;
use crate::records::Cache;
use crate::web::WebError;

/// Names a document: what it is fetched from, and whom to believe about it.
pub(super) type Key = [u8; 32];

/// How long anything is kept, and how many documents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    /// Documents; the oldest makes room.
    pub(super) most: usize,
    /// Age at which a document is fetched again.
    pub(super) fresh: Duration,
    /// For how long a failure is the answer to whoever asks.
    pub(super) failed: Duration,
    /// At least between two fetches of a document that is not old, only found wanting.
    pub(super) between_refreshes: Duration,
}

/// Documents of one kind.
pub(super) struct Kept<T> {
    keeping: Keeping,
    slots: Mutex<Cache<Key, Arc<Slot<T>>>>,
}

/// One document. Whoever holds `flight` fetches; the others wait for it, or read what is there.
struct Slot<T> {
    state: Mutex<State<T>>,
    flight: AsyncMutex<()>,
}

struct State<T> {
    value: Option<(Arc<T>, Duration)>,
    failed: Option<(WebError, Duration)>,
    refreshed: Option<Duration>,
}

type Answer<T> = Result<Arc<T>, WebError>;

impl<T> Kept<T> {
    pub(super) fn new(keeping: Keeping) -> Self {
        Self {
            keeping,
            slots: Mutex::new(Cache::new(keeping.most)),
        }
    }

    /// Returns the document, fetched now if it has to be.
    ///
    /// A caller that gives up while it fetches leaves the fetching to the next in line.
    pub(super) async fn get(
        &self,
        platform: &impl Platform,
        key: Key,
        fetch: impl Future<Output = Result<T, WebError>> + Send,
    ) -> Answer<T> {
        let slot = self.slot(key);
        if let Some(answer) = slot.known(&self.keeping, platform.monotonic()) {
            return answer;
        }
        let _one_at_a_time = slot.flight.lock().await;
        if let Some(answer) = slot.known(&self.keeping, platform.monotonic()) {
            return answer;
        }
        slot.fetched(fetch.await, platform.monotonic())
    }

    /// Returns another document than the one that was found wanting: one that somebody fetched
    /// since, or one fetched now. If the last of these was too short a time ago, the same again.
    pub(super) async fn refresh(
        &self,
        platform: &impl Platform,
        key: Key,
        wanting: &Arc<T>,
        fetch: impl Future<Output = Result<T, WebError>> + Send,
    ) -> Answer<T> {
        let slot = self.slot(key);
        if let Some(answer) = slot.newer(&self.keeping, wanting, platform.monotonic()) {
            return answer;
        }
        let _one_at_a_time = slot.flight.lock().await;
        let now = platform.monotonic();
        if let Some(answer) = slot.newer(&self.keeping, wanting, now) {
            return answer;
        }
        // Before it is sent: a caller that gives up has asked all the same.
        slot.change(|state| state.refreshed = Some(now));
        slot.fetched(fetch.await, platform.monotonic())
    }

    fn slot(&self, key: Key) -> Arc<Slot<T>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&key).unwrap_or_else(|| {
            let slot = Arc::new(Slot {
                state: Mutex::new(State {
                    value: None,
                    failed: None,
                    refreshed: None,
                }),
                flight: AsyncMutex::new(()),
            });
            slots.insert(key, Arc::clone(&slot));
            slot
        })
    }
}

impl<T> Slot<T> {
    fn change<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What can be said without asking.
    fn known(&self, keeping: &Keeping, now: Duration) -> Option<Answer<T>> {
        self.change(|state| {
            let fresh = state.fresh(keeping, now).map(Ok);
            fresh.or_else(|| state.failed(keeping, now).map(Err))
        })
    }

    /// What can be said without asking to somebody whom `wanting` did not help.
    fn newer(&self, keeping: &Keeping, wanting: &Arc<T>, now: Duration) -> Option<Answer<T>> {
        self.change(|state| {
            let fresh = state.fresh(keeping, now);
            if let Some(value) = fresh.as_ref().filter(|value| !Arc::ptr_eq(value, wanting)) {
                return Some(Ok(Arc::clone(value)));
            }
            let recently = state
                .refreshed
                .is_some_and(|at| within(at, now, keeping.between_refreshes));
            if !recently {
                return None;
            }
            let failed = state.failed(keeping, now).map(Err);
            failed.or_else(|| fresh.map(Ok))
        })
    }

    fn fetched(&self, fetched: Result<T, WebError>, now: Duration) -> Answer<T> {
        let answer = fetched.map(Arc::new);
        self.change(|state| match &answer {
            Ok(value) => {
                state.value = Some((Arc::clone(value), now));
                state.failed = None;
            }
            // What was fetched before keeps its age.
            Err(error) => state.failed = Some((*error, now)),
        });
        answer
    }
}

impl<T> State<T> {
    fn fresh(&self, keeping: &Keeping, now: Duration) -> Option<Arc<T>> {
        let (value, at) = self.value.as_ref()?;
        within(*at, now, keeping.fresh).then(|| Arc::clone(value))
    }

    fn failed(&self, keeping: &Keeping, now: Duration) -> Option<WebError> {
        let (error, at) = self.failed?;
        within(at, now, keeping.failed).then_some(error)
    }
}

fn within(at: Duration, now: Duration, limit: Duration) -> bool {
    now.saturating_sub(at) < limit
}
