//! The real histories of `shared/data`, where they are.

use crate::{NOW, Tables, twin};
use flate2::read::GzDecoder;
use model::raw::{Origin, RawRecord};
use model::{Text, Timestamp, json};
use oracle::{CatalogModel, Service, Settings};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use topology::Topology;

/// A real history as raw records of the source `git`; `None`, with a printed notice, where it is absent.
pub fn read(name: &str, repo: &str) -> Option<Vec<RawRecord>> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/git-history");
    let path = shared.join(format!("{name}.ndjson.gz"));
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    };
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let records = lines.enumerate().map(|(index, line)| RawRecord {
        source: Text::new("git"),
        headers: vec![(Text::new("repo"), repo.to_owned())],
        body: line.unwrap().into_bytes(),
        received_at: Timestamp::from_seconds(1_790_000_000).unwrap(),
        origin: Origin { topic: Text::new(name), partition: 0, offset: index as u64 + 1 },
    });
    Some(records.collect())
}

/// A real history as the engine has it, and what an oracle would compute it from.
pub struct Told {
    pub topology: Topology,
    pub tables: Tables,
    pub events: Vec<Value>,
    pub catalog: CatalogModel,
    pub settings: Settings,
}

/// Tells the engine a real history, as one service over three partitions; `None` where it is absent.
pub fn tell(name: &str, repo: &str) -> Option<Told> {
    let records = read(name, repo)?;
    let settings = Settings { failure_evidence_suffices: true, ..Settings::default() };
    let definitions = twin::definitions(&settings);
    let catalog = CatalogModel {
        services: vec![Service {
            name: name.to_owned(),
            repositories: vec![(repo.to_owned(), Vec::new())],
            ..Service::default()
        }],
        ..CatalogModel::default()
    };
    let in_force = twin::catalog(&catalog, &definitions);
    let mut topology = Topology::new(definitions, in_force, 3);
    let mut tables = Tables::default();
    let mut events = Vec::new();
    for batch in records.chunks(5_000) {
        for record in batch {
            let processed = topology.process(record);
            assert_eq!(processed.rejected, None);
        }
        topology.settle(false);
        let batch = topology.commit();
        events.extend(batch.events.iter().map(|event| json::to_value(event)));
        tables.load(&batch);
    }
    topology.settle(true);
    topology.punctuate(NOW);
    tables.load(&topology.commit());
    Some(Told { topology, tables, events, catalog, settings })
}
