//! Which rights on the brokers each stage needs, and each command of an operator: the least with which it works.
//!
//! `Read` and `Write` imply `Describe`, so that stands alone only where a topic's partitions are counted. Transactions
//! need `Write` on their id; `IdempotentWrite` on the cluster is implied by `Write` on any topic (since Kafka 2.8).

use crate::settings::KafkaSettings;
use crate::topics::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a right is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Topics.
    Topic,
    /// Consumer groups.
    Group,
    /// Transactional ids.
    TransactionalId,
}

impl Resource {
    /// Its word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Group => "group",
            Self::TransactionalId => "transactional id",
        }
    }
    /// Its option of `kafka-acls.sh`.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Topic => "--topic",
            Self::Group => "--group",
            Self::TransactionalId => "--transactional-id",
        }
    }
}

/// What may be done, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Reading; of a group: being a member of it and committing its offsets.
    Read,
    /// Writing; of a transactional id: being its producer.
    Write,
    /// Making topics.
    Create,
    /// Seeing that it is there.
    Describe,
    /// Reading settings.
    DescribeConfigs,
    /// Deleting it.
    Delete,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Who needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// A stage of `run`.
    Stage(Stage),
    /// A command of an operator.
    Command(&'static str),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(stage) => stage.fmt(f),
            Self::Command(command) => f.write_str(command),
        }
    }
}

/// Names that a right is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    /// What kind of thing.
    pub resource: Resource,
    /// The name, or what names begin with.
    pub name: String,
    /// Whether every name that begins so is meant.
    pub prefixed: bool,
}

/// Rights on one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// On what.
    pub pattern: Pattern,
    /// Which.
    pub operations: BTreeSet<Operation>,
}

impl Rule {
    /// The arguments with which `kafka-acls.sh` makes it, without those that say where the brokers are.
    pub fn arguments(&self, user: &str) -> Vec<String> {
        calls(std::slice::from_ref(self), user).concat()
    }
}

/// A rule with who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Who.
    pub by: By,
    /// What.
    pub rule: Rule,
}

/// What stages need.
pub fn of_stages(settings: &KafkaSettings, stages: &[Stage]) -> Vec<Need> {
    stages.iter().flat_map(|stage| of_stage(settings, *stage)).collect()
}

fn of_stage(settings: &KafkaSettings, stage: Stage) -> Vec<Need> {
    use Operation::{Describe, Read, Write};
    let topics = &settings.topics;
    let mut needs = Needs::new(By::Stage(stage));
    let (reads, writes): (&[&str], &[&str]) = match stage {
        Stage::Ingest => (&[&topics.catalog], &[&topics.events, &topics.dlq]),
        Stage::Correlate => (
            &[&topics.events, &topics.messages, &topics.correlate_changelog, &topics.catalog],
            &[
                &topics.messages,
                &topics.facts,
                &topics.contributions,
                &topics.correlate_changelog,
                &topics.dlq,
            ],
        ),
        Stage::Aggregate => (
            &[&topics.contributions, &topics.aggregate_changelog, &topics.catalog],
            &[&topics.metrics, &topics.aggregate_changelog, &topics.dlq],
        ),
        Stage::Load => (&[&topics.facts, &topics.metrics, &topics.events], &[]),
    };
    if stage == Stage::Ingest {
        needs.prefixed(Resource::Topic, topics.raw(""), Read);
        // It need not be there.
        topics.archive().into_iter().for_each(|topic| needs.prefixed(Resource::Topic, topic, Read));
        settings.mapped.keys().for_each(|topic| needs.exact(Resource::Topic, topic, Read));
    }
    reads.iter().for_each(|topic| needs.exact(Resource::Topic, topic, Read));
    writes.iter().for_each(|topic| needs.exact(Resource::Topic, topic, Write));
    // Every stage counts the partitions of the topics between the stages.
    topics.by_task().iter().for_each(|topic| needs.exact(Resource::Topic, topic, Describe));
    needs.exact(Resource::Group, &topics.group(stage), Read);
    needs.exact(Resource::Group, &topics.reader_group(), Describe);
    if stage != Stage::Load {
        needs.prefixed(Resource::TransactionalId, topics.transactional_id(stage, ""), Write);
    }
    needs.finish()
}

/// What `serve` needs: who takes deliveries from outside reads nothing.
pub fn of_gateway(settings: &KafkaSettings) -> Vec<Need> {
    let mut needs = Needs::new(By::Command("serve"));
    needs.prefixed(Resource::Topic, settings.topics.raw(""), Operation::Write);
    needs.finish()
}

