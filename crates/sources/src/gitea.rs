//! Gitea's and Forgejo's webhooks (and Gogs', where they are alike).
//!
//! Source: Gitea's documentation, "Webhooks", and its code (`modules/structs/hook.go`, `modules/webhook/type.go`).
//! The event's name comes in the header `X-Gitea-Event` (`X-Forgejo-Event`, `X-Gogs-Event`); without it the
//! body's shape tells. A push lists 5 commits at most, without parents. Pushes, tags and reviews carry no time of
//! their own: they happened when they were received. Go's zero time is a time that is not known.
//!
//! There are no deployment events. Deployments told by a release or a tag have sources of their own
//! (`gitea_release`, `gitea_tag`): the catalog says which counts. No live payload was seen of Gitea's
//! `workflow_run` nor of Forgejo's `action_run_…`.

mod code;
mod delivery;

use crate::facts::Facts;
use crate::forge::{self, Delivery};
use crate::node::{Node, header, parse};
use crate::{Refusal, SourceSettings, person};
use model::event::{AuthorKind, DeliveryEvent};
use model::raw::RawRecord;
use model::{RepoName, Timestamp};
use serde_json::Value;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Gitea's and Forgejo's webhooks: code, reviews, runs, releases, tags",
    emits: "commit push pull_request review pipeline_run artifact deployment",
    drops: "*_not_used branch_created comment_* draft_release prerelease pull_request_without_commit \
        ref_deleted release_* run_not_started",
    times: "RFC 3339 with offset; Go's zero time is unknown. Pushes, tags and reviews have none: they \
        happened when they were received.",
    set_up: &[
        "Repository or organisation settings, Webhooks, Gitea (Forgejo): the hook's URL, a secret, POST as \
          `application/json`, all events.",
    ],
    seen: Some(
        "19 recorded payloads: pushes, branches, tags, pull requests, comments, issues. No live \
        payload of `workflow_run` nor of `action_run_…`.",
    ),
    limits: &[
        "A push lists 5 commits at most, without parents.",
        "There is no deployment event: releases (`gitea_release`) and tags (`gitea_tag`) may count.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "gitea";

/// Reads one delivery.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let named = ["x-gitea-event", "x-forgejo-event", "x-gogs-event"];
    let name = match named.iter().find_map(|name| header(raw, name)).or_else(|| shape(&value)) {
        Some(name) => name,
        None => {
            let detail = "the body has the shape of no event that is known: \
                          give the header `X-Gitea-Event` with the record";
            return Err(Refusal::reject("unknown_event", detail));
        }
    };
    if UNUSED.contains(&name) {
        return Err(Refusal::drop(format!("{name}_not_used")));
    }
    if name == "delete" {
        return Err(Refusal::drop("ref_deleted"));
    }
    let read: fn(&Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> = match name {
        "push" => code::push,
        "pull_request" => code::pull_request,
        "pull_request_approved" | "pull_request_rejected" | "pull_request_comment" => code::review,
        "issue_comment" => code::comment,
        "create" => delivery::create,
        "release" => delivery::release,
        "workflow_run" => delivery::workflow_run,
        "action_run_success" | "action_run_failure" | "action_run_recover" => delivery::action_run,
        other => {
            let detail = format!("header `X-Gitea-Event` names {other:?}, which is no documented event");
            return Err(Refusal::reject("unknown_event", detail));
        }
    };
    let body = Node::root(&value, settings);
    let repository = match body.maybe_object("repository")? {
        Some(repository) => repository,
        None => body.object("run.repository")?,
    };
    let repo = repository_name(&repository)?;
    read(&Delivery::new(body, repo, raw.received_at)?)
}

/// The other events that are documented: dropped, each under its own name.
const UNUSED: &[&str] = &[
    "fork",
    "issue_assign",
    "issue_label",
    "issue_milestone",
    "issues",
    "package",
    "pull_request_review_request",
    "repository",
    "schedule",
    "status",
    "wiki",
    "workflow_job",
];

/// The event's name by the keys of its body. The order matters: a review carries its pull request.
fn shape(body: &Value) -> Option<&'static str> {
    let has = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
    let rules: &[(&[&str], &'static str)] = &[
        (&["workflow_job"], "workflow_job"),
        (&["workflow_run"], "workflow_run"),
        (&["run", "action"], "action_run_success"),
        (&["release"], "release"),
        (&["review", "pull_request"], "pull_request_comment"),
        (&["pull_request"], "pull_request"),
        (&["comment", "issue"], "issue_comment"),
        (&["issue"], "issues"),
        (&["ref_type", "pusher_type"], "delete"),
        (&["ref_type"], "create"),
        (&["ref", "before", "after"], "push"),
        (&["forkee"], "fork"),
        (&["page", "action"], "wiki"),
        (&["package"], "package"),
        (&["sha", "state", "context"], "status"),
        (&["repository", "action"], "repository"),
    ];
    rules.iter().find(|(keys, _)| keys.iter().all(|key| has(key))).map(|(_, name)| *name)
}

/// The repository as host/owner/name.
fn repository_name(node: &Node<'_>) -> Result<RepoName, Refusal> {
    let full_name = node.text("full_name")?;
    match node.first_text(&["html_url", "clone_url"])?.and_then(forge::host) {
        Some(host) => Ok(RepoName::new(format!("{}/{full_name}", host.to_ascii_lowercase()))),
        None => Err(Refusal::reject(
            "missing_field",
            "field `repository.html_url` is missing: the address of the repository's pages is expected",
        )),
    }
}

/// A time, unless it is Go's zero.
fn maybe_time(node: &Node<'_>, path: &str) -> Result<Option<Timestamp>, Refusal> {
    match node.maybe_text(path) {
        Ok(Some(text)) if text.starts_with("0001-01-01T00:00:00") => Ok(None),
        _ => node.maybe_time(path),
    }
}

/// The kind of an account at a path. Workflows act under an account of their own.
fn account(node: &Node<'_>, path: &str) -> Result<Option<AuthorKind>, Refusal> {
    let Some(account) = node.maybe_object(path)? else { return Ok(None) };
    Ok(account.first_text(&["login", "username", "name"])?.map(kind_of))
}

pub(crate) fn kind_of(name: &str) -> AuthorKind {
    match name {
        "gitea-actions" | "forgejo-actions" => AuthorKind::Bot,
        _ => person::by_name(name),
    }
}
