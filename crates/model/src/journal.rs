//! What the running transaction changed, and what stood there before.

/// Each change's key and the value before it, in the order of the changes: of a key only the first matters.
#[derive(Debug, Clone)]
pub struct Journal<K, V> {
    changes: Vec<(K, Option<V>)>,
    /// The length at which changes of the same key are thrown out.
    crowded: usize,
}

/// The least length at which a journal is looked through.
const CROWDED: usize = 4096;

impl<K, V> Default for Journal<K, V> {
    fn default() -> Self {
        Self { changes: Vec::new(), crowded: CROWDED }
    }
}

/// Whoever hears what a table's running transaction changes.
pub trait Changes<K, V>: Default {
    /// A key changed; what stood there before (`None`: it was not there).
    fn note(&mut self, key: impl FnOnce() -> K, before: Option<V>);
}

/// Nobody: of a table that follows from others and is not stored, changes are told to none.
#[derive(Debug, Clone, Default)]
pub struct Untold;

impl<K, V> Changes<K, V> for Untold {
    fn note(&mut self, _: impl FnOnce() -> K, _: Option<V>) {}
}

impl<K: Ord, V> Changes<K, V> for Journal<K, V> {
    fn note(&mut self, key: impl FnOnce() -> K, before: Option<V>) {
        if self.changes.is_empty() {
            // What one large transaction took is not kept for ever.
            self.changes.shrink_to(CROWDED);
        }
        if self.changes.len() >= self.crowded {
            self.tidy();
            self.crowded = CROWDED.max(2 * self.changes.len());
        }
        self.changes.push((key(), before));
    }
}

impl<K: Ord, V> Journal<K, V> {
    /// Ends the transaction: hands each key whose value is another than before (`None`: not there), with what `get`
    /// finds there now and what stood there before, in the order of the keys.
    pub fn commit<'a>(
        &mut self,
        get: impl Fn(&K) -> Option<&'a V>,
        mut change: impl FnMut(&K, Option<&V>, Option<&V>),
    ) where
        V: PartialEq + 'a,
    {
        self.tidy();
        self.crowded = CROWDED;
        for (key, before) in self.changes.drain(..) {
            let now = get(&key);
            if now != before.as_ref() {
                change(&key, now, before.as_ref());
            }
        }
    }

    /// Leaves of each key the first change, in the order of the keys.
    fn tidy(&mut self) {
        self.changes.sort_by(|a, b| a.0.cmp(&b.0));
        self.changes.dedup_by(|later, first| later.0 == first.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_changes_often_is_kept_only_a_few_times() {
        let mut journal = Journal::default();
        for round in 0..100_000 {
            journal.note(|| round % 7, Some(round));
        }
        assert!(journal.changes.len() <= CROWDED, "{} entries for 7 keys", journal.changes.len());
        for first in [(0..7).map(|key| (key, Some(key))).collect::<Vec<_>>(), Vec::new()] {
            let mut told = Vec::new();
            journal.commit(|_| None, |key, _, before| told.push((*key, before.copied())));
            assert_eq!(told, first);
        }
    }
}
