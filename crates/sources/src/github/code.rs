//! Pushes, pull requests and reviews.

use super::{SOURCE, delivery};
use crate::forge::{Delivery, paths, word};
use crate::node::Node;
use crate::{Refusal, message, person};
use model::event::{
    Commit, DeliveryEvent, MergeMethod, PullRequestEvent, PullRequestState, Push, Review, ReviewState,
};
use model::{EventBody, Sha, Text, Timestamp};
use std::collections::BTreeSet;

/// A push: one event for it, and one for each commit that it lists or ends in. Its commits carry no parents.
pub(super) fn push(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let reference = body.text("ref")?;
    let after = body.sha("after")?;
    if body.flag("deleted")? == Some(true) || after.is_zero() {
        return Err(Refusal::drop("ref_deleted"));
    }
    let head = body.maybe_object("head_commit")?;
    let at = pushed_at(delivery, head.as_ref())?;
    let listed = body.items("commits")?;
    let mut shas = Vec::new();
    let mut commits = Vec::new();
    for commit in &listed {
        shas.push(commit.sha("id")?);
        commits.push(commit_event(delivery, commit, at)?);
    }
    if let Some(head) = &head
        && !shas.contains(&head.sha("id")?)
    {
        commits.push(commit_event(delivery, head, at)?);
    }
    if let Some(tag) = reference.strip_prefix("refs/tags/") {
        // Of an annotated tag `after` is the tag's own id: only the head commit is known to be a commit.
        let sha = head.map(|head| head.sha("id")).transpose()?;
        let mut events = vec![delivery::tag(delivery, tag, sha, at, "push")?];
        events.append(&mut commits);
        return Ok(events);
    }
    let before = body.maybe_text("before")?.map(|text| body.sha_of("before", text)).transpose()?;
    let default = body.maybe_text("repository.default_branch")?;
    let default_branch = default.map(|branch| reference.strip_prefix("refs/heads/") == Some(branch));
    let about = format!("push:{reference}:{after}:{at}");
    let push = Push {
        reference: Text::new(reference),
        before: before.filter(|sha| !sha.is_zero()),
        after,
        commits: shas,
        default_branch,
        forced: body.flag("forced")?,
    };
    let mut events = vec![delivery.event(SOURCE, &about, at, EventBody::Push(push))];
    events.append(&mut commits);
    Ok(events)
}

/// When it was pushed: GitHub says it at the repository; else the head commit's time is the nearest.
fn pushed_at(delivery: &Delivery<'_>, head: Option<&Node<'_>>) -> Result<Timestamp, Refusal> {
    if let Some(at) = delivery.body.maybe_any_time("repository.pushed_at")? {
        return Ok(at);
    }
    let committed = head.map(|head| head.maybe_time("timestamp")).transpose()?.flatten();
    Ok(committed.unwrap_or(delivery.received_at))
}

fn commit_event(delivery: &Delivery<'_>, node: &Node<'_>, at: Timestamp) -> Result<DeliveryEvent, Refusal> {
    let sha = node.sha("id")?;
    let text = node.maybe_text("message")?.unwrap_or_default();
    let commit = Commit {
        sha: sha.clone(),
        parents: None,
        authored_at: None,
        committed_at: node.time("timestamp")?,
        author_kind: person::commit_author(node, "author")?,
        paths: paths(node)?,
        reverts: message::reverts(text),
        is_merge: message::is_merge(text),
    };
    Ok(delivery.event(SOURCE, &format!("commit:{sha}:{at}"), at, EventBody::Commit(commit)))
}

/// A pull request as it stands: every action carries it whole.
pub(super) fn pull_request(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    let node = body.object("pull_request")?;
    let number = node.number("number")?;
    let merged_at = node.maybe_time("merged_at")?;
    let merged = node.flag("merged")? == Some(true) || merged_at.is_some();
    let state = match node.text("state")? {
        "open" => PullRequestState::Open,
        "closed" if merged => PullRequestState::Merged,
        "closed" => PullRequestState::Closed,
        other => return Err(node.unknown("state", other, "open, closed")),
    };
    let mut labels = BTreeSet::new();
    for label in node.items("labels")? {
        labels.insert(label.text("name")?);
    }
    let opened_at = node.time("created_at")?;
    let merge_commit = node.maybe_text("merge_commit_sha")?.filter(|_| state == PullRequestState::Merged);
    let merge_commit_sha: Option<Sha> =
        merge_commit.map(|text| node.sha_of("merge_commit_sha", text)).transpose()?;
    let event = PullRequestEvent {
        number,
        state,
        opened_at,
        merged_at,
        closed_at: node.maybe_time("closed_at")?,
        head_ref: Text::new(node.text("head.ref")?),
        base_ref: Text::new(node.text("base.ref")?),
        head_sha: node.sha("head.sha")?,
        merge_commit_sha,
        merge_method: merge_method(&node, state)?,
        commits: None,
        labels: Some(labels.into_iter().map(Text::new).collect()),
        author_kind: person::account(&node, "user")?,
    };
    let at = node.maybe_time("updated_at")?.unwrap_or(opened_at);
    let about = format!("pull_request:{number}:{action}:{at}");
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::PullRequest(event))])
}

/// How it was merged, where that was left to GitHub beforehand; else the payload does not say.
fn merge_method(node: &Node<'_>, state: PullRequestState) -> Result<Option<MergeMethod>, Refusal> {
    let method = node.maybe_text("auto_merge.merge_method")?.filter(|_| state == PullRequestState::Merged);
    Ok(method.and_then(MergeMethod::from_word))
}

/// A review that was given. Edited and dismissed ones say nothing about when it was.
pub(super) fn review(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    if action != "submitted" {
        return Err(Refusal::drop(format!("review_{}", word(action))));
    }
    let node = body.object("review")?;
    // Written in lower case in webhooks and in upper case by the REST API.
    let state = match node.text("state")?.to_ascii_lowercase().as_str() {
        "approved" => ReviewState::Approved,
        "changes_requested" => ReviewState::ChangesRequested,
        "commented" => ReviewState::Commented,
        word @ ("pending" | "dismissed") => return Err(Refusal::drop(format!("review_{word}"))),
        other => {
            return Err(node.unknown(
                "state",
                other,
                "approved, changes_requested, commented, pending, dismissed",
            ));
        }
    };
    let number = body.number("pull_request.number")?;
    let submitted_at = node.time("submitted_at")?;
    let about = format!("review:{number}:{}", node.number("id")?);
    let event = Review { number, submitted_at, state };
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(event))])
}
