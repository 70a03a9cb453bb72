//! The state of one aggregate task: contributions in, changed rows out.
//!
//! What is owed is state too, so that a restored task still knows it: by series a [`Debt`]. It is worked on in
//! memory and kept in one entry per series when a transaction ends, so that a changelog holds one record of it,
//! however many panes changed.

use crate::cache::RollingCache;
use crate::pane::{Counters, PaneId, PaneRow, Panes, SampleId, SeriesId, is_skipped, pane_end, pane_start};
use crate::rolling::Rolling;
use model::fact::{Row, RowChange, RowKey};
use model::metric::{
    Contribution, ContributionKey, Delta, DoraStep, Grain, Metric, Pane, PaneKey, StepKey, Window,
};
use model::table::Table;
use model::{Calendar, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most multiset entries that the rolling windows of one task keep together (about 16 bytes each). Beyond it the
/// least recently used window is let go, and built again from its panes when it is needed.
pub const ROLLING_LIMIT: usize = 4_000_000;

/// Panes and rolling windows of one aggregate task.
#[derive(Debug)]
pub struct Aggregator {
    calendar: Calendar,
    /// The windows that it keeps, in order.
    windows: Arc<[Window]>,
    panes: Table<PaneId, PaneRow>,
    samples: Table<SampleId, i64>,
    /// What is owed, as it was when the last transaction ended.
    kept: Table<SeriesId, Debt>,
    /// What is owed now, and whether that is not yet in `kept`.
    debts: BTreeMap<SeriesId, (Debt, bool)>,
    /// Series with in-order contributions since the last flush; a subset of the keys of `debts`.
    touched: BTreeSet<SeriesId>,
    rolling: RollingCache,
    /// Every scope that came in, once: keys that share its text compare without reading it.
    scopes: BTreeSet<Scope>,
}

/// What a series owes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Debt {
    /// Every row up to this one is right, those after it may be missing or stale; `None`: nothing is owed after
    /// the newest pane.
    written: Option<i64>,
    /// Panes that changed since the last full flush. A late pane p spoils the rows in [p, p + N] of each window of
    /// N panes, and nothing else.
    marks: BTreeMap<i64, Mark>,
}

/// How a pane changed since the last full flush.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Behind what was written: the rows that it touches are stale.
    late: bool,
    /// It became empty: rows that it made may have to go.
    gone: bool,
}

// 3 and 4 were what is owed, by pane.
model::stateful!(Aggregator { 1 => panes, 2 => samples, 5 => kept } ending Aggregator::keep, restored Aggregator::derive);

impl Aggregator {
    /// An empty task that counts days as the calendar does.
    pub fn new(calendar: Calendar) -> Self {
        Self::with_rolling_limit(calendar, ROLLING_LIMIT)
    }

    /// As [`Self::new`], with another limit than [`ROLLING_LIMIT`] on what rolling windows keep.
    pub fn with_rolling_limit(calendar: Calendar, limit: usize) -> Self {
        Self {
            calendar,
            windows: Window::ALL.into(),
            panes: Table::default(),
            samples: Table::default(),
            kept: Table::default(),
            debts: BTreeMap::new(),
            touched: BTreeSet::new(),
            rolling: RollingCache::new(limit),
            scopes: BTreeSet::new(),
        }
    }

    /// An empty task that keeps only these windows, and only the panes that they are made of: what a window
    /// costs is measured with it.
    pub fn with_windows(calendar: Calendar, windows: &[Window]) -> Self {
        let kept = Window::ALL.iter().copied().filter(|window| windows.contains(window)).collect();
        Self { windows: kept, ..Self::new(calendar) }
    }

    /// The windows that are made of a grain's panes.
    fn windows_of(windows: &[Window], grain: Grain) -> impl Iterator<Item = Window> {
        windows.iter().copied().filter(move |window| window.grain() == grain)
    }

