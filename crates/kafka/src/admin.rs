//! The topics as they are, held against the topics as they must be; and making those that are missing.

use crate::client;
use crate::connection;
use crate::error::Error;
use crate::log::Reader;
use crate::member::ANSWER_WITHIN;
use crate::settings::KafkaSettings;
use crate::topics::{Stage, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;

/// How a topic stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is as it must be.
    Good,
    /// It does not exist.
    Missing,
    /// It exists and differs.
    Differs(Vec<Difference>),
}

/// [`Difference::setting`] of the number of partitions.
pub const PARTITIONS: &str = "partitions";

/// What of a topic is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// [`PARTITIONS`], or the broker's name of a setting.
    pub setting: &'static str,
    /// What it is; `None`: this user may not read it.
    pub is: Option<String>,
    /// What it must be.
    pub wanted: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is = self.is.as_deref().unwrap_or("unknown");
        if self.setting == PARTITIONS {
            write!(f, "{is} partitions, not {}", self.wanted)
        } else {
            write!(f, "{} is {is}, not {}", self.setting, self.wanted)
        }
    }
}

/// Asks and changes a cluster.
pub struct Admin {
    client: AdminClient<Reader>,
    runtime: tokio::runtime::Runtime,
    settings: KafkaSettings,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Admin {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn new(settings: &KafkaSettings) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Client { what: "a runtime", reason: error.to_string() })?;
        let client = client::admin(settings)
            .create_with_context(Reader { of: "administration".to_owned() })
            .map_err(Error::client("an admin client"))?;
        Ok(Self { client, runtime, settings: settings.clone() })
    }

    /// The partitions of every topic.
    ///
    /// # Errors
    /// [`Error::Refused`] when no broker answers.
    pub fn partitions(&self) -> Result<BTreeMap<String, u32>, Error> {
        let (consumer, _) = connection::connect(&self.settings, ANSWER_WITHIN).map_err(Error::Refused)?;
        let metadata = consumer
            .fetch_metadata(None, ANSWER_WITHIN)
            .map_err(|error| Error::Consume(format!("the brokers do not list their topics: {error}")))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(topics
            .map(|topic| (topic.name().to_owned(), u32::try_from(topic.partitions().len()).unwrap_or(0)))
            .collect())
    }

    /// How many brokers answer.
    ///
    /// # Errors
    /// [`Error::Refused`] when none does.
    pub fn brokers(&self) -> Result<usize, Error> {
        let connected = connection::connect(&self.settings, ANSWER_WITHIN);
        connected.map(|(_, brokers)| brokers).map_err(Error::Refused)
    }

    /// How each topic stands.
    ///
    /// # Errors
    /// [`Error::Consume`] when no broker answers.
    pub fn standing(&self, specs: &[TopicSpec]) -> Result<Vec<Standing>, Error> {
        let there = self.partitions()?;
        let asked: Vec<ResourceSpecifier<'_>> = specs
            .iter()
            .filter(|spec| there.contains_key(&spec.name))
            .map(|spec| ResourceSpecifier::Topic(&spec.name))
            .collect();
        let described = if asked.is_empty() {
            Vec::new()
        } else {
            self.runtime
                .block_on(self.client.describe_configs(&asked, &options()))
                .map_err(|error| Error::Consume(format!("the topics' settings: {error}")))?
        };
        let mut configs: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for resource in described.into_iter().flatten() {
            if let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = resource.specifier {
                let entries =
                    resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
                configs.insert(name, entries.collect());
            }
        }
        Ok(specs
            .iter()
            .map(|spec| match there.get(&spec.name) {
                None => Standing::Missing,
                Some(partitions) => differences(spec, *partitions, configs.get(&spec.name)),
            })
            .collect())
    }

    /// Makes topics. One that is there already stays as it is.
    ///
    /// # Errors
    /// [`Error::Topic`] for the first that cannot be made.
    pub fn create(&self, specs: &[&TopicSpec], replication: i32) -> Result<(), Error> {
        let configs: Vec<Vec<(&str, String)>> = specs.iter().map(|spec| spec.config()).collect();
        let topics: Vec<NewTopic<'_>> = specs
            .iter()
            .zip(&configs)
            .map(|(spec, config)| {
                let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
                let new = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(replication));
                config.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let made = self
            .runtime
            .block_on(self.client.create_topics(&topics, &options()))
            .map_err(|error| Error::Consume(format!("making topics: {error}")))?;
        for result in made {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(Error::Topic { topic, reason: code.to_string() }),
            }
        }
        Ok(())
    }

    /// Deletes the groups of the generation that the settings name, then its topics. Those that are not there (any
    /// more) are passed over, so that it can be given again; a group that still has members keeps everything.
    ///
    /// # Errors
    /// [`Error::Consume`] for a group that has members or cannot be deleted, [`Error::Topic`] for a topic.
    pub fn delete_generation(&self) -> Result<(), Error> {
        let topics = &self.settings.topics;
        let groups = Stage::ALL.map(|stage| topics.group(stage));
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        let deleted = self
            .runtime
            .block_on(self.client.delete_groups(&names, &options()))
            .map_err(|error| Error::Consume(format!("deleting groups: {error}")))?;
        for (group, code) in deleted.into_iter().filter_map(Result::err) {
            if code == RDKafkaErrorCode::NonEmptyGroup {
                return Err(Error::Consume(format!(
                    "the group {group} has members: stop the processes that run generation {}",
                    topics.generation
                )));
            }
            if !gone(code) {
                return Err(Error::Consume(format!("the group {group} cannot be deleted: {code}")));
            }
        }
        let owned: Vec<String> = topics.owned().collect();
        let owned: Vec<&str> = owned.iter().map(String::as_str).collect();
        let deleted = self
            .runtime
            .block_on(self.client.delete_topics(&owned, &options()))
            .map_err(|error| Error::Consume(format!("deleting topics: {error}")))?;
        match deleted.into_iter().filter_map(Result::err).find(|(_, code)| !gone(*code)) {
            Some((topic, code)) => Err(Error::Topic { topic, reason: code.to_string() }),
            None => Ok(()),
        }
    }
}

