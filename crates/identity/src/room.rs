//! How much of a table one project may take.
//!
//! What waits for its proof is in tables of bounded size, and projects cost nothing to make. A
//! fixed share of a table would be used up by as many projects as there are such shares. So a
//! project's share is a fraction of the room that is *left*: each flood takes a fraction of what
//! the ones before it left, and the first place of a project costs no share at all.
//!
//! Alone, a project has a fifth of a table. Ten projects that flood it leave a tenth of it to the
//! eleventh, which may take a fifth of that; of 50 000 places some forty projects have to be made
//! before the next has a handful only.
//!
//! Names that are sealed to the enclave instead of remembered would not do without a table: that
//! each counts once has to be remembered too, by whoever answers, and challenges and verifiers are
//! of a device. And nothing that waits is pushed out to make room, because it would be somebody's.

/// The part of the room that is left, as its divisor.
pub const PART: usize = 4;

/// Tells whether a project that holds so many places of a table may take one more: while it holds
/// less than a [`PART`]th of those that nobody holds.
#[must_use]
pub const fn may_take(held: usize, taken: usize, total: usize) -> bool {
    held.saturating_mul(PART) < total.saturating_sub(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a flood in one project after the other takes.
    fn floods(total: usize, projects: usize) -> Vec<usize> {
        let mut taken = 0;
        let mut flood = || {
            let mut held = 0;
            while may_take(held, taken, total) {
                held += 1;
                taken += 1;
            }
            held
        };
        (0..projects).map(|_| flood()).collect()
    }

    #[test]
    fn no_few_projects_fill_a_table() {
        let took = floods(50_000, 21);
        assert_eq!(took[0], 10_000);
        assert!(took.is_sorted_by(|before, after| after <= before));
        assert!(took[2] > 6_000 && took[10] > 1_000 && took[20] > 100);
        assert!(took.iter().sum::<usize>() < 50_000);
    }

    #[test]
    fn a_table_holds_no_more_than_it_holds_and_gives_the_last_place_to_who_has_none() {
        assert!(may_take(0, 9, 10));
        assert!(!may_take(0, 10, 10) && !may_take(0, 11, 10));
        assert!(!may_take(1, 9, 10));
        assert!(!may_take(usize::MAX, 0, usize::MAX));
        assert_eq!(floods(3, 5), [1, 1, 1, 0, 0]);
    }
}
