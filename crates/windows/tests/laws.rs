//! The laws of windows: whatever the order, the splitting and the crashes, the rows are those of a naive program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::fact::{Row, RowChange, RowKey};
use model::metric::{
    Contribution, ContributionKey, Delta, DoraStep, Grain, Metric, MetricKind, Pane, PaneKey, StepKey, Window,
};
use model::table::{ChangelogEntry, Stateful};
use model::{Calendar, Day, Hour, Scope, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use streamgauge_windows::Aggregator;

type Rows = BTreeMap<RowKey, Row>;
type Sums = BTreeMap<(Scope, Metric, Grain, i64), Delta>;

/// The rows of a sum of contributions, each window made from scratch.
fn naive(calendar: &Calendar, contributions: &[Contribution]) -> Rows {
    let mut sums = Sums::new();
    for Contribution { key, delta } in contributions {
        for (grain, index) in [(Grain::Hour, key.hour.0), (Grain::Day, key.day.0)] {
            sums.entry((key.scope.clone(), key.metric, grain, index)).or_default().add(delta, 1);
        }
    }
    sums.retain(|_, delta| !delta.is_zero());
    let mut rows = Rows::new();
    for ((scope, metric, grain, index), delta) in &sums {
        let end = |index: i64| match grain {
            Grain::Hour => Calendar::hour_end(Hour(index)),
            Grain::Day => calendar.day_end(Day(index)),
        };
        let pane = Pane {
            scope: scope.clone(),
            metric: *metric,
            grain: *grain,
            start: end(index - 1),
            end: end(*index),
            delta: delta.clone(),
        };
        rows.insert(Row::Pane(Box::new(pane.clone())).key(), Row::Pane(Box::new(pane)));
        for window in Window::ALL.iter().filter(|window| window.grain() == *grain) {
            for mut last in [*index, index + window.panes()] {
                // A day that a zone left out ends with the day before it: the two have one row.
                while end(last + 1) == end(last) {
                    last += 1;
                }
                let held: Vec<&Delta> = (last - window.panes() + 1..=last)
                    .filter_map(|index| sums.get(&(scope.clone(), *metric, *grain, index)))
                    .collect();
                let row = Row::Step(Box::new(naive_step(scope, *metric, *window, end(last), &held)));
                rows.insert(row.key(), row);
            }
        }
    }
    rows
}

fn naive_step(scope: &Scope, metric: Metric, window: Window, as_of: Timestamp, held: &[&Delta]) -> DoraStep {
    let mut total = Delta::default();
    held.iter().for_each(|delta| total.add(delta, 1));
    let mut list = Vec::new();
    for (seconds, count) in &total.samples {
        (0..*count).for_each(|_| list.push(*seconds));
    }
    let percentile = |percent: usize| list.get((percent * list.len()).div_ceil(100).max(1) - 1).copied();
    let mean = (!list.is_empty()).then(|| list.iter().sum::<i64>() as f64 / list.len() as f64);
    let days = if window == Window::Hours24 { 1 } else { window.panes() };
    let kind = metric.kind();
    let (numerator, denominator) = (total.numerator.max(0), total.denominator.max(0));
    let sampled = matches!(kind, MetricKind::Median | MetricKind::Mean);
    let when = |yes: bool, value: Option<i64>| if yes { value } else { None };
    let fails = metric == Metric::ChangeFailRate;
    DoraStep {
        scope: scope.clone(),
        metric,
        window,
        as_of,
        value: match kind {
            MetricKind::Count => Some(numerator as f64),
            MetricKind::Rate => (denominator > 0).then(|| numerator as f64 / denominator as f64),
            MetricKind::Median => percentile(50).map(|seconds| seconds as f64),
            MetricKind::Mean => mean,
        },
        samples: match kind {
            MetricKind::Count => numerator as u64,
            MetricKind::Rate => denominator as u64,
            _ => list.len() as u64,
        },
        p50: when(sampled, percentile(50)),
        p75: when(sampled, percentile(75)),
        p90: when(sampled, percentile(90)),
        p95: when(sampled, percentile(95)),
        mean: if sampled { mean } else { None },
        per_day: (kind == MetricKind::Count).then(|| numerator as f64 / days as f64),
        days_with: (kind == MetricKind::Count && window != Window::Hours24)
            .then(|| held.iter().filter(|delta| delta.numerator > 0).count() as u64),
        confirmed: fails.then(|| total.confirmed.max(0) as u64),
        inferred: fails.then(|| total.inferred.max(0) as u64),
    }
}

/// A table: applies changes, and holds that no key is told twice in one flush.
fn load(rows: &mut Rows, changes: Vec<RowChange>) {
    let mut seen = BTreeSet::new();
    for change in changes {
        assert!(seen.insert(change.key()), "told twice: {:?}", change.key());
        match change {
            RowChange::Upsert(row) => rows.insert(row.key(), row),
            RowChange::Delete(key) => rows.remove(&key),
        };
    }
}

fn difference(found: &Rows, expect: &Rows) -> Option<String> {
    let keys: BTreeSet<&RowKey> = found.keys().chain(expect.keys()).collect();
    keys.into_iter()
        .find(|key| found.get(key) != expect.get(key))
        .map(|key| format!("{key:?}\nfound  {:?}\nexpect {:?}", found.get(key), expect.get(key)))
}

/// A task with its changelog and the table that it writes to, as a runner keeps them.
struct Task {
    calendar: Calendar,
    limit: usize,
    state: Aggregator,
    changelog: BTreeMap<Vec<u8>, Vec<u8>>,
    rows: Rows,
}

impl Task {
    fn new(calendar: Calendar, limit: usize) -> Self {
        let state = Aggregator::with_rolling_limit(calendar.clone(), limit);
        Self { calendar, limit, state, changelog: BTreeMap::new(), rows: Rows::new() }
    }
    fn commit(&mut self, full: bool) -> (usize, usize) {
        let mut changes = Vec::new();
        self.state.flush(full, &mut changes);
        let told = changes.len();
        load(&mut self.rows, changes);
        let mut log = Vec::new();
        self.state.commit_state(&mut log);
        let logged = log.len();
        for ChangelogEntry { key, value } in log {
            match value {
                Some(value) => self.changelog.insert(key, value),
                None => self.changelog.remove(&key),
            };
        }
        (told, logged)
    }
    fn crash(&mut self) {
        self.state = Aggregator::with_rolling_limit(self.calendar.clone(), self.limit);
        for (key, value) in &self.changelog {
            let entry = ChangelogEntry { key: key.clone(), value: Some(value.clone()) };
            self.state.restore_entry(&entry).unwrap();
        }
        self.state.restored();
    }
}

/// What happens in a transaction, after its contributions were applied.
#[derive(Debug, Clone, Copy)]
enum End {
    InOrderFlush,
    FullFlush,
    CrashBefore,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => Just(End::InOrderFlush),
        2 => Just(End::FullFlush),
        1 => Just(End::CrashBefore),
    ]
}

