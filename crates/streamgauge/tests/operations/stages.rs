use crate::support::door::Door;
use crate::support::{make_topics, records, send, status, wait_for, wait_until_failing, wait_until_running};
use crate::{Bench, Place, bench};
use kafka::dlq::{DeadLetters, Filter, Letter};
use kafka::{Running, Snapshot, Stage, Status};
use model::raw::{DEAD_LETTER_BODY_BYTES, MAX_BODY_BYTES};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::ops::ControlFlow;
use std::time::Duration;

fn letters(place: &Place) -> Vec<Letter> {
    let mut found = Vec::new();
    DeadLetters::open(&place.settings)
        .unwrap()
        .each(&Filter::default(), |letter| -> Result<_, kafka::Error> {
            found.push(letter);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    found
}

fn produce(place: &Place, topic: &str, body: &[u8]) {
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &place.settings.brokers)
        .set("message.max.bytes", "27262976")
        .create()
        .unwrap();
    producer
        .send(BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(body))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();
}

/// The record that ends a transaction counts as one that waits.
fn waits_for_nothing(stage: &Snapshot) -> bool {
    (0..=i64::try_from(stage.tasks).unwrap()).contains(&stage.lag)
}

fn count(bench: &Bench, place: &Place, view: &str) -> u64 {
    bench.ask(place.name, &format!("SELECT count() FROM {view}")).parse().unwrap_or(0)
}

#[test]
fn a_missing_topic_is_named_and_made_the_stages_go_on() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "missing");
    let client = bench.database("missing");
    let mut running = Running::start(&bench.plan(&place.settings, &Stage::ALL, &client)).unwrap();
    for stage in Stage::ALL {
        wait_until_failing(&running, stage, "does not exist: `streamgauge topics` makes it");
    }
    place.expect(0, &["topics"], &["made"]);
    Stage::ALL.iter().for_each(|stage| wait_until_running(&running, *stage));
    send(&place.settings, &records(1));
    wait_for("rows", || if count(&bench, &place, "events") > 0 { Ok(()) } else { Err("none".to_owned()) });
    running.stop();
}

#[test]
fn a_record_that_nobody_can_read_goes_to_the_dead_letters_with_its_place_and_the_next_ones_count() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "poison");
    make_topics(&place.settings, 1);
    let client = bench.database("poison");
    let mut running = Running::start(&bench.plan(&place.settings, &Stage::ALL, &client)).unwrap();
    // An unknown magic byte, a schema that nobody knows, and a tail that is missing.
    let unknown_schema = [&[0xC3, 0x01][..], &[7; 8], b"body"].concat();
    produce(&place, "poison.events", b"\x05what is this");
    produce(&place, "poison.events", &unknown_schema);
    produce(&place, "poison.events", b"");
    produce(&place, "poison.contributions", b"\x05what is this");
    produce(&place, "poison.messages", b"\xFFwhat is this");
    send(&place.settings, &records(1));
    wait_for("five letters", || match letters(&place) {
        found if found.len() == 5 => Ok(()),
        found => Err(format!("{found:?}")),
    });
    wait_for("rows", || if count(&bench, &place, "events") > 0 { Ok(()) } else { Err("none".to_owned()) });
    for stage in Stage::ALL {
        assert_eq!(status(&running, stage), Status::Running, "{stage}");
    }
    running.stop();
    let found = letters(&place);
    let at = |topic: &str, offset: u64| {
        let mut of = found.iter().filter(|one| one.letter.origin.topic.as_str() == topic);
        &of.find(|one| one.letter.origin.offset == offset)
            .unwrap_or_else(|| panic!("{topic}:{offset}: {found:?}"))
            .letter
    };
    assert_eq!(at("poison.events", 0).reason.as_str(), "unknown_schema");
    assert_eq!(at("poison.events", 1).body, unknown_schema);
    assert_eq!(at("poison.events", 2).origin.partition, 0);
    assert_eq!(at("poison.contributions", 0).body, b"\x05what is this");
    assert_eq!(at("poison.messages", 0).reason.as_str(), "malformed");
    // What a stage writes for another is not replayed: sent twice it would count twice.
    let all = DeadLetters::open(&place.settings).unwrap();
    assert!(all.replay(at("poison.contributions", 0)).unwrap().is_err());
    assert!(all.replay(at("poison.events", 1)).unwrap().unwrap().original);
}

