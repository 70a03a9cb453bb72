//! What mends a failure, for its line in a stage's status.

use crate::acls::{Operation, Resource};
use crate::connection::Refusal;
use crate::error::Error;
use crate::probe::{Probe, denied};
use crate::settings::KafkaSettings;
use crate::topics::Stage;
use std::time::Duration;

/// How long the brokers may take while a stage that failed looks for the reason.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// How librdkafka says that the user may not.
const DENIED: &str = "authorization failed";
/// How it says so of a transactional id.
const DENIED_ID: &str = "Transactional Id authorization failed";

/// Words that are heard from the brokers, each with what mends it.
const REMEDIES: [(&str, &str); 3] = [
    (DENIED, "`streamgauge topics --acls USER` prints the rules that allow it"),
    ("Unknown topic or partition", "`streamgauge topics` makes it"),
    (
        "Message size too large",
        "raise max.message.bytes of the topic: `streamgauge topics --dry-run` says how far",
    ),
];

/// A failure's text with what mends it, where its words say that.
pub fn remedied(text: String) -> String {
    let lower = text.to_lowercase();
    match REMEDIES.iter().find(|(words, _)| lower.contains(&words.to_lowercase())) {
        Some((_, remedy)) if !text.contains(remedy) => format!("{text}: {remedy}"),
        _ => text,
    }
}

/// Why a stage failed, and what mends it: what its error says, or what the brokers say when they are asked.
pub fn reason(settings: &KafkaSettings, stage: Stage, error: &Error) -> String {
    let text = error.whole();
    match error {
        // These name their remedy themselves.
        Error::Refused(_) | Error::Topic { .. } | Error::State { .. } | Error::Catalog(_) => text,
        Error::Warehouse(_) => match https::remedy(&text, "clickhouse.ssl") {
            Some(remedy) => format!("{text}: {remedy}"),
            None => format!("{text}: `streamgauge check` says what is wrong with ClickHouse"),
        },
        _ if text.contains(DENIED_ID) => {
            denied(Operation::Write, Resource::TransactionalId, &settings.topics.transactional_id(stage, "…"))
                .to_string()
        }
        _ => match looked_for(settings, stage, text.to_lowercase().contains(DENIED)) {
            Some(refusal) => refusal.to_string(),
            None => remedied(text),
        },
    }
}

/// What the brokers lack or refuse, when they are asked.
fn looked_for(settings: &KafkaSettings, stage: Stage, reading: bool) -> Option<Refusal> {
    let probe = match Probe::connect(settings, LOOK_WITHIN) {
        Ok(probe) => probe,
        Err(refusal) => return Some(refusal),
    };
    probe.lacks(stage).or_else(|| if reading { probe.cannot_read(stage) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_has_a_remedy_names_it_once() {
        let denied =
            remedied("ingest: 1 records were not delivered (Broker: Topic authorization failed)".to_owned());
        assert!(denied.ends_with("prints the rules that allow it"), "{denied}");
        assert_eq!(remedied(denied.clone()), denied);
        assert_eq!(remedied("a timeout".to_owned()), "a timeout");
    }
}
