//! The topics: their names, and how each has to be set up.
//!
//! Raw records and the catalog are there once; everything that is computed from them belongs to a generation, and
//! from the second on its names carry the generation's number.

use model::Generation;
use std::fmt;

/// Longest record that a topic of raw bodies and what is made of them takes, in bytes: a body of 25 MiB and its
/// headers.
pub const LARGE_RECORD_BYTES: u32 = 26 * 1024 * 1024;
/// Longest record of the other topics, in bytes: outputs are split far below it.
pub const RECORD_BYTES: u32 = 1024 * 1024;

/// The four stages, each a consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Raw records → events, sent to their homes.
    Ingest,
    /// Events → facts and contributions.
    Correlate,
    /// Contributions → windows.
    Aggregate,
    /// Rows → ClickHouse.
    Load,
}

impl Stage {
    /// All of them, in the order in which a record passes them.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Correlate, Self::Aggregate, Self::Load];

    /// Its name, as `--stage` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Correlate => "correlate",
            Self::Aggregate => "aggregate",
            Self::Load => "load",
        }
    }

    /// The stage of a name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What [`Topics::archive`] is called: by the source that reads it.
const ARCHIVE: &str = "raw.canonical";

/// The names of the topics of a generation, all with one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
    /// What the names of the generation's own begin with.
    own: String,
    /// The generation.
    pub generation: Generation,
    /// Canonical events, by home.
    pub events: String,
    /// What one task of the correlate stage tells another.
    pub messages: String,
    /// Facts as rows, by the task that wrote them.
    pub facts: String,
    /// Changes of panes, by scope.
    pub contributions: String,
    /// Steps and panes as rows.
    pub metrics: String,
    /// The state of the correlate stage.
    pub correlate_changelog: String,
    /// The state of the aggregate stage.
    pub aggregate_changelog: String,
    /// Rejected records.
    pub dlq: String,
    /// Who owns what.
    pub catalog: String,
}

impl Topics {
    /// The names of the first generation under a prefix such as `streamgauge.`.
    pub fn new(prefix: &str) -> Self {
        Self::of(prefix, Generation::FIRST)
    }

    /// The names of a generation under a prefix: its own as in `streamgauge.g2.events`.
    pub fn of(prefix: &str, generation: Generation) -> Self {
        let own = if generation.is_first() { prefix.to_owned() } else { format!("{prefix}g{generation}.") };
        let name = |name: &str| format!("{own}{name}");
        Self {
            prefix: prefix.to_owned(),
            events: name("events"),
            messages: name("messages"),
            facts: name("facts"),
            contributions: name("contributions"),
            metrics: name("metrics"),
            correlate_changelog: name("correlate.changelog"),
            aggregate_changelog: name("aggregate.changelog"),
            dlq: name("dlq"),
            catalog: format!("{prefix}catalog"),
            generation,
            own,
        }
    }

