//! Rows of some topics on their way to where they are stored: one batch goes in while the next is gathered.

use crate::error::Error;
use crate::load::{Rows, Store, Stored};
use crate::pace::Pace;
use crate::session::Position;
use crate::stats::Delays;
use crate::trace::Traced;
use model::Timestamp;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use warehouse::LoadReport;

/// Most bytes of rows that are gathered, roughly, of each of both.
const GATHERED_BYTES: usize = 32 << 20;

/// Rows on their way, while the next are gathered.
pub(crate) struct Inserting<S: Store> {
    rows: S::Inserting,
    /// What is committed once they are in.
    positions: Vec<Position>,
    batch: Batch,
}

/// Rows that are in.
pub(crate) struct Loaded {
    pub(crate) positions: Vec<Position>,
    pub(crate) batch: Batch,
    pub(crate) report: LoadReport,
    pub(crate) took: Duration,
}

/// Rows of some topics, which wait for no others.
pub(crate) struct Lane<S: Store> {
    /// What is gathered.
    pub(crate) rows: S::Rows,
    /// The one whose rows are in, with its memory.
    spare: Option<S::Rows>,
    pub(crate) inserting: Option<Inserting<S>>,
    /// The next offset to read of each partition that moved since the last insert.
    pub(crate) moved: BTreeMap<(String, i32), i64>,
    pub(crate) since: Option<Instant>,
    pub(crate) batch: Batch,
    last_load: Duration,
    most_rows: usize,
    pace: Pace,
}

impl<S: Store> Lane<S> {
    pub(crate) fn new(store: &S, most_rows: usize, pace: Pace) -> Self {
        Self {
            rows: store.rows(),
            spare: None,
            inserting: None,
            moved: BTreeMap::new(),
            since: None,
            batch: Batch::default(),
            last_load: Duration::ZERO,
            most_rows,
            pace,
        }
    }

    fn is_full(&self) -> bool {
        let (rows, bytes) = self.rows.buffered();
        rows >= self.most_rows || bytes >= GATHERED_BYTES
    }

    /// Records that are gathered or on their way.
    pub(crate) fn records(&self) -> u64 {
        self.batch.records + self.inserting.as_ref().map_or(0, |inserting| inserting.batch.records)
    }

    /// Whether nothing more can be gathered until what was gathered before is in.
    pub(crate) fn is_held_up(&self) -> bool {
        self.inserting.is_some() && self.is_full()
    }

    /// When what is gathered is to be inserted; `None`: nothing is.
    pub(crate) fn due(&self, commit_interval: Duration) -> Option<Instant> {
        let since = self.since?;
        let interval = self.pace.after(self.last_load, commit_interval);
        Some(if self.is_full() { since } else { since + interval })
    }

    /// Gives out what is in, and begins to insert what is due. Never waits: an insert may take longer than a member of a
    /// group may be silent.
    pub(crate) fn go_on(
        &mut self,
        store: &S,
        now: Instant,
        commit_interval: Duration,
    ) -> Result<Option<Loaded>, Error> {
        let loaded = self.loaded(store)?;
        if self.inserting.is_none() && self.due(commit_interval).is_some_and(|due| due <= now) {
            self.flush(store);
        }
        Ok(loaded)
    }

    /// Whether the outcome of what is on its way is known.
    fn is_over(&self, store: &S) -> bool {
        self.inserting.as_ref().is_some_and(|inserting| store.is_over(&inserting.rows))
    }

    /// Gives out what is in.
    pub(crate) fn loaded(&mut self, store: &S) -> Result<Option<Loaded>, Error> {
        if self.is_over(store) { self.finish(store) } else { Ok(None) }
    }

    /// Begins to insert what was gathered.
    pub(crate) fn flush(&mut self, store: &S) {
        let empty = self.spare.take().unwrap_or_else(|| store.rows());
        let rows = store.insert(std::mem::replace(&mut self.rows, empty));
        let (positions, batch) = (positions(&self.moved), std::mem::take(&mut self.batch));
        self.inserting = Some(Inserting { rows, positions, batch });
        self.moved.clear();
        self.since = None;
    }

