//! Azure DevOps' service hooks (Services and Server).
//!
//! Source: Microsoft's documentation, "Service hooks events", and of what its examples leave empty the REST API's
//! reference ("Builds", "Runs", "Releases", "Deployments"). The body names its event (`eventType`) and its time
//! (`createdDate`).
//!
//! What counts as a deployment: a classic release's deployment to a stage (`ms.vss-release.deployment-…`), and
//! of a YAML pipeline a stage whose name has the word `deploy`, `deployment`, `release` or `rollout`, or which is
//! called after production or staging. Stages have a source of their own (`azure_stage`), so have tags
//! (`azure_tag`): the catalog says which counts. Runs, stages and releases belong to the service that claims
//! `azure:<pipeline>` (of a release that does not tell its pipeline: `azure:<project>`), else to the repository's,
//! where it is told.
//!
//! No live payload was seen of a deployment with its attempt and its artifacts, nor of a run or a stage with its
//! repository: the documentation's examples leave them out. Without an attempt, redeployments of one release
//! cannot be told apart by its id; then only completed ones are read, each by its own time.

mod code;
mod delivery;

use crate::facts::Facts;
use crate::forge::host;
use crate::node::{Node, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, person, record, repository};
use model::event::{AuthorKind, DeliveryEvent};
use model::raw::RawRecord;
use model::{EventBody, RepoName, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Azure DevOps' service hooks: code, reviews, builds, releases' and stages' deployments",
    emits: "commit push pull_request review pipeline_run artifact deployment",
    drops: "agent_pool_not_used alert_not_used approval_not_used check_not_used comment_by_author \
        comment_by_bot comment_by_system comment_deleted comment_edited \
        deployment_started_without_attempt job_not_used manual_intervention_not_used message_not_used \
        pull_request_without_commit ref_deleted release_abandoned release_created repository_created \
        repository_deleted repository_forked repository_renamed_not_used repository_status_not_used \
        run_without_commit service_connection_not_used stage_deploys_nothing stage_not_started \
        stage_skipped tfvc_not_used workitem_not_used",
    times: "`createdDate` and the resource's own times: RFC 3339 in UTC; the zero time is unknown.",
    set_up: &[
        "Project settings, Service hooks, Web Hooks: one subscription for each event of code, build, \
          pipelines and release, with the hook's URL and basic authentication.",
        "Resource details to send: All.",
    ],
    seen: Some(
        "7 recorded payloads of pushes, pull requests and comments. No live payload of a \
        deployment, a run, a stage or a release.",
    ),
    limits: &[
        "A stage deploys where its name says so.",
        "Without an attempt, redeployments of one release are known by their end only.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "azure";

/// One notification, opened.
struct Hook<'a> {
    resource: Node<'a>,
    /// When it happened.
    at: Timestamp,
    received_at: Timestamp,
}

impl Hook<'_> {
    fn event(&self, source: &str, id: String, occurred_at: Timestamp, body: EventBody) -> DeliveryEvent {
        record::event(source, id, occurred_at, self.received_at, body)
    }
}