/// Zones: without offset, with summer time, of half an hour, and with a day that never was.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia"];
/// Seconds since 1970 around Samoa's 30 December 2011, which never was.
const ORIGIN: i64 = 1_325_239_200 - 60 * 86_400;

const METRICS: [Metric; 5] = [
    Metric::DeploymentFrequency,
    Metric::ChangeLeadTime,
    Metric::ChangeFailRate,
    Metric::TimeToDetect,
    Metric::ReworkRate,
];

fn contribution(calendar: &Calendar, (at, metric, hit, seconds, times): Raw) -> Contribution {
    let time = Timestamp::from_seconds(ORIGIN + at * 1_800).unwrap();
    let metric = METRICS[metric];
    let mut delta = match metric.kind() {
        MetricKind::Count => Delta::count(),
        MetricKind::Rate => Delta::rate(hit),
        MetricKind::Median | MetricKind::Mean => Delta::sample(seconds),
    };
    if metric == Metric::ChangeFailRate {
        delta.confirmed = i64::from(hit && seconds % 2 == 0);
        delta.inferred = i64::from(hit && seconds % 2 == 1);
    }
    let mut scaled = Delta::default();
    scaled.add(&delta, times);
    let key = ContributionKey {
        scope: Scope::new("service:checkout"),
        metric,
        hour: Calendar::hour(time),
        day: calendar.day(time),
    };
    Contribution { key, delta: scaled }
}