#[test]
fn a_body_above_the_limit_is_rejected_as_too_large_and_the_next_record_counts() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "large");
    make_topics(&place.settings, 1);
    let client = bench.database("large");
    let mut running = Running::start(&bench.plan(&place.settings, &[Stage::Ingest], &client)).unwrap();
    let mut body = vec![b' '; MAX_BODY_BYTES + 1];
    body[0] = b'{';
    produce(&place, "large.raw.canonical", &body);
    let few = records(1);
    send(&place.settings, &few);
    wait_for("everything is read", || match running.stats()[0].snapshot() {
        read if read.records_in > few.len() as u64 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    running.stop();
    let found = letters(&place);
    let large = found.iter().find(|one| one.letter.reason.as_str() == "too_large").unwrap();
    assert_eq!(large.letter.body_bytes, body.len() as u64);
    assert_eq!(large.letter.body.len(), DEAD_LETTER_BODY_BYTES);
    assert_eq!(large.letter.origin.topic.as_str(), "large.raw.canonical");
    assert!(large.letter.detail.contains("send it in parts"), "{}", large.letter.detail);
    // It is read from its topic again, whole.
    let replay = DeadLetters::open(&place.settings).unwrap().replay(&large.letter).unwrap().unwrap();
    assert!(replay.original && replay.body.len() == body.len());
}

#[test]
fn without_clickhouse_the_stages_before_load_go_on_and_load_catches_up() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "away");
    make_topics(&place.settings, 1);
    let mut door = Door::open(bench.url());
    bench.database("away");
    let client =
        warehouse::client(&door.url()).with_compression(warehouse::Compression::None).with_database("away");
    let mut running = Running::start(&bench.plan(&place.settings, &Stage::ALL, &client)).unwrap();
    let all = records(3);
    let (first, second) = all.split_at(all.len() / 3);
    send(&place.settings, first);
    wait_for("rows", || if count(&bench, &place, "events") > 0 { Ok(()) } else { Err("none".to_owned()) });

    door.shut();
    let before = count(&bench, &place, "events");
    send(&place.settings, second);
    wait_until_failing(&running, Stage::Load, "`streamgauge check` says what is wrong with ClickHouse");
    let Status::Failing(reason) = status(&running, Stage::Load) else { panic!("it does not fail") };
    assert!(reason.contains("refused"), "{reason}");
    wait_for("ingest and correlate go on", || {
        let read = |stage| running.stats().iter().find(|stats| stats.stage == stage).unwrap().snapshot();
        let (ingest, correlate) = (read(Stage::Ingest), read(Stage::Correlate));
        let done = ingest.records_in >= all.len() as u64 && waits_for_nothing(&correlate);
        if done { Ok(()) } else { Err(format!("{ingest:?} {correlate:?}")) }
    });
    for stage in [Stage::Ingest, Stage::Correlate, Stage::Aggregate] {
        assert_eq!(status(&running, stage), Status::Running, "{stage}");
    }
    assert_eq!(count(&bench, &place, "events"), before);

    door.reopen();
    wait_until_running(&running, Stage::Load);
    wait_for("load catches up", || {
        let load = running.stats().iter().find(|stats| stats.stage == Stage::Load).unwrap().snapshot();
        let caught = waits_for_nothing(&load) && count(&bench, &place, "events") > before;
        if caught { Ok(()) } else { Err(format!("{load:?}")) }
    });
    running.stop();
}
