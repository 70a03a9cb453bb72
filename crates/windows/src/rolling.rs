//! One rolling window: integer totals and a multiset that move with it.

use crate::multiset::Multiset;
use crate::pane::{Counters, PaneRow, Panes, SeriesId};
use model::metric::{Delta, DoraStep, Metric, MetricKind, Window};
use model::time::Timestamp;

/// The panes that enter and leave a window while it moves over a range of rows, each looked up once.
pub(crate) struct Passing<'a> {
    /// The first row of the range.
    pub from: i64,
    /// The panes of the range.
    pub entering: &'a [(i64, PaneRow)],
    /// The panes one window's length before.
    pub leaving: &'a [(i64, PaneRow)],
}

/// The part of a list of panes with an index in `[from, to]`.
fn between(panes: &[(i64, PaneRow)], from: i64, to: i64) -> &[(i64, PaneRow)] {
    let at = |index: i64| panes.partition_point(|(pane, _)| *pane < index);
    panes.get(at(from)..at(to + 1)).unwrap_or_default()
}

/// What a window holds whose last pane is `at`: the panes in (at − N, at].
///
/// A cache: it can always be built again from the panes.
#[derive(Debug, Clone)]
pub(crate) struct Rolling {
    pub window: Window,
    pub at: i64,
    totals: Counters,
    /// Panes whose numerator is positive.
    panes_with: i64,
    samples: Multiset,
}

impl Rolling {
    /// The window that ends with a pane, from its panes.
    pub fn build(panes: Panes<'_>, window: Window, at: i64) -> Self {
        let mut rolling =
            Self { window, at, totals: Counters::default(), panes_with: 0, samples: Multiset::default() };
        let from = at - window.panes() + 1;
        panes.between(from, at).for_each(|(_, row)| rolling.absorb(row, 1));
        panes.samples_between(from, at).for_each(|(seconds, count)| rolling.samples.add(seconds, count));
        rolling
    }

    fn absorb(&mut self, row: &PaneRow, times: i64) {
        self.totals.add(&row.counters, times);
        if row.counters.numerator > 0 {
            self.panes_with += times;
        }
    }

    /// Takes panes in, or (−1) out, with their samples.
    fn pass(&mut self, panes: Panes<'_>, passing: &[(i64, PaneRow)], times: i64) {
        for (index, row) in passing {
            self.absorb(row, times);
            if row.distinct != 0 {
                for (seconds, count) in panes.samples_between(*index, *index) {
                    self.samples.add(seconds, times * count);
                }
            }
        }
    }

    /// Moves the window's end to a pane: what enters is added, what leaves is taken away. Backwards, or further
    /// than its own length, or from before what `passing` holds, it is built anew.
    pub fn roll_to(&mut self, panes: Panes<'_>, passing: &Passing<'_>, to: i64) {
        let length = self.window.panes();
        if to < self.at || to - self.at >= length || self.at + 1 < passing.from {
            *self = Self::build(panes, self.window, to);
            return;
        }
        self.pass(panes, between(passing.entering, self.at + 1, to), 1);
        self.pass(panes, between(passing.leaving, self.at - length + 1, to - length), -1);
        self.at = to;
    }

    /// Follows a change of a pane, when it is one of this window's.
    pub fn follow(&mut self, index: i64, delta: &Delta, before: &Counters, after: &Counters) {
        if index > self.at || index <= self.at - self.window.panes() {
            return;
        }
        self.totals.add(&Counters::of(delta), 1);
        self.panes_with += i64::from(after.numerator > 0) - i64::from(before.numerator > 0);
        for (seconds, count) in &delta.samples {
            self.samples.add(*seconds, *count);
        }
    }

    /// How much memory it takes, in multiset entries.
    pub fn weight(&self) -> usize {
        16 + self.samples.distinct()
    }

    /// The window's row (semantics, section 7).
    #[expect(clippy::cast_precision_loss, reason = "the last step, after exact integer sums")]
    pub fn row(&self, series: &SeriesId, as_of: Timestamp) -> DoraStep {
        let kind = series.metric.kind();
        let positive = |count: i64| u64::try_from(count).unwrap_or(0);
        let numerator = self.totals.numerator.max(0);
        let mut step = DoraStep {
            scope: series.scope.clone(),
            metric: series.metric,
            window: self.window,
            as_of,
            value: None,
            samples: 0,
            p50: None,
            p75: None,
            p90: None,
            p95: None,
            mean: None,
            per_day: None,
            days_with: None,
            confirmed: None,
            inferred: None,
        };
        match kind {
            MetricKind::Count => {
                let daily = !matches!(self.window, Window::Hours24);
                let days = if daily { self.window.panes() } else { 1 };
                step.value = Some(numerator as f64);
                step.samples = positive(numerator);
                step.per_day = Some(numerator as f64 / days as f64);
                step.days_with = daily.then(|| positive(self.panes_with));
            }
            MetricKind::Rate => {
                let denominator = self.totals.denominator.max(0);
                step.value = (denominator > 0).then(|| numerator as f64 / denominator as f64);
                step.samples = positive(denominator);
                if series.metric == Metric::ChangeFailRate {
                    step.confirmed = Some(positive(self.totals.confirmed));
                    step.inferred = Some(positive(self.totals.inferred));
                }
            }
            MetricKind::Median | MetricKind::Mean => {
                [step.p50, step.p75, step.p90, step.p95] = self.samples.percentiles([50, 75, 90, 95]);
                step.mean = self.samples.mean();
                step.samples = positive(self.samples.count());
                step.value =
                    if kind == MetricKind::Mean { step.mean } else { step.p50.map(|seconds| seconds as f64) };
            }
        }
        step
    }
}
