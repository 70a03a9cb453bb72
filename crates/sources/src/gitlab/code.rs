//! Pushes, tags, merge requests, approvals and comments.

use super::{SOURCE, unused};
use crate::forge::{Delivery, paths};
use crate::node::Node;
use crate::{Refusal, message, person, record};
use model::event::{
    AuthorKind, Commit, DeliveryEvent, DeploymentEvent, DeploymentState, MergeMethod, PullRequestEvent,
    PullRequestState, Push, Review, ReviewState,
};
use model::{EventBody, Sha, Text};
use std::collections::BTreeSet;

/// The source of deployments that a tag tells.
const TAG: &str = "gitlab_tag";

/// A push: one event for it, and one for each commit that it lists. Its commits carry no parents. Of more than
/// 20 commits the newest 20 are listed (`total_commits_count` says how many there were): what lies between
/// `before` and the first of them is not told, and still conducts.
pub(super) fn push(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let reference = body.text("ref")?;
    let after = body.sha("after")?;
    if after.is_zero() {
        return Err(Refusal::drop("ref_deleted"));
    }
    let before = body.maybe_text("before")?.map(|text| body.sha_of("before", text)).transpose()?;
    let (shas, mut commits) = listed(delivery)?;
    let default = body.maybe_text("project.default_branch")?;
    let about = match &before {
        Some(before) => format!("push:{reference}:{before}:{after}"),
        None => format!("push:{reference}:{after}"),
    };
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

/// A tag as a deployment. Its time is that of its first record, so none is stated.
pub(super) fn tag_push(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let reference = body.text("ref")?;
    let name = reference.strip_prefix("refs/tags/").unwrap_or(reference);
    let after = body.sha("after")?;
    if after.is_zero() {
        return Err(Refusal::drop("ref_deleted"));
    }
    // Of an annotated tag `after` is the tag's own id; the commit is what is checked out.
    let sha = match body.maybe_text("checkout_sha")? {
        Some(text) => Some(body.sha_of("checkout_sha", text)?),
        None => None,
    };
    let deployment = DeploymentEvent {
        version: Some(Text::new(name)),
        sha,
        author_kind: body.maybe_text("user_username")?.map(person::by_name),
        ..record::deployment(
            &format!("gitlab-tag:{}:{name}", delivery.repo),
            "production",
            DeploymentState::Succeeded,
        )
    };
    let body = EventBody::Deployment(Box::new(deployment));
    let mut events = vec![delivery.event(TAG, &format!("tag:{name}:{after}"), delivery.received_at, body)];
    events.append(&mut listed(delivery)?.1);
    Ok(events)
}

/// The commits that a push lists, oldest first.
fn listed(delivery: &Delivery<'_>) -> Result<(Vec<Sha>, Vec<DeliveryEvent>), Refusal> {
    let mut shas = Vec::new();
    let mut events = Vec::new();
    for node in &delivery.body.items("commits")? {
        let sha = node.sha("id")?;
        let text = node.maybe_text("message")?.unwrap_or_default();
        let commit = Commit {
            sha: sha.clone(),
            parents: None,
            authored_at: None,
            committed_at: node.ruby_time("timestamp")?,
            author_kind: author_kind(node)?,
            paths: paths(node)?,
            reverts: message::reverts(text),
            is_merge: message::is_merge(text),
        };
        let about = format!("commit:{sha}");
        events.push(delivery.event(SOURCE, &about, delivery.received_at, EventBody::Commit(commit)));
        shas.push(sha);
    }
    Ok((shas, events))
}

/// A commit's author has a name and an address; those of access tokens have the account's in the address.
fn author_kind(node: &Node<'_>) -> Result<Option<AuthorKind>, Refusal> {
    let Some(author) = node.maybe_object("author")? else { return Ok(None) };
    let address = author.maybe_text("email")?.unwrap_or_default();
    let account = address.split(['@', '+']).next().unwrap_or_default();
    let name = author.maybe_text("name")?.unwrap_or_default();
    let bot = [account, name].iter().any(|name| person::by_name(name) == AuthorKind::Bot);
    Ok(Some(if bot { AuthorKind::Bot } else { AuthorKind::Human }))
}

/// A merge request as it stands, and the approval that the event may tell of.
pub(super) fn merge_request(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let node = body.object("object_attributes")?;
    let action = node.maybe_text("action")?.unwrap_or("none");
    let number = node.number("iid")?;
    let state = state(&node)?;
    let opened_at = node.ruby_time("created_at")?;
    let at = node.maybe_ruby_time("updated_at")?.unwrap_or(opened_at);
    let Some(head) = node.maybe_text("last_commit.id")? else {
        return Err(Refusal::drop("merge_request_without_commit"));
    };
    let (merge_commit_sha, merge_method) = merged_as(&node, state)?;
    let event = PullRequestEvent {
        number,
        state,
        opened_at,
        // Only the event that tells of the merge or of the closing has its time.
        merged_at: (action == "merge").then_some(at),
        closed_at: (action == "close").then_some(at),
        head_ref: Text::new(node.text("source_branch")?),
        base_ref: Text::new(node.text("target_branch")?),
        head_sha: node.sha_of("last_commit.id", head)?,
        merge_commit_sha,
        merge_method,
        commits: None,
        labels: labels(body)?,
        author_kind: author_of(body, &node, action)?,
    };
    let about = format!("merge_request:{number}:{action}:{at}");
    // Whole seconds: of two changes within one, that which ends it must win.
    let occurred_at = record::later(at, i64::from(state != PullRequestState::Open));
    let mut events = vec![delivery.event(SOURCE, &about, occurred_at, EventBody::PullRequest(event))];
    if let "approved" | "approval" = action {
        // The time of an approval is not told: `updated_at` is that of an earlier change.
        let review = Review { number, submitted_at: delivery.received_at, state: ReviewState::Approved };
        let about = format!("review:{number}:{action}:{at}");
        events.push(delivery.event(SOURCE, &about, delivery.received_at, EventBody::Review(review)));
    }
    Ok(events)
}

/// In the payload as a word, as a number, or as both.
fn state(node: &Node<'_>) -> Result<PullRequestState, Refusal> {
    match (node.maybe_text("state")?, node.maybe_number("state_id")?) {
        // Locked is a merge request for as long as it is being merged.
        (Some("opened" | "locked"), _) | (None, Some(1 | 4)) => Ok(PullRequestState::Open),
        (Some("closed"), _) | (None, Some(2)) => Ok(PullRequestState::Closed),
        (Some("merged"), _) | (None, Some(3)) => Ok(PullRequestState::Merged),
        (Some(other), _) => Err(node.unknown("state", other, "opened, closed, merged, locked")),
        (None, Some(other)) => Err(node.unknown("state_id", &other.to_string(), "1, 2, 3, 4")),
        (None, None) => node.text("state").map(|_| PullRequestState::Open),
    }
}

/// The commit that holds the changes, where it was merged with a new one: the squashed commit before the merge
/// commit, which holds none of its own. A fast-forward merge has neither.
fn merged_as(
    node: &Node<'_>,
    state: PullRequestState,
) -> Result<(Option<Sha>, Option<MergeMethod>), Refusal> {
    if state != PullRequestState::Merged {
        return Ok((None, None));
    }
    if let Some(text) = node.maybe_text("squash_commit_sha")? {
        return Ok((Some(node.sha_of("squash_commit_sha", text)?), Some(MergeMethod::Squash)));
    }
    let merged = node.maybe_text("merge_commit_sha")?;
    Ok((merged.map(|text| node.sha_of("merge_commit_sha", text)).transpose()?, None))
}

fn labels(body: &Node<'_>) -> Result<Option<Vec<Text>>, Refusal> {
    let items = match body.maybe_items("labels")? {
        Some(items) => Some(items),
        None => body.maybe_items("object_attributes.labels")?,
    };
    let Some(items) = items else { return Ok(None) };
    let titles: BTreeSet<&str> = items.iter().map(|item| item.text("title")).collect::<Result<_, _>>()?;
    Ok(Some(titles.into_iter().map(Text::new).collect()))
}

/// The author is told by number only: known is the kind of who acted, which on opening is the author.
fn author_of(body: &Node<'_>, node: &Node<'_>, action: &str) -> Result<Option<AuthorKind>, Refusal> {
    let author = node.maybe_number("author_id")?;
    let by_author = author.is_some() && author == body.maybe_number("user.id")?;
    if !by_author && action != "open" {
        return Ok(None);
    }
    Ok(body.maybe_text("user.username")?.map(person::by_name))
}

/// A comment on a merge request is a review, unless its author or a program made it. Other comments may lie in
/// no project, so this is asked first.
pub(super) fn used_note(body: &Node<'_>) -> Result<(), Refusal> {
    let node = body.object("object_attributes")?;
    match node.text("noteable_type")? {
        "MergeRequest" => {}
        "Commit" => return Err(Refusal::drop("comment_on_commit")),
        "Issue" | "WorkItem" => return Err(Refusal::drop("comment_on_issue")),
        "Snippet" | "ProjectSnippet" => return Err(Refusal::drop("comment_on_snippet")),
        _ => return Err(Refusal::drop("comment_not_used")),
    }
    if let Some(action) = node.maybe_text("action")?.filter(|action| *action != "create") {
        return Err(unused("comment", action));
    }
    if node.flag("system")? == Some(true) {
        return Err(Refusal::drop("comment_by_system"));
    }
    let author = node.maybe_number("author_id")?;
    if author.is_some() && author == body.maybe_number("merge_request.author_id")? {
        return Err(Refusal::drop("comment_by_author"));
    }
    if body.maybe_text("user.username")?.map(person::by_name) == Some(AuthorKind::Bot) {
        return Err(Refusal::drop("comment_by_bot"));
    }
    Ok(())
}

/// The review that a comment is.
pub(super) fn note(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let node = body.object("object_attributes")?;
    let number = body.number("merge_request.iid")?;
    let submitted_at = node.ruby_time("created_at")?;
    let review = Review { number, submitted_at, state: ReviewState::Commented };
    let about = format!("review:{number}:note:{}", node.number("id")?);
    Ok(vec![delivery.event(SOURCE, &about, submitted_at, EventBody::Review(review))])
}
