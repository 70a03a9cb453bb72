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

impl<K: Ord, V> Journal<K, V> {
    /// Notes that a key changed, and what stood there before (`None`: it was not there).
    pub fn note(&mut self, key: K, before: Option<V>) {
        if self.changes.is_empty() {
            // What one large transaction took is not kept for ever.
            self.changes.shrink_to(CROWDED);
        }
        if self.changes.len() >= self.crowded {
            self.tidy();
            self.crowded = CROWDED.max(2 * self.changes.len());
        }
        self.changes.push((key, before));
    }

    /// Ends the transaction: hands each key whose value is another than before (`None`: not there), with what `get`
    /// finds there now and what stood there before, in the order of the keys.
    pub fn commit<'a>(
        &mut self,
        get: impl Fn(&K) -> Option<&'a V>,
        mut change: impl FnMut(&K, Option<&V>, Option<&V>),
    ) where
        V: PartialEq + 'a,
    {
        for (key, before) in self.first_changes() {
            let now = get(&key);
            if now != before.as_ref() {
                change(&key, now, before.as_ref());
            }
        }
    }

    /// Ends the transaction: gives out each key that changed with what stood there before, in the order of the keys.
    pub fn first_changes(&mut self) -> impl Iterator<Item = (K, Option<V>)> {
        self.tidy();
        self.crowded = CROWDED;
        self.changes.drain(..)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.crowded = CROWDED;
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
            journal.note(round % 7, Some(round));
        }
        assert!(journal.changes.len() <= CROWDED, "{} entries for 7 keys", journal.changes.len());
        let first: Vec<_> = journal.first_changes().collect();
        assert_eq!(first, (0..7).map(|key| (key, Some(key))).collect::<Vec<_>>());
        assert_eq!(journal.first_changes().count(), 0);
    }
}
