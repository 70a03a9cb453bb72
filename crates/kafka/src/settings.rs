//! What the run on Kafka is told: where the brokers are, how they are talked to, and the limits that hold.

use crate::registry::RegistrySettings;
use crate::topics::Topics;
use crate::wire::Format;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that concerns Kafka, validated.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `kafka.brokers`: where to begin, as in `kafka-1:9092,kafka-2:9092`.
    pub brokers: String,
    /// The topics' names.
    pub topics: Topics,
    /// Topics that are not called `raw.<source>`, with the source that reads each.
    pub mapped: BTreeMap<String, String>,
    /// The process, among those of one group; two that run at once never share one.
    pub instance: String,
    /// Whether somebody gave it that name, so that it has it after a restart, too: then its members of groups are
    /// static, and keep their partitions while it restarts.
    pub is_named: bool,
    /// `kafka.local_checkpoints`: whether copies of the tasks' changelogs are kept on this process's disk.
    pub local_checkpoints: bool,
    /// `kafka.static_membership`: whether a member that comes back within its session keeps its partitions.
    pub static_membership: bool,
    /// `kafka.standby`: whether the changelogs of tasks that run elsewhere are followed.
    pub standby: bool,
    /// How the connection is secured, and whatever else librdkafka is told, by its names. May hold secrets.
    pub properties: BTreeMap<String, String>,
    /// How the messages that others read are written.
    pub format: Format,
    /// The schema registry, where there is one.
    pub registry: Option<RegistrySettings>,
    /// How long a record may be gathered for its transaction; twice as long where it is one of many that change the same
    /// windows.
    pub commit_interval: Duration,
    /// Most records of one transaction.
    pub batch_records: usize,
    /// Most bytes of the bodies of one transaction.
    pub batch_bytes: usize,
    /// After how much silence the group takes a member for dead.
    pub session_timeout: Duration,
    /// After how long the broker aborts a transaction that nobody ends.
    pub transaction_timeout: Duration,
}

impl KafkaSettings {
    /// The defaults for brokers and a prefix of names.
    pub fn new(brokers: impl Into<String>, prefix: &str, instance: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics: Topics::new(prefix),
            mapped: BTreeMap::new(),
            instance: instance.into(),
            is_named: false,
            local_checkpoints: false,
            static_membership: false,
            standby: false,
            properties: BTreeMap::new(),
            format: Format::default(),
            registry: None,
            commit_interval: Duration::from_millis(500),
            // What a transaction costs beside its records is shared by more of them while there is a backlog; still more
            // records would take fresh memory.
            batch_records: 10_000,
            batch_bytes: 32 << 20,
            session_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(30),
        }
    }

    /// The source that reads a topic.
    pub fn source_of<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        self.mapped.get(topic).map(String::as_str).or_else(|| self.topics.source_of(topic))
    }
}

impl std::fmt::Debug for KafkaSettings {
    /// Without the properties' values: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .field("instance", &self.instance)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
