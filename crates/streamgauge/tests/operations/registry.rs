//! Messages with their schema's number in a registry: written, read, refused, and a registry that is away.

use crate::support::registry::Registry;
use crate::support::topic::values;
use crate::support::views::digest_query;
use crate::support::{make_topics, records, send, wait_for, wait_until_failing};
use crate::{Bench, Place, bench};
use kafka::registry::RegistrySettings;
use kafka::wire::Format;
use kafka::{KafkaSettings, Running, Stage, client};
use model::avro::{self, Message as _};
use model::fact::{RowChange, RowChanges};
use model::raw::{Origin, RawRecord};
use model::{DeliveryEvent, Timestamp};

const EVENT: &str = r#"{"id":"c1","type":"commit","source":"x","occurred_at":"2026-03-01T11:00:00Z","observed_at":"2026-03-01T12:00:00Z","repo":"github.com/a/b","commit":{"sha":"5f5967c83e86eab1f5b2c1a0ef8f65c69f5d5e6b","committed_at":"2026-03-01T11:00:00Z"}}"#;

fn with(settings: &KafkaSettings, registry: &Registry, format: Format) -> KafkaSettings {
    let registry = RegistrySettings { url: registry.url(), user: None, tls: https::Tls::default() };
    KafkaSettings { registry: Some(registry), format, ..settings.clone() }
}

fn start(bench: &Bench, place: &Place, settings: &KafkaSettings) -> Running {
    Running::start(&bench.plan(settings, &Stage::ALL, &bench.database(place.name))).unwrap()
}

/// All values begin with the number of the topic's subject, and hold what the schema says.
fn expect_numbered<T: avro::Message>(settings: &KafkaSettings, registry: &Registry, topic: &str) {
    let id = registry.subject(&format!("{topic}-value")).expect("the subject is registered");
    let values = values(client::reader(settings), topic);
    assert!(!values.is_empty(), "{topic} is empty");
    for value in values {
        assert_eq!((value[0], &value[1..5]), (0, &id.to_be_bytes()[..]), "{topic}");
        let own = [&[0xC3, 1][..], &T::lineage().current().fingerprint.to_le_bytes(), &value[5..]].concat();
        avro::decode::<T>(&own).unwrap();
    }
}

fn settled(bench: &Bench, running: &Running, name: &str) -> String {
    let mut last = String::new();
    let mut same = 0;
    wait_for(&format!("the tables of {name} stay as they are"), || {
        let now = bench.ask(name, &digest_query());
        let idle = running.stats().iter().all(|stats| stats.snapshot().records_in > 0);
        same = if idle && now == last { same + 1 } else { 0 };
        last.clone_from(&now);
        if same >= 40 { Ok(()) } else { Err(now) }
    });
    last
}

#[test]
fn what_others_read_carries_the_numbers_of_its_schemas_and_the_tables_are_the_same() {
    let Some(bench) = bench() else { return };
    let (plain, numbered) = (Place::new(&bench, "regplain"), Place::new(&bench, "regnumbered"));
    let registry = Registry::start();
    let settings = with(&numbered.settings, &registry, Format::Confluent);
    let all = records(5);
    let mut tables = Vec::new();
    for (place, settings) in [(&plain, &plain.settings), (&numbered, &settings)] {
        make_topics(settings, 1);
        send(settings, &all);
        let running = start(&bench, place, settings);
        tables.push(settled(&bench, &running, place.name));
    }
    assert_eq!(tables[0], tables[1]);
    let topics = &settings.topics;
    expect_numbered::<DeliveryEvent>(&settings, &registry, &topics.events);
    expect_numbered::<RowChange>(&settings, &registry, &topics.facts);
    expect_numbered::<RowChanges>(&settings, &registry, &topics.metrics);
    // What lies there in one format is read on in the other, and each schema is asked for once by each stage.
    assert!(registry.asked("GET /schemas/ids/") <= 6, "{}", registry.asked("GET /schemas/ids/"));
}

fn canonical(body: Vec<u8>) -> RawRecord {
    RawRecord {
        source: "canonical".into(),
        headers: Vec::new(),
        body,
        received_at: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(),
        origin: Origin::default(),
    }
}

