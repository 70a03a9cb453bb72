//! One file per vendor: a payload in, canonical events out.
//!
//! [`SOURCES`] is the table from a source's name to its function. [`read`] looks a record's source up, and
//! makes the checks that hold for every source, once. No source keeps a person's name or address: of people,
//! only `author_kind` gets into an event.
//!
//! To add a vendor: one file with a function of the type [`Reader`], one row in the table, one in
//! [`privacy::PERSONAL`] for what it says of people, and a golden for each of its documented events.

mod alertmanager;
mod argo_rollouts;
mod argocd;
mod aws;
mod azure;
mod bitbucket;
mod bitbucket_datacenter;
mod buildkite;
mod canonical;
mod cdevents;
mod circleci;
mod datadog;
mod dockerhub;
mod encoding;
mod environment;
mod facts;
mod flagd;
mod flux;
mod forge;
mod git;
mod gitea;
mod github;
mod gitlab;
mod grafana;
mod harbor;
pub mod history;
mod image;
mod incidentio;
mod jenkins;
mod jira;
mod kubernetes;
mod launchdarkly;
mod mapped;
mod message;
mod node;
mod object;
mod opsgenie;
mod otlp;
mod pagerduty;
mod person;
pub mod privacy;
mod prometheus;
mod purl;
mod record;
mod repository;
mod sarif;
mod sentry;
mod servicenow;
mod severity;
mod snyk;
mod tags;
mod tekton;
mod template;
mod terraform;
mod trivy;
mod unleash;

pub use facts::{FEEDS, Facts, Feed, SHARED_DROP, feed};
pub use mapped::{Mapped, Mappings};
use model::event::{Artifact, DeliveryEvent, EventBody};
use model::raw::{MAX_BODY_BYTES, RawRecord};
use model::{Span, Text};

/// What a source makes of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The events that it tells, in the payload's order; never empty.
    Emit(Vec<DeliveryEvent>),
    /// It tells nothing that is used. The word is counted: `ref_deleted`, `check_run_not_used`, …
    Drop(Text),
    /// It cannot be read: it goes to the dead letters.
    Reject(Rejection),
}

/// Why a record was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A counted word, one of [`REASONS`].
    pub reason: Text,
    /// What exactly, where (field path, or line and column), and how to mend it.
    pub detail: String,
}

/// Longest text of [`Rejection::detail`], in characters: a payload's own words are repeated in it.
pub const MAX_DETAIL_CHARS: usize = 1_000;

impl Rejection {
    fn shortened(mut self) -> Self {
        if let Some((end, _)) = self.detail.char_indices().nth(MAX_DETAIL_CHARS) {
            self.detail.truncate(end);
            self.detail.push('…');
        }
        self
    }
}

/// Every word that [`Rejection::reason`] takes.
pub const REASONS: &[&str] = &[
    "bad_sha",
    "bad_time",
    "invalid",
    "malformed",
    "mapping_error",
    "mapping_limit",
    "missing_field",
    "missing_header",
    "skew",
    "too_large",
    "unknown_event",
    "unknown_field",
    "unknown_source",
    "unknown_value",
    "wrong_type",
];

/// Why a source emits nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The record tells nothing that is used: a counted word.
    Drop(Text),
    /// The record cannot be read.
    Reject(Rejection),
}

impl Refusal {
    /// A drop with its counted word.
    pub(crate) fn drop(reason: impl AsRef<str>) -> Self {
        Self::Drop(Text::new(reason))
    }
    /// A rejection with its counted word and what to say about it.
    pub(crate) fn reject(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::Reject(Rejection { reason: Text::new(reason), detail: detail.into() })
    }
}

/// What can be set about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// How far an event's time may lie ahead of the time at which it was observed.
    pub max_future: Span,
    /// The IANA zone of times that come without one. Without this setting they are rejected.
    pub default_time_zone: Option<String>,
    /// The sources that the configuration adds.
    pub mappings: Mappings,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self { max_future: Span::from_minutes(10), default_time_zone: None, mappings: Mappings::default() }
    }
}

/// Reads one record of one vendor.
pub type Reader = fn(&RawRecord, &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal>;

/// A row of the table of sources.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The name by which records and the configuration call it.
    pub name: &'static str,
    /// Its function, without the checks that [`read`] adds.
    pub read: Reader,
    /// What is to be known of it: `docs/sources.md` is made of it.
    pub facts: &'static Facts,
}

