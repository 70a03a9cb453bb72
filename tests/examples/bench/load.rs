//! The whole topology as the embedded run drives it, and what loading its rows into ClickHouse takes.

use crate::import::BATCH;
use crate::{Stage, input, memory};
use embedded_clickhouse::{Engine, Server, locate};
use model::{Text, Timestamp};
use topology::{Batch, Topology};
use warehouse::{Compression, Database, Limits, Loader, Stamp, Target, migrate};

pub fn measure(case: &str) -> Vec<Stage> {
    let mut input = input::open(case);
    let mut topology = Topology::new(input.definitions, input.catalog, 1);
    let base = memory::resident();
    let mut whole = Stage::new("the whole topology");
    let mut batches = Vec::new();
    loop {
        let records: Vec<_> = input.records.by_ref().take(BATCH).collect();
        if records.is_empty() {
            break;
        }
        whole.items += records.len();
        batches.push(whole.time(base, || {
            for record in &records {
                topology.process(record);
            }
            topology.settle(false);
            topology.commit()
        }));
    }
    batches.push(whole.time(base, || {
        topology.settle(true);
        topology.punctuate(Timestamp::from_seconds(1_790_000_000).unwrap());
        topology.commit()
    }));
    drop(topology);
    let mut stages = vec![whole];
    match locate() {
        Ok(_) => stages.extend(load(&batches)),
        Err(error) => eprintln!("skipped: loading into ClickHouse: {error}"),
    }
    stages
}

fn load(batches: &[Batch]) -> Vec<Stage> {
    let (mut open, mut load) =
        (Stage::new("open ClickHouse, make its tables"), Stage::new("load into ClickHouse"));
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let base = memory::resident();
    let (engine, server, client) = open.time(base, || {
        let engine = Engine::open(folder.path()).expect("the engine");
        runtime.block_on(async {
            let server =
                Server::start(engine.clone(), "127.0.0.1:0".parse().unwrap()).await.expect("a server");
            let client = warehouse::client(&server.url()).with_compression(Compression::None);
            let database = Database::default();
            migrate(&client, &database, &Target::Embedded).await.expect("migrations");
            (engine, server, client.with_database(database.as_str()))
        })
    });
    open.items = 1;
    let mut loader = Loader::new(client, Limits::default());
    let definition = Text::new("bench");
    for (rev, batch) in (1_u64..).zip(batches) {
        let computed_at = Timestamp::from_seconds(1_790_000_000).unwrap();
        let stamp = |task| Stamp { task, rev, computed_at };
        load.items += batch.rows.len() + batch.events.len();
        load.time(base, || {
            for (task, change) in &batch.rows {
                loader.push(change, stamp(task.partition()), &definition);
            }
            batch.events.iter().for_each(|event| loader.push_event(event, stamp(0)));
            runtime.block_on(loader.flush()).expect("rows and events");
        });
    }
    runtime.block_on(server.stop());
    engine.close();
    vec![open, load]
}