type Raw = (i64, usize, bool, i64, i64);

/// Half hours over 125 days; mostly one more, sometimes many, rarely one less than nothing.
fn raw() -> impl Strategy<Value = Raw> {
    (
        0..6_000_i64,
        0..METRICS.len(),
        any::<bool>(),
        0..50_i64,
        prop_oneof![20 => Just(1_i64), 2 => Just(3), 1 => Just(-1)],
    )
}

#[derive(Debug, Clone)]
struct Case {
    zone: usize,
    limit: usize,
    ordered: bool,
    raws: Vec<Raw>,
    /// Contributions that come once more and are taken back, by index.
    doubled: Vec<prop::sample::Index>,
    /// Contributions that are there only for a while.
    passing: Vec<Raw>,
    shuffle: u64,
    cuts: Vec<(usize, End)>,
}

fn case() -> impl Strategy<Value = Case> {
    (
        0..ZONES.len(),
        prop_oneof![Just(0_usize), Just(60), Just(1_000_000)],
        any::<bool>(),
        proptest::collection::vec(raw(), 1..40),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        proptest::collection::vec(raw(), 0..8),
        any::<u64>(),
        proptest::collection::vec((1..8_usize, end()), 1..30),
    )
        .prop_map(|(zone, limit, ordered, raws, doubled, passing, shuffle, cuts)| Case {
            zone,
            limit,
            ordered,
            raws,
            doubled,
            passing,
            shuffle,
            cuts,
        })
}

/// A shuffle that depends on the seed alone.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for at in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, (seed >> 33) as usize % (at + 1));
    }
}

