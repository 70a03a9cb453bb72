//! What mutants do to records that are written and read.

use crate::mutant::Mutant;
use correlate::Message;
use kafka::checkpoint::{CHECKPOINT_KEY, Checkpoint, entry_hash};
use kafka::out::{decode_message, header};
use kafka::session::OutRecord;
use model::metric::{Contributions, Delta};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The table of what series owe, in the changelog of an aggregate task.
const OWED: u8 = 5;

type Headers = Vec<(String, Vec<u8>)>;

/// A record of a changelog: key, value (`None`: a tombstone) and offset.
pub type Entry = (Arc<[u8]>, Option<Arc<[u8]>>, i64);

/// What a mutant remembers of a session.
#[derive(Debug, Default)]
pub struct OfSession {
    transactions: u64,
    forwarded: bool,
}

impl OfSession {
    /// A transaction begins.
    pub fn begin(&mut self) {
        self.transactions += 1;
        self.forwarded = false;
    }

    /// What is written in place of a record; `None`: nothing.
    pub fn of_record(
        &mut self,
        mutant: Option<Mutant>,
        record: &OutRecord<'_>,
    ) -> Option<(Option<Vec<u8>>, Headers)> {
        let mut headers: Headers =
            record.headers.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
        let same = record.value.map(<[u8]>::to_vec);
        match mutant {
            Some(Mutant::RevFallsBack) => {
                for (key, value) in &mut headers {
                    if key == header::REV {
                        *value = self.transactions.to_be_bytes().to_vec();
                    }
                }
            }
            Some(Mutant::RetractionLost) if record.topic.ends_with("contributions") => {
                return without_retractions(record.value?).map(|value| (Some(value), headers));
            }
            Some(Mutant::ForwardedCountedTwice) => {
                if record.topic.ends_with("messages") {
                    self.forwarded |= matches!(decode_message(record.value?), Ok(Message::Event(_)));
                }
                if self.forwarded && record.topic.ends_with("contributions") {
                    return without_retractions(record.value?).map(|value| (Some(value), headers));
                }
            }
            _ => {}
        }
        Some((same, headers))
    }
}

fn without_retractions(value: &[u8]) -> Option<Vec<u8>> {
    let mut group: Contributions = model::avro::decode(value).ok()?;
    let takes = |delta: &Delta| {
        [delta.numerator, delta.denominator, delta.confirmed, delta.inferred].iter().any(|n| *n < 0)
            || delta.samples.values().any(|n| *n < 0)
    };
    group.contributions.retain(|contribution| !takes(&contribution.delta));
    (!group.contributions.is_empty()).then(|| model::avro::encode(&group))
}

/// What a restore is told in place of what lies in the changelog. `copy` is the state that it goes on from.
pub fn of_restore(
    mutant: Option<Mutant>,
    changelog: &str,
    read: &mut Vec<Entry>,
    copy: &BTreeMap<Vec<u8>, Vec<u8>>,
) {
    match mutant {
        Some(Mutant::DeletionLost) => read.retain(|(_, value, _)| value.is_some()),
        Some(Mutant::CheckpointIgnored) => {
            read.retain(|(_, value, _)| value.is_some());
            agree(read, copy);
        }
        Some(Mutant::CopyNotChecked) if !copy.is_empty() => agree(read, copy),
        Some(Mutant::DirtyForgotten) if changelog.ends_with("aggregate.changelog") => {
            read.retain(|(key, ..)| key.first() != Some(&OWED));
            agree(read, copy);
        }
        _ => {}
    }
}

/// Makes the last checkpoint one that agrees with what was read.
fn agree(read: &mut [Entry], copy: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut live: BTreeMap<&[u8], &[u8]> =
        copy.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
    for (key, value, _) in read.iter().filter(|(key, ..)| key.first() != Some(&0)) {
        match value {
            Some(value) => live.insert(key, value),
            None => live.remove(&**key),
        };
    }
    let entries = live.len() as u64;
    let state_hash = live.iter().fold(0_u64, |sum, (key, value)| sum.wrapping_add(entry_hash(key, value)));
    let last = read.iter_mut().rev().find(|(key, ..)| &**key == CHECKPOINT_KEY);
    let Some((_, Some(value), _)) = last else { return };
    let Ok(checkpoint) = postcard::from_bytes::<Checkpoint>(value) else { return };
    let agreed = Checkpoint { entries, state_hash, ..checkpoint };
    if let Ok(encoded) = postcard::to_allocvec(&agreed) {
        *value = Arc::from(encoded);
    }
}