fn gone(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{GroupIdNotFound, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, GroupIdNotFound | UnknownTopic | UnknownTopicOrPartition)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN))
}

fn differences(spec: &TopicSpec, partitions: u32, config: Option<&BTreeMap<String, String>>) -> Standing {
    let mut differences = Vec::new();
    if partitions != spec.partitions {
        let (is, wanted) = (Some(partitions.to_string()), spec.partitions.to_string());
        differences.push(Difference { setting: PARTITIONS, is, wanted });
    }
    for (key, wanted) in spec.config() {
        let is = config.and_then(|config| config.get(key));
        if is.is_none_or(|is| !does(key, is, &wanted)) {
            differences.push(Difference { setting: key, is: is.cloned(), wanted });
        }
    }
    if differences.is_empty() { Standing::Good } else { Standing::Differs(differences) }
}

/// Whether a setting does: sizes and times may be greater, for what is kept beyond what is needed is the operator's
/// choice.
fn does(key: &str, is: &str, wanted: &str) -> bool {
    let numbers = is.parse::<u64>().ok().zip(wanted.parse::<u64>().ok());
    let at_least = numbers.is_some_and(|(is, wanted)| is >= wanted);
    match key {
        "max.message.bytes" => at_least,
        "retention.ms" => at_least || is == "-1",
        _ => is == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::Topics;

    #[test]
    fn a_topic_with_another_policy_differs_and_one_that_takes_more_does_not() {
        let specs = Topics::new("x.").specs(3, ["github"]);
        let events = specs.iter().find(|spec| spec.name == "x.events").unwrap();
        let mut config: BTreeMap<String, String> =
            events.config().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(differences(events, 3, Some(&config)), Standing::Good);
        config.insert("max.message.bytes".to_owned(), "99999999".to_owned());
        config.insert("retention.ms".to_owned(), "-1".to_owned());
        assert_eq!(differences(events, 3, Some(&config)), Standing::Good);
        config.insert("cleanup.policy".to_owned(), "compact".to_owned());
        let Standing::Differs(found) = differences(events, 2, Some(&config)) else { panic!("it differs") };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2 partitions, not 3", "cleanup.policy is compact, not delete"]);
    }
}
