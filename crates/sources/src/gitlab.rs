//! GitLab's webhooks of projects and groups, and its system hooks.
//!
//! Source: GitLab's documentation, "Webhook events" and "System hooks", and the builders of the payloads in
//! GitLab itself (`lib/gitlab/data_builder`, `lib/gitlab/hook_data`). The body names its event (`object_kind`;
//! in some hooks only `event_name`), so no header is needed. Times come as RFC 3339, as
//! `2016-08-12 15:23:28 UTC` and as `2021-04-28 21:50:00 +0200`.
//!
//! A push, a tag and an approval carry no time of their own: they happened when they were received. Ids are
//! made of the payload alone, so that a redelivery is a record of the same event.
//!
//! What counts as a deployment: the deployment events, and the job that is one (a job with an environment that
//! starts it), which is a record of the same deployment with its commit in full. Deployments told by a release
//! or a tag have sources of their own (`gitlab_release`, `gitlab_tag`): the catalog says which counts.
//!
//! Incidents are issues of the type `Incident`. No live payload of one was seen: it is written from the
//! documentation.

mod code;
mod delivery;
mod issue;

use crate::facts::Facts;
use crate::forge::{self, Delivery, word};
use crate::node::{Node, header, parse};
use crate::{Refusal, SourceSettings, repository};
use model::RepoName;
use model::event::{DeliveryEvent, EventBody, RepositoryAction, RepositoryEvent};
use model::raw::RawRecord;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "GitLab's webhooks: code, reviews, deployments, releases, pipelines, incidents",
    emits: "commit push pull_request review repository pipeline_run artifact deployment incident",
    drops: "*_not_used comment_* deployment_skipped deployment_without_id environment_* job_not_started \
        job_without_environment merge_request_without_commit project_rename_without_host \
        project_transfer_without_host ref_deleted release_* upcoming_release",
    times: "RFC 3339, `2016-08-12 15:23:28 UTC` and `2021-04-28 21:50:00 +0200`. Pushes, tags and \
        approvals have none: they happened when they were received.",
    set_up: &[
        "Project, group or system settings, Webhooks: the hook's URL, a signing or secret token, and the \
          triggers Push, Tag push, Comments, Issues, Merge request, Job, Pipeline, Deployment, Release.",
    ],
    seen: Some(
        "26 recorded payloads: pushes, tags, branches, merge requests, comments, issues, pipelines. \
        No live payload of a deployment or an incident.",
    ),
    limits: &[
        "A push lists 20 commits at most; the rest is known by its ends.",
        "A deployment names its commit by its address only; a job has it in full.",
        "GitLab disables a hook that fails too often.",
        "Releases (`gitlab_release`) and tags (`gitlab_tag`) may count as deployments.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "gitlab";

/// Reads one delivery.
pub(crate) fn read(record: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&record.body)?;
    let body = Node::root(&value, settings);
    let kind = match body.maybe_text("object_kind")? {
        Some(kind) => kind,
        None => body.maybe_text("event_name")?.ok_or_else(|| {
            let detail = "neither `object_kind` nor `event_name` is there: this is no webhook of GitLab's";
            Refusal::reject("unknown_event", detail)
        })?,
    };
    if UNUSED.contains(&kind) {
        return Err(Refusal::drop(format!("{kind}_not_used")));
    }
    if let "project_rename" | "project_transfer" = kind {
        return moved(record, &body, kind);
    }
    match kind {
        "issue" | "work_item" => issue::used(&body)?,
        "note" => code::used_note(&body)?,
        // How far a release may lie ahead is the setting that the check of skew uses.
        "release" => delivery::upcoming(&body, record.received_at, settings.max_future)?,
        _ => {}
    }
    let read: fn(&Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> = match kind {
        "push" => code::push,
        "tag_push" => code::tag_push,
        "merge_request" => code::merge_request,
        "note" => code::note,
        "pipeline" => delivery::pipeline,
        "build" => delivery::job,
        "deployment" => delivery::deployment,
        "release" => delivery::release,
        "issue" | "work_item" => issue::issue,
        other => {
            let detail = format!("the body names the event {other:?}, which is none that is documented");
            return Err(Refusal::reject("unknown_event", detail));
        }
    };
    let repo = repository(&body)?;
    let delivery = Delivery::new(body, repo, record.received_at)?;
    read(&delivery)
}

/// The other events that GitLab documents: dropped, each under its own name.
const UNUSED: &[&str] = &[
    "access_token",
    "deploy_token",
    "emoji",
    "expiring_access_token",
    "expiring_deploy_token",
    "feature_flag",
    "gitlab_subscription_member_approval",
    "gitlab_subscription_member_approvals",
    "group_create",
    "group_destroy",
    "group_rename",
    "key_create",
    "key_destroy",
    "milestone",
    "project_archive",
    "project_create",
    "project_destroy",
    "project_unarchive",
    "project_update",
    "repository_update",
    "subgroup_create",
    "subgroup_destroy",
    "user_access_request_denied_for_group",
    "user_access_request_denied_for_project",
    "user_access_request_revoked_for_group",
    "user_access_request_revoked_for_project",
    "user_access_request_to_group",
    "user_access_request_to_project",
    "user_add_to_group",
    "user_add_to_team",
    "user_create",
    "user_destroy",
    "user_failed_login",
    "user_remove_from_group",
    "user_remove_from_team",
    "user_rename",
    "user_update_for_group",
    "user_update_for_team",
    "vulnerability",
    "wiki_page",
];

/// The repository as host/group/name: by the project, which jobs of older versions do not carry; then by the
/// address of the repository's pages.
fn repository(body: &Node<'_>) -> Result<RepoName, Refusal> {
    for url in ["project.web_url", "project.homepage", "repository.homepage"] {
        let Some(url) = body.maybe_text(url)? else { continue };
        if let (Some(host), Some(path)) = (forge::host(url), body.maybe_text("project.path_with_namespace")?)
        {
            return Ok(RepoName::new(format!("{}/{path}", host.to_ascii_lowercase())));
        }
        if let Some(repo) = repository::of_url(url) {
            return Ok(repo);
        }
    }
    let detail = "field `project.web_url` is missing: the address of the project's pages is expected";
    Err(Refusal::reject("missing_field", detail))
}

/// A system hook: a project has a new name or a new group. The body does not say on which host; the header does.
fn moved(record: &RawRecord, body: &Node<'_>, kind: &str) -> Result<Vec<DeliveryEvent>, Refusal> {
    let Some(host) = header(record, "x-gitlab-instance").and_then(forge::host) else {
        return Err(Refusal::drop(format!("{kind}_without_host")));
    };
    let host = host.to_ascii_lowercase();
    let repo = RepoName::new(format!("{host}/{}", body.text("path_with_namespace")?));
    let from = RepoName::new(format!("{host}/{}", body.text("old_path_with_namespace")?));
    let at = body.maybe_ruby_time("updated_at")?.unwrap_or(record.received_at);
    let action =
        if kind == "project_rename" { RepositoryAction::Renamed } else { RepositoryAction::Transferred };
    let event = RepositoryEvent { action, from: Some(from) };
    let delivery = Delivery::new(body.clone(), repo, record.received_at)?;
    Ok(vec![delivery.event(SOURCE, &format!("{kind}:{at}"), at, EventBody::Repository(event))])
}

/// A drop that names what was done with a thing of this kind.
fn unused(what: &str, action: &str) -> Refusal {
    Refusal::drop(format!("{what}_{}", word(action)))
}
