use crate::{Warehouse, with_database};
use model::fact::{DefinitionDimension, Row, RowChange, ScopeDimension};
use model::metric::{DoraStep, Metric, Window};
use model::{Calendar, Definitions, Scope, Span, Timestamp};
use std::time::SystemTime;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap())
}

fn step(metric: Metric, window: Window, as_of: Timestamp, value: Option<f64>) -> RowChange {
    RowChange::Upsert(Row::Step(Box::new(DoraStep {
        scope: Scope::new("service:checkout"),
        metric,
        window,
        as_of,
        value,
        samples: u64::from(value.is_some_and(|value| value > 0.0)),
        p50: value.map(|value| value as i64),
        p75: None,
        p90: None,
        p95: None,
        mean: None,
        per_day: None,
        days_with: None,
        confirmed: None,
        inferred: None,
    })))
}

fn dimensions(zone: &str, failure_source: bool) -> Vec<RowChange> {
    let definitions = Definitions { timezone: zone.to_owned(), ..Definitions::default() };
    let scope = ScopeDimension {
        scope: Scope::new("service:checkout"),
        first_at: at("2025-01-01T12:00:00Z"),
        failure_source,
    };
    let definitions = DefinitionDimension::of(&definitions).into_iter();
    definitions
        .map(|row| Row::Definition(Box::new(row)))
        .chain([Row::Scope(Box::new(scope))])
        .map(RowChange::Upsert)
        .collect()
}

async fn load(warehouse: &Warehouse, zone: &str, failure_source: bool, steps: &[RowChange]) {
    let mut loader = warehouse.loader();
    crate::load(&mut loader, 1, &dimensions(zone, failure_source)).await.unwrap();
    crate::load(&mut loader, 1, steps).await.unwrap();
}

#[test]
fn idle_days_carry_the_last_value_over_a_day_of_25_hours_until_it_leaves() {
    with_database("idle_days", |warehouse| async move {
        let metric = Metric::ChangeLeadTime;
        let steps = [
            step(metric, Window::Days30, at("2025-10-24T22:00:00Z"), Some(10.0)),
            step(metric, Window::Days30, at("2025-11-23T23:00:00Z"), None),
        ];
        load(&warehouse, "Europe/Berlin", true, &steps).await;
        assert_eq!(
            warehouse
                .ask("SELECT as_of, value, null_reason FROM dora_windows WHERE as_of < '2025-10-28' ORDER BY as_of")
                .await,
            "2025-10-24 22:00:00.000000\t10\t\n2025-10-25 22:00:00.000000\t10\t\n\
             2025-10-26 23:00:00.000000\t10\t\n2025-10-27 23:00:00.000000\t10\t\n"
        );
        assert_eq!(
            warehouse.ask("SELECT count(), max(as_of) FROM dora_windows WHERE value = 10").await,
            "30\t2025-11-22 23:00:00.000000\n"
        );
        assert_eq!(
            warehouse
                .ask(
                    "SELECT min(as_of), max(as_of) > now() - toIntervalHour(26), count() = uniqExact(as_of), \
                     any(null_reason), countIf(live) FROM dora_windows WHERE value IS NULL"
                )
                .await,
            "2025-11-23 23:00:00.000000\t1\t1\tno_data\t1\n"
        );
    });
}

#[test]
fn every_hour_carries_the_last_value_and_the_newest_is_live() {
    with_database("idle_hours", |warehouse| async move {
        let metric = Metric::DeploymentFrequency;
        let steps = [
            step(metric, Window::Hours24, at("2025-03-01T10:00:00Z"), Some(1.0)),
            step(metric, Window::Hours24, at("2025-03-02T10:00:00Z"), Some(0.0)),
        ];
        load(&warehouse, "Europe/Berlin", true, &steps).await;
        assert_eq!(
            warehouse.ask("SELECT count(), min(as_of), max(as_of) FROM dora_windows WHERE value = 1").await,
            "24\t2025-03-01 10:00:00.000000\t2025-03-02 09:00:00.000000\n"
        );
        assert_eq!(
            warehouse
                .ask(
                    "SELECT count() = dateDiff('hour', min(as_of), max(as_of)) + 1, max(as_of) = toStartOfHour(now()), \
                     argMax(live, as_of), countIf(live), countIf(provisional) FROM dora_windows"
                )
                .await,
            "1\t1\ttrue\t1\t0\n"
        );
    });
}

