//! What must hold once a run has come to rest: the tables are those of an undisturbed run and of the oracle, no event is
//! lost or told twice, versions rise, and no checkpoint is missing.

use crate::outputs::{each_event, each_row, events_of};
use crate::scene::Scene;
use crate::topic::read_all;
use crate::twin::Tables as Expected;
use catalog::Catalog;
use correlate::{Address, Route, partition_of, route};
use kafka::checkpoint::{CHECKPOINT_KEY, Checkpoint};
use kafka::client;
use model::fact::{RowChange, RowKey};
use model::{DeliveryEvent, HomeKey};
use rdkafka::message::Message;
use std::collections::{BTreeMap, BTreeSet};
use streamgauge_tests::Tables;
use streamgauge_tests::twin::{differences, of_engine};
use topology::{Batch, TaskId};

/// Differences that are told of each kind.
const TOLD: usize = 5;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Events that are missing at one of their homes, rows that are missing or wrong, checkpoints that are missing.
    pub lost: u64,
    /// Events that a home was told more often than the records tell them, versions of rows that were told again.
    pub double: u64,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}

/// Holds what a run left behind against what it was told.
pub fn of(scene: &mut Scene<'_>, catalog: &Catalog, oracle: &Expected) -> Verdict {
    let mut verdict = Verdict::default();
    let unequal = scene.settle();
    verdict.lost += unequal.len() as u64;
    verdict.wrong.extend(unequal);
    verdict.wrong.append(&mut scene.wrong);
    events(scene, catalog, &mut verdict);
    rows(scene, oracle, &mut verdict);
    for topic in [&scene.settings.topics.correlate_changelog, &scene.settings.topics.aggregate_changelog] {
        checkpoints(scene, topic, &mut verdict);
    }
    for name in scene.members() {
        if let Some(line) = scene.log(&name).lines().find(|line| line.contains("panicked")) {
            verdict.wrong.push(format!("{name}: {line}"));
        }
    }
    verdict
}

/// The partitions in which an event's homes lie.
fn homes(catalog: &Catalog, event: &DeliveryEvent, tasks: u32) -> BTreeSet<u32> {
    match route(catalog, event) {
        Route::To(targets) => targets
            .iter()
            .flat_map(|(address, _)| match address {
                Address::Home(key) => {
                    let task = partition_of(key, tasks);
                    task..task + 1
                }
                Address::Task(task) => *task..*task + 1,
                Address::All => 0..tasks,
            })
            .collect(),
        Route::Archive(_) => [partition_of(&HomeKey::new(event.id.as_str()), tasks)].into(),
    }
}

/// Each event lies in each of its homes as often as the records tell it, and nowhere else.
fn events(scene: &Scene<'_>, catalog: &Catalog, verdict: &mut Verdict) {
    let mut counts: BTreeMap<(String, String, u32), (u64, u64)> = BTreeMap::new();
    let key = |event: &DeliveryEvent, home| (event.source.to_string(), event.id.to_string(), home);
    for event in events_of(&scene.sent) {
        for home in homes(catalog, &event, crate::scene::PARTITIONS) {
            counts.entry(key(&event, home)).or_default().0 += 1;
        }
    }
    each_event(&scene.settings, |partition, event| {
        counts.entry(key(&event, u32::try_from(partition).unwrap())).or_default().1 += 1;
    });
    let mut told = 0;
    for (key, (expected, found)) in counts {
        verdict.lost += expected.saturating_sub(found);
        verdict.double += found.saturating_sub(expected);
        if expected != found && told < TOLD {
            told += 1;
            verdict.wrong.push(format!("event {key:?} is told {found} times, not {expected}"));
        }
    }
}

/// Versions rise with every row of a key, and the last rows are the oracle's tables.
fn rows(scene: &Scene<'_>, oracle: &Expected, verdict: &mut Verdict) {
    let mut last: BTreeMap<(RowKey, TaskId), (u64, RowChange)> = BTreeMap::new();
    let mut told = 0;
    each_row(&scene.settings, |topic, partition, rev, row| {
        let partition = u32::try_from(partition).unwrap();
        let is_of_windows = *topic == scene.settings.topics.metrics;
        let task = if is_of_windows { TaskId::Aggregate(0) } else { TaskId::Correlate(partition) };
        let key = row.key();
        if let Some((before, _)) = last.get(&(key.clone(), task)).filter(|(before, _)| *before >= rev) {
            verdict.double += 1;
            if told < TOLD {
                told += 1;
                verdict.wrong.push(format!("{topic}: version {rev} after {before} of {key:?}"));
            }
        }
        last.insert((key, task), (rev, row));
    });
    let mut batch = Batch::default();
    for ((_, task), (_, change)) in last {
        if matches!(change, RowChange::Upsert(_)) {
            batch.rows.push((task, change));
        }
    }
    let mut tables = Tables::default();
    tables.load(&batch);
    let found = differences(&of_engine(&tables), oracle, 10_000);
    verdict.lost += found.len() as u64;
    verdict.wrong.extend(found.into_iter().take(TOLD).map(|differs| format!("the oracle: {differs}")));
}

/// Each task's committed checkpoints are numbered from 1 without a hole: nothing of them is compacted yet.
fn checkpoints(scene: &Scene<'_>, topic: &str, verdict: &mut Verdict) {
    let mut last: BTreeMap<i32, u64> = BTreeMap::new();
    read_all(client::reader(&scene.settings), topic, |message| {
        if message.key() != Some(CHECKPOINT_KEY) {
            return;
        }
        let checkpoint: Checkpoint = postcard::from_bytes(message.payload().unwrap()).unwrap();
        let before = last.insert(message.partition(), checkpoint.sequence).unwrap_or(0);
        if checkpoint.sequence != before + 1 {
            let place = format!("{topic}/{}", message.partition());
            verdict.lost += u64::from(checkpoint.sequence > before + 1);
            verdict.double += u64::from(checkpoint.sequence <= before);
            verdict.wrong.push(format!("{place}: checkpoint {} after {before}", checkpoint.sequence));
        }
    });
}