fn negated(contribution: &Contribution) -> Contribution {
    let mut delta = Delta::default();
    delta.add(&contribution.delta, -1);
    Contribution { key: contribution.key.clone(), delta }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_200, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_are_a_pure_function_of_the_sum_of_the_contributions(case in case()) {
        let calendar = Calendar::named(ZONES[case.zone]).unwrap();
        let mut stream: Vec<Contribution> =
            case.raws.iter().map(|raw| contribution(&calendar, *raw)).collect();
        let doubled: Vec<Contribution> =
            case.doubled.iter().map(|index| stream[index.index(stream.len())].clone()).collect();
        let passing = case.passing.iter().map(|raw| contribution(&calendar, *raw));
        for extra in doubled.into_iter().chain(passing) {
            stream.push(negated(&extra));
            stream.push(extra);
        }
        if case.ordered {
            stream.sort_by_key(|contribution| contribution.key.hour.0);
        } else {
            shuffle(&mut stream, case.shuffle);
        }

        let mut task = Task::new(calendar.clone(), case.limit);
        let mut applied = 0;
        let mut cuts = case.cuts.iter().cycle();
        while applied < stream.len() {
            let (length, end) = *cuts.next().unwrap();
            let batch = &stream[applied..(applied + length).min(stream.len())];
            batch.iter().for_each(|contribution| task.state.apply(contribution));
            if matches!(end, End::CrashBefore) {
                task.crash();
                batch.iter().for_each(|contribution| task.state.apply(contribution));
            }
            applied += batch.len();
            let full = matches!(end, End::FullFlush);
            task.commit(full);
            if full {
                let expect = naive(&calendar, &stream[..applied]);
                prop_assert_eq!(difference(&task.rows, &expect), None);
                prop_assert!(!task.state.is_dirty());
            }
        }
        task.commit(true);
        let expect = naive(&calendar, &stream);
        prop_assert_eq!(difference(&task.rows, &expect), None);

        // What explain recomputes is what was written.
        for row in expect.values() {
            if let Row::Step(step) = row {
                let index = task.state.index_at(step.window, step.as_of);
                prop_assert_eq!(&task.state.step(&step.scope, step.metric, step.window, index), step.as_ref());
            }
        }
        // Everything taken back leaves nothing: no row, no state.
        stream.iter().for_each(|contribution| task.state.apply(&negated(contribution)));
        task.commit(true);
        prop_assert!(task.rows.is_empty(), "{:?}", task.rows.keys().next());
        prop_assert!(task.changelog.is_empty());
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn in_order_rows_are_right_before_any_full_flush(
        mut raws in proptest::collection::vec(raw(), 1..60),
        cuts in proptest::collection::vec(1..6_usize, 1..10),
    ) {
        raws.retain(|raw| raw.4 > 0);
        raws.sort_by_key(|raw| raw.0);
        let calendar = Calendar::utc();
        let stream: Vec<Contribution> = raws.iter().map(|raw| contribution(&calendar, *raw)).collect();
        let mut task = Task::new(calendar.clone(), 1_000_000);
        let mut applied = 0;
        let mut cuts = cuts.iter().cycle();
        while applied < stream.len() {
            let end = (applied + cuts.next().unwrap()).min(stream.len());
            stream[applied..end].iter().for_each(|contribution| task.state.apply(contribution));
            applied = end;
            task.commit(false);
            // All that is written now is right, and all up to each series's newest pane is written.
            let expect = naive(&calendar, &stream[..applied]);
            let mut newest = BTreeMap::new();
            for row in expect.values() {
                if let Row::Pane(pane) = row {
                    let last = newest.entry((pane.metric, pane.grain)).or_insert(pane.end);
                    *last = pane.end.max(*last);
                }
            }
            let due: Rows = expect
                .into_iter()
                .filter(|(_, row)| match row {
                    Row::Step(step) => step.as_of <= newest[&(step.metric, step.window.grain())],
                    _ => false,
                })
                .collect();
            prop_assert_eq!(difference(&task.rows, &due), None);
        }
    }
}

fn at(hour: i64) -> (Hour, Day) {
    (Hour(hour), Day(hour.div_euclid(24)))
}

fn sample(hour: i64, seconds: i64) -> Contribution {
    let (hour, day) = at(hour);
    let key = ContributionKey { scope: Scope::new("org:acme"), metric: Metric::ChangeLeadTime, hour, day };
    Contribution { key, delta: Delta::sample(seconds) }
}

#[test]
fn an_in_order_contribution_costs_the_same_whatever_the_history() {
    let cost = |days: i64| {
        let mut task = Task::new(Calendar::utc(), 1_000_000);
        for hour in 0..days * 24 {
            task.state.apply(&sample(hour, hour % 977));
            if hour % 100 == 0 {
                task.commit(false);
            }
        }
        task.commit(false);
        task.state.apply(&sample(days * 24 - 1, 1_000_000));
        task.commit(false)
    };
    assert_eq!(cost(3), cost(300));
    let (rows, logged) = cost(300);
    // One row per window; per pane: counters, one sample, what is owed.
    assert_eq!(rows, 4);
    assert!(logged <= 6, "{logged} changelog records");
}

#[test]
fn a_late_contribution_rewrites_only_the_range_that_it_touches() {
    let mut task = Task::new(Calendar::utc(), 1_000_000);
    (0..400 * 24).step_by(24).for_each(|hour| task.state.apply(&sample(hour, 60)));
    task.commit(true);
    task.state.apply(&sample(100 * 24, 90));
    assert_eq!(task.commit(false).0, 0);
    let (told, _) = task.commit(true);
    // Days: 8 + 31 + 91 rows, hours: 2, panes: 2. Nothing else of the 400 days.
    assert_eq!(told, 8 + 31 + 91 + 2 + 2);
    assert!(!task.state.is_dirty());
    assert_eq!(task.commit(true), (0, 0));
}

#[test]
fn a_full_flush_in_parts_tells_the_same_rows() {
    let mut task = Task::new(Calendar::utc(), 1_000_000);
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        for day in [3, 1, 2] {
            let mut contribution = sample(day * 24, 60);
            contribution.key.scope = Scope::new(name);
            task.state.apply(&contribution);
            all.push(contribution);
        }
    }
    let mut parts = 0;
    loop {
        let mut changes = Vec::new();
        let more = task.state.flush_some(10, &mut changes);
        load(&mut task.rows, changes);
        task.commit(false);
        // A crash between two parts loses nothing of what is owed.
        task.crash();
        parts += 1;
        if !more {
            break;
        }
    }
    assert!(parts >= 3, "{parts} parts");
    assert_eq!(difference(&task.rows, &naive(&Calendar::utc(), &all)), None);
}

