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
pub mod encoding;
mod environment;
mod flux;
mod forge;
mod git;
mod gitea;
mod github;
mod gitlab;
mod grafana;
mod harbor;
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
mod pagerduty;
mod person;
pub mod privacy;
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

pub use mapped::{Mapped, Mappings};

use model::event::DeliveryEvent;
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

impl SourceSettings {
    /// Whether records of that source can be read.
    pub fn knows(&self, name: &str) -> bool {
        source(name).is_some() || self.mappings.get(name).is_some()
    }

    /// The names of all sources: those that are built in, then those that the configuration adds.
    pub fn names(&self) -> Vec<&str> {
        SOURCES.iter().map(|source| source.name).chain(self.mappings.names()).collect()
    }
}

/// Reads one record of one vendor.
pub type Reader = fn(&RawRecord, &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal>;

/// A row of the table of sources.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The name by which records and the configuration call it.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// Its function, without the checks that [`read`] adds.
    pub read: Reader,
}

/// Every source, by name.
pub const SOURCES: &[Source] = &[
    Source {
        name: "alertmanager",
        description: "Prometheus Alertmanager's webhook, version 4: one incident per alert",
        read: alertmanager::read,
    },
    Source {
        name: "argo_rollouts",
        description: "Argo Rollouts, by our notification templates or from a watch: revisions as deployments",
        read: argo_rollouts::read,
    },
    Source {
        name: "argocd",
        description: "Argo CD's Applications, by our notification template or from a watch: syncs as deployments",
        read: argocd::read,
    },
    Source {
        name: "aws",
        description: "AWS through EventBridge or SNS: CodeDeploy, Lambda, ECR, CloudWatch alarms",
        read: aws::read,
    },
    Source {
        name: "azure",
        description: "Azure DevOps' service hooks: code, reviews, builds, releases' and stages' deployments",
        read: azure::read,
    },
    Source {
        name: "bitbucket",
        description: "Bitbucket Cloud's webhooks: code, reviews, Pipelines' runs, tags",
        read: bitbucket::read,
    },
    Source {
        name: "bitbucket_datacenter",
        description: "Bitbucket Data Center's webhooks: code, reviews, tags",
        read: bitbucket_datacenter::read,
    },
    Source {
        name: "buildkite",
        description: "Buildkite's webhooks: builds as runs, command steps that deploy as deployments",
        read: buildkite::read,
    },
    Source { name: "canonical", description: "Canonical events as JSON", read: canonical::read },
    Source {
        name: "cdevents",
        description: "CDEvents in CloudEvents (structured, binary, batch) or bare",
        read: cdevents::read,
    },
    Source {
        name: "circleci",
        description: "CircleCI's webhooks: workflows as runs, jobs that deploy as deployments",
        read: circleci::read,
    },
    Source {
        name: "datadog",
        description: "Datadog's monitor alerts, by our webhook template: incidents",
        read: datadog::read,
    },
    Source {
        name: "dockerhub",
        description: "Docker Hub's webhooks: pushed images as artifacts",
        read: dockerhub::read,
    },
    Source {
        name: "flux",
        description: "Flux' events: Kustomizations and HelmReleases as deployments",
        read: flux::read,
    },
    Source {
        name: "ghcr",
        description: "GitHub's webhooks of packages: images pushed to ghcr.io as artifacts (as in `github`)",
        read: github::read,
    },
    Source {
        name: "git",
        description: "A git history's records: commits, and tags as deployments",
        read: git::read,
    },
    Source {
        name: "gitea",
        description: "Gitea's and Forgejo's webhooks: code, reviews, runs, releases, tags",
        read: gitea::read,
    },
    Source {
        name: "github",
        description: "GitHub's webhooks: code, reviews, deployments, releases, workflow runs",
        read: github::read,
    },
    Source {
        name: "gitlab",
        description: "GitLab's webhooks: code, reviews, deployments, releases, pipelines, incidents",
        read: gitlab::read,
    },
    Source {
        name: "grafana",
        description: "Grafana's alerting, OnCall, IRM and Incident webhooks: incidents",
        read: grafana::read,
    },
    Source {
        name: "harbor",
        description: "Harbor's webhooks: pushed images as artifacts",
        read: harbor::read,
    },
    Source { name: "incidentio", description: "incident.io's webhooks: incidents", read: incidentio::read },
    Source {
        name: "jenkins",
        description: "Jenkins' Notification plugin: builds as runs and deployments",
        read: jenkins::read,
    },
    Source {
        name: "jira",
        description: "Jira and Jira Service Management: issues and alerts as incidents",
        read: jira::read,
    },
    Source {
        name: "kubernetes",
        description: "Kubernetes objects from a watch (Deployments, sets) and exported events: rollouts",
        read: kubernetes::read,
    },
    Source {
        name: "launchdarkly",
        description: "LaunchDarkly's webhooks: flag changes",
        read: launchdarkly::read,
    },
    Source {
        name: "opsgenie",
        description: "Opsgenie's webhooks: alerts as incidents",
        read: opsgenie::read,
    },
    Source {
        name: "pagerduty",
        description: "PagerDuty's webhooks, version 3: incidents",
        read: pagerduty::read,
    },
    Source { name: "sarif", description: "SARIF 2.1.0: findings of static analysis", read: sarif::read },
    Source { name: "sentry", description: "Sentry's metric alerts: incidents", read: sentry::read },
    Source {
        name: "servicenow",
        description: "ServiceNow's incidents, by our business rule",
        read: servicenow::read,
    },
    Source { name: "snyk", description: "Snyk's webhooks: findings", read: snyk::read },
    Source {
        name: "tekton",
        description: "Tekton's CloudEvents: pipelines' runs, deployments, images",
        read: tekton::read,
    },
    Source {
        name: "terraform",
        description: "HCP Terraform's notifications: runs that apply, as deployments",
        read: terraform::read,
    },
    Source {
        name: "trivy",
        description: "Trivy's reports: findings, and the commits of images",
        read: trivy::read,
    },
    Source {
        name: "unleash",
        description: "Unleash's webhook, by its own body or our template: flag changes",
        read: unleash::read,
    },
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
        let known = settings.names().join(", ");
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
    let events = match found {
        Found::BuiltIn(source) => (source.read)(record, settings)?,
        Found::Mapped(mapped) => mapped.read(record, settings)?,
    };
    for event in &events {
        check(event, name, settings)?;
    }
    if events.is_empty() {
        return Err(Refusal::drop("nothing_told"));
    }
    Ok(events)
}

/// The checks that hold for every event, whatever its source.
fn check(event: &DeliveryEvent, source: &str, settings: &SourceSettings) -> Result<(), Refusal> {
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
