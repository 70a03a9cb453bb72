//! SIGKILL at random moments, and the same tables.

use crate::organisation::{Organisation, Random, full};
use crate::outputs;
use crate::stage::{Stage, shared};
use std::time::Duration;

#[test]
fn killed_at_random_moments_under_load_the_tables_are_those_of_the_embedded_run() {
    let Some(shared) = shared() else { return };
    let shared = &*shared;
    let (services, days, kills) = if full() { (50, 90, 20) } else { (6, 20, 3) };
    let organisation = Organisation::new(services, days);
    let mut stage = Stage::new(shared, &organisation, "killed", 3);
    let mut random = Random(std::process::id().into());
    eprintln!("seed {}", random.0);
    stage.start("a", &[]);
    stage.start("b", &[]);
    let chunk = organisation.records.len().div_ceil(kills);
    for (number, records) in organisation.records.chunks(chunk).enumerate() {
        stage.send(records);
        std::thread::sleep(Duration::from_millis(300 + random.below(3_000) as u64));
        let victim = ["a", "b"][(number + random.below(2)) % 2];
        stage.kill(victim);
        stage.start(victim, &[]);
    }
    stage.expect_equal();
    outputs::expect_each_event_once(&stage.settings(), &organisation.records);
    outputs::expect_versions_to_rise(&stage.settings());
}
