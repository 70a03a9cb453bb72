//! Records that are gone before a stage has read them.

use crate::organisation::Organisation;
use crate::stage::{Stage, shared};
use kafka::KafkaSettings;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Deletes every record of these topics, each with so many partitions.
fn delete_records(settings: &KafkaSettings, topics: &[(&str, i32)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let mut all = TopicPartitionList::new();
    for (topic, partitions) in topics {
        (0..*partitions)
            .for_each(|partition| all.add_partition_offset(topic, partition, Offset::End).unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_records(&all, &AdminOptions::new())).unwrap();
}

#[test]
fn a_stage_whose_input_was_deleted_before_it_was_read_stops_and_says_so_instead_of_going_on_without_it() {
    let Some(shared) = shared() else { return };
    let organisation = Organisation::new(2, 6);
    let mut stage = Stage::new(&shared, &organisation, "retention", 1);
    let (first, rest) = organisation.records.split_at(organisation.records.len() / 2);
    stage.start("all", &[]);
    stage.send(first);
    stage.expect_until("some facts are loaded", || {
        stage.ask("SELECT count() > 0 FROM deployments") == "true\n"
            || stage.ask("SELECT count() > 0 FROM deployments") == "1\n"
    });
    stage.stop("all");
    stage.start("without_load", &["ingest", "correlate", "aggregate"]);
    stage.send(rest);
    let settings = stage.settings();
    let facts = settings.topics.facts.clone();
    stage.expect_until("facts wait", || {
        let waiting = kafka::generation::waiting(&settings).unwrap();
        let of = |wanted| waiting.iter().find(|(stage, _)| *stage == wanted).unwrap().1;
        of(kafka::Stage::Load) > 100 && of(kafka::Stage::Correlate) == 0
    });
    stage.stop("without_load");

    delete_records(&settings, &[(&facts, 1)]);
    stage.start("load", &["load"]);
    let says = format!("records that were not read are no longer there ({facts}/0 is read from");
    stage.expect_until("the loader says so", || stage.log("load").contains(&says));
    assert!(stage.log("load").contains("streamgauge replay"), "{}", stage.log("load"));
    stage.stop("load");
}

#[test]
fn a_generation_of_raw_records_that_are_gone_is_computed_from_the_archive() {
    let Some(shared) = shared() else { return };
    let organisation = Organisation::new(2, 6);
    let mut stage = Stage::new(&shared, &organisation, "archived", 2);
    let next = stage.other_config("next", "generation = 2\n");
    stage.start("all", &[]);
    stage.send(&organisation.records);
    stage.expect_equal();
    let settings = stage.settings();
    let raw = kafka::generation::inputs(&settings, kafka::Stage::Ingest).unwrap();
    let raw: Vec<(&str, i32)> = raw.keys().map(|topic| (topic.as_str(), 2)).collect();
    delete_records(&settings, &raw);
    let replay = |stage: &Stage<'_>, arguments: &[&str]| {
        let told = stage.command_with(&next, "next").args(["replay"]).args(arguments).output().unwrap();
        (told.status.code(), String::from_utf8([told.stdout, told.stderr].concat()).unwrap())
    };
    let (code, says) = replay(&stage, &["--once"]);
    assert_eq!(code, Some(2), "{says}");
    assert!(says.contains("older raw records are gone") && says.contains("--archive"), "{says}");
    let (code, says) = replay(&stage, &["--once", "--archive"]);
    assert_eq!(code, Some(0), "{says}");
    stage.stop("all");
    let (code, says) = replay(&stage, &["promote"]);
    assert_eq!(code, Some(0), "{says}");
    stage.expect_equal();
    assert!(stage.ask("SHOW CREATE VIEW deployments").contains("archived_g2"));
}
