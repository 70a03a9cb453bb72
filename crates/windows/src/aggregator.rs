//! The state of one aggregate task: contributions in, changed rows out.

use crate::ages::{Age, Ages};
use crate::pane::{SeriesId, pane_end};
use crate::rolling::Rolling;
use crate::series::{Rules, Series};
use crate::store::{self, Changes};
use model::fact::RowChange;
use model::metric::{Contribution, ContributionKey, DoraStep, Grain, Metric, Pane, Window};
use model::table::{Change, ChangelogEntry, RestoreError, Stateful};
use model::{Calendar, Scope, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Most multiset entries that the rolling windows of one task keep together (about 16 bytes each). Beyond it the
/// least recently used window is let go, and built again from its panes when it is needed.
pub const ROLLING_LIMIT: usize = 4_000_000;

/// Panes and rolling windows of one aggregate task.
#[derive(Debug)]
pub struct Aggregator {
    rules: Rules,
    series: BTreeMap<SeriesId, Box<Kept>>,
    /// Series with in-order contributions since the last flush.
    touched: Vec<SeriesId>,
    /// Series that a full flush has something to write of.
    dirty: BTreeSet<SeriesId>,
    /// Series that changed in this transaction.
    changed: Vec<SeriesId>,
    ages: Ages,
}

/// A series, and which of the task's lists have it.
#[derive(Debug, Default)]
struct Kept {
    series: Series,
    age: Age,
    touched: bool,
    dirty: bool,
    changed: bool,
}

impl Aggregator {
    /// An empty task that counts days as the calendar does.
    pub fn new(calendar: Calendar) -> Self {
        Self::with_rolling_limit(calendar, ROLLING_LIMIT)
    }

    /// As [`Self::new`], with another limit than [`ROLLING_LIMIT`] on what rolling windows keep.
    pub fn with_rolling_limit(calendar: Calendar, limit: usize) -> Self {
        Self {
            rules: Rules { calendar, windows: Window::ALL.to_vec() },
            series: BTreeMap::new(),
            touched: Vec::new(),
            dirty: BTreeSet::new(),
            changed: Vec::new(),
            ages: Ages::new(limit),
        }
    }

    /// An empty task that keeps only these windows, and only the panes that they are made of: what a window
    /// costs is measured with it.
    pub fn with_windows(calendar: Calendar, windows: &[Window]) -> Self {
        let mut task = Self::new(calendar);
        task.rules.windows.retain(|window| windows.contains(window));
        task
    }

    /// Adds a contribution to its hour and to its day, and marks what that makes stale.
    pub fn apply(&mut self, contribution: &Contribution) {
        let Contribution { key: ContributionKey { scope, metric, hour, day }, delta } = contribution;
        if delta.is_zero() {
            return;
        }
        for (grain, index) in [(Grain::Hour, hour.0), (Grain::Day, day.0)] {
            if self.rules.windows_of(grain).next().is_none() {
                continue;
            }
            let id = SeriesId { scope: scope.clone(), metric: *metric, grain };
            let kept = match self.series.get_mut(&id) {
                Some(kept) => kept,
                None => self.series.entry(id.clone()).or_default(),
            };
            let in_order = kept.series.apply(index, delta);
            let weight = kept.series.rolling.iter().map(Rolling::weight).sum();
            let (age, lists) = (&mut kept.age, [&mut kept.touched, &mut kept.dirty, &mut kept.changed]);
            self.ages.weigh(age, weight);
            let [touched, dirty, changed] = lists;
            if in_order && !std::mem::replace(touched, true) {
                self.touched.push(id.clone());
            }
            if !std::mem::replace(dirty, true) {
                self.dirty.insert(id.clone());
            }
            if !std::mem::replace(changed, true) {
                self.changed.push(id);
            }
        }
    }

    /// Whether a full flush has anything to write.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// How many series a full flush has something to write of.
    pub fn owed(&self) -> usize {
        self.dirty.len()
    }

    /// Appends the rows that changed, each key at most once.
    ///
    /// With `full`, every stale range is rewritten, by one slide each, changed panes are told, and nothing is
    /// owed any more. Without, only the in-order rows are written: those from the last one written up to the
    /// newest pane of each series that moved on.
    pub fn flush(&mut self, full: bool, out: &mut Vec<RowChange>) {
        if full {
            self.flush_some(usize::MAX, out);
            return;
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        for id in touched {
            let Some(kept) = self.series.get_mut(&id) else { continue };
            kept.touched = false;
            kept.series.advance(&id, &self.rules, out);
            let weight = kept.series.rolling.iter().map(Rolling::weight).sum();
            self.ages.used(&id, &mut kept.age, weight);
            if !std::mem::replace(&mut kept.changed, true) {
                self.changed.push(id);
            }
            self.let_go();
        }
    }

    /// Lets windows go that were not used for long, beyond the limit.
    fn let_go(&mut self) {
        while let Some(id) = self.ages.next_to_go() {
            let Some(kept) = self.series.get_mut(&id) else { continue };
            kept.series.rolling.clear();
            self.ages.weigh(&mut kept.age, 0);
            kept.age = Age::default();
        }
    }

    /// A full flush in parts, so that a transaction stays small after a large import: rewrites one series after
    /// the other until so many rows are reached or passed. Returns whether anything is still owed.
    pub fn flush_some(&mut self, rows: usize, out: &mut Vec<RowChange>) -> bool {
        let enough = out.len().saturating_add(rows);
        while out.len() < enough
            && let Some(id) = self.dirty.pop_first()
        {
            let Some(kept) = self.series.get_mut(&id) else { continue };
            kept.series.rewrite(&id, &self.rules, out);
            kept.dirty = false;
            if !std::mem::replace(&mut kept.changed, true) {
                self.changed.push(id);
            }
        }
        self.is_dirty()
    }

    fn commit(&mut self, changes: &mut impl Changes) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for id in changed {
            let Some(kept) = self.series.get_mut(&id) else { continue };
            kept.changed = false;
            kept.series.commit(&id, changes);
        }
    }

    /// After a restore or a roll-back: caches may hold what never was, and lists are made anew.
    fn derive(&mut self) {
        self.ages.clear();
        self.touched.clear();
        self.dirty.clear();
        self.changed.clear();
        for (id, kept) in &mut self.series {
            kept.series.restored_blocks();
            kept.series.rolling.clear();
            kept.age = Age::default();
            kept.changed = false;
            kept.touched = !kept.series.owed.is_empty();
            kept.dirty = kept.series.is_dirty();
            if kept.touched {
                self.touched.push(id.clone());
            }
            if kept.dirty {
                self.dirty.insert(id.clone());
            }
        }
    }

    /// The last pane of a window's grain that had ended by an instant.
    pub fn index_at(&self, window: Window, as_of: Timestamp) -> i64 {
        match window.grain() {
            Grain::Hour => Calendar::hour(as_of).0 - 1,
            Grain::Day => self.rules.calendar.day(as_of).0 - 1,
        }
    }

    /// One window's row, made from its panes alone, whether or not it is a step.
    pub fn step(&self, scope: &Scope, metric: Metric, window: Window, index: i64) -> DoraStep {
        let id = SeriesId { scope: scope.clone(), metric, grain: window.grain() };
        let as_of = pane_end(&self.rules.calendar, id.grain, index);
        let nothing = Series::default();
        let series = self.series.get(&id).map_or(&nothing, |kept| &kept.series);
        Rolling::build(series.stored(), window, index).row(&id, as_of)
    }

    /// The panes with data that a window's row is made of, oldest first.
    pub fn panes_of(&self, scope: &Scope, metric: Metric, window: Window, index: i64) -> Vec<Pane> {
        let id = SeriesId { scope: scope.clone(), metric, grain: window.grain() };
        let Some(Kept { series, .. }) = self.series.get(&id).map(Box::as_ref) else { return Vec::new() };
        let panes = series.stored().between(index - window.panes() + 1, index);
        panes.filter_map(|(index, _)| series.pane(&id, &self.rules.calendar, index)).collect()
    }
}

impl Stateful for Aggregator {
    fn commit_state(&mut self, changelog: &mut Vec<ChangelogEntry>) {
        self.commit(changelog);
    }
    fn commit_changes(&mut self, changes: &mut Vec<Change>) {
        self.commit(changes);
    }
    fn entries(&self) -> usize {
        self.series.values().map(|kept| kept.series.entries()).sum()
    }
    fn restore_entry(&mut self, entry: &ChangelogEntry) -> Result<(), RestoreError> {
        store::restore(entry, |id| &mut self.series.entry(id).or_default().series)
    }
    fn restored(&mut self) {
        self.derive();
    }
}
