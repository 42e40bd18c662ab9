//! The holder's own clock, as something a test can turn.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time.
///
/// Every deadline a holder enforces is read from its own clock; nobody tells it what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Returns Unix milliseconds.
    fn unix_ms(&self) -> u64;

    /// Returns Unix seconds.
    fn unix_seconds(&self) -> u64 {
        self.unix_ms() / 1000
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_ms(&self) -> u64 {
        // A clock before 1970 reads as 0, at which every signature is from the future.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_millis()).ok())
            .unwrap_or(0)
    }
}
