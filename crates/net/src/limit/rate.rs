//! Token buckets for many keys in memory that does not grow with their number.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// How many buckets there are; with two hashes in use about a megabyte.
const BUCKETS: u64 = 1 << 15;

/// The key used up its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; the next is possible after {} ms", retry_after.as_millis())]
pub struct Limited {
    /// After how long the next request can pass.
    pub retry_after: Duration,
}

impl Limited {
    /// Returns the wait in whole seconds, rounded up, for `Retry-After`.
    pub const fn retry_after_seconds(&self) -> u64 {
        let whole = self.retry_after.as_secs();
        if self.retry_after.subsec_nanos() > 0 {
            whole + 1
        } else {
            whole
        }
    }
}

/// A token bucket per key.
///
/// Keys are hashed into a fixed number of buckets under two secret functions, and a request is
/// refused only where both buckets are empty. So an attacker with a million addresses gets neither
/// our memory nor anybody's eviction, and cannot aim at a victim's bucket; that some innocent key
/// shares both its buckets with busy ones is the (small) price.
pub struct RateLimit {
    limiters: [DefaultKeyedRateLimiter<u64>; 2],
    hashers: [RandomState; 2],
    clock: DefaultClock,
}

impl RateLimit {
    /// Allows `burst` requests at once, and one more every `period / burst`.
    pub fn new(burst: NonZeroU32, period: Duration) -> Self {
        // A period of zero would be no limit at all; governor has no such quota.
        let each = (period / burst.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(each)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiters: [
                DefaultKeyedRateLimiter::keyed(quota),
                DefaultKeyedRateLimiter::keyed(quota),
            ],
            hashers: [RandomState::new(), RandomState::new()],
            clock: DefaultClock::default(),
        }
    }

    /// Takes a token of this key.
    ///
    /// # Errors
    ///
    /// [`Limited`] if there is none.
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Result<(), Limited> {
        let mut wait = Duration::MAX;
        let mut passed = false;
        // Both are charged, whether or not one would do: an empty one must stay empty.
        for (limiter, hasher) in self.limiters.iter().zip(&self.hashers) {
            match limiter.check_key(&(hasher.hash_one(key) % BUCKETS)) {
                Ok(()) => passed = true,
                Err(not_until) => wait = wait.min(not_until.wait_time_from(self.clock.now())),
            }
        }
        if passed {
            Ok(())
        } else {
            Err(Limited { retry_after: wait })
        }
    }

    /// Returns how many buckets are in memory.
    pub fn buckets(&self) -> usize {
        self.limiters.iter().map(governor::RateLimiter::len).sum()
    }
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn limit(burst: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(burst).unwrap(), HOUR)
    }

    #[test]
    fn a_burst_passes_and_the_next_is_told_when() {
        let limit = limit(3);
        for _ in 0..3 {
            limit.check("a").unwrap();
        }
        let limited = limit.check("a").unwrap_err();
        assert!(limited.retry_after > Duration::from_secs(1000) && limited.retry_after <= HOUR / 3);
        assert!(limited.retry_after_seconds() <= 1200);
        limit.check("b").unwrap();
    }

    #[test]
    fn a_million_keys_neither_grow_memory_nor_reset_the_first() {
        let limit = limit(1);
        limit.check("victim").unwrap();
        for key in 0..1_000_000u32 {
            let _ = limit.check(&key);
        }
        assert!(limit.buckets() as u64 <= 2 * BUCKETS);
        assert!(limit.check("victim").is_err());
    }
}
