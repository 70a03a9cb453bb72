//! More input than the output takes.

use crate::door::Trouble;
use crate::scene::Scene;
use kafka::Stage;
use std::time::{Duration, Instant};

/// What a member may hold: fetched by four consumers (32 MiB each), held by seven producers (64 MiB each), gathered by
/// six tasks (32 MiB each) and twice by the loader (64 MiB each) is below it.
const MOST_BYTES: u64 = 1 << 30;
/// How many times faster records come than their rows are taken. A short burst on a busy machine is over less quickly.
const FASTER: f64 = 10.0;
const FASTER_SMALL: f64 = 3.0;

/// Each insert takes so long that records wait; everything is loaded in the end, and nobody is thrown out of a group.
pub fn slow_output(scene: &mut Scene<'_>) -> u64 {
    let (slow, rounds) = scene.sized((Duration::from_secs(10), 20), (Duration::from_secs(2), 1));
    scene.start("a");
    scene.start("b");
    // The groups are complete before anything is counted.
    scene.wait_for("both members are ready", |scene| {
        let ready = scene.sum("streamgauge_stage_ready", &[]);
        ready == 8.0
    });
    let assigned = scene.assignments();
    scene.ground.door.set(move |is_insert| if is_insert { Trouble::Slow(slow) } else { Trouble::Pass });
    let started = Instant::now();
    let mut records = Vec::new();
    for _ in 0..rounds {
        records.extend(scene.organisation.records.iter().cloned());
    }
    scene.load_records(records, Duration::from_millis(100));
    let (mut most, mut sent_after) = (0.0_f64, None);
    let mut behind = |scene: &mut Scene<'_>| {
        if sent_after.is_none() && scene.is_loaded() {
            sent_after = Some(started.elapsed());
        }
        let lag = scene.lag(Stage::Load).unwrap_or(0.0);
        most = most.max(lag);
        lag
    };
    scene.wait_for("records wait for the loader", |scene| behind(scene) > 0.0);
    scene.wait_for("the lag drains", |scene| {
        let before = [Stage::Ingest, Stage::Correlate, Stage::Aggregate];
        behind(scene) == 0.0 && before.iter().all(|stage| scene.lag(*stage) == Some(0.0))
    });
    let drained = started.elapsed();
    scene.loaded();
    let sent = sent_after.unwrap_or(drained);
    let faster = drained.as_secs_f64() / sent.as_secs_f64();
    let least = scene.sized(FASTER, FASTER_SMALL);
    scene.expect(faster >= least, format!("records came only {faster:.1} times faster"));
    let peak = scene.peak_bytes();
    scene.expect(peak < MOST_BYTES, format!("a member held {peak} bytes"));
    let moved = scene.assignments() - assigned;
    scene.expect(moved == 0, format!("the groups gave partitions {moved} times while the loader was behind"));
    let restarts = scene.sum("streamgauge_stage_restarts_total", &[]);
    scene.expect(restarts == 0.0, format!("stages were started again {restarts} times"));
    scene.notes.push(format!(
        "sent in {:.1} s, loaded in {:.1} s; most records behind {most}; most memory {} MiB",
        sent.as_secs_f64(),
        drained.as_secs_f64(),
        peak >> 20
    ));
    scene.ground.door.set(|_| Trouble::Pass);
    1
}
