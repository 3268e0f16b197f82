//! Who has used something lately, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

/// Parts of a table, each cleaned by itself, so that nobody waits for the cleaning of all.
const PARTS: usize = 16;

/// Time between two cleanings of a full part, in nanoseconds.
const MIN_CLEANING_INTERVAL: u64 = 1_000_000_000;

/// What somebody has used.
pub trait Usage: Default {
    /// Whether nothing of it counts any more, at this nanosecond of [`Uptime`](super::limiter::Uptime).
    fn has_passed(&self, now: u64) -> bool;
}

/// What each of many has used. An entry leaves when nobody holds it and nothing of it counts any more.
pub struct Table<K, V> {
    /// Most entries of a part.
    most: usize,
    /// Says which part a key is in; strangers can't choose it.
    hasher: RandomState,
    /// Each held to find or add one entry; to clean it, once a second at most.
    parts: [Mutex<Entries<K, V>>; PARTS],
}

struct Entries<K, V> {
    map: HashMap<K, Arc<V>>,
    cleaned: u64,
}

impl<K: Hash + Eq, V: Usage> Table<K, V> {
    /// A table of so many entries at most, or some fewer: its parts fill up one by one.
    pub fn new(most: usize) -> Self {
        let part = |_| {
            Mutex::new(Entries {
                map: HashMap::new(),
                cleaned: 0,
            })
        };
        Self {
            most: (most / PARTS).max(1),
            hasher: RandomState::new(),
            parts: std::array::from_fn(part),
        }
    }

    /// What this one has used; `None` if it is not in the table and there is no room.
    pub fn of(&self, key: K, now: u64) -> Option<Arc<V>> {
        let part = self.hasher.hash_one(&key) as usize % PARTS;
        let mut entries = self.parts[part].lock();
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
        self.parts.iter().for_each(|part| part.lock().clean(now));
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().map.len()).sum()
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
        if self.map.capacity() > 64 && self.map.len() < self.map.capacity() / 4 {
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
        let table: Table<u32, Until> = Table::new(10 * PARTS);
        // All of one part.
        let mut keys = (0..).filter(|key| (table.hasher.hash_one(key) as usize).is_multiple_of(PARTS));
        let keys: [u32; 11] = std::array::from_fn(|_| keys.next().unwrap());
        for (number, key) in keys[..10].iter().enumerate() {
            let until = if number < 5 { 3 } else { 9 };
            table.of(*key, at(1)).unwrap().0.store(until, Ordering::Relaxed);
        }
        assert!(table.of(keys[10], at(2)).is_none(), "all count still");
        assert!(table.of(keys[3], at(2)).is_some(), "who is in it is found");
        let held = table.of(keys[0], at(2));
        assert!(table.of(keys[10], at(3)).is_some(), "four have left");
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
        assert!((900..=1_000).contains(&table.len()), "{}", table.len());
        table.clean(at(1_000));
        assert!(table.is_empty());
    }
}