#[test]
fn what_lies_in_the_future_is_hidden_and_the_running_hour_is_in_the_latest() {
    with_database("future", |warehouse| async move {
        let metric = Metric::DeploymentFrequency;
        let end = Calendar::hour_end(Calendar::hour(now()));
        let steps = [
            step(metric, Window::Hours24, end, Some(5.0)),
            step(metric, Window::Hours24, end.plus(Span::from_hours(24)), Some(0.0)),
        ];
        load(&warehouse, "UTC", true, &steps).await;
        assert_eq!(warehouse.ask("SELECT count() FROM dora_windows").await, "0\n");
        assert_eq!(warehouse.ask("SELECT count(), countIf(live) FROM dora_steps").await, "2\t0\n");
        assert_eq!(
            warehouse.ask("SELECT toUnixTimestamp(as_of), value, live FROM dora_latest").await,
            format!("{}\t5\ttrue\n", end.seconds())
        );
    });
}

#[test]
fn a_fail_rate_is_provisional_until_the_failure_window_has_passed() {
    with_database("provisional", |warehouse| async move {
        let steps = [
            step(Metric::ChangeFailRate, Window::Hours24, at("2025-03-01T10:00:00Z"), Some(0.5)),
            step(Metric::ChangeLeadTime, Window::Hours24, at("2025-03-01T10:00:00Z"), Some(0.5)),
        ];
        load(&warehouse, "UTC", true, &steps).await;
        assert_eq!(
            warehouse
                .ask("SELECT metric, countIf(provisional) FROM dora_windows GROUP BY metric ORDER BY metric")
                .await,
            "change_fail_rate\t4\nchange_lead_time\t0\n"
        );
        assert_eq!(
            warehouse.ask("SELECT metric, provisional FROM dora_latest ORDER BY metric").await,
            "change_fail_rate\ttrue\nchange_lead_time\tfalse\n"
        );
    });
}

#[test]
fn a_scope_without_a_failure_source_says_so_since_it_began() {
    with_database("blind", |warehouse| async move {
        let steps = [
            step(Metric::ChangeFailRate, Window::Days7, at("2025-03-01T23:00:00Z"), Some(0.0)),
            step(Metric::ChangeLeadTime, Window::Days7, at("2025-03-01T23:00:00Z"), Some(9.0)),
        ];
        load(&warehouse, "Europe/Berlin", false, &steps).await;
        let blind = "SELECT metric, min(as_of), max(value), groupUniqArray(null_reason), countIf(live) FROM \
             dora_windows WHERE window = '7d' GROUP BY metric ORDER BY metric";
        assert_eq!(
            warehouse.ask(blind).await,
            "change_fail_rate\t2025-01-01 23:00:00.000000\t\\N\t['no_failure_source']\t1\n\
             change_lead_time\t2025-03-01 23:00:00.000000\t9\t['']\t1\n\
             recovery_time\t2025-01-01 23:00:00.000000\t\\N\t['no_failure_source']\t1\n\
             rework_rate\t2025-01-01 23:00:00.000000\t\\N\t['no_failure_source']\t1\n"
        );
        assert_eq!(
            warehouse.ask("SELECT min(as_of) FROM dora_windows WHERE window = '24h'").await,
            "2025-01-01 13:00:00.000000\n"
        );
        let report = warehouse
            .reader()
            .report(&Scope::new("service:checkout"), Window::Days7, Some(at("2025-03-05T23:00:00Z")))
            .await
            .unwrap();
        let find = |metric: Metric| report.iter().find(|row| row.metric == metric).unwrap();
        assert_eq!(find(Metric::ChangeFailRate).null_reason.as_str(), "no_failure_source");
        assert_eq!(
            (find(Metric::ChangeLeadTime).value, find(Metric::ChangeLeadTime).p50),
            (Some(9.0), Some(9))
        );
        assert_eq!(find(Metric::DeploymentFrequency).value, Some(0.0));
        assert_eq!(find(Metric::TimeInCi).null_reason.as_str(), "no_data");
        assert_eq!(report.len(), Metric::ALL.len());
    });
}

