//! SIGKILL at random moments, and the same tables.

use crate::measured::{Measure, Measured, sized};
use crate::organisation::{Organisation, Random};
use crate::outputs;
use crate::stage::{Stage, shared};
use serde_json::json;
use std::time::Duration;

const CASE: &str = "SIGKILL at random moments under load";

#[test]
fn killed_at_random_moments_under_load_the_tables_are_those_of_the_embedded_run() {
    let measure = Measure::new("crash");
    if !measure.is_due(CASE) {
        return;
    }
    let Some(shared) = shared() else { return };
    let (services, days, kills) = sized((50, 90, 20), (6, 20, 3));
    let organisation = Organisation::new(services, days);
    measure.case(CASE, || {
        let mut stage = Stage::new(&shared, &organisation, "killed", 3);
        let seed = u64::from(std::process::id());
        let mut random = Random(seed);
        eprintln!("seed {seed}");
        stage.start("a", &[]);
        stage.start("b", &[]);
        let chunk = organisation.records.len().div_ceil(kills);
        let mut killed = 0;
        for (number, records) in organisation.records.chunks(chunk).enumerate() {
            stage.send(records);
            std::thread::sleep(Duration::from_millis(300 + random.below(3_000) as u64));
            let victim = ["a", "b"][(number + random.below(2)) % 2];
            stage.kill(victim);
            stage.start(victim, &[]);
            killed += 1;
        }
        stage.expect_equal();
        let events = outputs::expect_each_event_once(&stage.settings(), &organisation.records);
        let versions = outputs::expect_versions_to_rise(&stage.settings());
        Measured {
            ran: format!("{services} services, {days} days, 3 partitions, 2 processes; seed {seed}"),
            figures: vec![
                ("raw records", json!(organisation.records.len()), ""),
                ("kills", json!(killed), ""),
                ("identical tables", json!(organisation.tables()), ""),
                ("events, none twice or missing", json!(events), ""),
                ("versions of rows, none twice", json!(versions), ""),
            ],
            limit: "all identical, none twice or missing",
            within: true,
        }
    });
}