/// Reads one notification.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let kind = body.maybe_text("eventType")?.ok_or_else(|| {
        let detail = "field `eventType` is missing: this is no service hook of Azure DevOps";
        Refusal::reject("unknown_event", detail)
    })?;
    // The documentation spells the second form, the service the first.
    let name = kind.strip_prefix("ms.vss-").or_else(|| kind.strip_prefix("ms.azure-devops-")).unwrap_or(kind);
    if let Some((_, reason)) = UNUSED.iter().find(|(known, _)| *known == name) {
        return Err(Refusal::drop(reason));
    }
    if name.starts_with("workitem.") {
        return Err(Refusal::drop("workitem_not_used"));
    }
    let hook = Hook {
        resource: body.object("resource")?,
        at: body.maybe_time("createdDate")?.unwrap_or(raw.received_at),
        received_at: raw.received_at,
    };
    match name {
        "git.push" => code::push(&hook),
        "git.pullrequest.created" | "git.pullrequest.updated" | "git.pullrequest.merged" => {
            code::pull_request(&hook, &hook.resource, name)
        }
        "code.git-pullrequest-comment-event" => code::comment(&hook),
        "build.complete" => delivery::build(&hook),
        "pipelines.run-state-changed-event" => delivery::run(&hook),
        "pipelines.stage-state-changed-event" => delivery::stage(&hook),
        "release.deployment-started-event" => delivery::release(&hook, false),
        "release.deployment-completed-event" => delivery::release(&hook, true),
        _ => {
            let detail = format!("field `eventType` names {kind:?}, which is no documented event");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// The other events that are documented, without their prefix, each with its counted word.
const UNUSED: &[(&str, &str)] = &[
    ("advancedsecurity.alert-created-event", "alert_not_used"),
    ("advancedsecurity.alert-state-changed-event", "alert_not_used"),
    ("advancedsecurity.alert-updated-event", "alert_not_used"),
    ("distributed-task.elastic-agent-pool-resized-event", "agent_pool_not_used"),
    ("distributed-task.manual-intervention-pending", "manual_intervention_not_used"),
    ("git.repo.created", "repository_created"),
    ("git.repo.deleted", "repository_deleted"),
    ("git.repo.forked", "repository_forked"),
    ("git.repo.renamed", "repository_renamed_not_used"),
    ("git.repo.statuschanged", "repository_status_not_used"),
    ("message.posted", "message_not_used"),
    ("pipelinechecks-events.approval-completed", "approval_not_used"),
    ("pipelinechecks-events.approval-pending", "approval_not_used"),
    ("pipelinechecks-events.check-updated", "check_not_used"),
    ("pipelines.job-state-changed-event", "job_not_used"),
    ("release.deployment-approval-completed-event", "approval_not_used"),
    ("release.deployment-approval-pending-event", "approval_not_used"),
    ("release.release-abandoned-event", "release_abandoned"),
    ("release.release-created-event", "release_created"),
    ("serviceconnection.created", "service_connection_not_used"),
    ("serviceconnection.updated", "service_connection_not_used"),
    ("tfvc.checkin", "tfvc_not_used"),
];

/// The repository of a `repository` object: by the address of its pages or clones, else by that of the API, its
/// project and its name.
fn repository(node: &Node<'_>) -> Result<RepoName, Refusal> {
    let repo = address(node)?;
    // Each commit of a push repeats it.
    bounded("repo", repo.as_str(), MAX_NAME_BYTES)?;
    Ok(repo)
}

fn address(node: &Node<'_>) -> Result<RepoName, Refusal> {
    for field in ["webUrl", "remoteUrl"] {
        if let Some(repo) = node.maybe_text(field)?.and_then(repository::of_url) {
            return Ok(repo);
        }
    }
    let api = node.text("url")?;
    let project = node.text("project.name")?;
    let name = node.text("name")?;
    let organisation = api.split_once("://").and_then(|(_, rest)| rest.split('/').nth(1));
    let page = match (host(api), organisation) {
        (Some("dev.azure.com"), Some(organisation)) => {
            format!("https://dev.azure.com/{organisation}/{project}/_git/{name}")
        }
        (Some(host), _) => format!("https://{host}/{project}/_git/{name}"),
        (None, _) => String::new(),
    };
    repository::of_url(&page.replace(' ', "%20")).ok_or_else(|| {
        let detail = format!("field `repository.url` is no address: {api:?}");
        Refusal::reject("invalid", detail)
    })
}

/// The kind of an identity, by its name: build services are programs.
fn identity(node: &Node<'_>, path: &str) -> Result<Option<AuthorKind>, Refusal> {
    let Some(identity) = node.maybe_object(path)? else { return Ok(None) };
    Ok(identity.first_text(&["displayName", "name"])?.map(kind_of))
}

/// `Project Collection Build Service (acme)` and `Shop Build Service (acme)` run pipelines.
pub(crate) fn kind_of(name: &str) -> AuthorKind {
    if name.contains("Build Service (") || name.starts_with("Microsoft.VisualStudio.Services") {
        AuthorKind::Bot
    } else {
        person::by_name(name)
    }
}
