//! Panes as they are stored: counters beside a multiset of samples, so that a change is as small as itself.

use crate::timeline::Timeline;
use model::Scope;
use model::metric::{Delta, Grain, Metric};
use model::time::{Calendar, Day, Hour, Timestamp};
use serde::{Deserialize, Serialize};

/// One scope's metric at one grain: the panes that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SeriesId {
    pub scope: Scope,
    pub metric: Metric,
    pub grain: Grain,
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

/// The panes of one series by their number (hours or days since 1970), to read.
#[derive(Clone, Copy)]
pub(crate) struct Panes<'a> {
    pub rows: &'a Timeline<i64, PaneRow>,
    /// Pane and seconds → how often.
    pub samples: &'a Timeline<(i64, i64), i64>,
}

impl<'a> Panes<'a> {
    /// The panes with an index in `[from, to]`.
    pub fn between(self, from: i64, to: i64) -> impl Iterator<Item = (i64, &'a PaneRow)> {
        self.rows.range(from..=to).map(|(index, row)| (*index, row))
    }

    /// [`Self::between`], copied.
    pub fn list(self, from: i64, to: i64) -> Vec<(i64, PaneRow)> {
        self.between(from, to).map(|(index, row)| (index, *row)).collect()
    }

    /// The seconds and counts in the multisets of the panes with an index in `[from, to]`.
    pub fn samples_between(self, from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> {
        let range = (from, i64::MIN)..=(to, i64::MAX);
        self.samples.range(range).map(|((_, seconds), count)| (*seconds, *count))
    }

    /// The newest pane with data.
    pub fn newest(self) -> Option<i64> {
        self.rows.newest().map(|(index, _)| index)
    }

    /// Whether a pane holds data.
    pub fn holds(self, index: i64) -> bool {
        self.rows.contains(&index)
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