    /// Waits for the rows that are on their way.
    pub(crate) fn finish(&mut self, store: &S) -> Result<Option<Loaded>, Error> {
        let Some(Inserting { rows, positions, batch }) = self.inserting.take() else { return Ok(None) };
        let Stored { rows, report, took } = store.outcome(rows)?;
        let report = report?;
        self.spare = Some(rows);
        self.last_load = took;
        Ok(Some(Loaded { positions, batch, report, took }))
    }

    /// Throws away what was gathered, and what is on its way.
    pub(crate) fn clear(&mut self, store: &S) {
        self.inserting.take().into_iter().for_each(|inserting| store.abandon(inserting.rows));
        self.rows.clear();
        self.moved.clear();
        (self.since, self.batch) = (None, Batch::default());
    }
}

/// What was gathered, for the counters.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) records: u64,
    pub(crate) unreadable: u64,
    /// When each event happened, and when it reached us.
    pub(crate) times: Vec<(Timestamp, Timestamp)>,
    pub(crate) traced: Traced,
}

impl Batch {
    pub(crate) fn delays(&self, now: Timestamp) -> Delays {
        let mut delays = Delays::default();
        // A clock that runs ahead makes no event early.
        let seconds = |since: Timestamp| now.micros().saturating_sub(since.micros()).max(0) as f64 / 1e6;
        for (occurred, observed) in &self.times {
            delays.occurred.observe(seconds(*occurred));
            delays.observed.observe(seconds(*observed));
        }
        delays
    }
}

/// The places that a map names.
pub(crate) fn positions(next: &BTreeMap<(String, i32), i64>) -> Vec<Position> {
    next.iter()
        .map(|((topic, partition), offset)| Position {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fact::RowChange;
    use model::{DeliveryEvent, Text};
    use std::cell::Cell;
    use warehouse::rows::Stamp;

    /// Counts rows; an insert is over when it is told so.
    #[derive(Default)]
    struct Slow {
        begun: Cell<usize>,
        over: Cell<usize>,
    }

    impl Rows for usize {
        fn push(&mut self, _: &RowChange, _: Stamp, _: &Text) {}
        fn push_event(&mut self, _: &DeliveryEvent, _: Stamp) {}
        fn buffered(&self) -> (usize, usize) {
            (*self, 0)
        }
        fn clear(&mut self) {
            *self = 0;
        }
    }

    impl Store for Slow {
        type Rows = usize;
        type Inserting = usize;
        fn rows(&self) -> usize {
            0
        }
        fn insert(&self, _: usize) -> usize {
            self.begun.set(self.begun.get() + 1);
            self.begun.get()
        }
        fn is_over(&self, inserting: &usize) -> bool {
            *inserting <= self.over.get()
        }
        fn abandon(&self, _: usize) {}
        fn outcome(&self, inserting: usize) -> Result<Stored<usize>, Error> {
            assert!(self.is_over(&inserting), "an insert is waited for");
            Ok(Stored { rows: 0, report: Ok(LoadReport::default()), took: Duration::from_secs(600) })
        }
    }

    #[test]
    fn an_insert_that_lasts_is_not_waited_for_and_what_comes_meanwhile_is_bounded() {
        let (store, now, longest) = (Slow::default(), Instant::now(), Duration::from_millis(500));
        let mut lane = Lane::new(&store, 10, Pace::INSERTS);
        let gather = |lane: &mut Lane<Slow>, rows| {
            lane.rows += rows;
            lane.since.get_or_insert(now);
            lane.moved.insert(("facts".to_owned(), 0), 7);
        };
        gather(&mut lane, 10);
        assert!(lane.go_on(&store, now, longest).unwrap().is_none());
        assert_eq!(store.begun.get(), 1, "what is full is inserted at once");
        gather(&mut lane, 9);
        let later = now + longest;
        assert!(lane.go_on(&store, later, longest).unwrap().is_none());
        assert!(!lane.is_held_up());
        gather(&mut lane, 1);
        assert!(lane.go_on(&store, later, longest).unwrap().is_none());
        assert!(lane.is_held_up());
        assert_eq!(store.begun.get(), 1, "one insert at a time");
        store.over.set(1);
        let loaded = lane.go_on(&store, later, longest).unwrap().unwrap();
        assert_eq!(loaded.positions, [Position { topic: "facts".to_owned(), partition: 0, offset: 7 }]);
        assert_eq!((store.begun.get(), lane.is_held_up()), (2, false));
    }
}
