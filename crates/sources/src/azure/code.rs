//! Pushes, tags, pull requests, votes and comments.

use super::{Hook, SOURCE, identity, kind_of, repository};
use crate::forge::word;
use crate::node::Node;
use crate::{Refusal, message, record};
use model::event::{
    AuthorKind, Commit, DeliveryEvent, DeploymentEvent, DeploymentState, MergeMethod, PullRequestEvent,
    PullRequestState, Push, Review, ReviewState,
};
use model::{EventBody, RepoName, Sha, Text, Timestamp};
use std::collections::BTreeSet;

/// The source of deployments that a tag tells.
const TAG: &str = "azure_tag";

/// A push: its branches and tags one by one. Its commits carry no parents.
pub(super) fn push(hook: &Hook<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let resource = &hook.resource;
    let repo = repository(&resource.object("repository")?)?;
    let at = resource.maybe_time("date")?.unwrap_or(hook.at);
    let updates = resource.items("refUpdates")?;
    let mut events = Vec::new();
    for update in &updates {
        let after = update.sha("newObjectId")?;
        if after.is_zero() {
            continue;
        }
        let reference = update.text("name")?;
        match reference.strip_prefix("refs/tags/") {
            Some(name) => events.push(tag(hook, &repo, name, &after, at)?),
            // Commits are listed for the push as a whole: of several branches nobody can say whose they are.
            None => events.append(&mut branch(hook, &repo, update, after, at, updates.len() == 1)?),
        }
    }
    if events.is_empty() {
        return Err(Refusal::drop("ref_deleted"));
    }
    for event in &mut events {
        event.repo = Some(repo.clone());
    }
    Ok(events)
}

fn branch(
    hook: &Hook<'_>,
    repo: &RepoName,
    update: &Node<'_>,
    after: Sha,
    at: Timestamp,
    alone: bool,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let reference = update.text("name")?;
    let from = update.maybe_text("oldObjectId")?;
    let before = from.map(|text| update.sha_of("oldObjectId", text)).transpose()?;
    let mut listed = if alone { hook.resource.items("commits")? } else { Vec::new() };
    // Newest first.
    if listed.first().map(|first| first.sha("commitId")).transpose()?.as_ref() == Some(&after) {
        listed.reverse();
    }
    let mut shas = Vec::new();
    let mut commits = Vec::new();
    for node in &listed {
        shas.push(node.sha("commitId")?);
        commits.extend(commit(hook, repo, node, at)?);
    }
    let default = hook.resource.maybe_text("repository.defaultBranch")?;
    let id = format!("{repo}:push:{reference}:{}:{after}:{at}", from.unwrap_or("new"));
    let push = Push {
        reference: Text::new(reference),
        before: before.filter(|sha| !sha.is_zero()),
        after,
        commits: shas,
        default_branch: default.map(|default| default == reference),
        forced: None,
    };
    let mut events = vec![hook.event(SOURCE, id, at, EventBody::Push(push))];
    events.append(&mut commits);
    Ok(events)
}

/// A commit. None where only its id is told.
fn commit(
    hook: &Hook<'_>,
    repo: &RepoName,
    node: &Node<'_>,
    at: Timestamp,
) -> Result<Option<DeliveryEvent>, Refusal> {
    let sha = node.sha("commitId")?;
    let authored_at = node.maybe_time("author.date")?;
    let Some(committed_at) = node.maybe_time("committer.date")?.or(authored_at) else { return Ok(None) };
    let text = node.maybe_text("comment")?.unwrap_or_default();
    let commit = Commit {
        sha: sha.clone(),
        parents: None,
        authored_at,
        committed_at,
        author_kind: node.maybe_text("author.name")?.map(kind_of),
        paths: None,
        reverts: message::reverts(text),
        // `Merged PR 7: …` begins a merge commit's message and a squashed one's alike.
        is_merge: message::is_merge(text),
    };
    Ok(Some(hook.event(SOURCE, format!("{repo}:commit:{sha}:{at}"), at, EventBody::Commit(commit))))
}

