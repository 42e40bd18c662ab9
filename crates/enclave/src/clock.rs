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

/// How far a holder's time is from the own one, milliseconds, given that it was said at some moment
/// between asking and hearing: 0 where it lies between. A slow answer is no wrong clock.
pub(crate) fn offset(said_unix_ms: u64, asked_unix_ms: u64, heard_unix_ms: u64) -> i64 {
    let nearest = if said_unix_ms < asked_unix_ms {
        asked_unix_ms
    } else {
        said_unix_ms.min(heard_unix_ms)
    };
    let offset = i128::from(said_unix_ms) - i128::from(nearest);
    i64::try_from(offset).unwrap_or(if offset < 0 { i64::MIN } else { i64::MAX })
}

/// What the holders' times say of the own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockVerdict {
    /// t agree with it.
    Right,
    /// So many disagree that t cannot agree any more.
    Wrong,
    /// Neither: too few answered.
    Unknown,
}

/// Judges the own clock: `near` of n holders are close to it, `far` are not.
///
/// One holder decides nothing: while t agree, the others are wrong; and it takes n-t+1 that
/// disagree to say that it is the own clock.
pub(crate) fn judge(holders: usize, threshold: usize, near: usize, far: usize) -> ClockVerdict {
    if near >= threshold {
        ClockVerdict::Right
    } else if far > holders.saturating_sub(threshold) {
        ClockVerdict::Wrong
    } else {
        ClockVerdict::Unknown
    }
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
    fn a_slow_answer_is_no_wrong_clock() {
        // Asked at 100 s, heard at 140 s: whatever it said between is right.
        for said in [100_000, 120_000, 140_000] {
            assert_eq!(offset(said, 100_000, 140_000), 0);
        }
        assert_eq!(offset(99_000, 100_000, 140_000), -1_000);
        assert_eq!(offset(141_000, 100_000, 140_000), 1_000);
        assert_eq!(offset(u64::MAX, 0, 0), i64::MAX);
        assert_eq!(offset(0, u64::MAX, u64::MAX), i64::MIN);
    }

    #[test]
    fn one_liar_decides_nothing() {
        assert_eq!(judge(3, 2, 2, 1), ClockVerdict::Right);
        assert_eq!(judge(3, 2, 2, 0), ClockVerdict::Right);
        assert_eq!(judge(3, 2, 1, 1), ClockVerdict::Unknown);
        assert_eq!(judge(3, 2, 0, 1), ClockVerdict::Unknown);
        assert_eq!(judge(3, 2, 1, 0), ClockVerdict::Unknown);
        assert_eq!(judge(3, 2, 1, 2), ClockVerdict::Wrong);
        assert_eq!(judge(3, 2, 0, 2), ClockVerdict::Wrong);
        assert_eq!(judge(5, 3, 2, 2), ClockVerdict::Unknown);
        assert_eq!(judge(5, 3, 2, 3), ClockVerdict::Wrong);
        assert_eq!(judge(1, 1, 0, 1), ClockVerdict::Wrong);
    }
}
