//! Bitbucket Data Center's webhooks (and Bitbucket Server's).
//!
//! Source: Atlassian's documentation, "Event payload" of Bitbucket Data Center. No live payload seen.
//! The body names its event
//! (`eventKey`) and its time (`date`). Pushes list their commits from version 8.0 on, 5 at most, and do not say
//! whether that is all; before, a push is known by its ends. Times are Unix milliseconds, in some versions text.
//!
//! A repository's host is that of its links. Versions that tell none, and the documentation's examples, have
//! their repositories under the host `bitbucket`. A tag is told as a deployment under a source of its own
//! (`bitbucket_datacenter_tag`); there are no deployment events.

use crate::facts::Facts;
use crate::forge::{self, Delivery};
use crate::node::{Node, header, parse};
use crate::{Refusal, SourceSettings, message, person, record};
use model::event::{
    AuthorKind, Commit, DeliveryEvent, DeploymentEvent, DeploymentState, PullRequestEvent, PullRequestState,
    Push, RepositoryAction, RepositoryEvent, Review, ReviewState,
};
use model::raw::RawRecord;
use model::{EventBody, RepoName, Sha, Text, Timestamp};
use std::collections::BTreeSet;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Bitbucket Data Center's webhooks: code, reviews, tags",
    emits: "commit push pull_request review repository artifact deployment",
    drops: "*_not_used comment_by_author comment_by_bot ping ref_deleted",
    times: "`date` with offset (`+1000`); others in Unix milliseconds, in some versions as text.",
    set_up: &[
        "Repository settings, Webhooks: the hook's URL, a secret, and the events of Repository and Pull \
          request.",
    ],
    seen: None,
    limits: &[
        "A push lists 5 commits at most, before version 8.0 none.",
        "There is no deployment event: a tag counts as one (`bitbucket_datacenter_tag`).",
        "Versions that tell no links have their repositories under the host `bitbucket`.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "bitbucket_datacenter";
/// The source of deployments that a tag tells.
const TAG: &str = "bitbucket_datacenter_tag";
/// How many commits a push lists by default: with so many there may have been more.
const LISTED: usize = 5;

/// Reads one delivery.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if header(raw, "x-event-key") == Some("diagnostics:ping") || body.has("test") {
        return Err(Refusal::drop("ping"));
    }
    let key = body.maybe_text("eventKey")?.ok_or_else(|| {
        let detail = "field `eventKey` is missing: is this a webhook of Bitbucket Cloud? \
                      The source `bitbucket` reads those";
        Refusal::reject("unknown_event", detail)
    })?;
    if UNUSED.contains(&key) {
        return Err(Refusal::drop(format!("{}_not_used", key.replace(':', "_"))));
    }
    let repository = match key {
        "repo:refs_changed" => body.object("repository")?,
        "repo:modified" => body.object("new")?,
        _ => body.object("pullRequest.toRef.repository")?,
    };
    let repo = repository_name(&body, &repository)?;
    let delivery = Delivery::new(body, repo, raw.received_at)?;
    match key {
        "repo:refs_changed" => refs_changed(&delivery),
        "repo:modified" => modified(&delivery),
        "pr:opened"
        | "pr:from_ref_updated"
        | "pr:to_ref_updated"
        | "pr:modified"
        | "pr:merged"
        | "pr:declined" => pull_request(&delivery, key),
        "pr:reviewer:approved" => review(&delivery, ReviewState::Approved),
        "pr:reviewer:needs_work" | "pr:reviewer:changes_requested" => {
            review(&delivery, ReviewState::ChangesRequested)
        }
        "pr:comment:added" => comment(&delivery),
        other => {
            let detail = format!("field `eventKey` names {other:?}, which is no documented event");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// The other events that are documented: dropped, each under its own name.
const UNUSED: &[&str] = &[
    "mirror:repo_synchronized",
    "pr:comment:deleted",
    "pr:comment:edited",
    "pr:deleted",
    "pr:reviewer:unapproved",
    "pr:reviewer:updated",
    "project:modified",
    "repo:comment:added",
    "repo:comment:deleted",
    "repo:comment:edited",
    "repo:forked",
    "repo:secret_detected",
];

/// host/project/name, the project's key in lower case as in the addresses of clones.
fn repository_name(body: &Node<'_>, repository: &Node<'_>) -> Result<RepoName, Refusal> {
    let project = repository.text("project.key")?.to_lowercase();
    let slug = repository.text("slug")?;
    Ok(RepoName::new(format!("{}/{project}/{slug}", host(body, repository)?)))
}

fn host(body: &Node<'_>, repository: &Node<'_>) -> Result<String, Refusal> {
    let places = [
        (repository, "links.self"),
        (repository, "links.clone"),
        (repository, "project.links.self"),
        (body, "pullRequest.links.self"),
        (body, "actor.links.self"),
    ];
    for (node, path) in places {
        for link in node.items(path)? {
            let url = link.maybe_text("href")?.unwrap_or_default();
            if url.starts_with("http")
                && let Some(host) = forge::host(url)
            {
                return Ok(host.to_ascii_lowercase());
            }
        }
    }
    Ok("bitbucket".to_owned())
}

/// When the event happened: whole seconds.
fn date(delivery: &Delivery<'_>) -> Result<Timestamp, Refusal> {
    Ok(delivery.body.maybe_time("date")?.unwrap_or(delivery.received_at))
}

/// A time in Unix milliseconds, or as text.
fn maybe_date(node: &Node<'_>, path: &str) -> Result<Option<Timestamp>, Refusal> {
    let is_text = node.value().get(path).is_some_and(serde_json::Value::is_string);
    if is_text { node.maybe_time(path) } else { node.maybe_unix_millis(path) }
}

/// What the branches of a push have in common: the commit that the last of them ends in.
#[derive(Default)]
struct Heads {
    /// Branches that end in one commit tell it once: with its parents, and as one that conducts.
    told: BTreeSet<(Sha, bool)>,
    /// What it stands upon, read once for all branches.
    parents: Option<BTreeSet<Sha>>,
}

/// A push: its branches and tags one by one.
fn refs_changed(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let changes = delivery.body.items("changes")?;
    let mut events = Vec::new();
    let mut heads = Heads::default();
    for change in &changes {
        let after = change.sha("toHash")?;
        if after.is_zero() || change.maybe_text("type")? == Some("DELETE") {
            continue;
        }
        let reference = match change.maybe_text("refId")? {
            Some(reference) => reference,
            None => change.text("ref.id")?,
        };
        match reference.strip_prefix("refs/tags/") {
            Some(name) => events.push(tag(delivery, name, &after)?),
            // Commits are listed for the push as a whole: of several branches nobody can say whose they are.
            None => {
                let alone = changes.len() == 1;
                events.append(&mut branch(delivery, change, reference, after, alone, &mut heads)?);
            }
        }
    }
    if events.is_empty() { Err(Refusal::drop("ref_deleted")) } else { Ok(events) }
}

fn branch(
    delivery: &Delivery<'_>,
    change: &Node<'_>,
    reference: &str,
    after: Sha,
    alone: bool,
    heads: &mut Heads,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let at = date(delivery)?;
    let from = change.maybe_text("fromHash")?;
    let before = from.map(|text| change.sha_of("fromHash", text)).transpose()?;
    let before = before.filter(|sha| !sha.is_zero());
    let mut listed = if alone { delivery.body.items("commits")? } else { Vec::new() };
    // Newest first.
    if listed.first().map(|first| first.sha("id")).transpose()?.as_ref() == Some(&after) {
        listed.reverse();
    }
    let mut shas = Vec::new();
    let mut events = Vec::new();
    for node in &listed {
        let oldest = shas.is_empty();
        let conducts = oldest
            && listed.len() >= LISTED
            && before.as_ref().is_some_and(|before| !parents(node).contains(before));
        events.push(commit(delivery, node, at, conducts)?);
        shas.push(node.sha("id")?);
    }
    if let Some(head) = delivery.body.maybe_object("toCommit")?
        && head.sha("id")? == after
        && !shas.contains(&after)
    {
        let parents = heads.parents.get_or_insert_with(|| parents(&head));
        let conducts = before.as_ref().is_some_and(|before| !parents.contains(before));
        if heads.told.insert((after.clone(), conducts)) {
            events.push(commit(delivery, &head, at, conducts)?);
        }
    }
    let about = format!("push:{reference}:{}:{after}", from.unwrap_or("new"));
    let push = Push {
        reference: Text::new(reference),
        before,
        after,
        commits: shas,
        default_branch: None,
        forced: None,
    };
    events.insert(0, delivery.event(SOURCE, &about, at, EventBody::Push(push)));
    Ok(events)
}

/// The commits that a commit stands right upon.
fn parents(node: &Node<'_>) -> BTreeSet<Sha> {
    let parents = node.items("parents").unwrap_or_default();
    parents.iter().filter_map(|item| item.sha("id").ok()).collect()
}

/// A commit. Where the list may have been cut before it, it is told without its parents: with them, nothing
/// would lead to where the branch stood before.
fn commit(
    delivery: &Delivery<'_>,
    node: &Node<'_>,
    at: Timestamp,
    conducts: bool,
) -> Result<DeliveryEvent, Refusal> {
    let sha = node.sha("id")?;
    let text = node.maybe_text("message")?.unwrap_or_default();
    let parents = match node.maybe_items("parents")? {
        Some(items) => Some(items.iter().map(|item| item.sha("id")).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let merge = parents.as_ref().is_some_and(|parents| parents.len() > 1);
    let committed_at = match node.maybe_unix_millis("committerTimestamp")? {
        Some(at) => at,
        None => node.unix_millis("authorTimestamp")?,
    };
    let commit = Commit {
        sha: sha.clone(),
        parents: parents.filter(|_| !conducts),
        authored_at: node.maybe_unix_millis("authorTimestamp")?,
        committed_at,
        author_kind: account(node, "author")?,
        paths: None,
        reverts: message::reverts(text),
        is_merge: if conducts && merge { Some(true) } else { message::is_merge(text) },
    };
    Ok(delivery.event(SOURCE, &format!("commit:{sha}"), at, EventBody::Commit(commit)))
}

/// The kind of an account: services have a type of their own.
fn account(node: &Node<'_>, path: &str) -> Result<Option<AuthorKind>, Refusal> {
    let Some(account) = node.maybe_object(path)? else { return Ok(None) };
    if account.maybe_text("type")? == Some("SERVICE") {
        return Ok(Some(AuthorKind::Bot));
    }
    Ok(account.first_text(&["slug", "name"])?.map(person::by_name))
}

/// A tag as a deployment. Of an annotated tag only the head commit is known to be a commit, where it is told.
fn tag(delivery: &Delivery<'_>, name: &str, after: &Sha) -> Result<DeliveryEvent, Refusal> {
    let at = date(delivery)?;
    let sha = match delivery.body.maybe_text("toCommit.id")? {
        Some(text) => delivery.body.sha_of("toCommit.id", text)?,
        None => after.clone(),
    };
    let deployment = DeploymentEvent {
        version: Some(Text::new(name)),
        sha: Some(sha),
        started_at: Some(at),
        finished_at: Some(at),
        author_kind: account(&delivery.body, "actor")?,
        ..record::deployment(
            &format!("bitbucket-tag:{}:{name}", delivery.repo),
            "production",
            DeploymentState::Succeeded,
        )
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(delivery.event(TAG, &format!("tag:{name}:{after}"), at, body))
}

/// A repository has another name, or lies in another project.
fn modified(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let old = body.object("old")?;
    let from = repository_name(body, &old)?;
    if from == delivery.repo {
        return Err(Refusal::drop("repo_modified_not_used"));
    }
    let moved = old.maybe_text("project.key")? != body.maybe_text("new.project.key")?;
    let action = if moved { RepositoryAction::Transferred } else { RepositoryAction::Renamed };
    let at = date(delivery)?;
    let event = RepositoryEvent { action, from: Some(from) };
    Ok(vec![delivery.event(SOURCE, &format!("repository:{action}:{at}"), at, EventBody::Repository(event))])
}

/// A pull request as it stands.
fn pull_request(delivery: &Delivery<'_>, key: &str) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("pullRequest")?;
    let number = node.number("id")?;
    let state = match node.text("state")? {
        "OPEN" => PullRequestState::Open,
        "MERGED" => PullRequestState::Merged,
        "DECLINED" => PullRequestState::Closed,
        other => return Err(node.unknown("state", other, "OPEN, MERGED, DECLINED")),
    };
    let at = date(delivery)?;
    let merged = state == PullRequestState::Merged;
    let closed_at = match maybe_date(&node, "closedDate")? {
        Some(closed_at) => Some(closed_at),
        // Older versions do not tell when, and this event is about it.
        None => matches!(key, "pr:merged" | "pr:declined").then_some(at),
    };
    let merge_commit = node.maybe_text("properties.mergeCommit.id")?.filter(|_| merged);
    let opened_at = match maybe_date(&node, "createdDate")? {
        Some(opened_at) => opened_at,
        None => node.unix_millis("createdDate")?,
    };
    let event = PullRequestEvent {
        number,
        state,
        opened_at,
        merged_at: closed_at.filter(|_| merged),
        closed_at: closed_at.filter(|_| state != PullRequestState::Open),
        head_ref: Text::new(node.text("fromRef.displayId")?),
        base_ref: Text::new(node.text("toRef.displayId")?),
        head_sha: node.sha("fromRef.latestCommit")?,
        merge_commit_sha: merge_commit
            .map(|text| node.sha_of("properties.mergeCommit.id", text))
            .transpose()?,
        merge_method: None,
        commits: None,
        labels: None,
        author_kind: account(&node, "author.user")?,
    };
    let action = key.strip_prefix("pr:").unwrap_or(key);
    let about = format!("pull_request:{number}:{action}:{at}");
    // Whole seconds: of two changes within one, that which ends it must win.
    let occurred_at = record::later(at, i64::from(state != PullRequestState::Open));
    Ok(vec![delivery.event(SOURCE, &about, occurred_at, EventBody::PullRequest(event))])
}

/// A verdict, by the reviewer who is told beside the pull request.
fn review(delivery: &Delivery<'_>, state: ReviewState) -> Result<Vec<DeliveryEvent>, Refusal> {
    let number = delivery.body.number("pullRequest.id")?;
    let submitted_at = date(delivery)?;
    let review = Review { number, submitted_at, state };
    let about = format!("review:{number}:{state}:{submitted_at}");
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(review))])
}

/// A comment is a review, unless the pull request's author or a program made it.
fn comment(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let author = body.maybe_number("pullRequest.author.user.id")?;
    if author.is_some() && author == body.maybe_number("comment.author.id")? {
        return Err(Refusal::drop("comment_by_author"));
    }
    if account(body, "comment.author")? == Some(AuthorKind::Bot) {
        return Err(Refusal::drop("comment_by_bot"));
    }
    let number = body.number("pullRequest.id")?;
    let node = body.object("comment")?;
    let submitted_at = match maybe_date(&node, "createdDate")? {
        Some(at) => at,
        None => date(delivery)?,
    };
    let review = Review { number, submitted_at, state: ReviewState::Commented };
    let about = format!("review:{number}:comment:{}", node.number("id")?);
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(review))])
}
