//! What goes on after its request was answered: the holders that were not waited for.
//!
//! There is no runtime to spawn on, so [`Enclave::maintain`](crate::Enclave::maintain) polls them.

use std::sync::PoisonError;

use futures_channel::mpsc;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::lock::Mutex;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::limits::BACKGROUND_TASKS;

pub(crate) type Task = BoxFuture<'static, ()>;

/// Tasks that nobody waits for. Losing one loses no promise, only time at the next read.
pub(crate) struct Background {
    /// One sender for all: every clone of it would have a place of its own in the channel.
    sender: std::sync::Mutex<mpsc::Sender<Task>>,
    receiver: Mutex<mpsc::Receiver<Task>>,
}

impl Background {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(BACKGROUND_TASKS);
        Self {
            sender: std::sync::Mutex::new(sender),
            receiver: Mutex::new(receiver),
        }
    }

    /// Hands a task over; drops it when there are too many.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.try_send(task.boxed()).is_err() {
            tracing::warn!("too many background tasks; one is dropped");
        }
    }

    /// Polls the tasks, for ever.
    pub(crate) async fn drive(&self) {
        let mut receiver = self.receiver.lock().await;
        let mut running = FuturesUnordered::new();
        loop {
            if running.len() >= BACKGROUND_TASKS {
                running.next().await;
            }
            if running.is_empty() {
                match receiver.next().await {
                    Some(task) => running.push(task),
                    None => return,
                }
                continue;
            }
            let new = match select(receiver.next(), running.next()).await {
                Either::Left((new, _)) => new,
                Either::Right(_) => continue,
            };
            match new {
                Some(task) => running.push(task),
                None => return,
            }
        }
    }
}
