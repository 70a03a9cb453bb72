//! GitHub's webhooks (github.com and Enterprise Server).
//!
//! Source: GitHub's documentation, "Webhook events and payloads". The event's name comes in the header
//! `X-GitHub-Event`; without it the body's shape tells. Ids are made of the payload's own ids and times, so
//! that a redelivery has the id and the content of the first. Deployments told by a release or by a tag have
//! sources of their own (`github_release`, `github_tag`): the catalog says which of the three counts. So have the
//! artifacts that a package of the container registry tells (`ghcr`).

mod alert;
mod code;
mod delivery;
mod package;

use crate::forge::{Delivery, word};
use crate::node::{Node, header, parse};
use crate::{Refusal, SourceSettings};
use model::event::{DeliveryEvent, RepositoryAction, RepositoryEvent};
use model::raw::RawRecord;
use model::{EventBody, RepoName};
use serde_json::Value;
use std::borrow::Cow;

/// The source's name on its events.
const SOURCE: &str = "github";

/// Reads one delivery.
pub(crate) fn read(record: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let named = header(record, "x-github-event");
    if let Some(name) = named {
        known(name)?;
    }
    let text = unwrap_form(&record.body);
    let value = parse(&text)?;
    let name = match named {
        Some(name) => name,
        None => {
            let name = shape(&value).ok_or_else(|| {
                let detail = "the body has the shape of no event that is known: \
                              give the header `X-GitHub-Event` with the record";
                Refusal::reject("unknown_event", detail)
            })?;
            known(name)?;
            name
        }
    };
    let body = Node::root(&value, settings);
    if matches!(name, "package" | "registry_package") {
        // A package need not belong to a repository.
        return package::read(&body, name, record.received_at);
    }
    let repo = repository(&body)?;
    let delivery = Delivery { body, repo, received_at: record.received_at };
    match name {
        "push" => code::push(&delivery),
        "pull_request" => code::pull_request(&delivery),
        "pull_request_review" => code::review(&delivery),
        "deployment" => delivery::deployment(&delivery),
        "deployment_status" => delivery::deployment_status(&delivery),
        "workflow_run" => delivery::workflow_run(&delivery),
        "release" => delivery::release(&delivery),
        "create" => delivery::create(&delivery),
        "code_scanning_alert" => alert::code_scanning(&delivery),
        "dependabot_alert" => alert::dependabot(&delivery),
        _ => renamed(&delivery),
    }
}

/// The events that are read.
const USED: &[&str] = &[
    "code_scanning_alert",
    "create",
    "dependabot_alert",
    "deployment",
    "deployment_status",
    "package",
    "pull_request",
    "pull_request_review",
    "push",
    "registry_package",
    "release",
    "repository",
    "workflow_run",
];

/// The other events that GitHub documents: dropped, each under its own name.
const UNUSED: &[&str] = &[
    "branch_protection_configuration",
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "commit_comment",
    "content_reference",
    "custom_property",
    "custom_property_values",
    "delete",
    "deploy_key",
    "deployment_protection_rule",
    "deployment_review",
    "discussion",
    "discussion_comment",
    "fork",
    "github_app_authorization",
    "gollum",
    "installation",
    "installation_repositories",
    "installation_target",
    "issue_comment",
    "issue_dependencies",
    "issues",
    "label",
    "marketplace_purchase",
    "member",
    "membership",
    "merge_group",
    "meta",
    "milestone",
    "org_block",
    "organization",
    "page_build",
    "personal_access_token_request",
    "ping",
    "project",
    "project_card",
    "project_column",
    "projects_v2",
    "projects_v2_item",
    "projects_v2_status_update",
    "public",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "repository_advisory",
    "repository_dispatch",
    "repository_import",
    "repository_ruleset",
    "repository_vulnerability_alert",
    "secret_scanning_alert",
    "secret_scanning_alert_location",
    "secret_scanning_scan",
    "security_advisory",
    "security_and_analysis",
    "sponsorship",
    "star",
    "status",
    "sub_issues",
    "team",
    "team_add",
    "watch",
    "workflow_dispatch",
    "workflow_job",
];

fn known(name: &str) -> Result<(), Refusal> {
    if USED.contains(&name) {
        Ok(())
    } else if UNUSED.contains(&name) {
        Err(Refusal::drop(format!("{name}_not_used")))
    } else {
        let detail = format!("header `X-GitHub-Event` names {name:?}, which is no documented event");
        Err(Refusal::reject("unknown_event", detail))
    }
}

