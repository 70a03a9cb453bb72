//! What a stage needs of the brokers, tried: its group, reading, writing, transactions, and its state.

use super::Findings;
use super::brokers::Topics;
use crate::config::Settings;
use kafka::acls::{Operation, Resource, of_stages};
use kafka::checkpoint::{Checkpoint, Disagreement, LAYOUT};
use kafka::probe::Probe;
use kafka::{KafkaSettings, Stage};

/// Checks one stage.
pub fn check(
    probe: &Probe,
    brokers: &KafkaSettings,
    settings: &Settings,
    stage: Stage,
    topics: &Topics,
    findings: &mut Findings,
) {
    let what = format!("stage {stage}");
    let before = findings.0.len();
    if let Err(refusal) = probe.can_see_group(stage) {
        findings.refused(what.as_str(), refusal);
    }
    let of = |operation: Operation| -> Vec<String> {
        of_stages(brokers, &[stage])
            .into_iter()
            .filter(|need| need.rule.operations.contains(&operation))
            .map(|need| need.rule.pattern)
            .filter(|pattern| pattern.resource == Resource::Topic && !pattern.prefixed)
            .map(|pattern| pattern.name)
            // What is missing, denied or of another kind was said already.
            .filter(|name| topics.usable.contains(name))
            .collect()
    };
    let mut reads = of(Operation::Read);
    if stage == Stage::Ingest {
        match probe.raw_topics() {
            Ok(raw) => reads.extend(raw),
            Err(refusal) => findings.refused(what.as_str(), refusal),
        }
    }
    for refusal in probe.cannot_read_of(&reads) {
        findings.refused(what.as_str(), refusal);
    }
    if stage != Stage::Load {
        writes(probe, brokers, stage, &of(Operation::Write), findings);
    }
    let says = if stage == Stage::Load {
        "it may read what it loads"
    } else {
        "it may read and write what it needs, and its transactions work"
    };
    if findings.0.len() == before {
        findings.ok(what, says);
    }
    state(probe, brokers, settings, stage, topics, findings);
}

fn writes(probe: &Probe, brokers: &KafkaSettings, stage: Stage, topics: &[String], findings: &mut Findings) {
    let what = format!("stage {stage}");
    let compacted = [&brokers.topics.correlate_changelog, &brokers.topics.aggregate_changelog];
    let (compacted, plain): (Vec<&String>, Vec<&String>) =
        topics.iter().partition(|topic| compacted.contains(topic));
    let plain: Vec<&str> = plain.into_iter().map(String::as_str).collect();
    match probe.transactions(stage, &plain) {
        Ok(refusals) => refusals.into_iter().for_each(|refusal| findings.refused(what.as_str(), refusal)),
        Err(refusal) => findings.refused(what.as_str(), refusal),
    }
    for topic in compacted {
        if let Err(refusal) = probe.can_write_compacted(topic) {
            findings.refused(what.as_str(), refusal);
        }
    }
}

/// Whether the state on the brokers was made by this configuration.
fn state(
    probe: &Probe,
    brokers: &KafkaSettings,
    settings: &Settings,
    stage: Stage,
    topics: &Topics,
    findings: &mut Findings,
) {
    let changelog = match stage {
        Stage::Correlate => &brokers.topics.correlate_changelog,
        Stage::Aggregate => &brokers.topics.aggregate_changelog,
        Stage::Ingest | Stage::Load => return,
    };
    if !topics.usable.contains(changelog) {
        return;
    }
    let what = format!("state of {stage}");
    match probe.checkpoint(changelog) {
        Ok(None) => findings.ok(what, "none yet"),
        Ok(Some(checkpoint)) => match disagreement(&checkpoint, settings, topics.tasks) {
            // Each says its remedy behind a colon or semicolon of its own.
            Some(disagreement) => {
                let text = disagreement.to_string();
                let (says, remedy) = text.split_once(": ").unwrap_or((&text, "see the manual"));
                findings.problem(what, says, remedy);
            }
            None => findings.ok(
                what,
                format!("made by this configuration, {} transactions of the first task", checkpoint.sequence),
            ),
        },
        // A stage that may not read it said so.
        Err(_) => {}
    }
}

fn disagreement(checkpoint: &Checkpoint, settings: &Settings, tasks: Option<u32>) -> Option<Disagreement> {
    let wanted = settings.definitions.hash();
    if checkpoint.layout != LAYOUT {
        return Some(Disagreement::Layout(checkpoint.layout));
    }
    if checkpoint.definition != wanted {
        return Some(Disagreement::Definitions { found: checkpoint.definition.clone(), wanted });
    }
    tasks
        .filter(|tasks| *tasks != checkpoint.tasks)
        .map(|wanted| Disagreement::Tasks { found: checkpoint.tasks, wanted })
}
