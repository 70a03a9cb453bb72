//! Pushes, pull requests, reviews and comments.

use super::{SOURCE, account, delivery, kind_of, maybe_time};
use crate::forge::{Delivery, paths, word};
use crate::node::Node;
use crate::{Refusal, message, record};
use model::event::{
    AuthorKind, Commit, DeliveryEvent, PullRequestEvent, PullRequestState, Push, Review, ReviewState,
};
use model::{EventBody, Sha, Text};
use std::collections::BTreeSet;

/// A push: one event for it, and one for each commit that it lists or ends in. Its commits carry no parents. Of
/// more than 5 the newest 5 are listed: what lies between `before` and the first of them is not told, and still
/// conducts.
pub(super) fn push(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let reference = body.text("ref")?;
    let after = body.sha("after")?;
    if after.is_zero() {
        return Err(Refusal::drop("ref_deleted"));
    }
    let head = body.maybe_object("head_commit")?;
    let mut listed = body.items("commits")?;
    // Newest first, in some versions oldest first.
    if listed.first().map(|first| first.sha("id")).transpose()?.as_ref() == Some(&after) {
        listed.reverse();
    }
    let mut shas: Vec<Sha> = Vec::new();
    let mut commits = Vec::new();
    for node in &listed {
        shas.push(node.sha("id")?);
        commits.extend(commit(delivery, node)?);
    }
    if let Some(head) = &head
        && !shas.contains(&head.sha("id")?)
    {
        commits.extend(commit(delivery, head)?);
    }
    if let Some(name) = reference.strip_prefix("refs/tags/") {
        // Of an annotated tag `after` is the tag's own id: only the head commit is known to be a commit.
        let sha = head.map(|head| head.sha("id")).transpose()?;
        let mut events = vec![delivery::tag(delivery, name, sha, "push")?];
        events.append(&mut commits);
        return Ok(events);
    }
    let from = body.maybe_text("before")?;
    let before = from.map(|text| body.sha_of("before", text)).transpose()?;
    let default = body.maybe_text("repository.default_branch")?;
    let about = format!("push:{reference}:{}:{after}", from.unwrap_or("new"));
    let push = Push {
        reference: Text::new(reference),
        before: before.filter(|sha| !sha.is_zero()),
        after,
        commits: shas,
        default_branch: default.map(|branch| reference.strip_prefix("refs/heads/") == Some(branch)),
        forced: None,
    };
    let mut events = vec![delivery.event(SOURCE, &about, delivery.received_at, EventBody::Push(push))];
    events.append(&mut commits);
    Ok(events)
}

/// A commit. None where its time is not known.
fn commit(delivery: &Delivery<'_>, node: &Node<'_>) -> Result<Option<DeliveryEvent>, Refusal> {
    let sha = node.sha("id")?;
    let Some(committed_at) = maybe_time(node, "timestamp")? else { return Ok(None) };
    let text = node.maybe_text("message")?.unwrap_or_default();
    let names = [node.maybe_text("author.username")?, node.maybe_text("author.name")?];
    let bot = names.iter().flatten().any(|name| kind_of(name) == AuthorKind::Bot);
    let kind = if bot { AuthorKind::Bot } else { AuthorKind::Human };
    let commit = Commit {
        sha: sha.clone(),
        parents: None,
        authored_at: None,
        committed_at,
        author_kind: node.has("author").then_some(kind),
        paths: paths(node)?,
        reverts: message::reverts(text),
        is_merge: message::is_merge(text),
    };
    let about = format!("commit:{sha}");
    Ok(Some(delivery.event(SOURCE, &about, delivery.received_at, EventBody::Commit(commit))))
}

