//! What waits, until when, and whose it is.

use std::collections::BTreeMap;

use keyfold_protocol::ids::ProjectId;

/// One event on its way to one server.
pub(super) struct Delivery {
    pub(super) project: ProjectId,
    /// The same at every attempt.
    pub(super) id: String,
    /// JSON.
    pub(super) body: Vec<u8>,
    /// Attempts that failed.
    pub(super) failed: usize,
}

/// How much of the queue is a project's.
#[derive(Default)]
struct Share {
    /// Waiting or under way.
    events: usize,
    under_way: usize,
}

/// Events by the time they are due at, in milliseconds, and among these in the order they came.
pub(super) struct Queue {
    waiting: BTreeMap<(u64, u64), Delivery>,
    shares: BTreeMap<ProjectId, Share>,
    gone: BTreeMap<ProjectId, String>,
    events: usize,
    next: u64,
    most: usize,
    most_per_project: usize,
}

impl Queue {
    pub(super) fn new(most: usize, most_per_project: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            shares: BTreeMap::new(),
            gone: BTreeMap::new(),
            events: 0,
            next: 0,
            most,
            most_per_project,
        }
    }

    /// Takes an event in that is due at once; `false` where there is no room.
    pub(super) fn add(&mut self, delivery: Delivery, now_ms: u64) -> bool {
        let held = self.shares.get(&delivery.project).map_or(0, |s| s.events);
        if self.events >= self.most || held >= self.most_per_project {
            return false;
        }
        self.events += 1;
        let share = self.shares.entry(delivery.project.clone()).or_default();
        share.events += 1;
        self.wait(delivery, now_ms);
        true
    }

    fn wait(&mut self, delivery: Delivery, due_ms: u64) {
        self.next += 1;
        self.waiting.insert((due_ms, self.next), delivery);
    }

    /// The first that may be sent, whose project has room: its key.
    fn first(&self, per_project: usize) -> Option<(u64, u64)> {
        let may = |delivery: &Delivery| {
            let share = self.shares.get(&delivery.project);
            share.is_none_or(|share| share.under_way < per_project)
        };
        let mut waiting = self.waiting.iter();
        waiting.find(|(_, delivery)| may(delivery)).map(|(k, _)| *k)
    }

    /// Takes out an event to be sent now. Ends with [`Queue::finish`] or [`Queue::put_back`].
    pub(super) fn take_due(&mut self, now_ms: u64, per_project: usize) -> Option<Delivery> {
        let key = self.first(per_project).filter(|(due, _)| *due <= now_ms)?;
        let delivery = self.waiting.remove(&key)?;
        let share = self.shares.entry(delivery.project.clone()).or_default();
        share.under_way += 1;
        Some(delivery)
    }

    /// Milliseconds until an event is due, where one waits that may be sent then.
    pub(super) fn until_due(&self, now_ms: u64, per_project: usize) -> Option<u64> {
        let (due, _) = self.first(per_project)?;
        Some(due.saturating_sub(now_ms))
    }

    /// Lets an event that was under way wait again.
    pub(super) fn put_back(&mut self, delivery: Delivery, due_ms: u64) {
        if let Some(share) = self.shares.get_mut(&delivery.project) {
            share.under_way = share.under_way.saturating_sub(1);
        }
        self.wait(delivery, due_ms);
    }

    /// Counts an event that was under way no more.
    pub(super) fn finish(&mut self, project: &ProjectId) {
        if let Some(share) = self.shares.get_mut(project) {
            share.under_way = share.under_way.saturating_sub(1);
        }
        self.drop_events(project, 1);
    }

    fn drop_events(&mut self, project: &ProjectId, count: usize) {
        self.events = self.events.saturating_sub(count);
        if let Some(share) = self.shares.get_mut(project) {
            share.events = share.events.saturating_sub(count);
            if share.events == 0 {
                self.shares.remove(project);
            }
        }
    }

    /// Sends a project's server nothing more while this is its address, and forgets what waits.
    pub(super) fn gone(&mut self, project: &ProjectId, url: &str, most: usize) {
        let before = self.waiting.len();
        self.waiting
            .retain(|_, delivery| delivery.project != *project);
        let dropped = before - self.waiting.len();
        self.drop_events(project, dropped);
        if self.gone.len() >= most {
            self.gone.pop_first();
        }
        self.gone.insert(project.clone(), url.to_owned());
    }

    /// Whether a project's server at this address said that it is gone.
    pub(super) fn is_gone(&self, project: &ProjectId, url: &str) -> bool {
        self.gone.get(project).is_some_and(|gone| gone == url)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.events
    }
}
