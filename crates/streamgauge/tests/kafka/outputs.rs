//! What stands in the topics between the stages, as a reader of committed records sees it.
#![allow(dead_code, reason = "not every binary needs all of it")]

use crate::topic::read_all;
use kafka::KafkaSettings;
use kafka::client;
use model::DeliveryEvent;
use model::fact::{RowChange, RowChanges, RowKey};
use model::raw::RawRecord;
use rdkafka::message::{Headers, Message};
use sources::{Outcome, SourceSettings};
use std::collections::BTreeMap;

/// Hands every event to `each`, with the partition that it lies in.
pub fn each_event(settings: &KafkaSettings, mut each: impl FnMut(i32, DeliveryEvent)) {
    read_all(client::reader(settings), &settings.topics.events, |message| {
        each(message.partition(), model::avro::decode(message.payload().unwrap()).unwrap());
    });
}

/// Hands every row that was told to `each`, with its topic, partition and version; those of a partition in their order.
pub fn each_row(settings: &KafkaSettings, mut each: impl FnMut(&str, i32, u64, RowChange)) {
    for topic in [&settings.topics.facts, &settings.topics.metrics] {
        read_all(client::reader(settings), topic, |message| {
            let header = message.headers().unwrap().iter().find(|header| header.key == "rev").unwrap();
            let rev = u64::from_be_bytes(header.value.unwrap().try_into().unwrap());
            let value = message.payload().unwrap();
            let rows = if *topic == settings.topics.metrics {
                model::avro::decode::<RowChanges>(value).unwrap().rows
            } else {
                vec![model::avro::decode::<RowChange>(value).unwrap()]
            };
            rows.into_iter().for_each(|row| each(topic, message.partition(), rev, row));
        });
    }
}

/// The events that raw records tell.
pub fn events_of(records: &[RawRecord]) -> impl Iterator<Item = DeliveryEvent> {
    let settings = SourceSettings::default();
    records.iter().flat_map(move |record| match sources::read(record, &settings) {
        Outcome::Emit(events) => events,
        _ => Vec::new(),
    })
}

/// Every event is told to each of its homes as often as the records tell it: none is missing or there twice. (The
/// records themselves hold redeliveries, as vendors send them.) Says how many events there are.
pub fn expect_each_event_once(settings: &KafkaSettings, records: &[RawRecord]) -> usize {
    let mut expected: BTreeMap<(String, String), u32> = BTreeMap::new();
    for event in events_of(records) {
        *expected.entry((event.source.to_string(), event.id.to_string())).or_default() += 1;
    }
    let mut found: BTreeMap<(String, String), BTreeMap<i32, u32>> = BTreeMap::new();
    each_event(settings, |partition, event| {
        let id = (event.source.to_string(), event.id.to_string());
        *found.entry(id).or_default().entry(partition).or_default() += 1;
    });
    let wrong: Vec<_> = expected
        .iter()
        .map(|(id, times)| (id, times, found.get(id)))
        .filter(|(_, times, tasks)| !tasks.is_some_and(|tasks| tasks.values().all(|told| told == *times)))
        .take(5)
        .collect();
    assert!(wrong.is_empty(), "events that were not told as often as the records tell them: {wrong:?}");
    assert_eq!(found.len(), expected.len());
    found.len()
}

/// A row's versions rise, so none was written twice. Says how many there are.
pub fn expect_versions_to_rise(settings: &KafkaSettings) -> usize {
    let mut versions = 0;
    let mut last: BTreeMap<(i32, RowKey), u64> = BTreeMap::new();
    each_row(settings, |topic, partition, rev, row| {
        versions += 1;
        let key = row.key();
        if let Some(before) = last.insert((partition, key.clone()), rev) {
            assert!(before < rev, "{topic}: version {rev} after {before} of {key:?}");
        }
    });
    versions
}