    /// After a restore or a roll-back: caches may hold what never was.
    fn derive(&mut self) {
        self.rolling.clear();
        self.debts = self.kept.iter().map(|(series, debt)| (series.clone(), (debt.clone(), false))).collect();
        let owing = self.kept.iter().filter(|(_, debt)| debt.written.is_some());
        self.touched = owing.map(|(series, _)| series.clone()).collect();
    }

    /// Before a transaction ends: what is owed becomes state.
    fn keep(&mut self) {
        for (series, (debt, altered)) in &mut self.debts {
            if std::mem::take(altered) {
                self.kept.put(series.clone(), debt.clone());
            }
        }
    }

    /// Adds a contribution to its hour and to its day, and marks what that makes stale.
    pub fn apply(&mut self, contribution: &Contribution) {
        let Contribution { key: ContributionKey { scope, metric, hour, day }, delta } = contribution;
        if delta.is_zero() {
            return;
        }
        let scope = match self.scopes.get(scope) {
            Some(known) => known.clone(),
            None => {
                self.scopes.insert(scope.clone());
                scope.clone()
            }
        };
        for (grain, index) in [(Grain::Hour, hour.0), (Grain::Day, day.0)] {
            if Self::windows_of(&self.windows, grain).next().is_none() {
                continue;
            }
            let series = SeriesId { scope: scope.clone(), metric: *metric, grain };
            self.apply_to_pane(series, index, delta);
        }
    }

    fn apply_to_pane(&mut self, series: SeriesId, index: i64, delta: &Delta) {
        let owed = self.debts.get(&series).and_then(|(debt, _)| debt.written);
        let written = owed.or_else(|| self.stored().newest(&series));
        let pane = series.pane(index);
        let before = self.panes.get(&pane).copied().unwrap_or_default();
        let after = self.add(&pane, before, delta);
        self.rolling.change(&series, |rolling| {
            rolling.follow(index, delta, &before.counters, &after.counters);
        });

        let late = written.is_some_and(|written| index < written);
        if !late {
            self.touched.insert(series.clone());
        }
        let (debt, altered) = self.debts.entry(series).or_default();
        *altered = true;
        let mark = debt.marks.entry(index).or_default();
        *mark = Mark { late: mark.late || late, gone: mark.gone || after.is_zero() };
        if !late {
            debt.written = Some(written.map_or(index - 1, |written| written.min(index - 1)));
        }
    }

    fn add(&mut self, pane: &PaneId, before: PaneRow, delta: &Delta) -> PaneRow {
        let mut after = before;
        after.counters.add(&Counters::of(delta), 1);
        for (seconds, times) in delta.samples.iter().filter(|(_, times)| **times != 0) {
            let id = SampleId { pane: pane.clone(), seconds: *seconds };
            match self.samples.get(&id).copied() {
                None => {
                    self.samples.put(id, *times);
                    after.distinct += 1;
                }
                Some(count) if count + times == 0 => {
                    self.samples.remove(&id);
                    after.distinct -= 1;
                }
                Some(count) => {
                    self.samples.put(id, count + times);
                }
            }
        }
        if after.is_zero() {
            self.panes.remove(pane);
        } else {
            self.panes.put(pane.clone(), after);
        }
        after
    }

    /// Whether a full flush has anything to write.
    pub fn is_dirty(&self) -> bool {
        !self.debts.is_empty()
    }

    /// Appends the rows that changed, each key at most once.
    ///
    /// With `full`, every stale range is rewritten, by one slide each, changed panes are told, and nothing is
    /// owed any more. Without, only the in-order rows are written: those from the last one written up to the
    /// newest pane of each series that moved on.
    pub fn flush(&mut self, full: bool, out: &mut Vec<RowChange>) {
        if full {
            self.flush_some(usize::MAX, out);
        } else {
            for series in std::mem::take(&mut self.touched) {
                self.advance(series, out);
            }
        }
    }

