//! One scope's metric at one grain: its panes, what is owed of its rows, and the windows that move over them.
//!
//! What is owed is state too, so that a restored task still knows it:
//! - `owed`: how far the rows are written, and from where on panes are to be told. Every row up to `written` is
//!   right, those after it may be missing or stale. Without it nothing is owed after the newest pane.
//! - `marks`: panes that changed late, or that became empty, since the last full flush. A late pane p spoils the rows
//!   in [p, p + N] of each window of N panes, and nothing else.

use crate::pane::{Counters, PaneRow, Panes, SeriesId, is_skipped, pane_end, pane_start};
use crate::rolling::{Passing, Rolling};
use crate::timeline::Timeline;
use model::Calendar;
use model::fact::{Row, RowChange, RowKey};
use model::metric::{Delta, Grain, Pane, PaneKey, StepKey, Window};
use model::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is owed after in-order contributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owed {
    /// The last row that is written.
    pub written: i64,
    /// The first pane that changed in order since the last full flush.
    pub since: i64,
}

/// How a pane changed since the last full flush.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Behind what was written: the rows that it touches are stale.
    late: bool,
    /// It became empty: rows that it made may have to go.
    gone: bool,
}

/// What all series of a task are written by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub calendar: Calendar,
    /// The windows that are kept, in order.
    pub windows: Vec<Window>,
}

impl Rules {
    /// The windows that are made of a grain's panes.
    pub fn windows_of(&self, grain: Grain) -> impl Iterator<Item = Window> {
        self.windows.iter().copied().filter(move |window| window.grain() == grain)
    }

    /// The index whose row stands for this one: the next when that day was left out.
    fn settle(&self, grain: Grain, index: i64) -> i64 {
        if is_skipped(&self.calendar, grain, index + 1) { index + 1 } else { index }
    }
}

/// A range of rows that windows move over.
struct Over {
    from: i64,
    to: i64,
    /// The panes in it.
    panes: Vec<(i64, PaneRow)>,
}

/// A series.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub panes: Timeline<i64, PaneRow>,
    /// Pane and seconds → how often.
    pub samples: Timeline<(i64, i64), i64>,
    /// While the series is restored: the samples that its panes carry, by pane.
    pub few: BTreeMap<i64, Vec<(i64, i64)>>,
    /// One row, or none.
    pub owed: Table<(), Owed>,
    pub marks: Table<i64, Mark>,
    /// Windows that stand at the newest row: a cache.
    pub rolling: Vec<Rolling>,
}

