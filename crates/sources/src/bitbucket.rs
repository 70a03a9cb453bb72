//! Bitbucket Cloud's webhooks (bitbucket.org).
//!
//! Source: Atlassian's documentation, "Event payloads" of Bitbucket Cloud. The event's key comes in the header
//! `X-Event-Key`; without it the body's shape tells. A push lists 5 commits at most, newest first, and tells
//! their parents; it carries no time, so it happened when it was received. Bodies over 256 KB are not sent at
//! all. Pull requests name their commits by 12 digits only: they are told so.
//!
//! Bitbucket tells no deployments by webhook. A tag is told as one under a source of its own
//! (`bitbucket_tag`). Commit statuses are read where Bitbucket Pipelines made them; those of other tools are
//! told by the tools. No live payload of `pullrequest:changes_request_created` was seen.

use crate::facts::Facts;
use crate::forge::{Delivery, word};
use crate::node::{Node, header, is_full_sha, parse};
use crate::{Refusal, SourceSettings, message, person, record};
use model::event::{
    AuthorKind, Commit, DeliveryEvent, DeploymentEvent, DeploymentState, PipelineRunEvent, PullRequestEvent,
    PullRequestState, Push, RepositoryAction, RepositoryEvent, Review, ReviewState, RunState,
};
use model::raw::RawRecord;
use model::{EventBody, RepoName, RunId, Sha, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Bitbucket Cloud's webhooks: code, reviews, Pipelines' runs, tags",
    emits: "commit push pull_request review repository pipeline_run artifact deployment",
    drops: "*_not_used comment_by_author comment_by_bot commit_status_of_another_tool \
        pull_request_without_commit ref_deleted",
    times: "RFC 3339 with offset. A push has no time: it happened when it was received.",
    set_up: &[
        "Repository settings, Webhooks: the hook's URL, a secret, and the triggers Push, Updated, Build \
          status and all of Pull request.",
    ],
    seen: Some(
        "13 recorded payloads: pushes, pull requests, comments, commit statuses. No live payload of \
        `pullrequest:changes_request_created`.",
    ),
    limits: &[
        "A push lists 5 commits at most; the rest is known by its ends.",
        "Bodies over 256 KB are never sent.",
        "There is no deployment event: a tag counts as one (`bitbucket_tag`), or the tool that deploys \
          tells.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "bitbucket";
/// The source of deployments that a tag tells.
const TAG: &str = "bitbucket_tag";

/// Reads one delivery.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if body.has("eventKey") {
        let detail = "this is a webhook of Bitbucket Data Center: the source `bitbucket_datacenter` reads it";
        return Err(Refusal::reject("unknown_event", detail));
    }
    let key = match header(raw, "x-event-key").or_else(|| shape(&body)) {
        Some(key) => key,
        None => {
            let detail = "the body has the shape of no event that is known: \
                          give the header `X-Event-Key` with the record";
            return Err(Refusal::reject("unknown_event", detail));
        }
    };
    if UNUSED.contains(&key) {
        return Err(Refusal::drop(format!("{}_not_used", key.replace(':', "_"))));
    }
    let repo = RepoName::new(format!("bitbucket.org/{}", body.text("repository.full_name")?));
    let delivery = Delivery::new(body, repo, raw.received_at)?;
    match key {
        "repo:push" => push(&delivery),
        "repo:updated" => updated(&delivery),
        "repo:commit_status_created" | "repo:commit_status_updated" => commit_status(&delivery),
        "pullrequest:created" | "pullrequest:updated" | "pullrequest:fulfilled" | "pullrequest:rejected" => {
            pull_request(&delivery, key)
        }
        "pullrequest:approved" => review(&delivery, "approval", ReviewState::Approved),
        "pullrequest:changes_request_created" => {
            review(&delivery, "changes_request", ReviewState::ChangesRequested)
        }
        "pullrequest:comment_created" => comment(&delivery),
        other => {
            let detail = format!("header `X-Event-Key` names {other:?}, which is no documented event");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// The other events that Bitbucket documents: dropped, each under its own name.
const UNUSED: &[&str] = &[
    "issue:comment_created",
    "issue:created",
    "issue:updated",
    "project:updated",
    "pullrequest:changes_request_removed",
    "pullrequest:comment_deleted",
    "pullrequest:comment_reopened",
    "pullrequest:comment_resolved",
    "pullrequest:comment_updated",
    "pullrequest:push",
    "pullrequest:unapproved",
    "repo:commit_comment_created",
    "repo:created",
    "repo:deleted",
    "repo:fork",
    "repo:imported",
    "repo:transfer",
];

/// The event's key by the keys of its body. The order matters: most events carry their pull request.
fn shape(body: &Node<'_>) -> Option<&'static str> {
    let deleted = || body.value().pointer("/comment/deleted") == Some(&serde_json::Value::Bool(true));
    let state = || body.value().pointer("/pullrequest/state").and_then(serde_json::Value::as_str);
    Some(match () {
        () if body.has("push") => "repo:push",
        () if body.has("commit_status") => "repo:commit_status_updated",
        () if body.has("approval") => "pullrequest:approved",
        () if body.has("changes_request") => "pullrequest:changes_request_created",
        () if body.has("comment") && body.has("pullrequest") && deleted() => "pullrequest:comment_deleted",
        () if body.has("comment") && body.has("pullrequest") => "pullrequest:comment_created",
        () if body.has("comment") && body.has("issue") => "issue:comment_created",
        () if body.has("comment") && body.has("commit") => "repo:commit_comment_created",
        () if body.has("issue") => "issue:updated",
        () if body.has("fork") => "repo:fork",
        () if body.has("pullrequest") => match state() {
            Some("MERGED") => "pullrequest:fulfilled",
            Some("DECLINED" | "SUPERSEDED") => "pullrequest:rejected",
            _ => "pullrequest:updated",
        },
        () if body.has("changes") && body.has("repository") => "repo:updated",
        () => return None,
    })
}

/// A push: its branches and tags one by one.
fn push(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let mut events: Vec<DeliveryEvent> = Vec::new();
    for change in &delivery.body.items("push.changes")? {
        let Some(new) = change.maybe_object("new")? else { continue };
        let found = match new.maybe_text("type")?.unwrap_or("branch") {
            "tag" | "annotated_tag" => vec![tag(delivery, &new)?],
            _ => branch(delivery, change, &new)?,
        };
        for event in found {
            // Two branches of one push may list the same commit.
            if !events.iter().any(|known| known.id == event.id) {
                events.push(event);
            }
        }
    }
    if events.is_empty() { Err(Refusal::drop("ref_deleted")) } else { Ok(events) }
}

fn branch(delivery: &Delivery<'_>, change: &Node<'_>, new: &Node<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let name = new.text("name")?;
    let after = new.sha("target.hash")?;
    let before = change.maybe_text("old.target.hash")?;
    let before = before.map(|text| change.sha_of("old.target.hash", text)).transpose()?;
    let truncated = change.flag("truncated")? == Some(true);
    let mut shas = Vec::new();
    let mut commits = Vec::new();
    // Listed newest first.
    for node in change.items("commits")?.iter().rev() {
        let sha = node.sha("hash")?;
        // The parents of the oldest commit that is listed are not: with them, nothing would lead to `before`.
        let conducts = truncated && before.is_some() && shas.is_empty();
        commits.extend(commit(delivery, node, conducts)?);
        shas.push(sha);
    }
    if !shas.contains(&after) {
        let head = new.object("target")?;
        let conducts = before.as_ref().is_some_and(|before| !is_child(&head, before));
        commits.extend(commit(delivery, &head, conducts)?);
    }
    let default = delivery.body.maybe_text("repository.mainbranch.name")?;
    let from = before.as_ref().map_or_else(|| "new".to_owned(), ToString::to_string);
    let about = format!("push:refs/heads/{name}:{from}:{after}");
    let push = Push {
        reference: Text::new(format!("refs/heads/{name}")),
        before,
        after,
        commits: shas,
        default_branch: default.map(|default| default == name),
        forced: change.flag("forced")?,
    };
    let mut events = vec![delivery.event(SOURCE, &about, delivery.received_at, EventBody::Push(push))];
    events.append(&mut commits);
    Ok(events)
}

/// Whether a commit stands right upon another.
fn is_child(node: &Node<'_>, parent: &Sha) -> bool {
    let parents = node.items("parents").unwrap_or_default();
    parents.iter().any(|item| item.sha("hash").is_ok_and(|sha| sha == *parent))
}

/// A commit. None where its date is left out, as in the documentation's example: the push names it all the same.
fn commit(
    delivery: &Delivery<'_>,
    node: &Node<'_>,
    conducts: bool,
) -> Result<Option<DeliveryEvent>, Refusal> {
    let sha = node.sha("hash")?;
    let Some(committed_at) = node.maybe_time("date")? else { return Ok(None) };
    let text = node.maybe_text("message")?.unwrap_or_default();
    let parents = match node.maybe_items("parents")? {
        Some(items) => Some(items.iter().map(|item| item.sha("hash")).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let merge = parents.as_ref().is_some_and(|parents| parents.len() > 1);
    let commit = Commit {
        sha: sha.clone(),
        parents: parents.filter(|_| !conducts),
        authored_at: None,
        committed_at,
        author_kind: author_kind(node)?,
        paths: None,
        reverts: message::reverts(text),
        is_merge: if conducts && merge { Some(true) } else { message::is_merge(text) },
    };
    let about = format!("commit:{sha}");
    Ok(Some(delivery.event(SOURCE, &about, delivery.received_at, EventBody::Commit(commit))))
}

/// A commit's author is an account, or what git calls `Name <address>`.
fn author_kind(node: &Node<'_>) -> Result<Option<AuthorKind>, Refusal> {
    let Some(author) = node.maybe_object("author")? else { return Ok(None) };
    if author.has("user") {
        return account(&author, "user");
    }
    let raw = author.maybe_text("raw")?;
    let name = raw.map(|raw| raw.split('<').next().unwrap_or_default());
    Ok(name.map(person::by_name))
}

/// The kind of an account: apps have a type of their own, access tokens tell by their names.
fn account(node: &Node<'_>, path: &str) -> Result<Option<AuthorKind>, Refusal> {
    let Some(account) = node.maybe_object(path)? else { return Ok(None) };
    if let Some("AppUser" | "app_user") = account.maybe_text("type")? {
        return Ok(Some(AuthorKind::Bot));
    }
    let name = account.first_text(&["nickname", "username", "display_name"])?;
    Ok(name.map(person::by_name))
}

/// A tag as a deployment. Its time is that of its first record, so none is stated.
fn tag(delivery: &Delivery<'_>, new: &Node<'_>) -> Result<DeliveryEvent, Refusal> {
    let name = new.text("name")?;
    let sha = new.sha("target.hash")?;
    let deployment = DeploymentEvent {
        version: Some(Text::new(name)),
        sha: Some(sha.clone()),
        author_kind: account(&delivery.body, "actor")?,
        ..record::deployment(
            &format!("bitbucket-tag:{}:{name}", delivery.repo),
            "production",
            DeploymentState::Succeeded,
        )
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(delivery.event(TAG, &format!("tag:{name}:{sha}"), delivery.received_at, body))
}

/// A repository has another name.
fn updated(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let Some(old) = body.maybe_text("changes.full_name.old")? else {
        return Err(Refusal::drop("repo_updated_not_used"));
    };
    let new = body.text("changes.full_name.new")?;
    let event = RepositoryEvent {
        action: RepositoryAction::Renamed,
        from: Some(RepoName::new(format!("bitbucket.org/{old}"))),
    };
    let about = format!("renamed:{old}:{new}");
    let mut event = delivery.event(SOURCE, &about, delivery.received_at, EventBody::Repository(event));
    event.repo = Some(RepoName::new(format!("bitbucket.org/{new}")));
    Ok(vec![event])
}

/// A run of Bitbucket Pipelines. A run whose failed steps run again keeps its number and counts no attempts: its
/// last state is what counts.
fn commit_status(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("commit_status")?;
    let Some(number) = node.maybe_text("url")?.and_then(pipeline_number) else {
        return Err(Refusal::drop("commit_status_of_another_tool"));
    };
    let word = node.text("state")?;
    let state = match word {
        "INPROGRESS" => RunState::Running,
        "SUCCESSFUL" => RunState::Passed,
        "FAILED" => RunState::Failed,
        "STOPPED" => RunState::Cancelled,
        other => return Err(node.unknown("state", other, "INPROGRESS, SUCCESSFUL, FAILED, STOPPED")),
    };
    let link = node.maybe_text("links.commit.href")?;
    let sha = match node.maybe_text("commit.hash")?.or_else(|| link?.rsplit('/').next()) {
        Some(text) => node.sha_of("commit.hash", text)?,
        None => node.sha("commit.hash")?,
    };
    let created_at = node.time("created_on")?;
    let at = node.maybe_time("updated_on")?.unwrap_or(created_at);
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("bitbucket:{number}")),
        attempt: 1,
        // A run's name holds its number: each would be a workflow of its own.
        workflow: Text::new("pipelines"),
        sha,
        reference: node.maybe_text("refname")?.map(Text::new),
        state,
        started_at: Some(created_at),
        finished_at: (state != RunState::Running).then_some(at),
    };
    let about = format!("pipeline:{number}:{state}:{at}");
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::PipelineRun(run))])
}

/// `…/addon/pipelines/home#!/results/4` and `…/pipelines/results/4` are run 4.
fn pipeline_number(url: &str) -> Option<u64> {
    let (_, rest) = url.split_once("/pipelines/")?;
    let (_, number) = rest.split_once("results/")?;
    number.split(['/', '?', '#']).next()?.parse().ok()
}

/// A pull request as it stands.
fn pull_request(delivery: &Delivery<'_>, key: &str) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("pullrequest")?;
    let number = node.number("id")?;
    let state = match (node.text("state")?, key) {
        ("MERGED", _) | (_, "pullrequest:fulfilled") => PullRequestState::Merged,
        ("DECLINED" | "SUPERSEDED", _) | (_, "pullrequest:rejected") => PullRequestState::Closed,
        ("OPEN", _) | (_, "pullrequest:created") => PullRequestState::Open,
        (other, _) => return Err(node.unknown("state", other, "OPEN, MERGED, DECLINED, SUPERSEDED")),
    };
    let opened_at = node.time("created_on")?;
    let at = node.maybe_time("updated_on")?.unwrap_or(opened_at);
    let Some(head_sha) = abbreviated(&node, "source.commit.hash")? else {
        return Err(Refusal::drop("pull_request_without_commit"));
    };
    let merged = state == PullRequestState::Merged;
    let event = PullRequestEvent {
        number,
        state,
        opened_at,
        merged_at: (key == "pullrequest:fulfilled").then_some(at),
        closed_at: (key == "pullrequest:rejected").then_some(at),
        head_ref: Text::new(node.text("source.branch.name")?),
        base_ref: Text::new(node.text("destination.branch.name")?),
        head_sha,
        merge_commit_sha: if merged { abbreviated(&node, "merge_commit.hash")? } else { None },
        merge_method: None,
        commits: None,
        labels: None,
        author_kind: account(&node, "author")?,
    };
    let action = key.rsplit(':').next().unwrap_or_default();
    let about = format!("pull_request:{number}:{}:{at}", word(action));
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::PullRequest(event))])
}

