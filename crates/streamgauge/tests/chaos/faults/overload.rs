//! More input than the output takes.

use crate::door::Trouble;
use crate::scene::Scene;
use kafka::Stage;
use std::time::{Duration, Instant};

/// What a member may hold: fetched by four consumers (32 MiB each), held by seven producers (64 MiB each), gathered by
/// six tasks (32 MiB each) and twice by the loader (64 MiB each) is below it.
const MOST_BYTES: u64 = 1 << 30;
/// How many times faster records come than their rows are taken.
const FASTER: f64 = 10.0;

/// Each insert takes so long that records wait, for as long as records come; then everything is loaded, and nobody was
/// thrown out of a group.
pub fn slow_output(scene: &mut Scene<'_>) -> u64 {
    let ((slow, rounds), lasts) = scene.sized(
        ((Duration::from_secs(120), 60), Duration::from_secs(600)),
        ((Duration::from_secs(10), 2), Duration::from_secs(20)),
    );
    scene.start("a");
    scene.start("b");
    // The groups are complete before anything is counted.
    scene.wait_until_ready(&["a", "b"]);
    let assigned = scene.assignments();
    scene.ground.door.set(move |is_insert| if is_insert { Trouble::Slow(slow) } else { Trouble::Pass });
    let started = Instant::now();
    let mut records = Vec::new();
    for _ in 0..rounds {
        records.extend(scene.organisation.records.iter().cloned());
    }
    let sent = records.len();
    scene.load_records(records, lasts);
    let mut most = 0.0_f64;
    while !scene.is_loaded() {
        most = most.max(scene.lag(Stage::Load).unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(500));
    }
    let overloaded = started.elapsed();
    // Of all that was written for it. What is gathered for the next insert is read, and not taken.
    let came = ["events", "facts", "metrics"].map(|topic| ("topic", topic));
    let came: f64 = came.map(|topic| scene.sum("streamgauge_records_out_total", &[topic])).iter().sum();
    let taken = scene.sum("streamgauge_records_in_total", &[("stage", Stage::Load.as_str())]);
    let faster = came / taken.max(1.0);
    scene.expect(faster >= FASTER, format!("records came only {faster:.1} times faster"));
    let (told, waiting) = (scene.lag(Stage::Load).unwrap_or(0.0), came - taken);
    most = most.max(told);
    // Of what is not read for now the end is known as of when it was read.
    scene.expect(told > waiting / 2.0, format!("{told} records were said to wait, and {waiting} did"));
    scene.ground.door.set(|_| Trouble::Pass);
    scene.wait_for("the lag drains", |scene| {
        let lag = |stage: &Stage| scene.lag(*stage);
        Stage::ALL.iter().all(|stage| lag(stage) == Some(0.0))
    });
    scene.loaded();
    let peak = scene.peak_bytes();
    scene.expect(peak < MOST_BYTES, format!("a member held {peak} bytes"));
    let moved = scene.assignments() - assigned;
    scene.expect(moved == 0, format!("the groups gave partitions {moved} times while the loader was behind"));
    let restarts = scene.sum("streamgauge_stage_restarts_total", &[]);
    scene.expect(restarts == 0.0, format!("stages were started again {restarts} times"));
    scene.notes.push(format!(
        "{sent} raw records in {:.0} s, {faster:.0} times faster than they were taken; most records behind {most}; all \
         loaded {:.1} s later; most memory {} MiB",
        overloaded.as_secs_f64(),
        (started.elapsed() - overloaded).as_secs_f64(),
        peak >> 20
    ));
    1
}