/// The event's name by the keys of its body. The order matters: a status carries its deployment, a job its
/// deployment and its run, a review its pull request.
fn shape(body: &Value) -> Option<&'static str> {
    let has = |key: &str| body.get(key).is_some();
    let rules: &[(&[&str], &'static str)] = &[
        (&["zen", "hook"], "ping"),
        (&["workflow_job"], "workflow_job"),
        (&["deployment_status"], "deployment_status"),
        (&["deployment"], "deployment"),
        (&["workflow_run"], "workflow_run"),
        (&["check_run"], "check_run"),
        (&["check_suite"], "check_suite"),
        (&["review", "pull_request"], "pull_request_review"),
        (&["comment", "pull_request"], "pull_request_review_comment"),
        (&["thread", "pull_request"], "pull_request_review_thread"),
        (&["pull_request"], "pull_request"),
        (&["release"], "release"),
        (&["comment", "issue"], "issue_comment"),
        (&["issue"], "issues"),
        (&["ref_type", "master_branch"], "create"),
        (&["ref_type"], "delete"),
        (&["ref", "before", "after"], "push"),
        (&["sha", "state", "context"], "status"),
        (&["registry_package"], "registry_package"),
        (&["package"], "package"),
        (&["alert", "commit_oid"], "code_scanning_alert"),
    ];
    if body.get("alert").is_some_and(|alert| alert.get("security_advisory").is_some()) {
        return Some("dependabot_alert");
    }
    let found = rules.iter().find(|(keys, _)| keys.iter().all(|key| has(key))).map(|(_, name)| *name);
    found.or_else(|| {
        let action = body.get("action").and_then(Value::as_str)?;
        let about_repository = [
            "archived",
            "created",
            "deleted",
            "edited",
            "privatized",
            "publicized",
            "renamed",
            "transferred",
            "unarchived",
        ];
        let only = body.as_object()?.keys().all(|key| {
            ["action", "changes", "repository", "sender", "organization", "installation", "enterprise"]
                .contains(&key.as_str())
        });
        (has("repository") && only && about_repository.contains(&action)).then_some("repository")
    })
}

/// A webhook may be set to send forms: then the JSON is the field `payload`.
pub(crate) fn unwrap_form(body: &[u8]) -> Cow<'_, [u8]> {
    match body.strip_prefix(b"payload=") {
        Some(form) => {
            let field = form.split(|byte| *byte == b'&').next().unwrap_or_default();
            let spaced: Vec<u8> = field.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            Cow::Owned(crate::encoding::percent_decode(&spaced))
        }
        None => Cow::Borrowed(body),
    }
}

/// The repository as host/owner/name.
fn repository(body: &Node<'_>) -> Result<RepoName, Refusal> {
    let repository = body.object("repository")?;
    let full_name = repository.text("full_name")?;
    Ok(RepoName::new(format!("{}/{full_name}", host(&repository)?)))
}

/// The host of the pages; that of the API differs from it on github.com.
fn host<'a>(repository: &Node<'a>) -> Result<&'a str, Refusal> {
    let url = repository.maybe_text("html_url")?.unwrap_or_default();
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    Ok(if host.is_empty() { "github.com" } else { host })
}

/// A repository was renamed, moved to another owner, or archived.
fn renamed(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action_word = body.text("action")?;
    let repository = body.object("repository")?;
    let (owner, name) = repository.text("full_name")?.split_once('/').unwrap_or_default();
    let host = host(&repository)?;
    let (action, from) = match action_word {
        "renamed" => {
            let before = body.text("changes.repository.name.from")?;
            (RepositoryAction::Renamed, Some(format!("{host}/{owner}/{before}")))
        }
        "transferred" => {
            let before = match body.maybe_text("changes.owner.from.user.login")? {
                Some(login) => login,
                None => body.text("changes.owner.from.organization.login")?,
            };
            (RepositoryAction::Transferred, Some(format!("{host}/{before}/{name}")))
        }
        "archived" => (RepositoryAction::Archived, None),
        other => return Err(Refusal::drop(format!("repository_{}_not_used", word(other)))),
    };
    let at = repository.maybe_any_time("updated_at")?.unwrap_or(delivery.received_at);
    let event = RepositoryEvent { action, from: from.map(RepoName::new) };
    let about = format!("repository:{action_word}:{at}");
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::Repository(event))])
}
