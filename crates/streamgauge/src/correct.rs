//! `correct`: a human correction, as an event of its own. The raw log keeps it with its reason: on Kafka the topic of raw
//! canonical events, else that of the data folder.

use crate::cli::{self, Target};
use crate::clickhouse::ANY_PORT;
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::{DONE, wrong};
use crate::import::{Batcher, Sink, now, progress};
use crate::output::Format;
use kafka::raw::RawSender;
use model::event::{
    Cause, Correction, CorrectionSet, CorrectionTarget, EnvironmentTier, EventBody, Severity,
};
use model::hex;
use model::raw::{Origin, RawRecord};
use model::{DeliveryEvent, DeploymentId, IncidentId, Text, Timestamp};
use sha2::{Digest, Sha256};
use std::io::Write;

/// The source's name on corrections.
const SOURCE: &str = "correct";

/// Appends the correction and brings every table up to date.
///
/// # Errors
/// As [`event`]; what the pipeline says.
pub fn run(
    command: &cli::Correct,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let event = event(command, now())?;
    if let Some(brokers) = &settings.kafka {
        let sender = RawSender::new(brokers)?;
        sender.send(&record(&event))?;
        sender.finish()?;
        if format == Format::Json {
            writeln!(out, "{:#}", model::json::to_value(&event))?;
        } else {
            writeln!(
                out,
                "{} is stored and will count shortly (undo it with --undo {})",
                event.id, event.id
            )?;
        }
        return Ok(DONE);
    }
    let mut pipeline = Pipeline::open(settings, ANY_PORT)?;
    let mut batcher = Batcher::new(&mut pipeline, progress(true, "correct", None));
    batcher.record(record(&event), false)?;
    let summary = batcher.finish()?;
    if format == Format::Json {
        writeln!(out, "{:#}", model::json::to_value(&event))?;
    } else {
        writeln!(out, "{} (undo it with --undo {})", summary.text(), event.id)?;
    }
    Ok(DONE)
}

/// Makes the event. Its id comes from what it says and when, so that it can be undone by it.
///
/// # Errors
/// Exit code 2: nothing to correct, a field of the other target, a word that is not known, an empty reason.
pub fn event(command: &cli::Correct, at: Timestamp) -> anyhow::Result<DeliveryEvent> {
    let reason = command.reason.trim();
    if reason.is_empty() {
        return Err(wrong("--reason is empty: say why, so that others understand the number"));
    }
    let set = set(command)?;
    let target = match command.target {
        Target::Deployment => CorrectionTarget::Deployment,
        Target::Incident => CorrectionTarget::Incident,
    };
    if set == CorrectionSet::default() && command.undo.is_none() {
        return Err(wrong(match target {
            CorrectionTarget::Deployment => {
                "nothing to correct: give --failed, --tier, --cancelled or --undo"
            }
            CorrectionTarget::Incident => {
                "nothing to correct: give --cause, --severity, --deployment-id, --duplicate-of or --undo"
            }
        }));
    }
    let body = Correction {
        target,
        target_id: Text::new(&command.id),
        set,
        reason: Text::new(reason),
        undoes: command.undo.as_deref().map(Text::new),
    };
    let said = serde_json::to_string(&body)?;
    let digest = Sha256::digest(format!("{}{said}{:?}", at.micros(), command.service));
    let id = hex::lower(digest.get(..6).unwrap_or_default());
    Ok(DeliveryEvent {
        id: Text::new(format!("correction:{id}")),
        occurred_at: at,
        observed_at: at,
        source: Text::new(SOURCE),
        repo: None,
        service: command.service.as_deref().map(Text::new),
        drill: None,
        imported: None,
        body: EventBody::Correction(body),
    })
}

/// The event as a raw record of the canonical source.
pub fn record(event: &DeliveryEvent) -> RawRecord {
    RawRecord {
        source: Text::new("canonical"),
        headers: Vec::new(),
        body: model::json::to_value(event).to_string().into_bytes(),
        received_at: event.observed_at,
        origin: Origin { topic: Text::new("correct"), partition: 0, offset: 0 },
    }
}

fn set(command: &cli::Correct) -> anyhow::Result<CorrectionSet> {
    let of_incident = [
        ("--cause", command.cause.is_some()),
        ("--severity", command.severity.is_some()),
        ("--deployment-id", command.deployment_id.is_some()),
        ("--duplicate-of", command.duplicate_of.is_some()),
    ];
    let of_deployment = [
        ("--failed", command.failed.is_some()),
        ("--not-failed", command.not_failed),
        ("--tier", command.tier.is_some()),
        ("--cancelled", command.cancelled.is_some()),
    ];
    let (foreign, target): (&[(&str, bool)], &str) = match command.target {
        Target::Deployment => (&of_incident, "a deployment"),
        Target::Incident => (&of_deployment, "an incident"),
    };
    if let Some((option, _)) = foreign.iter().find(|(_, given)| *given) {
        return Err(wrong(format!("{option} does not belong to {target}")));
    }
    Ok(CorrectionSet {
        failed: if command.not_failed { Some(false) } else { command.failed },
        cancelled: command.cancelled,
        tier: word("--tier", command.tier.as_deref(), EnvironmentTier::from_word, EnvironmentTier::ALL)?,
        cause: word("--cause", command.cause.as_deref(), Cause::from_word, Cause::ALL)?,
        severity: word("--severity", command.severity.as_deref(), Severity::from_word, Severity::ALL)?,
        deployment_id: command.deployment_id.as_deref().map(DeploymentId::new),
        duplicate_of: command.duplicate_of.as_deref().map(IncidentId::new),
    })
}

fn word<T: Copy + std::fmt::Display>(
    option: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    all: &[T],
) -> anyhow::Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    let found = read(text).ok_or_else(|| {
        let known = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        wrong(format!("{option} {text}: not one of {known}"))
    })?;
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn make(arguments: &[&str]) -> anyhow::Result<DeliveryEvent> {
        let cli = cli::Cli::parse_from([&["streamgauge", "correct"], arguments].concat());
        let cli::Command::Correct(command) = cli.command else { unreachable!() };
        event(&command, Timestamp::from_seconds(1_700_000_000).unwrap())
    }

    #[test]
    fn a_correction_is_a_canonical_event_that_reads_back() {
        let event = make(&["deployment", "tag:v1", "--failed", "false", "--reason", "a drill"]).unwrap();
        assert_eq!(model::json::from_slice(&record(&event).body).unwrap(), event);
        let undo =
            make(&["deployment", "tag:v1", "--undo", event.id.as_str(), "--reason", "it was none"]).unwrap();
        assert_ne!(undo.id, event.id);
    }

    #[test]
    fn a_correction_of_nothing_or_of_a_foreign_field_is_refused() {
        let check = |arguments: &[&str], expect: &str| {
            let error = make(arguments).unwrap_err().to_string();
            assert!(error.contains(expect), "{error:?} does not say {expect:?}");
        };
        check(&["incident", "i", "--reason", "x"], "nothing to correct: give --cause");
        check(
            &["incident", "i", "--reason", "x", "--failed", "true"],
            "--failed does not belong to an incident",
        );
        check(&["incident", "i", "--reason", "x", "--severity", "p1"], "not one of sev1");
        check(&["incident", "i", "--reason", " ", "--severity", "sev1"], "--reason is empty");
    }
}
