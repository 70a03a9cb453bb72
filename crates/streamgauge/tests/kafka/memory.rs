//! What a whole run of a large organisation holds: resident memory, the engine's included, and state.

use crate::alone::Alone;
use crate::measured::{Measure, Measured, rounded, sized};
use generate::{Options, steady, steady_catalog_toml};
use std::time::{Duration, Instant};

const CASE: &str = "a deployment and three commits per service and day";
const PARTITIONS: u32 = 3;
const LIMIT_BYTES: u64 = 2 << 30;
const PATIENCE: Duration = Duration::from_secs(3_600);

#[test]
fn a_whole_run_of_many_services_is_loaded_and_says_what_it_holds() {
    let measure = Measure::new("memory");
    if !measure.is_due(CASE) {
        return;
    }
    let (services, days) = sized((2_000, 90), (40, 10));
    let options = Options { services, teams: services.div_ceil(8), days, ..Options::default() };
    let Some(alone) = Alone::new(PARTITIONS, &steady_catalog_toml(&options)) else { return };
    measure.case(CASE, || {
        let run = alone.start();
        let started = Instant::now();
        let sent = alone.send(steady(&options));
        let metrics = run.wait_until_loaded(PATIENCE, sent);
        let seconds = started.elapsed().as_secs_f64();
        let deployments = run.sql().ask("SELECT count() FROM deployments WHERE outcome = 'succeeded'");
        assert_eq!(deployments.trim(), (services * days).to_string(), "a deployment per service and day");
        let changes = run.sql().ask("SELECT count() FROM changes");
        assert_eq!(changes.trim(), (3 * services * days).to_string(), "three commits per service and day");
        let (entries, bytes) =
            (metrics.sum("streamgauge_state_entries", &[]), metrics.sum("streamgauge_state_bytes", &[]));
        let peak = run.peak_bytes();
        run.stop();
        Measured {
            ran: format!(
                "{services} services, {days} days, {sent} raw records, {PARTITIONS} partitions, one process"
            ),
            figures: vec![
                ("peak resident, engine included", rounded(peak as f64 / f64::from(1 << 20), 0), "MiB"),
                ("state", rounded(bytes / f64::from(services), 0), "bytes per service"),
                ("state", rounded(entries / f64::from(services), 0), "entries per service"),
                ("loaded after", rounded(seconds, 0), "s"),
            ],
            limit: "below 2,048 MiB",
            within: peak < LIMIT_BYTES,
        }
    });
}
