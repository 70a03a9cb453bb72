//! The same events embedded and on Kafka give identical tables.

use crate::measured::{Measure, Measured, full, sized};
use crate::organisation::{Organisation, shuffled};
use crate::outputs;
use crate::stage::{Shared, Stage, shared};
use serde_json::json;

/// A case's name and how it is run.
type Case = (String, Box<dyn Fn(&Shared, &Organisation)>);

/// Records with which a case begins, before anything is stopped.
fn thirds<T>(records: &[T]) -> [&[T]; 3] {
    let third = records.len() / 3;
    [&records[..third], &records[third..2 * third], &records[2 * third..]]
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let partitions: &[u32] = sized(&[1, 3, 12], &[1, 3]);
    for &number in partitions {
        let name = |processes: &str| format!("partitions {number}, {processes}");
        cases.push((name("1 process"), Box::new(move |shared, all| one_process(shared, all, number))));
        if full() {
            cases.push((
                name("3 processes"),
                Box::new(move |shared, all| three_processes(shared, all, number)),
            ));
        }
        let changing = name("processes started and stopped meanwhile");
        cases.push((changing, Box::new(move |shared, all| changing_processes(shared, all, number))));
    }
    cases.push(("shuffled and tripled".to_owned(), Box::new(shuffled_and_tripled)));
    cases.push(("catalogs that come meanwhile".to_owned(), Box::new(catalogs_that_come_while_it_runs)));
    cases
}

#[test]
fn one_process_and_three_whatever_the_partitions_make_the_tables_of_the_embedded_run() {
    let measure = Measure::new("equality");
    let due: Vec<Case> = cases().into_iter().filter(|(name, _)| measure.is_due(name)).collect();
    if due.is_empty() {
        return;
    }
    let Some(shared) = shared() else { return };
    let (services, days) = sized((50, 90), (6, 20));
    let organisation = Organisation::new(services, days);
    for (name, run) in due {
        measure.case(&name, || {
            run(&shared, &organisation);
            Measured {
                ran: format!("{services} services, {days} days"),
                figures: vec![
                    ("raw records", json!(organisation.records.len()), ""),
                    ("identical tables", json!(organisation.tables()), ""),
                    ("rows", json!(organisation.expected_rows()), ""),
                ],
                limit: "all identical to the embedded run's",
                within: true,
            }
        });
    }
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
    ["a", "b", "c"].iter().for_each(|instance| stage.start(instance, &[]));
    stage.send(&organisation.records);
    stage.expect_equal();
    outputs::expect_each_event_once(&stage.settings(), &organisation.records);
    outputs::expect_versions_to_rise(&stage.settings());
}

fn changing_processes(shared: &Shared, organisation: &Organisation, partitions: u32) {
    let mut stage = Stage::new(shared, organisation, &format!("changing{partitions}"), partitions);
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

/// The tables are a function of the events and the catalog that counts in the end: things move from task to task.
fn catalogs_that_come_while_it_runs(shared: &Shared, organisation: &Organisation) {
    let catalog = std::fs::read_to_string(organisation.catalog()).unwrap();
    let without_aliases: String =
        catalog.lines().filter(|line| !line.starts_with("aliases")).map(|line| format!("{line}\n")).collect();
    let mut stage = Stage::new(shared, organisation, "catalogs", 3).without_catalog();
    let [first, second, last] = thirds(&organisation.records);
    stage.start("a", &[]);
    stage.start("b", &[]);
    stage.send(first);
    stage.apply_catalog(&without_aliases);
    stage.send(second);
    stage.kill("a");
    stage.apply_catalog(&catalog);
    stage.start("a", &[]);
    stage.send(last);
    stage.expect_equal();
    outputs::expect_versions_to_rise(&stage.settings());
}