#[test]
fn events_of_a_foreign_schema_are_read_and_an_unknown_number_goes_to_the_dead_letters() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "regforeign");
    let registry = Registry::start();
    let settings = with(&place.settings, &registry, Format::SingleObject);
    make_topics(&settings, 1);
    // The producer's schema has a field that ours does not know.
    let mut schema: serde_json::Value =
        serde_json::from_str(DeliveryEvent::lineage().current().text).unwrap();
    schema["fields"].as_array_mut().unwrap().push(serde_json::json!({"name": "pager", "type": "string"}));
    let foreign = registry.holds(&schema.to_string());
    let text = registry.holds("\"string\"");
    let event = model::json::from_slice(EVENT.as_bytes()).unwrap();
    let numbered = |id: u32, body: &[u8]| canonical([&[0][..], &id.to_be_bytes(), body].concat());
    let long = |text: &str| {
        [&[(text.len() << 1 & 0x7F | 0x80) as u8, (text.len() >> 6) as u8][..], text.as_bytes()].concat()
    };
    let as_text = EVENT.replace("\"c1\"", "\"c2\"");
    send(
        &settings,
        &[
            numbered(foreign, &[&avro::encode(&event)[10..], &[6], b"you"].concat()),
            numbered(text, &long(&as_text)),
            numbered(4711, b"x"),
        ],
    );
    let running = start(&bench, &place, &settings);
    wait_for("both events are rows", || match bench.ask(place.name, "SELECT count() FROM events").as_str() {
        "2" => Ok(()),
        other => Err(format!("{other}; {:?}", running.stats()[0].snapshot().outcomes)),
    });
    drop(running);
    let letters = place.expect(0, &["dlq", "list", "--format", "json"], &[]);
    let letters: serde_json::Value = serde_json::from_str(&letters).unwrap();
    assert_eq!(letters.as_array().unwrap().len(), 1, "{letters}");
    assert_eq!(letters[0]["reason"], "unknown_schema");
    let shown = letters.to_string();
    assert!(shown.contains("schema 4711: the registry has none of this number"), "{shown}");
}

#[test]
fn a_registry_that_is_away_refuses_or_wants_a_password_is_told_with_what_mends_it() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "regaway");
    let registry = Registry::start();
    let settings = with(&place.settings, &registry, Format::Confluent);
    make_topics(&settings, 1);
    bench.database(place.name);
    let check = ["check", "--stage", "ingest"];
    let configure = |more: &str| {
        let text = format!(
            "[kafka]\nbrokers = {:?}\nprefix = \"regaway.\"\ninstance = \"regaway\"\nformat = \"confluent\"\n\
             [kafka.registry]\nurl = {:?}\n{more}\n[clickhouse]\nurl = {:?}\ndatabase = \"regaway\"\n",
            settings.brokers,
            registry.url(),
            bench.url()
        );
        std::fs::write(place.folder.path().join("c.toml"), text).unwrap();
    };
    configure("");
    let takes = "ok       subject regaway.events-value: it takes this version's schema";
    place.expect(0, &check, &["ok       schema registry: http://127.0.0.1:", takes]);
    assert_eq!(registry.subject("regaway.events-value"), None, "a check registers nothing");

    registry.set_away(true);
    let remedy = "start the registry there, or correct kafka.registry.url";
    place.expect(1, &check, &["problem  schema registry: schema registry http://127.0.0.1:", remedy]);
    let running = start(&bench, &place, &settings);
    wait_until_failing(&running, Stage::Ingest, remedy);
    registry.set_away(false);
    send(&settings, &[canonical(EVENT.into())]);
    wait_for("it goes on", || match bench.ask(place.name, "SELECT count() FROM events").as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    });
    drop(running);

    registry.close("regaway.events-value");
    place.expect(
        1,
        &check,
        &["problem  subject regaway.events-value: ", "409", "let the subject's compatibility allow it"],
    );
    let running = start(&bench, &place, &settings);
    wait_until_failing(&running, Stage::Ingest, "let the subject's compatibility allow it");
    drop(running);

    registry.wants("Basic ZG9yYTpzM2NyZXQ=");
    place.expect(1, &check, &["401", "correct kafka.registry.user and its password"]);
    configure("user = \"dora\"\npassword = \"s3cret\"");
    let text = place.expect(1, &check, &["ok       schema registry: "]);
    assert!(!text.contains("s3cret"), "{text}");
}