impl Series {
    pub fn stored(&self) -> Panes<'_> {
        Panes { rows: &self.panes, samples: &self.samples }
    }

    /// Whether a full flush has anything to write.
    pub fn is_dirty(&self) -> bool {
        !self.owed.is_empty() || !self.marks.is_empty()
    }

    /// Adds to a pane, and notes what that makes stale. Returns whether it came in order.
    pub fn apply(&mut self, index: i64, delta: &Delta) -> bool {
        let owed = self.owed.get(&()).copied();
        let written = owed.map(|owed| owed.written).or_else(|| self.stored().newest());
        let before = self.panes.get(&index).copied().unwrap_or_default();
        let after = self.add(index, before, delta);
        for rolling in &mut self.rolling {
            rolling.follow(index, delta, &before.counters, &after.counters);
        }
        let late = written.is_some_and(|written| index < written);
        if late || after.is_zero() {
            let mark = self.marks.get(&index).copied().unwrap_or_default();
            self.marks.put(index, Mark { late: mark.late || late, gone: mark.gone || after.is_zero() });
        }
        if !late {
            let written = written.map_or(index - 1, |written| written.min(index - 1));
            let since = owed.map_or(index, |owed| owed.since.min(index));
            self.owed.put((), Owed { written, since });
        }
        !late
    }

    fn add(&mut self, index: i64, before: PaneRow, delta: &Delta) -> PaneRow {
        let mut after = before;
        after.counters.add(&Counters::of(delta), 1);
        for (seconds, times) in delta.samples.iter().filter(|(_, times)| **times != 0) {
            let id = (index, *seconds);
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
            self.panes.remove(&index);
        } else {
            self.panes.put(index, after);
        }
        after
    }

    /// Writes the rows between the last one written and the newest pane, moving the kept windows along.
    pub fn advance(&mut self, id: &SeriesId, rules: &Rules, out: &mut Vec<RowChange>) {
        let Some(owed) = self.owed.get(&()).copied() else { return };
        let Some(newest) = self.stored().newest().filter(|newest| *newest > owed.written) else { return };
        let mut kept = std::mem::take(&mut self.rolling);
        let mut moved = Vec::with_capacity(kept.len());
        // The same for each window of the grain.
        let moved_over = self.over(owed.written + 1, newest);
        for window in rules.windows_of(id.grain) {
            let found = kept.iter().position(|rolling| rolling.window == window);
            let mut rolling = found.map(|at| kept.swap_remove(at));
            self.write(id, rules, window, &moved_over, &mut rolling, out);
            moved.extend(rolling);
        }
        self.rolling = moved;
        self.owed.put((), Owed { written: newest, ..owed });
    }

    /// Rewrites what is stale, tells the changed panes, and owes nothing any more.
    pub fn rewrite(&mut self, id: &SeriesId, rules: &Rules, out: &mut Vec<RowChange>) {
        let marks: Vec<(i64, Mark)> = self.marks.iter().map(|(index, mark)| (*index, *mark)).collect();
        for window in rules.windows_of(id.grain) {
            for range in self.stale(window, &marks) {
                // The kept windows stay where they are.
                let reaches = |rolling: &&Rolling| rolling.window == window && rolling.at <= range.0;
                let mut rolling = self.rolling.iter().find(reaches).cloned();
                self.write(id, rules, window, &self.over(range.0, range.1), &mut rolling, out);
            }
            self.delete_steps(id, rules, window, &marks, out);
        }
        let mut changed: BTreeSet<i64> = marks.into_iter().map(|(index, _)| index).collect();
        if let Some(owed) = self.owed.get(&()) {
            changed.extend(self.stored().between(owed.since, i64::MAX).map(|(index, _)| index));
        }
        out.extend(changed.iter().map(|index| self.pane_change(id, &rules.calendar, *index)));
        self.marks.clear();
        self.owed.clear();
    }

    /// The ranges of rows that are stale: sorted, and none touches another.
    fn stale(&self, window: Window, marks: &[(i64, Mark)]) -> Vec<(i64, i64)> {
        let mut ranges: Vec<(i64, i64)> =
            marks.iter().map(|(index, _)| (*index, index + window.panes())).collect();
        if let (Some(owed), Some(newest)) = (self.owed.get(&()), self.stored().newest()) {
            // Past the newest pane stand the rows where panes leave, up to the newest itself.
            ranges.push((owed.written + 1, newest + window.panes()));
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

    /// A range of rows, with its panes.
    fn over(&self, from: i64, to: i64) -> Over {
        Over { from, to, panes: self.stored().list(from, to) }
    }

    /// Writes the steps in a range with one window that moves over them.
    fn write(
        &self,
        id: &SeriesId,
        rules: &Rules,
        window: Window,
        over: &Over,
        rolling: &mut Option<Rolling>,
        out: &mut Vec<RowChange>,
    ) {
        let (panes, length) = (self.stored(), window.panes());
        let Over { from, to, panes: entering } = over;
        // One more: the last row may be that of the day after, where that day was left out.
        let leaving = panes.list(from - length, to - length + 1);
        let passing = Passing { from: *from, entering, leaving: &leaving };
        for index in steps(id.grain, rules, length, *to, &passing) {
            let rolling = rolling.get_or_insert_with(|| Rolling::build(panes, window, index));
            rolling.roll_to(panes, &passing, index);
            let as_of = pane_end(&rules.calendar, id.grain, index);
            out.push(RowChange::Upsert(Row::Step(Box::new(rolling.row(id, as_of)))));
        }
    }

    /// Tells the rows that panes made which are now empty, where no other pane makes them.
    fn delete_steps(
        &self,
        id: &SeriesId,
        rules: &Rules,
        window: Window,
        marks: &[(i64, Mark)],
        out: &mut Vec<RowChange>,
    ) {
        let candidates: BTreeSet<i64> = marks
            .iter()
            .filter(|(_, mark)| mark.gone)
            .flat_map(|(index, _)| [*index, index + window.panes()])
            .map(|index| rules.settle(id.grain, index))
            .collect();
        let makes = |index: i64| self.stored().holds(index) || self.stored().holds(index - window.panes());
        for index in candidates {
            let skipped = is_skipped(&rules.calendar, id.grain, index);
            if makes(index) || (skipped && makes(index - 1)) {
                continue;
            }
            out.push(RowChange::Delete(RowKey::Step(StepKey {
                scope: id.scope.clone(),
                metric: id.metric,
                window,
                as_of: pane_end(&rules.calendar, id.grain, index),
            })));
        }
    }

    fn pane_change(&self, id: &SeriesId, calendar: &Calendar, index: i64) -> RowChange {
        match self.pane(id, calendar, index) {
            Some(pane) => RowChange::Upsert(Row::Pane(Box::new(pane))),
            None => RowChange::Delete(RowKey::Pane(PaneKey {
                scope: id.scope.clone(),
                metric: id.metric,
                grain: id.grain,
                start: pane_start(calendar, id.grain, index),
            })),
        }
    }

    /// A pane as a row of the warehouse; `None` when it holds nothing.
    pub fn pane(&self, id: &SeriesId, calendar: &Calendar, index: i64) -> Option<Pane> {
        let row = self.panes.get(&index)?;
        Some(Pane {
            scope: id.scope.clone(),
            metric: id.metric,
            grain: id.grain,
            start: pane_start(calendar, id.grain, index),
            end: pane_end(calendar, id.grain, index),
            delta: Delta {
                numerator: row.counters.numerator,
                denominator: row.counters.denominator,
                confirmed: row.counters.confirmed,
                inferred: row.counters.inferred,
                samples: self.stored().samples_between(index, index).collect(),
            },
        })
    }
}

/// The indexes of the rows of a range up to `to`: a pane with data enters or leaves there.
fn steps(grain: Grain, rules: &Rules, length: i64, to: i64, passing: &Passing<'_>) -> Vec<i64> {
    let entering = passing.entering.iter().map(|(index, _)| *index);
    let leaving = passing.leaving.iter().map(|(index, _)| index + length).filter(|index| *index <= to);
    let mut steps: Vec<i64> = entering.chain(leaving).map(|index| rules.settle(grain, index)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}
