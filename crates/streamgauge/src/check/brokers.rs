//! The brokers: whether they answer, of which release they are, and how the topics stand.

use super::{Findings, stage};
use crate::config::Settings;
use crate::kafka_run::catalog_reader;
use kafka::acls::of_stages;
use kafka::admin::{Admin, Difference, PARTITIONS, Standing};
use kafka::catalog::{Follower, Revision};
use kafka::connection::Refusal;
use kafka::outside::Catalogs;
use kafka::probe::{Probe, Seen, missing};
use kafka::topics::{Cleanup, TopicSpec};
use kafka::{KafkaSettings, Stage};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(12);

/// Topics that were looked at.
#[derive(Debug, Default)]
pub struct Topics {
    /// Those that are there and of the right kind: they may be tried.
    pub usable: BTreeSet<String>,
    /// Partitions of the topics between the stages; `None`: they differ, or some are missing.
    pub tasks: Option<u32>,
}

/// Checks the brokers and the stages' use of them. Returns the catalog that counts.
pub fn check(
    brokers: &KafkaSettings,
    settings: &Settings,
    stages: &[Stage],
    findings: &mut Findings,
) -> Option<Revision> {
    let probe = match Probe::connect(brokers, CONNECT_WITHIN) {
        Ok(probe) => probe,
        Err(refusal) => {
            findings.refused("brokers", refusal);
            return None;
        }
    };
    match probe.release() {
        Ok(release) => findings.ok(
            "brokers",
            format!("{} at {}, Kafka {release}", count(probe.brokers, "broker"), brokers.brokers),
        ),
        Err(refusal) => findings.refused("brokers", refusal),
    }
    let topics = topics(&probe, brokers, settings, stages, findings);
    for stage in stages {
        stage::check(&probe, brokers, settings, *stage, &topics, findings);
    }
    if !topics.usable.contains(&brokers.topics.catalog) {
        return None;
    }
    match Follower::start(brokers, catalog_reader(settings)) {
        Ok(follower) => Some(follower.newest()),
        Err(error) => {
            findings.problem(
                "catalog",
                error.whole(),
                "`streamgauge topics --acls USER` prints the rights that a stage needs",
            );
            None
        }
    }
}

/// As in `3 topics`.
pub fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn topics(
    probe: &Probe,
    brokers: &KafkaSettings,
    settings: &Settings,
    stages: &[Stage],
    findings: &mut Findings,
) -> Topics {
    let mut specs = brokers.topics.specs(settings.partitions, settings.mappings.all_names());
    let raw = |name: &str| brokers.topics.source_of(name).is_some();
    let needed: BTreeSet<String> =
        of_stages(brokers, stages).into_iter().map(|need| need.rule.pattern.name).collect();
    let ingests = stages.contains(&Stage::Ingest);
    specs.retain(|spec| needed.contains(&spec.name) || (ingests && raw(&spec.name)));
    let standing = match Admin::new(brokers).and_then(|admin| admin.standing(&specs)) {
        Ok(standing) => standing,
        Err(error) => {
            findings.problem("topics", error.whole(), "see the brokers' logs");
            return Topics::default();
        }
    };
    let mut looked = Topics::default();
    let (mut good, mut unread, mut without) = (0, false, Vec::new());
    let mut by_task: BTreeSet<Option<u32>> = BTreeSet::new();
    for (spec, standing) in specs.iter().zip(&standing) {
        let seen = probe.topic(&spec.name);
        if brokers.topics.by_task().contains(&spec.name.as_str()) {
            by_task.insert(if let Seen::There { partitions, .. } = seen { Some(partitions) } else { None });
        }
        if raw(&spec.name) && matches!(seen, Seen::Missing | Seen::Denied) {
            without.push(spec.name.as_str());
            continue;
        }
        let wrong = findings.0.len();
        if is_there(&spec.name, &seen, findings)
            && let Standing::Differs(differences) = standing
        {
            unread |= differences.iter().any(|difference| difference.is.is_none());
            let known = differences.iter().filter(|difference| difference.is.is_some());
            known.for_each(|difference| differs(spec, difference, raw(&spec.name), findings));
        }
        if findings.0.len() == wrong {
            good += 1;
        }
        let policy = |standing: &Standing| match standing {
            Standing::Differs(found) => found.iter().all(|one| one.setting != "cleanup.policy"),
            Standing::Good => true,
            Standing::Missing => false,
        };
        if matches!(seen, Seen::There { leaderless: 0, .. }) && policy(standing) {
            looked.usable.insert(spec.name.clone());
        }
    }
    for topic in brokers.mapped.keys().filter(|_| ingests) {
        let seen = probe.topic(topic);
        if is_there(topic, &seen, findings) {
            looked.usable.insert(topic.clone());
        }
    }
    if good > 0 {
        findings.ok("topics", format!("{} as they must be", count(good, "topic")));
    }
    if unread {
        findings.warning(
            "topics",
            "this user may not read the topics' settings, so policies and sizes were not compared",
            "`streamgauge topics --acls USER --operator` prints the rule that allows it (DescribeConfigs)",
        );
    }
    missing_raw(&without, findings);
    looked.tasks = tasks(&by_task, brokers, settings, findings);
    looked
}