/// Every source, by name.
pub const SOURCES: &[Source] = &[
    Source { name: "alertmanager", read: alertmanager::read, facts: &alertmanager::FACTS },
    Source { name: "argo_rollouts", read: argo_rollouts::read, facts: &argo_rollouts::FACTS },
    Source { name: "argocd", read: argocd::read, facts: &argocd::FACTS },
    Source { name: "aws", read: aws::read, facts: &aws::FACTS },
    Source { name: "azure", read: azure::read, facts: &azure::FACTS },
    Source { name: "bitbucket", read: bitbucket::read, facts: &bitbucket::FACTS },
    Source {
        name: "bitbucket_datacenter",
        read: bitbucket_datacenter::read,
        facts: &bitbucket_datacenter::FACTS,
    },
    Source { name: "buildkite", read: buildkite::read, facts: &buildkite::FACTS },
    Source { name: "canonical", read: canonical::read, facts: &canonical::FACTS },
    Source { name: "cdevents", read: cdevents::read, facts: &cdevents::FACTS },
    Source { name: "circleci", read: circleci::read, facts: &circleci::FACTS },
    Source { name: "datadog", read: datadog::read, facts: &datadog::FACTS },
    Source { name: "dockerhub", read: dockerhub::read, facts: &dockerhub::FACTS },
    Source { name: "flagd", read: flagd::read, facts: &flagd::FACTS },
    Source { name: "flux", read: flux::read, facts: &flux::FACTS },
    Source { name: "ghcr", read: github::read, facts: &github::package::FACTS },
    Source { name: "git", read: git::read, facts: &git::FACTS },
    Source { name: "gitea", read: gitea::read, facts: &gitea::FACTS },
    Source { name: "github", read: github::read, facts: &github::FACTS },
    Source { name: "gitlab", read: gitlab::read, facts: &gitlab::FACTS },
    Source { name: "grafana", read: grafana::read, facts: &grafana::FACTS },
    Source { name: "harbor", read: harbor::read, facts: &harbor::FACTS },
    Source { name: "incidentio", read: incidentio::read, facts: &incidentio::FACTS },
    Source { name: "jenkins", read: jenkins::read, facts: &jenkins::FACTS },
    Source { name: "jira", read: jira::read, facts: &jira::FACTS },
    Source { name: "kubernetes", read: kubernetes::read, facts: &kubernetes::FACTS },
    Source { name: "launchdarkly", read: launchdarkly::read, facts: &launchdarkly::FACTS },
    Source { name: "opsgenie", read: opsgenie::read, facts: &opsgenie::FACTS },
    Source { name: "otlp", read: otlp::read, facts: &otlp::FACTS },
    Source { name: "pagerduty", read: pagerduty::read, facts: &pagerduty::FACTS },
    Source { name: "prometheus", read: prometheus::read, facts: &prometheus::FACTS },
    Source { name: "sarif", read: sarif::read, facts: &sarif::FACTS },
    Source { name: "sentry", read: sentry::read, facts: &sentry::FACTS },
    Source { name: "servicenow", read: servicenow::read, facts: &servicenow::FACTS },
    Source { name: "snyk", read: snyk::read, facts: &snyk::FACTS },
    Source { name: "tekton", read: tekton::read, facts: &tekton::FACTS },
    Source { name: "terraform", read: terraform::read, facts: &terraform::FACTS },
    Source { name: "trivy", read: trivy::read, facts: &trivy::FACTS },
    Source { name: "unleash", read: unleash::read, facts: &unleash::FACTS },
];

/// The source of a name.
pub fn source(name: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.name == name)
}

/// Reads one record: what its source makes of it, checked.
///
/// Any bytes are answered with one of the three outcomes; nothing panics.
pub fn read(record: &RawRecord, settings: &SourceSettings) -> Outcome {
    match attempt(record, settings) {
        Ok(events) => Outcome::Emit(events),
        Err(Refusal::Drop(reason)) => Outcome::Drop(reason),
        Err(Refusal::Reject(rejection)) => Outcome::Reject(rejection.shortened()),
    }
}

