//! A restart after a clean stop: how fast changelogs are read back, and when the process is ready.

use crate::alone::Alone;
use crate::measured::{Measure, Measured, quantile, rounded, sized};
use generate::{Options, catalog_toml, generate};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

const STARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Between two looks at readiness.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[test]
fn a_restart_after_a_clean_stop_restores_all_of_the_state_and_is_ready() {
    let measure = Measure::new("restore");
    for partitions in sized(&[1, 3][..], &[2][..]) {
        measure_case(&measure, *partitions);
    }
}

/// One start: what it took.
struct Start {
    ready_s: f64,
    /// Changelog records, of both stages.
    records: f64,
    /// The longer of the two stages, which restore at the same time.
    restore_s: f64,
}

fn measure_case(measure: &Measure, partitions: u32) {
    let case = format!("partitions {partitions}");
    if !measure.is_due(&case) {
        return;
    }
    let (least, options) = sized(
        (1e6, Options { services: 50, teams: 8, days: 220, ..Options::default() }),
        (1e3, Options { services: 5, teams: 2, days: 10, ..Options::default() }),
    );
    let Some(alone) = Alone::new(partitions, &catalog_toml(&options)) else { return };
    measure.case(&case, || {
        let run = alone.start();
        let sent = alone.send(generate(&options));
        let metrics = run.wait_until_loaded(PATIENCE, sent);
        let entries = metrics.sum("streamgauge_state_entries", &[]);
        assert!(entries >= least, "{entries} entries of state are fewer than {least}");
        run.stop();
        let starts: Vec<Start> = (0..STARTS).map(|_| start(&alone, entries)).collect();
        let median = |of: fn(&Start) -> f64| {
            let mut all: Vec<f64> = starts.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            (quantile(&all, 0.5), quantile(&all, 1.0))
        };
        let (rate, (ready, slowest)) = (median(|start| start.records / start.restore_s).0, median(|s| s.ready_s));
        Measured {
            ran: format!(
                "{entries} entries of state, {partitions} partitions; {STARTS} starts of the whole process, each \
                 after a clean stop"
            ),
            figures: vec![
                ("changelog records", rounded(median(|start| start.records).0, 0), ""),
                ("restored p50", rounded(rate, 0), "records/s"),
                ("ready p50", rounded(ready, 2), "s"),
                ("ready at most", rounded(slowest, 2), "s"),
            ],
            limit: "at least 300,000 records/s; ready in under 3 s",
            within: rate >= 300_000.0 && slowest < 3.0,
        }
    });
}

fn start(alone: &Alone, entries: f64) -> Start {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let started = Instant::now();
    let run = alone.start_at(&listen);
    let deadline = started + PATIENCE;
    while !run.is_ready() {
        assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(&run.log).unwrap());
        thread::sleep(LOOK_EVERY);
    }
    let ready_s = started.elapsed().as_secs_f64();
    let metrics = run.metrics();
    assert_eq!(metrics.sum("streamgauge_state_entries", &[]), entries, "the state that was stopped");
    let took = |stage| metrics.sum("streamgauge_restore_seconds_total", &[("stage", stage)]);
    let records = metrics.sum("streamgauge_restore_records_total", &[]);
    run.stop();
    Start { ready_s, records, restore_s: f64::max(took("correlate"), took("aggregate")) }
}