/// A tag as a deployment.
fn tag(
    hook: &Hook<'_>,
    repo: &RepoName,
    name: &str,
    after: &Sha,
    at: Timestamp,
) -> Result<DeliveryEvent, Refusal> {
    let deployment = DeploymentEvent {
        version: Some(Text::new(name)),
        // Of an annotated tag this is the tag's own id: then it is known as no commit and counts as none.
        sha: Some(after.clone()),
        started_at: Some(at),
        finished_at: Some(at),
        author_kind: identity(&hook.resource, "pushedBy")?,
        ..record::deployment(&format!("azure-tag:{repo}:{name}"), "production", DeploymentState::Succeeded)
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(hook.event(TAG, format!("{repo}:tag:{name}:{after}:{at}"), at, body))
}

/// A pull request as it stands, and the votes that it has when it was updated.
pub(super) fn pull_request(
    hook: &Hook<'_>,
    node: &Node<'_>,
    name: &str,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let repo = repository(&node.object("repository")?)?;
    let number = node.number("pullRequestId")?;
    let state = match node.text("status")? {
        "active" | "notSet" => PullRequestState::Open,
        "completed" => PullRequestState::Merged,
        "abandoned" => PullRequestState::Closed,
        other => return Err(node.unknown("status", other, "active, completed, abandoned, notSet")),
    };
    let merged = state == PullRequestState::Merged;
    let Some(head) = node.maybe_text("lastMergeSourceCommit.commitId")? else {
        return Err(Refusal::drop("pull_request_without_commit"));
    };
    // Azure makes a merge commit to try whether the branches can be merged: it is nothing until they are.
    let merge_commit = node.maybe_text("lastMergeCommit.commitId")?.filter(|_| merged);
    let closed_at = node.maybe_time("closedDate")?.filter(|_| state != PullRequestState::Open);
    let event = PullRequestEvent {
        number,
        state,
        opened_at: node.time("creationDate")?,
        merged_at: closed_at.filter(|_| merged),
        closed_at,
        head_ref: Text::new(branch_name(node.text("sourceRefName")?)),
        base_ref: Text::new(branch_name(node.text("targetRefName")?)),
        head_sha: node.sha_of("lastMergeSourceCommit.commitId", head)?,
        merge_commit_sha: merge_commit
            .map(|text| node.sha_of("lastMergeCommit.commitId", text))
            .transpose()?,
        merge_method: if merged { merge_method(node)? } else { None },
        commits: None,
        labels: labels(node)?,
        author_kind: identity(node, "createdBy")?,
    };
    let action = name.rsplit('.').next().unwrap_or_default();
    let id = format!("{repo}:pull_request:{number}:{}:{}", word(action), hook.at);
    let mut events = vec![hook.event(SOURCE, id, hook.at, EventBody::PullRequest(event))];
    if name == "git.pullrequest.updated" {
        for state in votes(node)? {
            // When a vote was given is not told: the first update that has it is the nearest.
            let review = Review { number, submitted_at: hook.at, state };
            let id = format!("{repo}:review:{number}:{state}");
            events.push(hook.event(SOURCE, id, hook.at, EventBody::Review(review)));
        }
    }
    for event in &mut events {
        event.repo = Some(repo.clone());
    }
    Ok(events)
}

fn branch_name(reference: &str) -> &str {
    reference.strip_prefix("refs/heads/").unwrap_or(reference)
}

fn merge_method(node: &Node<'_>) -> Result<Option<MergeMethod>, Refusal> {
    if node.flag("completionOptions.squashMerge")? == Some(true) {
        return Ok(Some(MergeMethod::Squash));
    }
    Ok(match node.maybe_text("completionOptions.mergeStrategy")? {
        Some("squash") => Some(MergeMethod::Squash),
        Some("rebase") => Some(MergeMethod::Rebase),
        // Rebased commits under a merge commit: the merge commit is one of both parents.
        Some("noFastForward" | "rebaseMerge") => Some(MergeMethod::Merge),
        _ => None,
    })
}

fn labels(node: &Node<'_>) -> Result<Option<Vec<Text>>, Refusal> {
    let Some(items) = node.maybe_items("labels")? else { return Ok(None) };
    let names: BTreeSet<&str> = items.iter().map(|item| item.text("name")).collect::<Result<_, _>>()?;
    Ok(Some(names.into_iter().map(Text::new).collect()))
}

/// The verdicts of people who are not the author: 10 and 5 approve, -5 and -10 do not.
fn votes(node: &Node<'_>) -> Result<BTreeSet<ReviewState>, Refusal> {
    let author = node.maybe_text("createdBy.id")?;
    let mut votes = BTreeSet::new();
    for reviewer in node.items("reviewers")? {
        let by_author = author.is_some() && author == reviewer.maybe_text("id")?;
        // A team's vote is the sum of its members'.
        if by_author || reviewer.flag("isContainer")? == Some(true) {
            continue;
        }
        let vote = reviewer.value().get("vote").and_then(serde_json::Value::as_i64).unwrap_or_default();
        match vote {
            1.. => votes.insert(ReviewState::Approved),
            ..=-1 => votes.insert(ReviewState::ChangesRequested),
            0 => false,
        };
    }
    Ok(votes)
}

/// A comment is a review, unless the pull request's author or a program made it.
pub(super) fn comment(hook: &Hook<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = hook.resource.object("comment")?;
    if node.flag("isDeleted")? == Some(true) {
        return Err(Refusal::drop("comment_deleted"));
    }
    if node.maybe_text("commentType")?.is_some_and(|kind| kind != "text") {
        return Err(Refusal::drop("comment_by_system"));
    }
    let submitted_at = node.time("publishedDate")?;
    if node.maybe_time("lastContentUpdatedDate")?.is_some_and(|at| at > submitted_at) {
        return Err(Refusal::drop("comment_edited"));
    }
    let pull = hook.resource.object("pullRequest")?;
    let author = pull.maybe_text("createdBy.id")?;
    if author.is_some() && author == node.maybe_text("author.id")? {
        return Err(Refusal::drop("comment_by_author"));
    }
    if identity(&node, "author")? == Some(AuthorKind::Bot) {
        return Err(Refusal::drop("comment_by_bot"));
    }
    let repo = repository(&pull.object("repository")?)?;
    let number = pull.number("pullRequestId")?;
    let review = Review { number, submitted_at, state: ReviewState::Commented };
    // A comment's number is its thread's: the time tells the threads apart.
    let id = format!("{repo}:review:{number}:comment:{}:{submitted_at}", node.number("id")?);
    let mut event = hook.event(SOURCE, id, submitted_at, EventBody::Review(review));
    event.repo = Some(repo);
    Ok(vec![event])
}
