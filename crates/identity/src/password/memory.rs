//! How much memory hashing may take at one time.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Block;
use zeroize::Zeroize;

/// So much memory, from which permits are taken and to which they return.
///
/// Blocks that were used are kept for the next permit, within the same bound: given back to the
/// allocator and asked for again they would leave it holding more than was ever in use.
///
/// Who has to wait, and for how long, is the caller's to decide: with a semaphore in front of it,
/// or by answering that the service is busy.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Mutex<State>>);

struct State {
    left_kib: u32,
    /// Wiped, of any lengths, and together never more than what is left.
    idle: Vec<Vec<Block>>,
}

impl State {
    fn idle_kib(&self) -> usize {
        self.idle.iter().map(Vec::len).sum()
    }
}

impl MemoryBudget {
    /// Makes a budget of so many KiB.
    #[must_use]
    pub fn new(memory_kib: u32) -> Self {
        Self(Arc::new(Mutex::new(State {
            left_kib: memory_kib,
            idle: Vec::new(),
        })))
    }

    /// Takes a permit for so many KiB; `None` if there is not so much left now.
    #[must_use]
    pub fn try_take(&self, memory_kib: u32) -> Option<MemoryPermit> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.left_kib = state.left_kib.checked_sub(memory_kib)?;
        let wanted = usize::try_from(memory_kib).ok()?;
        let fitting = state.idle.iter().position(|blocks| blocks.len() == wanted);
        let blocks = fitting.map(|at| state.idle.swap_remove(at));
        // What is idle and what permits allow stay within the budget together.
        while state.idle_kib() > usize::try_from(state.left_kib).unwrap_or(usize::MAX) {
            state.idle.pop();
        }
        Some(MemoryPermit {
            budget: Arc::clone(&self.0),
            memory_kib,
            blocks: blocks.unwrap_or_default(),
        })
    }

    /// Returns how many KiB are left now.
    #[must_use]
    pub fn left_kib(&self) -> u32 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .left_kib
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBudget({} KiB left)", self.left_kib())
    }
}

/// Lets one hash at a time be computed, in so much memory; gives it back on drop.
pub struct MemoryPermit {
    budget: Arc<Mutex<State>>,
    memory_kib: u32,
    blocks: Vec<Block>,
}

impl MemoryPermit {
    /// Returns for how many KiB it is.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Lends so many blocks of a KiB each, all zero; `None` if they are more than it is for, or the
    /// machine has no memory left. They are wiped when the loan ends: from the first of them a
    /// password could be guessed cheaply.
    pub(super) fn lend(&mut self, count: usize) -> Option<Loan<'_>> {
        let all = usize::try_from(self.memory_kib).ok()?;
        if count > all {
            return None;
        }
        if self.blocks.is_empty() {
            self.blocks.try_reserve_exact(all).ok()?;
            self.blocks.resize(all, Block::new());
        }
        self.blocks.get_mut(..count).map(Loan)
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        let mut state = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        state.left_kib = state.left_kib.saturating_add(self.memory_kib);
        if !self.blocks.is_empty() {
            state.idle.push(core::mem::take(&mut self.blocks));
        }
    }
}

impl fmt::Debug for MemoryPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryPermit({} KiB)", self.memory_kib)
    }
}

/// Blocks on loan, wiped at its end.
pub(super) struct Loan<'a>(pub(super) &'a mut [Block]);

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
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
