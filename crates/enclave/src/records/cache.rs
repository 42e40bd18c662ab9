//! A small map that forgets what came first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// At most `capacity` entries; the oldest insertion makes room.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    capacity: usize,
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).cloned()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_none() {
            self.order.push_back(key);
            if self.order.len() > self.capacity
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_a_replaced_entry_takes_none() {
        let mut cache = Cache::new(2);
        cache.insert(1, 'a');
        cache.insert(2, 'b');
        cache.insert(1, 'c');
        assert_eq!((cache.get(&1), cache.get(&2)), (Some('c'), Some('b')));
        cache.insert(3, 'd');
        assert_eq!(
            (cache.get(&1), cache.get(&2), cache.get(&3)),
            (None, Some('b'), Some('d'))
        );
        assert_eq!(cache.entries.len(), cache.order.len());
    }
}
