//! Who has used something lately, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Time between two cleanings of a full table, in nanoseconds.
const MIN_CLEANING_INTERVAL: u64 = 1_000_000_000;

/// What somebody has used.
pub trait Usage: Default {
    /// Whether nothing of it counts any more, at this nanosecond of [`Uptime`](super::limiter::Uptime).
    fn has_passed(&self, now: u64) -> bool;
}

/// What each of many has used. An entry leaves when nobody holds it and nothing of it counts any more.
pub struct Table<K, V> {
    most: usize,
    /// Held to find or add one entry; to clean all, once a second at most.
    entries: Mutex<Entries<K, V>>,
}

struct Entries<K, V> {
    map: HashMap<K, Arc<V>>,
    cleaned: u64,
}

impl<K: Hash + Eq, V: Usage> Table<K, V> {
    /// A table of so many entries at most.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            entries: Mutex::new(Entries {
                map: HashMap::new(),
                cleaned: 0,
            }),
        }
    }

    /// What this one has used; `None` if it is not in the table and there is no room.
    pub fn of(&self, key: K, now: u64) -> Option<Arc<V>> {
        let mut entries = self.entries.lock();
        if let Some(known) = entries.map.get(&key) {
            return Some(Arc::clone(known));
        }
        if entries.map.len() >= self.most && now >= entries.cleaned + MIN_CLEANING_INTERVAL {
            entries.clean(now);
        }
        if entries.map.len() >= self.most {
            return None;
        }
        Some(Arc::clone(entries.map.entry(key).or_default()))
    }

    /// Lets the entries go that say nothing any more.
    pub fn clean(&self, now: u64) {
        self.entries.lock().clean(now);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.lock().map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash + Eq, V: Usage> Entries<K, V> {
    fn clean(&mut self, now: u64) {
        self.cleaned = now;
        // Whoever holds one got it under this lock.
        self.map
            .retain(|_, used| Arc::strong_count(used) > 1 || !used.has_passed(now));
        if self.map.capacity() > 1_024 && self.map.len() < self.map.capacity() / 4 {
            self.map.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Something that counts until a second.
    #[derive(Default)]
    struct Until(AtomicU64);

    impl Usage for Until {
        fn has_passed(&self, now: u64) -> bool {
            self.0.load(Ordering::Relaxed) * MIN_CLEANING_INTERVAL <= now
        }
    }

    fn at(second: u64) -> u64 {
        second * MIN_CLEANING_INTERVAL
    }

    #[test]
    fn a_full_table_takes_nobody_until_somebody_may_leave() {
        let table: Table<u32, Until> = Table::new(10);
        for key in 0..10 {
            table
                .of(key, at(1))
                .unwrap()
                .0
                .store(if key < 5 { 3 } else { 9 }, Ordering::Relaxed);
        }
        assert!(table.of(10, at(2)).is_none(), "all count still");
        assert!(table.of(3, at(2)).is_some(), "who is in it is found");
        let held = table.of(0, at(2));
        assert!(table.of(10, at(3)).is_some(), "four have left");
        assert_eq!(table.len(), 7, "the one that is held stays");
        drop(held);
        table.clean(at(20));
        assert!(table.is_empty());
    }

    #[test]
    fn a_table_of_strangers_is_bounded() {
        let table: Table<u64, Until> = Table::new(1_000);
        for key in 0..100_000 {
            if let Some(used) = table.of(key, at(1 + key / 10_000)) {
                used.0.store(1_000, Ordering::Relaxed);
            }
        }
        assert_eq!(table.len(), 1_000);
        table.clean(at(1_000));
        assert!(table.entries.lock().map.capacity() < 1_000, "its memory is given back");
    }
}
