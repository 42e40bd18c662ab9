//! Trusted time: the timestamp of the instance's own attestation document, then monotonic.

use core::time::Duration;

/// Unix time as the security module knows it, carried on by the monotonic clock.
///
/// The host has no say in it: what it could do is stop the machine, and then the holders' signed
/// times tell.
#[derive(Debug)]
pub(crate) struct Clock {
    start_unix_ms: u64,
    start: Duration,
}

impl Clock {
    /// Starts from a document made just now.
    pub(crate) fn new(document_timestamp_ms: u64, monotonic: Duration) -> Self {
        Self {
            start_unix_ms: document_timestamp_ms,
            start: monotonic,
        }
    }

    /// Unix milliseconds at a moment of the monotonic clock.
    pub(crate) fn unix_ms(&self, monotonic: Duration) -> u64 {
        let passed = monotonic.saturating_sub(self.start).as_millis();
        self.start_unix_ms
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// Median of how far others are ahead, in milliseconds; `None` for nobody.
pub(crate) fn median(mut offsets_ms: Vec<i64>) -> Option<i64> {
    offsets_ms.sort_unstable();
    // The lower of two in the middle: with t of them honest bounds hold on either side.
    offsets_ms
        .get(offsets_ms.len().checked_sub(1)? / 2)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_the_document_and_never_back() {
        let clock = Clock::new(1_000_000, Duration::from_secs(5));
        assert_eq!(clock.unix_ms(Duration::from_secs(5)), 1_000_000);
        assert_eq!(clock.unix_ms(Duration::from_millis(6_500)), 1_001_500);
        assert_eq!(clock.unix_ms(Duration::from_secs(1)), 1_000_000);
    }

    #[test]
    fn one_liar_among_three_does_not_move_the_median_past_the_others() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7]), Some(7));
        assert_eq!(median(vec![i64::MAX, 3, -2]), Some(3));
        assert_eq!(median(vec![i64::MIN, 3, -2]), Some(-2));
    }
}
