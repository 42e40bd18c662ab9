//! Counting in fixed windows: one number and one start for each thing that is counted.

/// How often something happened since a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Window {
    /// Unix seconds.
    pub(crate) start: u64,
    /// Times since then.
    pub(crate) count: u32,
}

impl Window {
    /// Counts one more, if that is within `limit` for a window of `length` seconds.
    ///
    /// A clock that went back does not open a new window.
    pub(crate) fn count_one(self, now: u64, length: u64, limit: u32) -> Option<Self> {
        let current = if now.saturating_sub(self.start) >= length {
            Self {
                start: now,
                count: 0,
            }
        } else {
            self
        };
        (current.count < limit).then(|| Self {
            count: current.count + 1,
            ..current
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_until_the_window_ends() {
        let mut window = Window::default();
        for _ in 0..3 {
            window = window.count_one(1_000, 60, 3).unwrap();
        }
        assert_eq!(window.count_one(1_059, 60, 3), None);
        assert_eq!(
            window.count_one(1_060, 60, 3),
            Some(Window {
                start: 1_060,
                count: 1
            })
        );
    }

    #[test]
    fn a_clock_that_goes_back_opens_no_new_window() {
        let full = Window {
            start: 1_000,
            count: 3,
        };
        assert_eq!(full.count_one(10, 60, 3), None);
    }
}
