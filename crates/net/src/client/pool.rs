//! Connections that wait for the next request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::Authority;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

pub(super) type Sender = SendRequest<Full<Bytes>>;

struct Idle {
    sender: Sender,
    since: Instant,
}

pub(super) struct Pool {
    idle: Mutex<HashMap<Authority, Vec<Idle>>>,
    max_idle: usize,
    idle_timeout: Duration,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Self {
        Self {
            idle: Mutex::default(),
            max_idle,
            idle_timeout,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Authority, Vec<Idle>>> {
        // A list of connections has no half-done state worth dying for.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection used last, which is the least likely to be stale.
    pub(super) fn take(&self, authority: &Authority) -> Option<Sender> {
        let mut pool = self.lock();
        let idle = pool.get_mut(authority)?;
        let found = loop {
            match idle.pop() {
                Some(Idle { sender, since }) => {
                    if !sender.is_closed() && since.elapsed() < self.idle_timeout {
                        break Some(sender);
                    }
                }
                None => break None,
            }
        };
        if idle.is_empty() {
            pool.remove(authority);
        }
        found
    }

    /// Keeps a connection, unless it is closed or there are enough.
    pub(super) fn put(&self, authority: Authority, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut pool = self.lock();
        let idle = pool.entry(authority).or_default();
        idle.retain(|kept| !kept.sender.is_closed() && kept.since.elapsed() < self.idle_timeout);
        if idle.len() < self.max_idle {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}