/// A commit id that may be abbreviated to 12 digits.
fn abbreviated(node: &Node<'_>, path: &str) -> Result<Option<Sha>, Refusal> {
    let Some(text) = node.maybe_text(path)? else { return Ok(None) };
    let short = (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if short || is_full_sha(text) { Ok(Some(Sha::new(text))) } else { node.sha_of(path, text).map(Some) }
}

/// An approval, or a request for changes.
fn review(delivery: &Delivery<'_>, what: &str, state: ReviewState) -> Result<Vec<DeliveryEvent>, Refusal> {
    let number = delivery.body.number("pullrequest.id")?;
    let submitted_at = delivery.body.object(what)?.time("date")?;
    let about = format!("review:{number}:{what}:{submitted_at}");
    let review = Review { number, submitted_at, state };
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(review))])
}

/// A comment is a review, unless the pull request's author or a program made it.
fn comment(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    for id in ["uuid", "account_id"] {
        let author = body.maybe_text(&format!("pullrequest.author.{id}"))?;
        if author.is_some() && author == body.maybe_text(&format!("comment.user.{id}"))? {
            return Err(Refusal::drop("comment_by_author"));
        }
    }
    if account(body, "comment.user")? == Some(AuthorKind::Bot) {
        return Err(Refusal::drop("comment_by_bot"));
    }
    let number = body.number("pullrequest.id")?;
    let submitted_at = body.time("comment.created_on")?;
    let review = Review { number, submitted_at, state: ReviewState::Commented };
    let about = format!("review:{number}:comment:{}", body.number("comment.id")?);
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(review))])
}
