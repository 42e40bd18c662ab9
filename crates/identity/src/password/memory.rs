//! How much memory hashing may take at one time.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// So much memory, from which permits are taken and to which they return.
///
/// Who has to wait, and for how long, is the caller's to decide: with a semaphore in front of it,
/// or by answering that the service is busy.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<AtomicU32>);

impl MemoryBudget {
    /// Makes a budget of so many KiB.
    #[must_use]
    pub fn new(memory_kib: u32) -> Self {
        Self(Arc::new(AtomicU32::new(memory_kib)))
    }

    /// Takes a permit for so many KiB; `None` if there is not so much left now.
    #[must_use]
    pub fn try_take(&self, memory_kib: u32) -> Option<MemoryPermit> {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(memory_kib)
            })
            .ok()?;
        Some(MemoryPermit {
            budget: Arc::clone(&self.0),
            memory_kib,
        })
    }

    /// Returns how many KiB are left now.
    #[must_use]
    pub fn left_kib(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// Lets one hash at a time be computed, in so much memory; gives it back on drop.
#[derive(Debug)]
pub struct MemoryPermit {
    budget: Arc<AtomicU32>,
    memory_kib: u32,
}

impl MemoryPermit {
    /// Returns for how many KiB it is.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.budget.fetch_add(self.memory_kib, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryBudget;

    #[test]
    fn ten_thousand_sign_ins_at_once_take_no_more_memory_than_there_is() {
        let budget = MemoryBudget::new(100);
        let permits: Vec<_> = (0..10_000).filter_map(|_| budget.try_take(19)).collect();
        assert_eq!((permits.len(), budget.left_kib()), (5, 5));
        assert!(budget.try_take(u32::MAX).is_none());
        drop(permits);
        assert_eq!(budget.left_kib(), 100);
    }

    #[test]
    fn permits_taken_by_many_threads_are_never_more_than_there_are() {
        let budget = MemoryBudget::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let permit = budget.try_take(1);
                        assert!(budget.left_kib() <= 3);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(budget.left_kib(), 3);
    }
}
