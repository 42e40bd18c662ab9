//! Clock, randomness, and polling without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use keyfold_crypto::Secret;
use keyfold_crypto::testing::SeededRng;

use crate::{Environment, EnvironmentError};

/// Polls to the end. Nothing here waits for anything but its own turn.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}

/// Lets every other task have its turn once.
pub(super) async fn a_turn() {
    let mut had = false;
    std::future::poll_fn(|context| {
        if had {
            return Poll::Ready(());
        }
        had = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(super) fn new(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn advance_ms(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn go_back_ms(&self, by: u64) {
        self.0.fetch_sub(by, Ordering::Relaxed);
    }
}

pub(crate) struct TestEnvironment {
    clock: Clock,
    rng: Mutex<SeededRng>,
}

impl TestEnvironment {
    pub(super) fn new(clock: Clock, rng: SeededRng) -> Self {
        Self {
            clock,
            rng: Mutex::new(rng),
        }
    }
}

#[async_trait]
impl Environment for TestEnvironment {
    fn now_unix_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EnvironmentError> {
        let mut rng = self.rng.lock().unwrap();
        for byte in bytes {
            Secret::<1>::random(&mut *rng).expose(|one| *byte = one[0]);
        }
        Ok(())
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        self.clock.advance_ms(milliseconds);
    }
}