#[test]
fn a_restored_task_still_owes_what_it_owed() {
    let mut task = Task::new(Calendar::utc(), 1_000_000);
    (0..50).for_each(|day| task.state.apply(&sample(day * 24, 60)));
    task.commit(true);
    task.state.apply(&sample(10 * 24, 90));
    task.commit(false);
    task.crash();
    assert!(task.state.is_dirty());
    task.commit(true);
    let mut all: Vec<Contribution> = (0..50).map(|day| sample(day * 24, 60)).collect();
    all.push(sample(10 * 24, 90));
    assert_eq!(difference(&task.rows, &naive(&Calendar::utc(), &all)), None);
}

#[test]
fn a_retracted_pane_takes_its_rows_with_it_unless_another_pane_makes_them() {
    let mut task = Task::new(Calendar::utc(), 1_000_000);
    for day in [10, 17, 40] {
        task.state.apply(&sample(day * 24, 60));
    }
    task.commit(true);
    let gone = negated(&sample(17 * 24, 60));
    task.state.apply(&gone);
    task.commit(true);
    let key = |window, day| {
        RowKey::Step(StepKey {
            scope: Scope::new("org:acme"),
            metric: Metric::ChangeLeadTime,
            window,
            as_of: Calendar::utc().day_end(Day(day)),
        })
    };
    assert!(!task.rows.contains_key(&key(Window::Days30, 17)));
    assert!(task.rows.contains_key(&key(Window::Days7, 17)), "day 10 leaves the week there");
    assert!(!task.rows.contains_key(&RowKey::Pane(PaneKey {
        scope: Scope::new("org:acme"),
        metric: Metric::ChangeLeadTime,
        grain: Grain::Day,
        start: Calendar::utc().day_start(Day(17)),
    })));
    let left = [sample(10 * 24, 60), sample(40 * 24, 60)];
    assert_eq!(difference(&task.rows, &naive(&Calendar::utc(), &left)), None);
}

#[test]
fn no_data_is_null_and_a_count_of_none_is_zero() {
    let task = Aggregator::new(Calendar::utc());
    let scope = Scope::new("service:idle");
    let step = |metric| task.step(&scope, metric, Window::Days30, 100);
    assert_eq!(step(Metric::DeploymentFrequency).value, Some(0.0));
    assert_eq!(step(Metric::DeploymentFrequency).days_with, Some(0));
    for metric in [Metric::ChangeFailRate, Metric::ChangeLeadTime, Metric::TimeToDetect] {
        assert_eq!((step(metric).value, step(metric).mean, step(metric).samples), (None, None, 0));
    }
}

#[test]
fn a_day_of_twenty_five_hours_is_one_pane_and_its_row_stands_at_its_end() {
    let calendar = Calendar::named("Europe/Berlin").unwrap();
    let mut task = Task::new(calendar.clone(), 1_000_000);
    let start = Timestamp::parse("2025-10-25T22:00:00Z").unwrap();
    for hour in 0..25 {
        let time = Timestamp::from_seconds(start.seconds() + hour * 3_600).unwrap();
        let key = ContributionKey {
            scope: Scope::new("service:checkout"),
            metric: Metric::DeploymentFrequency,
            hour: Calendar::hour(time),
            day: calendar.day(time),
        };
        task.state.apply(&Contribution { key, delta: Delta::count() });
    }
    task.commit(true);
    let key = StepKey {
        scope: Scope::new("service:checkout"),
        metric: Metric::DeploymentFrequency,
        window: Window::Days7,
        as_of: Timestamp::parse("2025-10-26T23:00:00Z").unwrap(),
    };
    let Some(Row::Step(step)) = task.rows.get(&RowKey::Step(key)) else { panic!("no row at the day's end") };
    assert_eq!((step.value, step.days_with, step.per_day), (Some(25.0), Some(1), Some(25.0 / 7.0)));
}
