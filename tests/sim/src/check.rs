//! What must hold once a run has come to rest.

use crate::log::Record;
use crate::store::key_of;
use crate::story::{FOREIGN, Story};
use crate::world::{State, World};
use correlate::{Address, Route, partition_of, route};
use kafka::Topics;
use kafka::checkpoint::Checkpoint;
use kafka::out::header;
use model::fact::{Row, RowChange, RowChanges, RowKey};
use model::{DeliveryEvent, HomeKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamgauge_tests::{NOW, Tables, twin};
use topology::{Batch, TaskId, Topology};

/// Differences that are told.
const TOLD: usize = 5;

/// What of the inputs no stage has read: the first partition.
pub fn unread(world: &Arc<World>) -> String {
    let topics = Topics::new("sim.");
    let state = world.lock();
    let raw = topics.raw("canonical");
    let inputs = [
        ("sim.ingest", vec![&raw]),
        ("sim.correlate", vec![&topics.events, &topics.messages]),
        ("sim.aggregate", vec![&topics.contributions]),
        ("sim.load", vec![&topics.facts, &topics.metrics, &topics.events]),
    ];
    for (group, inputs) in inputs {
        for topic in inputs {
            for (number, partition) in state.log.topic(topic).iter().enumerate() {
                let at = (topic.clone(), number as i32);
                // The loader's offsets may be lost; where it reads says as much while its inserts are over.
                let committed = match group {
                    "sim.load" => state.reads(&at),
                    group => state.groups.committed(group, &at).unwrap_or(0),
                };
                if partition.next(committed, true).is_some() {
                    let stable = partition.stable();
                    return format!("{group} has read {topic}/{number} up to {committed} of {stable}");
                }
            }
        }
    }
    String::new()
}

/// The first thing that does not hold.
pub fn everything(world: &Arc<World>, story: &Story) -> Option<String> {
    let state = world.lock();
    let found = each_record_once(&state, story)
        .or_else(|| versions_rise(&state))
        .or_else(|| sequences_have_no_holes(&state))
        .or_else(|| the_archive_is_whole(&state, story))
        .or_else(|| the_table_has_what_was_told(&state));
    found.or_else(|| tables_are_right(&state, story))
}

/// Each raw record's event lies once in each partition that a catalog sends it to, each that cannot be read once among
/// the dead letters.
fn each_record_once(state: &State, story: &Story) -> Option<String> {
    let topics = Topics::new("sim.");
    let letters: usize =
        state.log.topic(&topics.dlq).iter().map(|partition| partition.committed().count()).sum();
    if letters != story.letters() {
        return Some(format!("{letters} dead letters for {} records that cannot be read", story.letters()));
    }
    let mut seen: BTreeMap<(&[u8], i64), BTreeMap<u32, u64>> = BTreeMap::new();
    for (number, partition) in state.log.topic(&topics.events).iter().enumerate() {
        for record in partition.committed() {
            let revision = header_of(&record.headers, header::CATALOG).map_or(-1, i64::from_be_bytes);
            let value = record.value.as_deref().unwrap_or_default();
            if value == FOREIGN {
                continue;
            }
            *seen.entry((value, revision)).or_default().entry(number as u32).or_default() += 1;
        }
    }
    let mut left: BTreeMap<Vec<u8>, (&DeliveryEvent, i64)> = BTreeMap::new();
    for event in &story.events {
        left.entry(model::avro::encode(event)).or_insert((event, 0)).1 += 1;
    }
    for ((value, revision), partitions) in seen {
        let Some((event, left)) = left.get_mut(value) else {
            return Some("an event is there that nobody told".to_owned());
        };
        let Some(catalog) = state.catalogs.iter().find(|known| known.offset == revision) else {
            return Some(format!("an event was routed by revision {revision}, which is none"));
        };
        let targets = targets(&route(&catalog.catalog, event), event, story.tasks);
        let counts: BTreeSet<u64> = partitions.values().copied().collect();
        if !partitions.keys().eq(&targets) || counts.len() != 1 {
            return Some(format!("event {} lies {partitions:?} times, sent to {targets:?}", event.id));
        }
        *left -= counts.first().copied().unwrap_or(0) as i64;
    }
    left.into_values()
        .find(|(_, left)| *left != 0)
        .map(|(event, left)| format!("event {} was told {} too many times", event.id, -left))
}

fn targets(route: &Route, event: &DeliveryEvent, tasks: u32) -> BTreeSet<u32> {
    match route {
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

fn header_of<const N: usize>(headers: &[(String, Vec<u8>)], key: &str) -> Option<[u8; N]> {
    let (_, value) = headers.iter().find(|(name, _)| name == key)?;
    value.as_slice().try_into().ok()
}

/// The rows of a record of `facts` or `metrics`.
fn rows_of(record: &Record, grouped: bool) -> Result<(u64, Vec<RowChange>), String> {
    let rev = header_of(&record.headers, header::REV).map_or(0, u64::from_be_bytes);
    let value = record.value.as_deref().unwrap_or_default();
    let changes = if grouped {
        model::avro::decode::<RowChanges>(value).map(|group| group.rows)
    } else {
        model::avro::decode::<RowChange>(value).map(|row| vec![row])
    };
    changes.map(|changes| (rev, changes)).map_err(|error| format!("a row cannot be read: {error}"))
}

/// The newest version that was told of each row is the one that is stored.
fn the_table_has_what_was_told(state: &State) -> Option<String> {
    let topics = Topics::new("sim.");
    let mut told = BTreeMap::new();
    for topic in [&topics.facts, &topics.metrics] {
        for (task, partition) in state.log.topic(topic).iter().enumerate() {
            for record in partition.committed() {
                let (rev, changes) = match rows_of(record, topic == &topics.metrics) {
                    Ok(rows) => rows,
                    Err(error) => return Some(error),
                };
                let keyed = changes.into_iter().map(|change| (key_of(&change, task as u32), (rev, change)));
                told.extend(keyed);
            }
        }
    }
    let keys: BTreeSet<_> = told.keys().chain(state.stored.rows.keys()).collect();
    let differs = keys.into_iter().find(|key| told.get(*key) != state.stored.rows.get(*key))?;
    let (told, stored) = (told.get(differs), state.stored.rows.get(differs));
    Some(format!("{differs:?} was told as {told:?} and is stored as {stored:?}"))
}

/// In each partition of rows the versions of a key rise, and a transaction tells a key once.
fn versions_rise(state: &State) -> Option<String> {
    let topics = Topics::new("sim.");
    for topic in [&topics.facts, &topics.metrics] {
        for partition in state.log.topic(topic) {
            let mut last: BTreeMap<RowKey, u64> = BTreeMap::new();
            for record in partition.committed() {
                let (rev, changes) = match rows_of(record, topic == &topics.metrics) {
                    Ok(rows) => rows,
                    Err(error) => return Some(error),
                };
                for change in changes {
                    let key = change.key();
                    if let Some(before) = last.get(&key).filter(|before| **before >= rev) {
                        return Some(format!("version {rev} of {key:?} comes after {before}"));
                    }
                    last.insert(key, rev);
                }
            }
        }
    }
    None
}

/// The checkpoints that count are numbered without a hole.
fn sequences_have_no_holes(state: &State) -> Option<String> {
    for ((topic, partition), written) in &state.checkpoints {
        let Some(log) = state.log.partition(topic, *partition) else { continue };
        let committed = written.iter().filter(|record| !log.is_aborted(record));
        for (expected, record) in (1..).zip(committed) {
            let bytes = record.value.as_deref().unwrap_or_default();
            let sequence =
                postcard::from_bytes::<Checkpoint>(bytes).map_or(0, |checkpoint| checkpoint.sequence);
            if sequence != expected {
                return Some(format!("checkpoint {sequence} of {topic}/{partition} where {expected} is due"));
            }
        }
    }
    None
}

fn the_archive_is_whole(state: &State, story: &Story) -> Option<String> {
    let told: BTreeSet<String> = story.events.iter().map(model::json::to_text).collect();
    let missing = told.difference(&state.stored.events).next();
    let added = state.stored.events.difference(&told).next();
    missing
        .map(|event| format!("the archive lacks {event}"))
        .or_else(|| added.map(|event| format!("the archive has {event}, which nobody told")))
}

/// The tables are the oracle's; and with those that it does not compute, those of the same events told in order.
fn tables_are_right(state: &State, story: &Story) -> Option<String> {
    let mut owners: BTreeMap<&RowKey, u32> = BTreeMap::new();
    let mut batch = Batch::default();
    for ((key, task), (_, change)) in &state.stored.rows {
        if matches!(change, RowChange::Delete(_)) {
            continue;
        }
        if let Some(task) = task
            && !matches!(key, RowKey::Scope(_))
            && let Some(other) = owners.insert(key, *task)
        {
            return Some(format!("{key:?} is told by the tasks {other} and {task}"));
        }
        batch.rows.push((task.map_or(TaskId::Aggregate(0), TaskId::Correlate), change.clone()));
    }
    let mut tables = Tables::default();
    tables.load(&batch);
    let input =
        oracle::Input { events: &story.values, catalog: &story.catalog, definitions: &story.settings };
    let expected = twin::of_oracle(&oracle::compute(&input));
    let found = twin::differences(&twin::of_engine(&tables), &expected, TOLD);
    if !found.is_empty() {
        return Some(format!("the oracle differs:\n  {}", found.join("\n  ")));
    }
    let plain = in_order(story);
    if tables == plain {
        return None;
    }
    let keys: BTreeSet<&RowKey> = tables.rows.keys().chain(plain.rows.keys()).collect();
    let differs = |key: &&&RowKey| tables.rows.get(**key) != plain.rows.get(**key);
    let told = |key: &RowKey| {
        let row = |rows: &BTreeMap<RowKey, Row>| format!("{:?}", rows.get(key));
        format!("{key:?}:\n    here {}\n    there {}", row(&tables.rows), row(&plain.rows))
    };
    let differing: Vec<String> = keys.iter().filter(differs).take(TOLD).map(|key| told(key)).collect();
    Some(format!("an undisturbed run differs:\n  {}", differing.join("\n  ")))
}

/// The tables of the same events told once, in order, in one process.
fn in_order(story: &Story) -> Tables {
    let catalog = twin::catalog(&story.catalog, &story.definitions);
    let mut topology = Topology::new(story.definitions.clone(), catalog, 1);
    story.events.iter().for_each(|event| topology.process_event(event.clone()));
    topology.settle(true);
    topology.punctuate(NOW);
    let mut tables = Tables::default();
    tables.load(&topology.commit());
    tables
}
