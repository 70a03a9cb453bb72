//! Trivy's reports as JSON (schema 2), and the VulnerabilityReports of its operator: findings of a scan.
//!
//! Source: Trivy's documentation, "Reporting", its report types, and the Trivy Operator's "Webhook integration". No
//! live payload seen.
//!
//! A report of an image holds the image's labels: where one says the commit that it was built from, the report
//! tells that as an artifact too, and its findings are the repository's that another label says. A report without a time was made when it was received. Headers that are read:
//! `repo` (host/owner/name), `service`.

use crate::facts::Facts;
use crate::node::{Node, header, is_full_sha, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, image, record, repository};
use model::event::{Artifact, DeliveryEvent, ScanEvent};
use model::raw::RawRecord;
use model::{EventBody, RepoName, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Trivy's reports: findings, and the commits of images",
    emits: "artifact scan",
    drops: "nothing_found report_deleted report_kind_not_used",
    times: "`CreatedAt` and `updateTimestamp`: RFC 3339; without one the time of receipt.",
    set_up: &["Post `trivy … --format json` with the headers `repo` or `service`, or set \
          `operator.webhookBroadcastURL` of the Trivy Operator."],
    seen: None,
    limits: &["The commit of an image is known by its label `org.opencontainers.image.revision`."],
};

/// The source's name on its events.
const SOURCE: &str = "trivy";

/// An image's labels.
const LABELS: &str = "Metadata.ImageConfig.config.Labels";

/// What the findings of one report share.
struct Report<'a> {
    /// What was scanned: an image's digest or name, a path, a repository.
    about: &'a str,
    digest: Option<String>,
    repo: Option<RepoName>,
    service: Option<String>,
    at: Timestamp,
    received_at: Timestamp,
}

impl Report<'_> {
    /// Each finding repeats these.
    fn bounded(&self) -> Result<(), Refusal> {
        let repo = self.repo.as_ref().map_or("", |repo| repo.as_str());
        for (field, text) in [
            ("id", self.about),
            ("digest", self.digest.as_deref().unwrap_or_default()),
            ("repo", repo),
            ("service", self.service.as_deref().unwrap_or_default()),
        ] {
            bounded(field, text, MAX_NAME_BYTES)?;
        }
        Ok(())
    }
}

/// Reads one report.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let operator = body.maybe_object("operatorObject")?;
    let events = match (&operator, body.has("SchemaVersion")) {
        (Some(object), _) => {
            if body.maybe_text("verb")? == Some("delete") {
                return Err(Refusal::drop("report_deleted"));
            }
            vulnerability_report(object, raw)?
        }
        (None, true) => report(&body, raw)?,
        (None, false) if body.has("report") => vulnerability_report(&body, raw)?,
        (None, false) => {
            let detail = "the body is no report of Trivy: `SchemaVersion` (of `trivy --format json`) or \
                          `report` (of a VulnerabilityReport) is expected";
            return Err(Refusal::reject("unknown_event", detail));
        }
    };
    if events.is_empty() {
        return Err(Refusal::drop("nothing_found"));
    }
    Ok(events)
}

/// What `trivy --format json` writes.
fn report(body: &Node<'_>, raw: &RawRecord) -> Result<Vec<DeliveryEvent>, Refusal> {
    let version = body.number("SchemaVersion")?;
    if version != 2 {
        return Err(body.unknown("SchemaVersion", &version.to_string(), "2"));
    }
    let name = body.text("ArtifactName")?;
    let digests = body.maybe_texts("Metadata.RepoDigests")?.unwrap_or_default();
    let digest = digests.iter().find_map(|reference| image::read(reference).digest);
    let is_repository = body.maybe_text("ArtifactType")? == Some("repository");
    let source = body.maybe_entry(LABELS, "org.opencontainers.image.source")?;
    let stated = if is_repository { Some(name) } else { source }.and_then(repository::of_url);
    let repo = header(raw, "repo").map(RepoName::new).or(stated);
    let service = header(raw, "service").map(str::to_owned);
    let report = Report {
        about: name,
        // What names neither waits for a catalog that claims the image.
        service: service.or_else(|| repo.is_none().then(|| format!("trivy:{}", image::read(name).name))),
        digest,
        repo,
        at: body.maybe_time("CreatedAt")?.unwrap_or(raw.received_at),
        received_at: raw.received_at,
    };
    report.bounded()?;
    let mut events: Vec<DeliveryEvent> = artifact(body, &report)?.into_iter().collect();
    for result in body.items("Results")? {
        for found in result.items("Vulnerabilities")? {
            let package = found.maybe_text("PkgName")?.unwrap_or_default();
            events.push(finding(&report, found.text("VulnerabilityID")?, package, &found)?);
        }
        let target = result.maybe_text("Target")?.unwrap_or_default();
        bounded("id", target, MAX_NAME_BYTES)?;
        for found in result.items("Misconfigurations")? {
            if found.maybe_text("Status")? != Some("PASS") {
                events.push(finding(&report, found.text("ID")?, target, &found)?);
            }
        }
        for found in result.items("Secrets")? {
            events.push(finding(&report, found.text("RuleID")?, target, &found)?);
        }
    }
    Ok(events)
}

