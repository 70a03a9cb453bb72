//! SARIF 2.1.0: results of static analysis, as findings of a scan.
//!
//! Source: the OASIS standard "Static Analysis Results Interchange Format 2.1.0", and GitHub's notes on
//! `security-severity`. No live payload seen.
//!
//! Headers that are read: `repo` (host/owner/name) and `sha`, where a run has no `versionControlProvenance`. A run
//! whose invocations have no times was made when it was received. A result that is suppressed is dismissed, one
//! that the baseline has and the run has not is fixed; what passes is no finding.

use crate::facts::Facts;
use crate::node::{Node, header, is_full_sha, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, record, repository};
use model::event::{DeliveryEvent, ScanEvent};
use model::raw::RawRecord;
use model::{EventBody, RepoName, Sha, Text, Timestamp};
use std::collections::BTreeMap;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "SARIF 2.1.0: findings of static analysis",
    emits: "scan",
    drops: "nothing_found",
    times: "`invocations[].endTimeUtc`: RFC 3339; without it the time of receipt.",
    set_up: &["Post the file with the headers `repo` (host/owner/name) and `sha`."],
    seen: None,
    limits: &["What an analysis passes is no finding."],
};

/// The source's name on its events.
const SOURCE: &str = "sarif";

/// Reads one file.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let version = body.text("version")?;
    if version != "2.1.0" {
        return Err(body.unknown("version", version, "2.1.0"));
    }
    let mut events = Vec::new();
    for run in body.items("runs")? {
        read_run(&run, raw, &mut events)?;
    }
    if events.is_empty() {
        return Err(Refusal::drop("nothing_found"));
    }
    Ok(events)
}

/// What the results of one run share.
struct Run<'a> {
    scanner: &'a str,
    /// Each rule's severity, by its id.
    severities: BTreeMap<&'a str, String>,
    repo: Option<RepoName>,
    sha: Option<Sha>,
    at: Timestamp,
    received_at: Timestamp,
}

fn read_run(node: &Node<'_>, raw: &RawRecord, events: &mut Vec<DeliveryEvent>) -> Result<(), Refusal> {
    let provenance = node.items("versionControlProvenance")?;
    let provenance = provenance.first();
    let stated = provenance.map(|place| place.maybe_text("repositoryUri")).transpose()?.flatten();
    let revision = provenance.map(|place| place.maybe_text("revisionId")).transpose()?.flatten();
    let sha = revision.or(header(raw, "sha")).filter(|revision| is_full_sha(revision));
    let run = Run {
        scanner: node.text("tool.driver.name")?,
        severities: severities(node)?,
        repo: stated.and_then(repository::of_url).or_else(|| header(raw, "repo").map(RepoName::new)),
        sha: sha.map(Sha::new),
        at: ended_at(node)?.unwrap_or(raw.received_at),
        received_at: raw.received_at,
    };
    // Each finding repeats them.
    bounded("scanner", run.scanner, MAX_NAME_BYTES)?;
    bounded("repo", run.repo.as_ref().map_or("", |repo| repo.as_str()), MAX_NAME_BYTES)?;
    for result in node.items("results")? {
        events.extend(finding(&result, &run)?);
    }
    Ok(())
}

/// The end of the last invocation that has one, else its start.
fn ended_at(run: &Node<'_>) -> Result<Option<Timestamp>, Refusal> {
    let mut at = None;
    for invocation in run.items("invocations")? {
        let ended = match invocation.maybe_time("endTimeUtc")? {
            Some(ended) => Some(ended),
            None => invocation.maybe_time("startTimeUtc")?,
        };
        at = at.max(ended);
    }
    Ok(at)
}

fn severities<'a>(run: &Node<'a>) -> Result<BTreeMap<&'a str, String>, Refusal> {
    let mut found = BTreeMap::new();
    let mut rules = run.items("tool.driver.rules")?;
    for extension in run.items("tool.extensions")? {
        rules.extend(extension.items("rules")?);
    }
    for rule in rules {
        let Some(id) = rule.maybe_text("id")? else { continue };
        let score = rule.maybe_id("properties.security-severity")?;
        let level = rule.maybe_text("defaultConfiguration.level")?;
        if let Some(severity) = score.as_deref().and_then(by_score).or(level) {
            bounded("severity", severity, MAX_NAME_BYTES)?;
            found.insert(id, severity.to_owned());
        }
    }
    Ok(found)
}

/// The bands of CVSS, as GitHub uses them.
fn by_score(score: &str) -> Option<&'static str> {
    let score: f64 = score.parse().ok()?;
    Some(match score {
        9.0.. => "critical",
        7.0.. => "high",
        4.0.. => "medium",
        0.1.. => "low",
        _ => return None,
    })
}

fn finding(result: &Node<'_>, run: &Run<'_>) -> Result<Option<DeliveryEvent>, Refusal> {
    let fails = matches!(result.maybe_text("kind")?, None | Some("fail" | "open" | "review"));
    if !fails {
        return Ok(None);
    }
    let Some(rule) = result.first_text(&["ruleId", "rule.id"])? else { return Ok(None) };
    let suppressed = result
        .items("suppressions")?
        .iter()
        .map(|one| Ok(matches!(one.maybe_text("status")?, None | Some("accepted"))))
        .collect::<Result<Vec<bool>, Refusal>>()?;
    let state = match result.maybe_text("baselineState")? {
        Some("absent") => "fixed",
        _ if suppressed.contains(&true) => "dismissed",
        _ => "open",
    };
    let ranked = run.severities.get(rule).map(String::as_str);
    // A result's own level says less than its rule's score, and more than its rule's default.
    let scored = ranked.filter(|severity| matches!(*severity, "critical" | "high" | "medium" | "low"));
    let severity = match result.maybe_text("level")? {
        Some(level) => scored.unwrap_or(level),
        None => ranked.unwrap_or("warning"),
    };
    let scan = ScanEvent {
        scanner: Text::new(run.scanner),
        finding: Text::new(rule),
        severity: Text::new(severity),
        state: Text::new(state),
        sha: run.sha.clone(),
        digest: None,
    };
    let place = place(result)?;
    let whose = run.repo.as_ref().map(RepoName::as_str).unwrap_or_default();
    let id = format!("{whose}:{}:{rule}:{place}", run.scanner);
    let mut event = record::event(SOURCE, id, run.at, run.received_at, EventBody::Scan(scan));
    event.repo = run.repo.clone();
    Ok(Some(event))
}

/// What tells a finding from the others of its rule: its fingerprint, which survives moved lines, else its place.
fn place(result: &Node<'_>) -> Result<String, Refusal> {
    for kind in ["fingerprints", "partialFingerprints"] {
        let prints = result.maybe_object(kind)?;
        let prints = prints.as_ref().and_then(|prints| prints.value().as_object());
        if let Some(print) = prints.and_then(|prints| prints.values().find_map(serde_json::Value::as_str)) {
            return Ok(print.to_owned());
        }
    }
    let locations = result.items("locations")?;
    let Some(first) = locations.first() else { return Ok(String::new()) };
    let file = first.maybe_text("physicalLocation.artifactLocation.uri")?.unwrap_or_default();
    let line = first.maybe_number("physicalLocation.region.startLine")?.unwrap_or_default();
    Ok(format!("{file}:{line}"))
}