    /// What every name begins with, whatever the generation.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
    /// The topic of a source's raw records.
    pub fn raw(&self, source: &str) -> String {
        format!("{}raw.{source}", self.prefix)
    }
    /// The topic of canonical events that this generation alone reads, beside those of raw records: what an archive
    /// still holds and they no longer do. The first generation has none.
    pub fn archive(&self) -> Option<String> {
        (!self.generation.is_first()).then(|| format!("{}{ARCHIVE}", self.own))
    }
    /// The names by which a sender of raw records finds [`Self::archive`].
    #[must_use]
    pub fn as_archive(&self) -> Self {
        Self::new(&self.own)
    }
    /// The source of a topic of raw records.
    pub fn source_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let source = |prefix: &str| topic.strip_prefix(prefix)?.strip_prefix("raw.");
        source(&self.prefix).or_else(|| source(&self.own))
    }
    /// The pattern that matches every topic of raw records, as a subscription takes it.
    pub fn raw_pattern(&self) -> String {
        let escaped = |text: &str| -> String {
            let special = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
            text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
        };
        let own = match self.own.strip_prefix(&self.prefix) {
            Some(own) if !own.is_empty() => format!("({})?", escaped(own)),
            _ => String::new(),
        };
        format!("^{}{own}raw\\..+", escaped(&self.prefix))
    }
    /// The consumer group of a stage.
    pub fn group(&self, stage: Stage) -> String {
        format!("{}{stage}", self.own)
    }
    /// The group that readers name which join none.
    pub fn reader_group(&self) -> String {
        format!("{}reader", self.own)
    }
    /// The transactional id of a stage's task (of `ingest`: of a process).
    pub fn transactional_id(&self, stage: Stage, of: impl fmt::Display) -> String {
        format!("{}{stage}.{of}", self.own)
    }
    /// The task (of `ingest`: the process) of a transactional id, for logs, as in `correlate-3`.
    pub fn task_of(&self, transactional_id: &str) -> String {
        transactional_id.strip_prefix(self.own.as_str()).unwrap_or(transactional_id).replacen('.', "-", 1)
    }
    /// The topics that have one partition for each task of `correlate` and `aggregate`.
    pub fn by_task(&self) -> [&str; 7] {
        [
            &self.events,
            &self.messages,
            &self.facts,
            &self.contributions,
            &self.metrics,
            &self.correlate_changelog,
            &self.aggregate_changelog,
        ]
    }
    /// The topics that belong to the generation and to no other.
    pub fn owned(&self) -> impl Iterator<Item = String> {
        let own = self.by_task().into_iter().chain([self.dlq.as_str()]).map(str::to_owned);
        own.chain(self.archive())
    }
    /// How every topic has to be set up: those of `raw` for the sources named.
    pub fn specs<'a>(&self, partitions: u32, sources: impl IntoIterator<Item = &'a str>) -> Vec<TopicSpec> {
        let spec = |name: &str, partitions, cleanup, max_record_bytes, holds| TopicSpec {
            name: name.to_owned(),
            partitions,
            cleanup,
            max_record_bytes,
            holds,
        };
        let raw = sources.into_iter().map(|source| {
            let holds = "raw records exactly as delivered";
            spec(&self.raw(source), partitions, Cleanup::Keep, LARGE_RECORD_BYTES, holds)
        });
        let archive = self.archive().map(|name| {
            let holds = "archived events that raw topics no longer hold";
            spec(&name, partitions, Cleanup::Keep, LARGE_RECORD_BYTES, holds)
        });
        let days = |days: u64| Cleanup::Delete { retention_ms: days * 86_400_000 };
        raw.chain(archive)
            .chain([
                spec(&self.events, partitions, days(7), LARGE_RECORD_BYTES, "canonical events, Avro"),
                spec(&self.messages, partitions, days(7), LARGE_RECORD_BYTES, "what one task tells another"),
                spec(&self.facts, partitions, days(7), LARGE_RECORD_BYTES, "facts as rows, Avro"),
                spec(&self.contributions, partitions, days(7), LARGE_RECORD_BYTES, "changes of panes, Avro"),
                spec(&self.metrics, partitions, days(7), RECORD_BYTES, "windows and panes as rows, Avro"),
                spec(
                    &self.correlate_changelog,
                    partitions,
                    Cleanup::Compact,
                    LARGE_RECORD_BYTES,
                    "state of correlate",
                ),
                spec(
                    &self.aggregate_changelog,
                    partitions,
                    Cleanup::Compact,
                    RECORD_BYTES,
                    "state of aggregate",
                ),
                spec(&self.dlq, partitions, days(30), RECORD_BYTES, "rejected records"),
                spec(&self.catalog, 1, Cleanup::Compact, LARGE_RECORD_BYTES, "the catalog"),
            ])
            .collect()
    }
}

/// What a topic does with old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Keeps them: a replay begins there.
    Keep,
    /// Deletes them by age.
    Delete {
        /// How long they are kept, in milliseconds.
        retention_ms: u64,
    },
    /// Keeps the last one of each key.
    Compact,
}

/// How a topic has to be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// What it does with old records.
    pub cleanup: Cleanup,
    /// The longest record that it takes, in bytes.
    pub max_record_bytes: u32,
    /// What it holds.
    pub holds: &'static str,
}

impl TopicSpec {
    /// Its settings, by the broker's names.
    pub fn config(&self) -> Vec<(&'static str, String)> {
        let mut config = match self.cleanup {
            Cleanup::Keep => vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", "-1".to_owned())],
            Cleanup::Delete { retention_ms } => {
                vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", retention_ms.to_string())]
            }
            Cleanup::Compact => vec![("cleanup.policy", "compact".to_owned())],
        };
        config.push(("max.message.bytes", self.max_record_bytes.to_string()));
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_raw_topics_lead_back_to_their_source() {
        let topics = Topics::new("acme.");
        assert_eq!(topics.source_of(&topics.raw("github")), Some("github"));
        assert_eq!(topics.source_of("other.raw.github"), None);
        assert_eq!(topics.raw_pattern(), "^acme\\.raw\\..+");
        assert_eq!(topics.group(Stage::Load), "acme.load");
        assert_eq!(topics.task_of(&topics.transactional_id(Stage::Correlate, 3)), "correlate-3");
    }

    #[test]
    fn a_generation_reads_the_same_raw_records_and_shares_no_other_name() {
        let (first, second) = (Topics::new("acme."), Topics::of("acme.", Generation::new(2).unwrap()));
        assert_eq!(first.raw_pattern(), "^acme\\.raw\\..+");
        assert_eq!(second.raw_pattern(), "^acme\\.(g2\\.)?raw\\..+");
        assert_eq!(second.source_of("acme.raw.github"), Some("github"));
        assert_eq!(second.source_of(&second.archive().unwrap()), Some("canonical"));
        assert_eq!(first.catalog, second.catalog);
        assert!(first.owned().all(|topic| second.owned().all(|other| topic != other)));
        assert_eq!(second.events, "acme.g2.events");
        assert_eq!(second.group(Stage::Load), "acme.g2.load");
        assert_eq!(second.task_of(&second.transactional_id(Stage::Correlate, 3)), "correlate-3");
        // What a generation computes is no raw record of another.
        assert!(second.owned().all(|topic| first.source_of(&topic).is_none()));
    }
}