    /// A full flush in parts, so that a transaction stays small after a large import: rewrites one series after
    /// the other until so many rows are reached or passed. Returns whether anything is still owed.
    pub fn flush_some(&mut self, rows: usize, out: &mut Vec<RowChange>) -> bool {
        let enough = out.len().saturating_add(rows);
        while out.len() < enough
            && let Some(series) = self.first_dirty()
        {
            self.rewrite(&series, out);
        }
        self.is_dirty()
    }

    fn first_dirty(&self) -> Option<SeriesId> {
        self.debts.keys().next().cloned()
    }

    /// How many panes changed since the last full flush: what corrections have before them.
    pub fn dirty_panes(&self) -> usize {
        self.debts.values().map(|(debt, _)| debt.marks.len()).sum()
    }

    /// Rewrites what is stale of a series, tells its changed panes, and owes nothing of it any more.
    fn rewrite(&mut self, series: &SeriesId, out: &mut Vec<RowChange>) {
        let Some((debt, _)) = self.debts.remove(series) else { return };
        let marks: Vec<(i64, Mark)> = debt.marks.into_iter().collect();
        let windows = self.windows.clone();
        for window in Self::windows_of(&windows, series.grain) {
            for (from, to) in self.stale(series, window, debt.written, &marks) {
                self.slide(series, window, from, to, out);
            }
            self.delete_steps(series, window, &marks, out);
        }
        for (index, _) in marks {
            let pane = series.pane(index);
            out.push(self.pane_change(&pane));
        }
        self.kept.remove(series);
        self.touched.remove(series);
    }

    /// Writes the rows between the last one written and the newest pane, moving the kept windows along.
    fn advance(&mut self, series: SeriesId, out: &mut Vec<RowChange>) {
        let Some(written) = self.debts.get(&series).and_then(|(debt, _)| debt.written) else { return };
        let Some(newest) = self.stored().newest(&series).filter(|newest| *newest > written) else { return };
        let mut kept = self.rolling.take(&series);
        let mut moved = Vec::with_capacity(kept.len());
        let windows = self.windows.clone();
        for window in Self::windows_of(&windows, series.grain) {
            let found = kept.iter().position(|rolling| rolling.window == window);
            let mut rolling = found.map(|at| kept.swap_remove(at));
            self.write(&series, window, written + 1, newest, &mut rolling, out);
            moved.extend(rolling);
        }
        if let Some((debt, altered)) = self.debts.get_mut(&series) {
            (debt.written, *altered) = (Some(newest), true);
        }
        self.rolling.put(series, moved);
    }

