//! Panes as they are stored: counters in one table, samples in another, so that a change is as small as itself.

use model::Scope;
use model::metric::{Delta, Grain, Metric, Pane};
use model::table::Table;
use model::time::{Calendar, Day, Hour, Timestamp};
use serde::{Deserialize, Serialize};

/// One scope's metric at one grain: the panes that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SeriesId {
    pub scope: Scope,
    pub metric: Metric,
    pub grain: Grain,
}

/// A pane: its series and its number (hours or days since 1970).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PaneId {
    pub series: SeriesId,
    pub index: i64,
}

/// An entry of a pane's multiset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SampleId {
    pub pane: PaneId,
    pub seconds: i64,
}

/// A pane's integers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub numerator: i64,
    pub denominator: i64,
    pub confirmed: i64,
    pub inferred: i64,
}

impl Counters {
    pub fn of(delta: &Delta) -> Self {
        Self {
            numerator: delta.numerator,
            denominator: delta.denominator,
            confirmed: delta.confirmed,
            inferred: delta.inferred,
        }
    }

    pub fn add(&mut self, other: &Self, times: i64) {
        self.numerator += times * other.numerator;
        self.denominator += times * other.denominator;
        self.confirmed += times * other.confirmed;
        self.inferred += times * other.inferred;
    }
}

/// What a stored pane holds beside its samples. A pane that holds nothing is not stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaneRow {
    pub counters: Counters,
    /// How many different seconds its multiset holds.
    pub distinct: i64,
}

impl PaneRow {
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl SeriesId {
    pub fn pane(&self, index: i64) -> PaneId {
        PaneId { series: self.clone(), index }
    }
}

/// The stored panes, to read.
#[derive(Clone, Copy)]
pub(crate) struct Panes<'a> {
    pub rows: &'a Table<PaneId, PaneRow>,
    pub samples: &'a Table<SampleId, i64>,
}

impl<'a> Panes<'a> {
    /// The panes of a series with an index in `[from, to]`.
    pub fn between(
        self,
        series: &SeriesId,
        from: i64,
        to: i64,
    ) -> impl DoubleEndedIterator<Item = (&'a PaneId, &'a PaneRow)> {
        // A range whose end lies before its start would panic.
        (from <= to).then(|| self.rows.range(series.pane(from)..=series.pane(to))).into_iter().flatten()
    }

    /// The multiset entries of a series's panes with an index in `[from, to]`.
    pub fn samples_between(
        self,
        series: &SeriesId,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (&'a SampleId, &'a i64)> {
        let first = |index, seconds| SampleId { pane: series.pane(index), seconds };
        (from <= to)
            .then(|| self.samples.range(first(from, i64::MIN)..=first(to, i64::MAX)))
            .into_iter()
            .flatten()
    }

    /// The newest pane with data.
    pub fn newest(self, series: &SeriesId) -> Option<i64> {
        self.between(series, i64::MIN, i64::MAX).next_back().map(|(id, _)| id.index)
    }

    /// Whether a pane holds data.
    pub fn holds(self, series: &SeriesId, index: i64) -> bool {
        self.rows.contains(&series.pane(index))
    }

    /// A pane as a row of the warehouse; `None` when it holds nothing.
    pub fn row(self, calendar: &Calendar, id: &PaneId) -> Option<Pane> {
        let row = self.rows.get(id)?;
        let PaneId { series, index } = id;
        let samples =
            self.samples_between(series, *index, *index).map(|(id, count)| (id.seconds, *count)).collect();
        Some(Pane {
            scope: series.scope.clone(),
            metric: series.metric,
            grain: series.grain,
            start: pane_start(calendar, series.grain, *index),
            end: pane_end(calendar, series.grain, *index),
            delta: Delta {
                numerator: row.counters.numerator,
                denominator: row.counters.denominator,
                confirmed: row.counters.confirmed,
                inferred: row.counters.inferred,
                samples,
            },
        })
    }
}

/// A pane's start (inclusive).
pub(crate) fn pane_start(calendar: &Calendar, grain: Grain, index: i64) -> Timestamp {
    match grain {
        Grain::Hour => Calendar::hour_end(Hour(index - 1)),
        Grain::Day => calendar.day_start(Day(index)),
    }
}

/// A pane's end (exclusive).
pub(crate) fn pane_end(calendar: &Calendar, grain: Grain, index: i64) -> Timestamp {
    match grain {
        Grain::Hour => Calendar::hour_end(Hour(index)),
        Grain::Day => calendar.day_end(Day(index)),
    }
}

/// Whether a pane has no length: a day that a zone left out when it crossed the date line (Samoa's 30 December
/// 2011). It ends when the day before it ends, so the two have one row, which is that of the later.
pub(crate) fn is_skipped(calendar: &Calendar, grain: Grain, index: i64) -> bool {
    matches!(grain, Grain::Day)
        && calendar.name() != "UTC"
        && calendar.day_start(Day(index)) == calendar.day_end(Day(index))
}
