//! Brokers that are away, at the start and later: the stages say so, lose nothing, and go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;
mod under_load;

use kafka::{KafkaSettings, Running, Stage, Status};
use support::{Bench, make_topics, records, send, status, wait_for, wait_until_failing, wait_until_running};
use test_broker::Settings;

#[test]
fn brokers_that_are_away_are_named_and_when_they_are_back_everything_counts() {
    let Some(bench) = Bench::start(&Settings::plain(1)) else { return };
    let settings = KafkaSettings::new(bench.cluster.bootstrap(), "outage.", "one");
    make_topics(&settings, 1);
    let client = bench.database("outage");
    let all = records(3);
    let (first, second) = all.split_at(all.len() / 2);
    let events = || bench.ask("outage", "SELECT count() FROM events").parse::<u64>().unwrap_or(0);

    // Away at the start.
    bench.cluster.stop(1).unwrap();
    let mut running = Running::start(&bench.plan(&settings, &Stage::ALL, &client)).unwrap();
    for stage in Stage::ALL {
        wait_until_failing(
            &running,
            stage,
            "refuses connections: start the broker there, or correct kafka.brokers",
        );
    }
    bench.cluster.restart(1).unwrap();
    Stage::ALL.iter().for_each(|stage| wait_until_running(&running, *stage));
    send(&settings, first);
    wait_for("rows", || if events() > 0 { Ok(()) } else { Err("none".to_owned()) });

    // Away later.
    bench.cluster.kill(1).unwrap();
    for stage in Stage::ALL {
        wait_until_failing(
            &running,
            stage,
            "refuses connections: start the broker there, or correct kafka.brokers",
        );
    }
    bench.cluster.restart(1).unwrap();
    Stage::ALL.iter().for_each(|stage| wait_until_running(&running, *stage));
    let before = events();
    send(&settings, second);
    wait_for("everything counts", || {
        let stages: Vec<_> = running.stats().iter().map(|stats| stats.snapshot()).collect();
        // The record that ends a transaction counts as one that waits.
        let waits =
            stages.iter().any(|stage| stage.lag < 0 || stage.lag > i64::try_from(stage.tasks).unwrap());
        if events() > before && !waits { Ok(()) } else { Err(format!("{} events, {stages:?}", events())) }
    });
    for stage in Stage::ALL {
        assert_eq!(status(&running, stage), Status::Running, "{stage}");
    }
    running.stop();
}