/// The commit that an image's labels name.
fn artifact(body: &Node<'_>, report: &Report<'_>) -> Result<Option<DeliveryEvent>, Refusal> {
    let revision = body.maybe_entry(LABELS, "org.opencontainers.image.revision")?;
    let Some(sha) = revision.filter(|revision| is_full_sha(revision)) else { return Ok(None) };
    let tags = body.maybe_texts("Metadata.RepoTags")?.unwrap_or_default();
    let named = tags.first().and_then(|tag| image::read(tag).tagged());
    if named.is_none() && report.digest.is_none() {
        return Ok(None);
    }
    let artifact = Artifact {
        digest: report.digest.as_ref().map(Text::new),
        image: named.map(Text::new),
        sha: Sha::new(sha),
        built_at: None,
    };
    let id = format!("{}:artifact", report.about);
    let mut event = record::event(SOURCE, id, report.at, report.received_at, EventBody::Artifact(artifact));
    let source = body.maybe_entry(LABELS, "org.opencontainers.image.source")?;
    event.repo = source.and_then(repository::of_url);
    Ok(Some(event))
}

/// One finding, which keeps its id from scan to scan of the same thing.
fn finding(report: &Report<'_>, id: &str, place: &str, found: &Node<'_>) -> Result<DeliveryEvent, Refusal> {
    let severity = found.first_text(&["Severity", "severity"])?.unwrap_or("unknown");
    let scan = ScanEvent {
        scanner: Text::new(SOURCE),
        finding: Text::new(id),
        severity: Text::new(severity.to_ascii_lowercase()),
        state: Text::new("open"),
        sha: None,
        digest: report.digest.as_ref().map(Text::new),
    };
    let about = report.digest.as_deref().unwrap_or(report.about);
    let id = format!("{about}:{id}:{place}");
    let mut event = record::event(SOURCE, id, report.at, report.received_at, EventBody::Scan(scan));
    event.repo.clone_from(&report.repo);
    event.service = report.service.as_ref().map(Text::new);
    Ok(event)
}

/// A VulnerabilityReport of the operator. What it is about it says in its labels.
fn vulnerability_report(object: &Node<'_>, raw: &RawRecord) -> Result<Vec<DeliveryEvent>, Refusal> {
    let kind = object.maybe_text("kind")?;
    if kind.is_some_and(|kind| kind != "VulnerabilityReport") {
        return Err(Refusal::drop("report_kind_not_used"));
    }
    let inner = object.object("report")?;
    let labels = "metadata.labels";
    let name = match object.maybe_entry(labels, "trivy-operator.container.name")? {
        Some(name) => Some(name),
        None => object.maybe_entry(labels, "trivy-operator.resource.name")?,
    };
    let report = Report {
        about: inner.maybe_text("artifact.repository")?.unwrap_or_default(),
        digest: inner.maybe_text("artifact.digest")?.and_then(image::digest),
        repo: header(raw, "repo").map(RepoName::new),
        service: header(raw, "service").map(str::to_owned).or(name.map(|name| format!("k8s:{name}"))),
        at: inner.maybe_time("updateTimestamp")?.unwrap_or(raw.received_at),
        received_at: raw.received_at,
    };
    report.bounded()?;
    let mut events = Vec::new();
    for found in inner.items("vulnerabilities")? {
        let package = found.maybe_text("resource")?.unwrap_or_default();
        events.push(finding(&report, found.text("vulnerabilityID")?, package, &found)?);
    }
    Ok(events)
}