/// Whether a topic is there and healthy.
fn is_there(name: &str, seen: &Seen, findings: &mut Findings) -> bool {
    let what = format!("topic {name}");
    match seen {
        Seen::Missing => {
            findings.refused(what, Refusal { what: "it does not exist".to_owned(), ..missing(name) })
        }
        Seen::Denied => findings.problem(
            what,
            "this user may not see it",
            "`streamgauge topics --acls USER` prints the rules that allow it",
        ),
        Seen::Other(reason) => findings.problem(what, reason.as_str(), "see the brokers' logs"),
        Seen::There { leaderless, behind, .. } => {
            if *leaderless > 0 {
                findings.problem(
                    what,
                    format!("{} without a leader", count(*leaderless as usize, "partition")),
                    "start the brokers that hold it",
                );
            } else if *behind > 0 {
                findings.warning(
                    what,
                    format!("{} with copies that are behind", count(*behind as usize, "partition")),
                    "start the brokers that hold them",
                );
            }
            return true;
        }
    }
    false
}

fn differs(spec: &TopicSpec, difference: &Difference, raw: bool, findings: &mut Findings) {
    let Difference { setting, wanted, .. } = difference;
    let what = format!("topic {}", spec.name);
    let alter = format!(
        "kafka-configs.sh --alter --entity-type topics --entity-name {} --add-config {setting}={wanted}",
        spec.name
    );
    match *setting {
        // The topics between the stages are compared with each other; of raw topics and dead letters any number does.
        PARTITIONS if spec.partitions == 1 && spec.cleanup == Cleanup::Compact => findings.problem(
            what,
            difference.to_string(),
            "delete it, make it again with `streamgauge topics`, and publish the catalog with `streamgauge catalog apply`",
        ),
        PARTITIONS => {}
        // Kept for a shorter time than a stage may be stopped, records are lost to it.
        "retention.ms" => findings.warning(
            what,
            format!("{difference}: {}", if raw { "what is deleted cannot be replayed" } else { "a stage that is stopped for longer loses records" }),
            alter,
        ),
        _ => findings.problem(what, difference.to_string(), alter),
    }
}

fn missing_raw(without: &[&str], findings: &mut Findings) {
    const SHOWN: usize = 3;
    let Some(shown) = without.get(..without.len().min(SHOWN)).filter(|shown| !shown.is_empty()) else {
        return;
    };
    let more = without.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    findings.warning(
        "topics of raw records",
        format!(
            "{}{more} do not exist, or this user may not see them: nothing is read of their sources",
            shown.join(", ")
        ),
        "`streamgauge topics` makes them, `streamgauge topics --acls USER` prints the rules that allow it",
    );
}

/// How many tasks there are: the topics between the stages need the same number of partitions.
fn tasks(
    by_task: &BTreeSet<Option<u32>>,
    brokers: &KafkaSettings,
    settings: &Settings,
    findings: &mut Findings,
) -> Option<u32> {
    let counts: Vec<u32> = by_task.iter().copied().flatten().collect();
    match counts.as_slice() {
        [one] if *one == settings.partitions || by_task.contains(&None) => Some(*one),
        [one] => {
            findings.warning(
                "partitions",
                format!(
                    "the topics between the stages have {one}, and `partitions` is {}",
                    settings.partitions
                ),
                format!(
                    "set partitions = {one}, or another `generation`, whose topics `streamgauge replay` makes"
                ),
            );
            Some(*one)
        }
        [] => None,
        _ => {
            let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
            findings.problem(
                "partitions",
                format!(
                    "the topics between the stages ({}) have {} partitions, and need the same number",
                    brokers.topics.by_task().join(", "),
                    counts.join(" and ")
                ),
                "set another `generation` and let `streamgauge replay` make its topics; the raw topics are read anew",
            );
            None
        }
    }
}
