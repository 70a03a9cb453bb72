//! What a run is about: an organisation, its records in some order with copies, and its catalogs.

use crate::cast::Settings;
use crate::log::Record;
use crate::world::World;
use catalog::Catalog;
use kafka::catalog::{ReadCatalog, Revision};
use kafka::{Stage, Topics};
use model::raw::{Origin, RawRecord};
use model::{Definitions, DeliveryEvent, Text, Timestamp};
use oracle::organisation::{self, Random, earlier, event};
use oracle::{CatalogModel, Settings as OracleSettings};
use serde_json::Value;
use sources::{Outcome, SourceSettings};
use std::sync::Arc;
use streamgauge_tests::twin;

/// What is no event.
pub const FOREIGN: &[u8] = b"who put this here?";

/// What a run is about.
pub struct Story {
    pub settings: OracleSettings,
    pub definitions: Definitions,
    pub catalog: CatalogModel,
    /// The catalogs before the one that counts.
    earlier: Vec<CatalogModel>,
    /// The events as the oracle takes them.
    pub values: Vec<Value>,
    /// The events, once for each raw record that tells one.
    pub events: Vec<DeliveryEvent>,
    /// Raw records that no source can read.
    poison: usize,
    /// Records that somebody else puts among the events, by partition.
    foreign: Vec<i32>,
    /// Partitions and bodies in the order in which they are told.
    raw: Vec<(i32, Vec<u8>)>,
    pub tasks: u32,
    batch_records: usize,
    /// How many catalogs are published before anything is told.
    at_once: usize,
    /// Processes of each stage at the beginning.
    members: [u64; 4],
}

/// The event of a raw record.
fn read(body: &[u8]) -> Option<DeliveryEvent> {
    let record = RawRecord {
        source: Text::new("canonical"),
        headers: Vec::new(),
        body: body.to_vec(),
        received_at: Timestamp::from_micros(1_900_000_000_000_000),
        origin: Origin::default(),
    };
    match sources::read(&record, &SourceSettings::default()) {
        Outcome::Emit(mut events) if events.len() == 1 => events.pop(),
        _ => None,
    }
}

impl Story {
    /// The story of a seed.
    pub fn of(seed: u64) -> Self {
        // Another sequence than the one that decides what happens.
        let mut random = Random(!seed);
        let settings = organisation::settings(&mut random);
        let catalog = organisation::catalog();
        let tasks = random.pick(&[1, 2, 3, 3]);
        let count = 6 + random.below(40);
        let mut values: Vec<Value> = (0..count).map(|number| event(&mut random, number)).collect();
        // In half of the seeds: those that once found something stay the runs that they were.
        if seed % 4 < 2 {
            organisation::rename_some(Random(seed), &mut values);
        }
        let told: Vec<(Value, Vec<u8>)> = values
            .into_iter()
            .map(|value| (value.clone(), value.to_string().into_bytes()))
            .filter(|(_, body)| read(body).is_some())
            .collect();
        let mut bodies: Vec<Vec<u8>> = told.iter().map(|(_, body)| body.clone()).collect();
        for _ in 0..random.below(count) {
            let again = bodies.get(random.below(bodies.len().max(1) as u64) as usize).cloned();
            bodies.extend(again);
        }
        let events = bodies.iter().filter_map(|body| read(body)).collect();
        let poison = random.below(3) as usize;
        let foreign = (0..random.below(2)).map(|_| random.below(u64::from(tasks)) as i32).collect();
        bodies.extend((0..poison).map(|number| format!("{{\"id\": \"broken{number}").into_bytes()));
        random.shuffle(&mut bodies);
        let raw = bodies.into_iter().map(|body| (random.below(u64::from(tasks)) as i32, body)).collect();
        let earlier: Vec<CatalogModel> =
            (0..random.below(3)).map(|_| earlier(&catalog, &mut random)).collect();
        let at_once = random.below(earlier.len() as u64 + 2) as usize;
        Self {
            definitions: twin::definitions(&settings),
            settings,
            catalog,
            earlier,
            values: told.into_iter().map(|(value, _)| value).collect(),
            events,
            poison,
            foreign,
            raw,
            tasks,
            batch_records: random.pick(&[3, 12, 10_000]),
            at_once,
            members: [(); 4].map(|()| 1 + random.below(2)),
        }
    }

    /// Records that end among the dead letters.
    pub fn letters(&self) -> usize {
        self.poison + self.foreign.len()
    }

    /// Sets the scene.
    pub fn set(&self, world: &Arc<World>) {
        let topics = Topics::new("sim.");
        let definitions = self.definitions.clone();
        let read: ReadCatalog = Arc::new(move |_, text| {
            Catalog::from_toml("catalog.toml", text, &definitions).map_err(|mistakes| format!("{mistakes:?}"))
        });
        let texts = self.earlier.iter().chain([&self.catalog]).map(twin::catalog_text);
        let revision = |offset, text: &str| Revision::read(&read, offset, "catalog.toml", text);
        let mut published: Vec<Revision> = texts
            .enumerate()
            .map(|(offset, text)| revision(offset as i64, &text).unwrap_or_else(|e| panic!("{e}")))
            .collect();
        let unpublished = published.split_off(self.at_once.min(published.len()));
        let mut state = world.lock();
        for topic in topics.by_task().map(str::to_owned).into_iter().chain([topics.raw("canonical")]) {
            state.log.create(&topic, self.tasks as usize);
        }
        state.log.create(&topics.dlq, 1);
        for partition in &self.foreign {
            state.append(&topics.events, *partition, Record::new(FOREIGN, 0));
        }
        state.catalogs =
            std::iter::once(revision(-1, "").unwrap_or_else(|e| panic!("{e}"))).chain(published).collect();
        state.note(format!(
            "{} tasks, {} raw records, {} catalogs of which {} at once, batches of {}, members {:?}",
            self.tasks,
            self.raw.len(),
            self.earlier.len() + 1,
            self.at_once,
            self.batch_records,
            self.members
        ));
        drop(state);
        let mut cast = world.cast();
        cast.settings = Some(Arc::new(Settings {
            definitions: self.definitions.clone(),
            read_catalog: read,
            tasks: self.tasks,
            batch_records: self.batch_records,
        }));
        cast.untold = self.raw.iter().cloned().collect();
        cast.unpublished = unpublished.into();
        for (stage, members) in Stage::ALL.into_iter().zip(self.members) {
            (0..members).for_each(|_| _ = cast.add(stage));
        }
    }
}