/// What reads a record.
enum Found<'a> {
    BuiltIn(&'static Source),
    Mapped(&'a Mapped),
}

fn attempt(record: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let name = record.source.as_str();
    let found = source(name).map(Found::BuiltIn);
    let found = found.or_else(|| settings.mappings.get(name).map(Found::Mapped)).ok_or_else(|| {
        let known = settings.mappings.all_names().collect::<Vec<_>>().join(", ");
        Refusal::reject("unknown_source", format!("no source is called {name:?}; there are {known}"))
    })?;
    if record.body.len() > MAX_BODY_BYTES {
        let bytes = record.body.len();
        return Err(Refusal::reject(
            "too_large",
            format!("the body has {bytes} bytes; at most {MAX_BODY_BYTES} are read: send it in parts"),
        ));
    }
    if let Err(error) = std::str::from_utf8(&record.body) {
        let at = error.valid_up_to();
        return Err(Refusal::reject(
            "malformed",
            format!("the body is not UTF-8 from byte {at} on: was it cut, compressed or recoded on the way?"),
        ));
    }
    if record.body.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::reject("malformed", "the body is empty: a JSON text is expected"));
    }
    // Some are repeated by every event of a record.
    for (header, value) in &record.headers {
        if NAMING_HEADERS.contains(&header.as_str()) {
            bounded(header.as_str(), value, MAX_NAME_BYTES)?;
        }
    }
    let events = match found {
        Found::BuiltIn(source) => (source.read)(record, settings)?,
        Found::Mapped(mapped) => mapped.read(record, settings)?,
    };
    for event in &events {
        check(event, name, settings)?;
    }
    if events.is_empty() {
        return Err(Refusal::drop(SHARED_DROP));
    }
    let tags: Vec<DeliveryEvent> = events.iter().filter_map(tagged).collect();
    Ok(events.into_iter().chain(tags).collect())
}

/// What a forge's tag says beside being a deployment: which commit a version was made of. A deployment of another tool that
/// states nothing but its version finds it by the repository's name and the tag's.
fn tagged(event: &DeliveryEvent) -> Option<DeliveryEvent> {
    let EventBody::Deployment(deployment) = &event.body else { return None };
    if !event.source.as_str().ends_with("_tag") {
        return None;
    }
    let (repo, version, sha) = (event.repo.as_ref()?, deployment.version.as_ref()?, deployment.sha.as_ref()?);
    let artifact = Artifact {
        digest: None,
        image: Some(Text::new(format!("{repo}:{version}"))),
        sha: sha.clone(),
        built_at: None,
    };
    let id = Text::new(format!("{}:artifact", event.id));
    Some(DeliveryEvent { id, body: EventBody::Artifact(artifact), ..event.clone() })
}

/// Longest name of a repository or a service, in bytes.
pub const MAX_NAME_BYTES: usize = 1_024;
/// Headers that name what a record is about.
const NAMING_HEADERS: [&str; 5] = ["cluster", "environment", "repo", "service", "sha"];
/// Longest id of an event, in bytes.
pub const MAX_ID_BYTES: usize = 4_096;

/// Refuses a name that is longer than any real one: keys of all tables are made of it.
pub(crate) fn bounded(field: &str, name: &str, most: usize) -> Result<(), Refusal> {
    if name.len() <= most {
        return Ok(());
    }
    let detail = format!(
        "`{field}` has {} bytes; at most {most} are read: is there a text where a name belongs?",
        name.len()
    );
    Err(Refusal::reject("too_large", detail))
}

/// The checks that hold for every event, whatever its source.
fn check(event: &DeliveryEvent, source: &str, settings: &SourceSettings) -> Result<(), Refusal> {
    bounded("id", event.id.as_str(), MAX_ID_BYTES)?;
    bounded("repo", event.repo.as_ref().map_or("", |repo| repo.as_str()), MAX_NAME_BYTES)?;
    bounded("service", event.service.as_ref().map_or("", |service| service.as_str()), MAX_NAME_BYTES)?;
    let ahead = event.occurred_at.since(event.observed_at);
    if ahead > settings.max_future {
        return Err(Refusal::reject(
            "skew",
            format!(
                "source `{source}`: event `{}` of `{}` occurred at {} but was observed at {}, {} s earlier; \
                 at most {} s are accepted: set the clock of the machine that sends it, or raise `max_future`",
                event.id,
                event.source,
                event.occurred_at,
                event.observed_at,
                ahead.seconds(),
                settings.max_future.seconds(),
            ),
        ));
    }
    model::json::validate(event).map_err(|error| Refusal::reject("invalid", error.to_string()))
}