    /// The ranges of rows that are stale: sorted, and none touches another.
    fn stale(
        &self,
        series: &SeriesId,
        window: Window,
        written: Option<i64>,
        marks: &[(i64, Mark)],
    ) -> Vec<(i64, i64)> {
        let mut ranges: Vec<(i64, i64)> = marks
            .iter()
            .filter(|(_, mark)| mark.late || mark.gone)
            .map(|(index, _)| (*index, index + window.panes()))
            .collect();
        if let (Some(written), Some(newest)) = (written, self.stored().newest(series)) {
            // Past the newest pane stand the rows where panes leave, up to the newest itself.
            ranges.push((written + 1, newest + window.panes()));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1 + 1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    /// Rewrites the rows of a range, leaving the kept windows where they are.
    fn slide(&self, series: &SeriesId, window: Window, from: i64, to: i64, out: &mut Vec<RowChange>) {
        let reaches = |rolling: &&Rolling| rolling.window == window && rolling.at <= from;
        let mut rolling = self.rolling.get(series).iter().find(reaches).cloned();
        self.write(series, window, from, to, &mut rolling, out);
    }

    /// Writes the steps in `[from, to]` with one window that moves over them.
    fn write(
        &self,
        series: &SeriesId,
        window: Window,
        from: i64,
        to: i64,
        rolling: &mut Option<Rolling>,
        out: &mut Vec<RowChange>,
    ) {
        let panes = self.stored();
        for index in self.steps(series, window, from, to) {
            let rolling = rolling.get_or_insert_with(|| Rolling::build(panes, series, window, index));
            rolling.roll_to(panes, series, index);
            let as_of = pane_end(&self.calendar, series.grain, index);
            out.push(RowChange::Upsert(Row::Step(Box::new(rolling.row(series, as_of)))));
        }
    }

    /// The indexes of the rows in `[from, to]`: a pane with data enters or leaves there.
    fn steps(&self, series: &SeriesId, window: Window, from: i64, to: i64) -> Vec<i64> {
        let length = window.panes();
        let entering = self.stored().between(series, from, to).map(|(pane, _)| pane.index);
        let leaving =
            self.stored().between(series, from - length, to - length).map(|(pane, _)| pane.index + length);
        let mut steps: Vec<i64> =
            entering.chain(leaving).map(|index| self.settle(series.grain, index)).collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// The index whose row stands for this one: the next when that day was left out.
    fn settle(&self, grain: Grain, index: i64) -> i64 {
        if is_skipped(&self.calendar, grain, index + 1) { index + 1 } else { index }
    }

    /// Tells the rows that panes made which are now empty, where no other pane makes them.
    fn delete_steps(
        &self,
        series: &SeriesId,
        window: Window,
        marks: &[(i64, Mark)],
        out: &mut Vec<RowChange>,
    ) {
        let candidates: BTreeSet<i64> = marks
            .iter()
            .filter(|(_, mark)| mark.gone)
            .flat_map(|(index, _)| [*index, index + window.panes()])
            .map(|index| self.settle(series.grain, index))
            .collect();
        let makes = |index: i64| {
            self.stored().holds(series, index) || self.stored().holds(series, index - window.panes())
        };
        for index in candidates {
            let skipped = is_skipped(&self.calendar, series.grain, index);
            if makes(index) || (skipped && makes(index - 1)) {
                continue;
            }
            out.push(RowChange::Delete(RowKey::Step(StepKey {
                scope: series.scope.clone(),
                metric: series.metric,
                window,
                as_of: pane_end(&self.calendar, series.grain, index),
            })));
        }
    }

    fn pane_change(&self, id: &PaneId) -> RowChange {
        match self.stored().row(&self.calendar, id) {
            Some(pane) => RowChange::Upsert(Row::Pane(Box::new(pane))),
            None => RowChange::Delete(RowKey::Pane(PaneKey {
                scope: id.series.scope.clone(),
                metric: id.series.metric,
                grain: id.series.grain,
                start: pane_start(&self.calendar, id.series.grain, id.index),
            })),
        }
    }

    fn stored(&self) -> Panes<'_> {
        Panes { rows: &self.panes, samples: &self.samples }
    }

    /// The last pane of a window's grain that had ended by an instant.
    pub fn index_at(&self, window: Window, as_of: Timestamp) -> i64 {
        match window.grain() {
            Grain::Hour => Calendar::hour(as_of).0 - 1,
            Grain::Day => self.calendar.day(as_of).0 - 1,
        }
    }

    /// One window's row, made from its panes alone, whether or not it is a step.
    pub fn step(&self, scope: &Scope, metric: Metric, window: Window, index: i64) -> DoraStep {
        let series = SeriesId { scope: scope.clone(), metric, grain: window.grain() };
        let as_of = pane_end(&self.calendar, series.grain, index);
        Rolling::build(self.stored(), &series, window, index).row(&series, as_of)
    }

    /// The panes with data that a window's row is made of, oldest first.
    pub fn panes_of(&self, scope: &Scope, metric: Metric, window: Window, index: i64) -> Vec<Pane> {
        let series = SeriesId { scope: scope.clone(), metric, grain: window.grain() };
        self.stored()
            .between(&series, index - window.panes() + 1, index)
            .filter_map(|(id, _)| self.stored().row(&self.calendar, id))
            .collect()
    }
}