/// What the commands of an operator need beside.
pub fn of_commands(settings: &KafkaSettings) -> Vec<Need> {
    use Operation::{Create, Delete, Describe, DescribeConfigs, Read, Write};
    let topics = &settings.topics;
    let all = topics.prefix().to_owned();
    let command = |name: &'static str, fill: &dyn Fn(&mut Needs)| {
        let mut needs = Needs::new(By::Command(name));
        fill(&mut needs);
        needs.finish()
    };
    [
        command("topics", &|needs| {
            [Create, Describe, DescribeConfigs]
                .into_iter()
                .for_each(|operation| needs.prefixed(Resource::Topic, all.clone(), operation));
        }),
        command("check", &|needs| needs.prefixed(Resource::Topic, all.clone(), DescribeConfigs)),
        command("catalog apply", &|needs| needs.exact(Resource::Topic, &topics.catalog, Write)),
        command("discover", &|needs| needs.exact(Resource::Topic, &topics.catalog, Read)),
        command("generate --to-kafka", &|needs| needs.prefixed(Resource::Topic, topics.raw(""), Write)),
        // Beside what the stages and `topics` need.
        command("replay", &|needs| {
            topics.archive().iter().for_each(|topic| needs.exact(Resource::Topic, topic, Write));
            Stage::ALL.iter().for_each(|stage| needs.exact(Resource::Group, &topics.group(*stage), Describe));
        }),
        command("replay drop", &|needs| {
            topics.owned().for_each(|topic| needs.exact(Resource::Topic, &topic, Delete));
            Stage::ALL.iter().for_each(|stage| needs.exact(Resource::Group, &topics.group(*stage), Delete));
        }),
        command("dlq", &|needs| {
            needs.exact(Resource::Topic, &topics.dlq, Read);
            needs.exact(Resource::Topic, &topics.events, Read);
            needs.exact(Resource::Topic, &topics.events, Write);
            needs.prefixed(Resource::Topic, topics.raw(""), Read);
            needs.prefixed(Resource::Topic, topics.raw(""), Write);
            for topic in settings.mapped.keys() {
                needs.exact(Resource::Topic, topic, Read);
                needs.exact(Resource::Topic, topic, Write);
            }
        }),
    ]
    .concat()
}

/// The rules of several needs, those on one pattern joined.
pub fn rules(needs: &[Need]) -> Vec<Rule> {
    let mut joined = Needs::new(By::Command(""));
    for need in needs {
        for operation in &need.rule.operations {
            joined.add(need.rule.pattern.clone(), *operation);
        }
    }
    joined.finish().into_iter().map(|need| need.rule).collect()
}

/// The arguments of the fewest calls of `kafka-acls.sh` that make these rules: each call can give the same rights on
/// many names.
pub fn calls(rules: &[Rule], user: &str) -> Vec<Vec<String>> {
    let mut calls: BTreeMap<(&BTreeSet<Operation>, bool), Vec<&Pattern>> = BTreeMap::new();
    for rule in rules {
        calls.entry((&rule.operations, rule.pattern.prefixed)).or_default().push(&rule.pattern);
    }
    calls
        .into_iter()
        .map(|((operations, prefixed), patterns)| {
            let mut arguments =
                vec!["--add".to_owned(), "--allow-principal".to_owned(), format!("User:{user}")];
            for operation in operations {
                arguments.extend(["--operation".to_owned(), operation.to_string()]);
            }
            for pattern in patterns {
                arguments.extend([pattern.resource.option().to_owned(), pattern.name.clone()]);
            }
            if prefixed {
                arguments.extend(["--resource-pattern-type".to_owned(), "prefixed".to_owned()]);
            }
            arguments
        })
        .collect()
}

struct Needs {
    by: By,
    rules: BTreeMap<Pattern, BTreeSet<Operation>>,
}

impl Needs {
    fn new(by: By) -> Self {
        Self { by, rules: BTreeMap::new() }
    }
    fn exact(&mut self, resource: Resource, name: &str, operation: Operation) {
        self.add(Pattern { resource, name: name.to_owned(), prefixed: false }, operation);
    }
    fn prefixed(&mut self, resource: Resource, name: String, operation: Operation) {
        self.add(Pattern { resource, name, prefixed: true }, operation);
    }
    fn add(&mut self, pattern: Pattern, operation: Operation) {
        self.rules.entry(pattern).or_default().insert(operation);
    }
    fn finish(self) -> Vec<Need> {
        let implied = |operations: &BTreeSet<Operation>| {
            operations.contains(&Operation::Read) || operations.contains(&Operation::Write)
        };
        self.rules
            .into_iter()
            .map(|(pattern, mut operations)| {
                if implied(&operations) {
                    operations.remove(&Operation::Describe);
                }
                Need { by: self.by, rule: Rule { pattern, operations } }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_own_rights_and_all_of_them_together_have_no_right_twice() {
        let settings = KafkaSettings::new("localhost:9092", "acme.", "one");
        let load: Vec<String> = of_stage(&settings, Stage::Load)
            .iter()
            .map(|need| need.rule.arguments("dora").join(" "))
            .collect();
        assert!(
            load.contains(
                &"--add --allow-principal User:dora --operation Read --topic acme.facts".to_owned()
            )
        );
        assert!(
            load.contains(
                &"--add --allow-principal User:dora --operation Describe --topic acme.correlate.changelog"
                    .to_owned()
            )
        );
        assert!(load.iter().all(|line| !line.contains("Write")), "{load:?}");
        let all = rules(&of_stages(&settings, &Stage::ALL));
        let mut patterns: Vec<&Pattern> = all.iter().map(|rule| &rule.pattern).collect();
        patterns.dedup();
        assert_eq!(patterns.len(), all.len());
        let calls = calls(&all, "dora");
        assert!(calls.len() < all.len() / 2, "{calls:?}");
        let named = |name: &str| calls.iter().flatten().filter(|word| *word == name).count();
        assert!(patterns.iter().all(|pattern| named(&pattern.name) == 1), "{calls:?}");
        let raw = all.iter().find(|rule| rule.pattern.name == "acme.raw.").unwrap();
        assert!(raw.pattern.prefixed && raw.operations == BTreeSet::from([Operation::Read]));
        let alone: Vec<&str> = all
            .iter()
            .filter(|rule| rule.operations.contains(&Operation::Describe))
            .map(|rule| rule.pattern.name.as_str())
            .collect();
        assert_eq!(alone, ["acme.reader"], "elsewhere it is implied");
    }
}
