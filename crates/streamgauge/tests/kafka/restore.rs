//! A restart after a clean stop: how fast state comes back, from local checkpoints and from whole changelogs, and when
//! the process is ready; and a standby that takes over.

use crate::alone::Alone;
use crate::measured::{Measure, Measured, quantile, rounded, sized};
use crate::recovery;
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
    let from_copy = format!("partitions {partitions}, local checkpoints");
    let from_changelog = format!("partitions {partitions}, without local checkpoints");
    let standby = format!("partitions {partitions}, taken over by a standby");
    let takes_over = partitions > 1;
    let is_due = measure.is_due(&from_copy) || measure.is_due(&from_changelog);
    if !(is_due || takes_over && measure.is_due(&standby)) {
        return;
    }
    let (least, options) = sized(
        (1e6, Options { services: 50, teams: 8, days: 230, ..Options::default() }),
        (1e3, Options { services: 5, teams: 2, days: 10, ..Options::default() }),
    );
    let Some(alone) = Alone::new(partitions, &catalog_toml(&options)).map(Alone::keeping) else { return };
    let run = alone.start();
    let sent = alone.send(generate(&options));
    let metrics = run.wait_until_loaded(PATIENCE, sent);
    let entries = metrics.sum("streamgauge_state_entries", &[]);
    assert!(entries >= least, "{entries} entries of state are fewer than {least}");
    run.stop();
    let ran = format!(
        "{entries} entries of state, {partitions} partitions; {STARTS} starts of the whole process, each after a clean \
         stop"
    );
    let median = |starts: &[Start], of: fn(&Start) -> f64| {
        let mut all: Vec<f64> = starts.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (quantile(&all, 0.5), quantile(&all, 1.0))
    };
    measure.case(&from_copy, || {
        let starts: Vec<Start> = (0..STARTS).map(|_| start(&alone, entries)).collect();
        let (records, (ready, slowest)) =
            (median(&starts, |start| start.records).1, median(&starts, |s| s.ready_s));
        assert!(records < entries / 10.0, "{records} records were read of {entries} entries");
        Measured {
            ran: ran.clone(),
            figures: vec![
                ("changelog records at most", rounded(records, 0), ""),
                ("restored p50", rounded(median(&starts, |start| start.restore_s).0, 2), "s"),
                ("ready p50", rounded(ready, 2), "s"),
                ("ready at most", rounded(slowest, 2), "s"),
            ],
            limit: "ready in under 3 s",
            within: slowest < 3.0,
        }
    });
    measure.case(&from_changelog, || {
        let starts = (0..STARTS).map(|_| {
            recovery::forget(&alone);
            start(&alone, entries)
        });
        let starts: Vec<Start> = starts.collect();
        let rate = median(&starts, |start| start.records / start.restore_s).0;
        Measured {
            ran: ran.clone(),
            figures: vec![
                ("changelog records", rounded(median(&starts, |start| start.records).0, 0), ""),
                ("restored p50", rounded(rate, 0), "records/s"),
                ("ready p50", rounded(median(&starts, |start| start.ready_s).0, 2), "s"),
            ],
            limit: "at least 300,000 records/s",
            within: rate >= 300_000.0,
        }
    });
    if !takes_over {
        return;
    }
    measure.case(&standby, || {
        let follows: &[(&str, &str)] = &[("STREAMGAUGE__KAFKA__STANDBY", "true")];
        let pair = recovery::pair(&alone, [&[], follows]);
        let settled = sized(Duration::from_secs(90), Duration::from_secs(5));
        let taken = recovery::take_over(pair, f64::from(partitions) * 2.0, settled);
        assert_eq!((taken.entries, taken.from_changelog), (entries, 0.0));
        Measured {
            ran: format!("{entries} entries of state, {partitions} partitions; one of two processes stops"),
            figures: vec![
                ("tasks taken over", rounded(taken.from_copy, 0), ""),
                ("changelog records", rounded(taken.records, 0), ""),
                ("ready after the reassignment", rounded(taken.ready_s, 2), "s"),
            ],
            limit: "ready in under 5 s",
            within: taken.ready_s < 5.0,
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
