//! The same events embedded and on Kafka give identical tables.

use crate::organisation::{Organisation, full, shuffled};
use crate::outputs;
use crate::stage::{Shared, Stage, shared};

/// Records with which a case begins, before anything is stopped.
fn thirds<T>(records: &[T]) -> [&[T]; 3] {
    let third = records.len() / 3;
    [&records[..third], &records[third..2 * third], &records[2 * third..]]
}

#[test]
fn one_process_and_three_whatever_the_partitions_make_the_tables_of_the_embedded_run() {
    let Some(shared) = shared() else { return };
    let shared = &*shared;
    let (services, days) = if full() { (50, 90) } else { (6, 20) };
    let organisation = Organisation::new(services, days);
    let partitions: &[u32] = if full() { &[1, 3, 12] } else { &[1, 3] };
    for partitions in partitions {
        one_process(shared, &organisation, *partitions);
        three_processes(shared, &organisation, *partitions);
    }
    shuffled_and_tripled(shared, &organisation);
}

fn one_process(shared: &Shared, organisation: &Organisation, partitions: u32) {
    let mut stage = Stage::new(shared, organisation, &format!("one{partitions}"), partitions);
    stage.send(&organisation.records);
    stage.start("a", &[]);
    stage.expect_equal();
    outputs::expect_each_event_once(&stage.settings(), &organisation.records);
    outputs::expect_versions_to_rise(&stage.settings());
    stage.stop("a");
    // Started again it has nothing to do, and changes nothing.
    stage.start("a", &[]);
    stage.expect_equal();
}

fn three_processes(shared: &Shared, organisation: &Organisation, partitions: u32) {
    let mut stage = Stage::new(shared, organisation, &format!("three{partitions}"), partitions);
    let [first, second, last] = thirds(&organisation.records);
    stage.start("a", &[]);
    stage.send(first);
    stage.start("b", &["ingest", "correlate"]);
    stage.start("c", &["aggregate", "load"]);
    stage.send(second);
    stage.stop("a");
    stage.send(last);
    stage.start("d", &[]);
    stage.stop("b");
    stage.expect_equal();
    outputs::expect_each_event_once(&stage.settings(), &organisation.records);
    outputs::expect_versions_to_rise(&stage.settings());
}

fn shuffled_and_tripled(shared: &Shared, organisation: &Organisation) {
    let mut stage = Stage::new(shared, organisation, "shuffled", 3);
    stage.start("a", &[]);
    stage.start("b", &[]);
    for part in thirds(&shuffled(&organisation.records, 3, 7)) {
        stage.send(part);
    }
    stage.expect_equal();
    outputs::expect_versions_to_rise(&stage.settings());
}