#[test]
fn a_report_sees_what_held_then_and_what_holds_now() {
    with_database("report", |warehouse| async move {
        let metric = Metric::ChangeLeadTime;
        let steps = [
            step(metric, Window::Days30, at("2025-03-02T00:00:00Z"), Some(10.0)),
            step(metric, Window::Days30, at("2025-04-01T00:00:00Z"), None),
        ];
        load(&warehouse, "UTC", true, &steps).await;
        let (reader, scope) = (warehouse.reader(), Scope::new("service:checkout"));
        let lead_time = |rows: Vec<streamgauge_warehouse::ReportRow>| {
            rows.into_iter().find(|row| row.metric == metric).map(|row| (row.as_of, row.value))
        };
        for (day, expected) in [
            ("2025-03-01T00:00:00Z", None),
            ("2025-03-02T00:00:00Z", Some(Some(10.0))),
            ("2025-03-31T00:00:00Z", Some(Some(10.0))),
            ("2025-04-01T00:00:00Z", Some(None)),
        ] {
            let rows = reader.report(&scope, Window::Days30, Some(at(day))).await.unwrap();
            assert_eq!(lead_time(rows), expected.map(|value| (at(day), value)), "{day}");
        }
        let calendar = Calendar::utc();
        let rows = reader.report(&scope, Window::Days30, None).await.unwrap();
        assert_eq!(lead_time(rows), Some((calendar.day_end(calendar.day(now())), None)));
        let unknown = reader.report(&Scope::new("service:x' OR 1=1"), Window::Days30, None).await.unwrap();
        assert!(unknown.is_empty());
    });
}

/// Zones whose clocks change at midnight, by half an hour, or once left a whole day out.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
];

#[test]
fn the_views_days_are_the_calendars_days_in_every_kind_of_zone() {
    with_database("zones", |warehouse| async move {
        let (from, to) = (at("2011-06-01T12:00:00Z"), at("2019-12-31T12:00:00Z"));
        let metric = Metric::ChangeLeadTime;
        let mut loader = warehouse.loader();
        for (rev, zone) in (1..).zip(ZONES) {
            let calendar = Calendar::named(zone).unwrap();
            let (first, last) = (calendar.day(from), calendar.day(to));
            let middle = model::Day(first.0 + 1_000);
            crate::load(&mut loader, rev, &dimensions(zone, true)).await.unwrap();
            let steps = [first, middle, last]
                .map(|day| step(metric, Window::Days7, calendar.day_end(day), Some(1.0)));
            crate::load(&mut loader, rev, &steps).await.unwrap();
            let mut expected: Vec<String> = (first.0..=last.0)
                .map(|day| calendar.day_end(model::Day(day)).seconds().to_string())
                .collect();
            expected.dedup();
            let end = calendar.day_end(last).seconds();
            let found = warehouse
                .ask(&format!("SELECT toUnixTimestamp(as_of) FROM dora_windows WHERE as_of <= fromUnixTimestamp({end}) ORDER BY as_of"))
                .await;
            assert!(found.lines().eq(&expected), "{zone}");
            let gone: Vec<RowChange> = steps.iter().map(|step| RowChange::Delete(step.key())).collect();
            crate::load(&mut loader, rev + 1, &gone).await.unwrap();
        }
    });
}
