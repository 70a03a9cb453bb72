//! The one law: results are a pure function of the events and the catalog, and the oracle agrees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::table::ChangelogEntry;
use model::{Definitions, DeliveryEvent};
use oracle::organisation::{Random, earlier, elsewhere, event, rename_some, settings};
use oracle::{Input, compute};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use streamgauge_tests::{NOW, Tables, twin};
use topology::{TaskId, Topology};

/// How one run goes: everything that must not matter.
struct Run {
    partitions: u32,
    /// The catalogs that are in force before the last one, each until so many events are told.
    earlier_catalogs: Vec<(Arc<catalog::Catalog>, usize)>,
    /// Restart from the changelog after so many events.
    crash_at: Option<usize>,
}

fn run(
    run: &Run,
    events: &[DeliveryEvent],
    definitions: &Definitions,
    catalog: &Arc<catalog::Catalog>,
    random: &mut Random,
) -> Tables {
    let mut tables = Tables::default();
    let mut changelog: BTreeMap<(TaskId, Vec<u8>), ChangelogEntry> = BTreeMap::new();
    let mut commit = |topology: &mut Topology, tables: &mut Tables| {
        let batch = topology.commit();
        tables.load(&batch);
        for (task, entry) in batch.changelog {
            match entry.value {
                Some(_) => changelog.insert((task, entry.key.clone()), entry),
                None => changelog.remove(&(task, entry.key)),
            };
        }
        changelog.clone()
    };
    let mut catalogs: VecDeque<&Arc<catalog::Catalog>> =
        run.earlier_catalogs.iter().map(|(catalog, _)| catalog).chain([catalog]).collect();
    let mut until: VecDeque<usize> = run.earlier_catalogs.iter().map(|(_, until)| *until).collect();
    let first = catalogs.pop_front().unwrap();
    let mut topology = Topology::new(definitions.clone(), first.clone(), run.partitions);
    for (index, event) in events.iter().enumerate() {
        while until.pop_front_if(|until| *until <= index).is_some() {
            topology.set_catalog(catalogs.pop_front().unwrap().clone());
            if random.below(2) == 0 {
                topology.settle(false);
            }
        }
        topology.process_event(event.clone());
        if random.below(4) == 0 {
            topology.settle(random.below(3) == 0);
            if random.below(3) == 0 {
                topology.punctuate(NOW);
            }
            if random.below(3) == 0 {
                // What was begun and not committed never was: it is told again.
                topology.process_event(events[random.below(events.len() as u64) as usize].clone());
            }
            commit(&mut topology, &mut tables);
        }
        if run.crash_at == Some(index) {
            topology.settle(false);
            let state = commit(&mut topology, &mut tables);
            let in_force = topology.catalog().clone();
            let before = std::mem::replace(
                &mut topology,
                Topology::new(definitions.clone(), in_force, run.partitions),
            );
            for ((task, _), entry) in &state {
                topology.restore(*task, entry).unwrap();
            }
            topology.restored();
            for (was, is) in before.correlators().iter().zip(topology.correlators()) {
                assert_eq!(was.derived_otherwise(is), None, "a restored task knows something else");
            }
        }
    }
    for catalog in catalogs {
        topology.set_catalog(catalog.clone());
        topology.settle(false);
    }
    topology.settle(true);
    topology.punctuate(NOW);
    commit(&mut topology, &mut tables);
    tables
}

/// Lost deliveries of two hooks, of repositories and none: the oracle does not know them, the law holds for them.
fn lost(random: &mut Random) -> Vec<DeliveryEvent> {
    let one = |number: u64, random: &mut Random| {
        let second = random.below(60);
        let mut event = json!({
            "id": format!("lost:{}", number / 2), "type": "lost_delivery", "source": "github",
            "occurred_at": format!("2026-01-01T00:00:{second:02}Z"), "observed_at": "2026-01-01T00:01:00Z",
            "lost_delivery": {"hook": random.pick(&["github.com/acme/shop/hooks/7", "github.com/orgs/acme/hooks/9"]),
                "delivery_id": random.pick(&["a", "b", "c"]), "answer": random.pick(&["502", "timed out"])},
        });
        if random.below(2) == 0 {
            event["lost_delivery"]["healed"] = json!(true);
            event["repo"] = json!(random.pick(&["github.com/acme/shop", "github.com/acme/app"]));
        }
        model::json::from_value(event).unwrap()
    };
    (0..random.below(8)).map(|number| one(number, random)).collect()
}

fn cases() -> u64 {
    std::env::var("STREAMGAUGE_LAW_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000)
}

fn first_seed() -> u64 {
    std::env::var("STREAMGAUGE_LAW_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn order_copies_partitions_batches_crashes_and_earlier_catalogs_do_not_reach_a_table() {
    for seed in first_seed()..first_seed() + cases() {
        let mut random = Random(seed);
        let settings = settings(&mut random);
        let definitions = twin::definitions(&settings);
        let model = oracle::organisation::catalog();
        let catalog = twin::catalog(&model, &definitions);
        let count = 5 + random.below(80);
        let mut values: Vec<Value> = (0..count).map(|number| event(&mut random, number)).collect();
        rename_some(Random(!seed), &mut values);
        let values: Vec<Value> =
            values.into_iter().filter(|value| model::json::from_value(value.clone()).is_ok()).collect();
        let mut events: Vec<DeliveryEvent> =
            values.iter().map(|value| model::json::from_value(value.clone()).unwrap()).collect();
        events.extend(lost(&mut random));

        let plain = Run { partitions: 1, earlier_catalogs: Vec::new(), crash_at: None };
        let tables = run(&plain, &events, &definitions, &catalog, &mut random);
        let expected = compute(&Input { events: &values, catalog: &model, definitions: &settings });
        let found = twin::differences(&twin::of_engine(&tables), &twin::of_oracle(&expected), 5);
        assert!(found.is_empty(), "seed {seed}: the oracle differs\n{}", found.join("\n"));

        for _ in 0..random.below(2 * count) {
            events.push(random.pick(&events));
        }
        random.shuffle(&mut events);
        let other = Run {
            partitions: random.pick(&[1, 3, 12]),
            earlier_catalogs: {
                let mut until: Vec<usize> =
                    (0..random.below(4)).map(|_| random.below(events.len() as u64 + 1) as usize).collect();
                until.sort_unstable();
                let catalog = |random: &mut Random| {
                    let moved = random.below(4) == 0;
                    let before = if moved { elsewhere(&model) } else { earlier(&model, random) };
                    twin::catalog(&before, &definitions)
                };
                until.into_iter().map(|until| (catalog(&mut random), until)).collect()
            },
            crash_at: (random.below(2) == 0).then(|| random.below(events.len() as u64) as usize),
        };
        let again = run(&other, &events, &definitions, &catalog, &mut random);
        if tables != again {
            let found = twin::differences(&twin::of_engine(&again), &twin::of_engine(&tables), 5);
            panic!(
                "seed {seed}: {} partitions, catalog changes {:?}, crash {:?}: (\"oracle\" is the plain run)\n{}",
                other.partitions,
                other.earlier_catalogs.iter().map(|(_, until)| until).collect::<Vec<_>>(),
                other.crash_at,
                found.join("\n")
            );
        }
    }
}
