//! What came in: counted by how each record ended, with the first examples of what was refused.

use model::Timestamp;
use model::raw::{DeadLetter, Origin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Examples that are kept for each reason.
const EXAMPLES: usize = 3;

/// How an import's records ended. Each record is counted once among `records`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Records read.
    pub records: u64,
    /// Records that were there already, byte for byte.
    pub already_there: u64,
    /// Events that the others told.
    pub events: u64,
    /// Records that tell nothing that is used, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Records that cannot be read, by reason.
    pub rejected: BTreeMap<String, Rejected>,
    /// The earliest and the latest time of what came in.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// What was rejected for one reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// How many records.
    pub count: u64,
    /// The first few, each with its place.
    pub examples: Vec<String>,
}

impl Summary {
    /// Counts a record that told events.
    pub fn emitted(&mut self, events: u64) {
        self.records += 1;
        self.events += events;
    }
    /// Counts a record that was there already.
    pub fn duplicate(&mut self) {
        self.records += 1;
        self.already_there += 1;
    }
    /// Counts a record that tells nothing that is used.
    pub fn dropped(&mut self, reason: &str) {
        self.records += 1;
        *self.dropped.entry(reason.to_owned()).or_default() += 1;
    }
    /// Counts a record that cannot be read.
    pub fn rejected(&mut self, reason: &str, detail: &str, origin: &Origin) {
        self.records += 1;
        let entry = self.rejected.entry(reason.to_owned()).or_default();
        entry.count += 1;
        if entry.examples.len() < EXAMPLES {
            entry.examples.push(format!("{}: {detail}", place(origin)));
        }
    }
    /// Counts a piece of input that is no record.
    pub fn letter(&mut self, letter: &DeadLetter) {
        self.rejected(letter.reason.as_str(), &letter.detail, &letter.origin);
    }
    /// Widens the time span.
    pub fn saw(&mut self, from: Timestamp, to: Timestamp) {
        self.span = Some(self.span.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
    }
    /// How many records were rejected.
    pub fn rejections(&self) -> u64 {
        self.rejected.values().map(|rejected| rejected.count).sum()
    }

    /// The summary for people.
    pub fn text(&self) -> String {
        let mut text = format!("{} records read, {} events", self.records, self.events);
        if self.already_there > 0 {
            let _ = write!(text, ", {} records were there already", self.already_there);
        }
        if let Some((from, to)) = self.span {
            let _ = write!(text, "\ntime span: {from} to {to}");
        }
        for (reason, count) in &self.dropped {
            let _ = write!(text, "\ndropped: {count} × {reason}");
        }
        for (reason, rejected) in &self.rejected {
            let _ = write!(text, "\nrejected: {} × {reason}", rejected.count);
            for example in &rejected.examples {
                let _ = write!(text, "\n  {example}");
            }
        }
        if self.rejections() > 0 {
            text.push_str("\nrejected records are kept with their reasons in the data folder's dead letters (`streamgauge dlq list`)");
        }
        text
    }

    /// The summary for programs.
    pub fn to_json(&self) -> Value {
        let rejected: BTreeMap<_, _> = self
            .rejected
            .iter()
            .map(|(reason, rejected)| {
                (reason, json!({"count": rejected.count, "examples": rejected.examples}))
            })
            .collect();
        json!({
            "records": self.records,
            "already_there": self.already_there,
            "events": self.events,
            "dropped": self.dropped,
            "rejected": rejected,
            "from": self.span.map(|(from, _)| from.to_string()),
            "to": self.span.map(|(_, to)| to.to_string()),
        })
    }
}

fn place(origin: &Origin) -> String {
    format!("{}:{}", origin.topic, origin.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_every_record_once_and_keeps_the_first_examples() {
        let mut summary = Summary::default();
        summary.emitted(2);
        summary.duplicate();
        summary.dropped("ref_deleted");
        for line in 1..=5 {
            let origin = Origin { topic: "a.ndjson".into(), partition: 0, offset: line };
            summary.rejected("malformed", "no JSON", &origin);
        }
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        summary.saw(at(60), at(60));
        summary.saw(at(0), at(30));
        assert_eq!(summary.records, 8);
        assert_eq!(
            summary.text(),
            "8 records read, 2 events, 1 records were there already\n\
             time span: 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n\
             dropped: 1 × ref_deleted\n\
             rejected: 5 × malformed\n  a.ndjson:1: no JSON\n  a.ndjson:2: no JSON\n  a.ndjson:3: no JSON\n\
             rejected records are kept with their reasons in the data folder's dead letters (`streamgauge dlq list`)"
        );
    }
}