/// A pull request as it stands: every action carries it whole. A review comes as an action of it too.
pub(super) fn pull_request(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    if action == "reviewed" && body.has("review") {
        return review(delivery);
    }
    let node = body.object("pull_request")?;
    let number = node.number("number")?;
    let merged_at = maybe_time(&node, "merged_at")?;
    let merged = node.flag("merged")? == Some(true) || merged_at.is_some();
    let state = match node.text("state")? {
        "open" => PullRequestState::Open,
        "closed" if merged => PullRequestState::Merged,
        "closed" => PullRequestState::Closed,
        other => return Err(node.unknown("state", other, "open, closed")),
    };
    let Some(head) = node.maybe_text("head.sha")? else {
        return Err(Refusal::drop("pull_request_without_commit"));
    };
    let opened_at = match maybe_time(&node, "created_at")? {
        Some(opened_at) => opened_at,
        None => delivery.received_at,
    };
    let at = maybe_time(&node, "updated_at")?.unwrap_or(opened_at);
    let closed_at = match maybe_time(&node, "closed_at")? {
        Some(closed_at) => Some(closed_at),
        // Some versions leave it out, and this event is about it.
        None => (action == "closed").then_some(at),
    };
    let merge_commit = node.maybe_text("merge_commit_sha")?.filter(|_| state == PullRequestState::Merged);
    let event = PullRequestEvent {
        number,
        state,
        opened_at,
        merged_at: merged_at.filter(|_| state == PullRequestState::Merged),
        closed_at: closed_at.filter(|_| state != PullRequestState::Open),
        head_ref: Text::new(node.text("head.ref")?),
        base_ref: Text::new(node.text("base.ref")?),
        head_sha: node.sha_of("head.sha", head)?,
        merge_commit_sha: merge_commit.map(|text| node.sha_of("merge_commit_sha", text)).transpose()?,
        merge_method: None,
        commits: None,
        labels: labels(&node)?,
        author_kind: account(&node, "user")?,
    };
    let about = format!("pull_request:{number}:{}:{at}", word(action));
    // Whole seconds: of two changes within one, that which ends it must win.
    let occurred_at = record::later(at, i64::from(state != PullRequestState::Open));
    Ok(vec![delivery.event(SOURCE, &about, occurred_at, EventBody::PullRequest(event))])
}

fn labels(node: &Node<'_>) -> Result<Option<Vec<Text>>, Refusal> {
    let Some(items) = node.maybe_items("labels")? else { return Ok(None) };
    let names: BTreeSet<&str> = items.iter().map(|item| item.text("name")).collect::<Result<_, _>>()?;
    Ok(Some(names.into_iter().map(Text::new).collect()))
}

/// A review. Its type says the verdict; who gave it is the sender.
pub(super) fn review(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let pull = body.object("pull_request")?;
    let kind = body.text("review.type")?;
    let state = match kind {
        "pull_request_review_approved" | "pull_request_approved" | "approved" => ReviewState::Approved,
        "pull_request_review_rejected" | "pull_request_rejected" | "rejected" => {
            ReviewState::ChangesRequested
        }
        "pull_request_review_comment" | "pull_request_comment" | "comment" => ReviewState::Commented,
        other => {
            let known =
                "pull_request_review_approved, pull_request_review_rejected, pull_request_review_comment";
            return Err(body.unknown("review.type", other, known));
        }
    };
    by_another(body, "pull_request.user.id", "sender.id", "sender")?;
    let number = pull.number("number")?;
    let at = delivery.received_at;
    let told = maybe_time(&pull, "updated_at")?.map(|at| at.to_string()).unwrap_or_default();
    let review = Review { number, submitted_at: at, state };
    let about = format!("review:{number}:{state}:{told}");
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::Review(review))])
}

/// A comment on a pull request is a review, unless the author or a program made it.
pub(super) fn comment(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let on_pull = body.flag("is_pull")? == Some(true) || body.has("issue.pull_request");
    if !on_pull {
        return Err(Refusal::drop("comment_on_issue"));
    }
    let action = body.text("action")?;
    if action != "created" {
        return Err(Refusal::drop(format!("comment_{}", word(action))));
    }
    by_another(body, "issue.user.id", "comment.user.id", "comment.user")?;
    let number = body.number("issue.number")?;
    let comment = body.object("comment")?;
    let submitted_at = maybe_time(&comment, "created_at")?.unwrap_or(delivery.received_at);
    let review = Review { number, submitted_at, state: ReviewState::Commented };
    let about = format!("review:{number}:comment:{}", comment.number("id")?);
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(review))])
}

/// Drops what the author of a pull request says on it, and what a program says.
fn by_another(body: &Node<'_>, author: &str, reviewer: &str, account_path: &str) -> Result<(), Refusal> {
    // Accounts of the server's own have ids below zero.
    let author = body.maybe_id(author)?;
    if author.is_some() && author == body.maybe_id(reviewer)? {
        return Err(Refusal::drop("comment_by_author"));
    }
    match account(body, account_path)? {
        Some(AuthorKind::Bot) => Err(Refusal::drop("comment_by_bot")),
        _ => Ok(()),
    }
}
