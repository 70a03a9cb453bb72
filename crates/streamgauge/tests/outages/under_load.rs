//! Brokers that go away while transactions are under way: every stage says so soon, and nothing is lost or counted
//! twice.

use crate::support::views::digest_query;
use crate::support::{Bench, make_topics, send, wait_for};
use generate::{Options, generate};
use kafka::{KafkaSettings, Running, Stage};
use model::raw::RawRecord;
use std::time::{Duration, Instant};
use test_broker::Settings;

/// How soon a stage says that its brokers are gone.
const SAID_WITHIN: Duration = Duration::from_secs(12);
/// The same of brokers that take connections and answer nothing: a member notices by its session's time-out.
const SILENCE_SAID_WITHIN: Duration = Duration::from_secs(20);
/// How long they stay away: longer than a transaction may take.
const AWAY: Duration = Duration::from_secs(40);
const PARTITIONS: u32 = 2;

fn records() -> Vec<RawRecord> {
    generate(&Options { services: 6, teams: 2, days: 30, ..Options::default() }).collect()
}

/// Tables of a run that nothing disturbs, and those of one whose brokers go away while it works.
fn compared(hurt: impl Fn(&Bench, &Running), heal: impl Fn(&Bench)) {
    let Some(bench) = Bench::start(&Settings::plain(1)) else { return };
    // Whoever looks for a reason says RUST_LOG=info.
    let logs = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(logs).with_writer(std::io::stderr).try_init();
    let all = records();
    let (first, second) = all.split_at(all.len() / 3);
    let digest = |name: &str| bench.ask(name, &digest_query());

    let settings = KafkaSettings::new(bench.cluster.bootstrap(), "calm.", "one");
    make_topics(&settings, PARTITIONS);
    let calm = Running::start(&bench.plan(&settings, &Stage::ALL, &bench.database("calm"))).unwrap();
    send(&settings, &all);
    let mut settled: Option<(String, Instant)> = None;
    wait_for("the calm run's tables stay as they are", || {
        let now = digest("calm");
        let idle = calm.stats().iter().all(|stats| stats.snapshot().records_in > 0);
        match &settled {
            Some((before, since)) if *before == now && idle => {
                if since.elapsed() > Duration::from_secs(8) {
                    Ok(())
                } else {
                    Err(now)
                }
            }
            _ => {
                settled = Some((now.clone(), Instant::now()));
                Err(now)
            }
        }
    });
    drop(calm);

    // Small batches: what is measured is how long a stage waits for its brokers, not how long it computes.
    let settings =
        KafkaSettings { batch_records: 200, ..KafkaSettings::new(bench.cluster.bootstrap(), "hurt.", "one") };
    make_topics(&settings, PARTITIONS);
    let running = Running::start(&bench.plan(&settings, &Stage::ALL, &bench.database("hurt"))).unwrap();
    send(&settings, first);
    wait_for("every stage works", || {
        let idle = running.stats().iter().find(|stats| stats.snapshot().transactions < 2);
        idle.map_or(Ok(()), |stats| Err(stats.stage.to_string()))
    });
    hurt(&bench, &running);
    heal(&bench);
    send(&settings, second);
    wait_for("the tables of the run that was hurt equal those of the calm one", || {
        let (calm, hurt) = (digest("calm"), digest("hurt"));
        if calm == hurt { Ok(()) } else { Err(format!("calm:\n{calm}\nhurt:\n{hurt}")) }
    });
    wait_for("every stage is ready", || {
        let unready = running.stats().iter().find_map(|stats| stats.snapshot().unready());
        unready.map_or(Ok(()), Err)
    });
}

/// Waits until every stage says what is wrong, and stays away for a while.
fn said_by_all(running: &Running, within: Duration, is_said: impl Fn(&str) -> bool) {
    let since = Instant::now();
    for stats in running.stats() {
        let mut last = None;
        while !last.as_deref().is_some_and(&is_said) {
            assert!(since.elapsed() < within, "{} says {last:?} after {:?}", stats.stage, since.elapsed());
            std::thread::sleep(Duration::from_millis(50));
            last = stats.snapshot().unready();
        }
        eprintln!("{} after {:.1} s: {}", stats.stage, since.elapsed().as_secs_f64(), last.unwrap());
    }
    std::thread::sleep(AWAY.saturating_sub(since.elapsed()));
}

#[test]
fn every_stage_says_soon_that_its_brokers_were_killed_and_the_tables_become_right() {
    compared(
        |bench, running| {
            bench.cluster.kill(1).unwrap();
            // The second is what a stage says whose time was up before its client had been refused once.
            let named =
                |said: &str| said.contains("refuses connections") || said.contains("answers no request");
            said_by_all(running, SAID_WITHIN, named);
        },
        |bench| bench.cluster.restart(1).unwrap(),
    );
}

#[test]
fn every_stage_says_that_its_brokers_stand_still_and_the_tables_become_right() {
    compared(
        |bench, running| {
            bench.cluster.pause(1).unwrap();
            said_by_all(running, SILENCE_SAID_WITHIN, |_| true);
        },
        |bench| bench.cluster.resume(1).unwrap(),
    );
}
