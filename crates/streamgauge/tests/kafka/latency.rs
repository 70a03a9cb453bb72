//! From a raw record to its fact's row in ClickHouse, at a steady rate.
//!
//! Each record has a time at which it is due, whatever became of the ones before; what it took is counted from there.
//! So neither a sender that was held up nor a stall that many records share can hide. A row counts as seen when the
//! answer that names it has arrived.

use crate::alone::Alone;
use crate::measured::{Measure, Measured, quantile, rounded, sized};
use generate::{Options, catalog_toml, generate};
use model::event::{DeploymentState, EventBody, PullRequestState, RunState};
use model::fact::{Outcome as Ended, Row, RowChange};
use model::raw::RawRecord;
use model::{Definitions, DeliveryEvent};
use sources::{Outcome, SourceSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use topology::Topology;

const PARTITIONS: u32 = 3;
/// Between the answer to one look and the next. The embedded engine answers one statement at a time: a look holds up the
/// inserts that it looks for, and what lies between two looks counts as waiting.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long rows are waited for after the last record.
const PATIENCE: Duration = Duration::from_secs(60);
/// Records of one transaction of the topology that says which facts there will be.
const BATCH: usize = 5_000;

#[test]
fn every_record_that_completes_a_fact_is_seen_as_a_row_while_records_come_at_a_steady_rate() {
    let measure = Measure::new("latency");
    let (rate, seconds) = sized((2_000, 60), (400, 5));
    for services in sized(&[50, 2_000][..], &[10][..]) {
        measure_case(&measure, *services, rate, seconds);
    }
}

fn measure_case(measure: &Measure, services: u32, rate: u32, seconds: u32) {
    let case = format!("{services} services");
    if !measure.is_due(&case) {
        return;
    }
    // As many days as it takes: a day of a service is about twenty records.
    let options = Options { services, teams: services.div_ceil(8), days: 3_650, ..Options::default() };
    let catalog = catalog_toml(&options);
    let Some(alone) = Alone::new(PARTITIONS, &catalog) else { return };
    measure.case(&case, || {
        let records: Vec<RawRecord> = generate(&options).take((rate * seconds) as usize).collect();
        let awaited = awaited(&records, &catalog);
        let count = awaited.len();
        let seen = run(&alone, &records, &awaited, f64::from(rate));
        let mut took = seen.took;
        took.sort_by(f64::total_cmp);
        let at = |share| rounded(quantile(&took, share), 3);
        let mut looks = seen.looks;
        looks.sort_by(f64::total_cmp);
        let p99 = quantile(&took, 0.99);
        Measured {
            ran: format!(
                "{} raw records, {rate} a second for {seconds} s, {PARTITIONS} partitions, one process; \
                 counted are the {count} that complete a deployment, run or pull request, or open an incident",
                records.len()
            ),
            figures: vec![
                ("p50", at(0.5), "s"),
                ("p95", at(0.95), "s"),
                ("p99", at(0.99), "s"),
                ("most", at(1.0), "s"),
                ("between looks p50", rounded(quantile(&looks, 0.5), 3), "s"),
                ("between looks at most", rounded(quantile(&looks, 1.0), 3), "s"),
                ("sender late by at most", rounded(seen.late.as_secs_f64(), 3), "s"),
            ],
            limit: "p99 at most 1 s",
            within: p99 <= 1.0,
        }
    });
}

/// What completes a fact, by its name: the place of the first record that does, among the facts that there are in the
/// end. A deployment that is part of another's rollout has no row of its own.
fn awaited(records: &[RawRecord], catalog: &str) -> BTreeMap<String, usize> {
    let definitions = Definitions::default();
    let catalog = catalog::Catalog::from_toml("catalog.toml", catalog, &definitions).unwrap();
    let mut topology = Topology::new(definitions, Arc::new(catalog), 1);
    let (mut first, mut rows) = (BTreeMap::new(), BTreeSet::new());
    for (batch, chunk) in records.chunks(BATCH).enumerate() {
        for (at, record) in chunk.iter().enumerate() {
            let Outcome::Emit(events) = sources::read(record, &SourceSettings::default()) else { continue };
            for event in events {
                if let Some(name) = completes(&event) {
                    first.entry(name).or_insert(batch * BATCH + at);
                }
                topology.process_event(event);
            }
        }
        topology.settle(false);
        for (_, change) in topology.commit().rows {
            match change {
                RowChange::Upsert(row) => _ = named(&row).map(|name| rows.insert(name)),
                RowChange::Delete(_) => {}
            }
        }
    }
    first.retain(|name, _| rows.contains(name));
    first
}

/// The fact that an event completes (or, of an incident, begins).
fn completes(event: &DeliveryEvent) -> Option<String> {
    match &event.body {
        EventBody::Deployment(told)
            if !matches!(told.state, DeploymentState::Pending | DeploymentState::Running) =>
        {
            Some(format!("deployment {}", told.deployment_id))
        }
        EventBody::PipelineRun(told) if !matches!(told.state, RunState::Queued | RunState::Running) => {
            Some(format!("run {} {} {}", event.repo.as_ref()?, told.run_id, told.attempt))
        }
        EventBody::PullRequest(told) if told.state != PullRequestState::Open => {
            Some(format!("pull request {} {}", event.repo.as_ref()?, told.number))
        }
        EventBody::Incident(told) => Some(format!("incident {}", told.incident_id)),
        _ => None,
    }
}

/// The same of a row. A deployment of several attempts is complete with the last of them, which is another record's.
fn named(row: &Row) -> Option<String> {
    match row {
        Row::Deployment(row) if row.parts == 1 && row.outcome != Ended::Running => {
            Some(format!("deployment {}", row.deployment_id))
        }
        Row::PipelineRun(row) if !matches!(row.state, RunState::Queued | RunState::Running) => {
            Some(format!("run {} {} {}", row.repo, row.run_id, row.attempt))
        }
        Row::PullRequest(row) if row.state != PullRequestState::Open => {
            Some(format!("pull request {} {}", row.repo, row.number))
        }
        Row::Incident(row) => Some(format!("incident {}", row.incident_id)),
        _ => None,
    }
}

/// The names of the rows that were computed since then, as [`named`] forms them.
fn query(since_ms: u128) -> String {
    let part = |name: &str, table: &str, is_complete: &str| {
        format!(
            "SELECT {name} FROM {table} WHERE computed_at >= fromUnixTimestamp64Milli({since_ms}) \
             AND is_deleted = 0 AND {is_complete}"
        )
    };
    let parts = [
        part("concat('deployment ', deployment_id)", "deployments_rows", "outcome != 'running'"),
        part(
            "concat('run ', repo, ' ', run_id, ' ', toString(attempt))",
            "pipeline_runs_rows",
            "state NOT IN ('queued', 'running')",
        ),
        part("concat('pull request ', repo, ' ', toString(number))", "pull_requests_rows", "state != 'open'"),
        part("concat('incident ', incident_id)", "incidents_rows", "1"),
    ];
    format!("{} SETTINGS max_threads = 1", parts.join(" UNION ALL "))
}

/// What was seen.
struct Seen {
    /// Seconds from when a record was due until its row was seen.
    took: Vec<f64>,
    /// Seconds from one answer to the next: how fine it could be seen.
    looks: Vec<f64>,
    /// How long after its time the latest record was sent.
    late: Duration,
}

fn run(alone: &Alone, records: &[RawRecord], awaited: &BTreeMap<String, usize>, rate: f64) -> Seen {
    let running = alone.start();
    let sql = running.sql();
    let sender = alone.sender();
    let start = Instant::now() + Duration::from_millis(200);
    let due = |at: usize| start + Duration::from_secs_f64(at as f64 / rate);
    // A row is computed after its record was due, by the same clock.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut by_time: Vec<(usize, &String)> = awaited.iter().map(|(name, at)| (*at, name)).collect();
    by_time.sort_unstable();
    let mut oldest = by_time.iter().peekable();
    let mut seen = Seen { took: Vec::new(), looks: Vec::new(), late: Duration::ZERO };
    let mut pending: BTreeMap<&str, usize> = by_time.iter().map(|(at, name)| (name.as_str(), *at)).collect();
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut late = Duration::ZERO;
            for (at, record) in records.iter().enumerate() {
                loop {
                    let ahead = due(at).saturating_duration_since(Instant::now());
                    if ahead.is_zero() {
                        break;
                    }
                    sender.serve(Duration::ZERO);
                    thread::sleep(ahead.min(Duration::from_millis(1)));
                }
                late = late.max(due(at).elapsed());
                sender.send(record).unwrap();
            }
            sender.finish().unwrap();
            late
        });
        let deadline = due(records.len()) + PATIENCE;
        let mut last = Instant::now();
        while !pending.is_empty() {
            assert!(Instant::now() < deadline, "{} rows were never seen: {pending:?}", pending.len());
            while oldest.next_if(|(_, name)| !pending.contains_key(name.as_str())).is_some() {}
            let since = wall
                + oldest.peek().map_or(Duration::ZERO, |(at, _)| Duration::from_secs_f64(*at as f64 / rate));
            let answer = sql.ask(&query(since.as_millis()));
            let now = Instant::now();
            seen.looks.push((now - last).as_secs_f64());
            last = now;
            let rows = answer.lines().filter_map(|name| pending.remove(name));
            seen.took.extend(rows.map(|at| now.saturating_duration_since(due(at)).as_secs_f64()));
            thread::sleep(LOOK_EVERY);
        }
        seen.late = sending.join().unwrap();
    });
    running.stop();
    seen
}
