//! A git history as records: one JSON line for the repository, each commit and each tag. Times are Unix
//! seconds. The headers name the repository (`repo`: host/owner/name) and the environment that tags stand for
//! (`environment`; default `production`).

use crate::facts::Facts;
use crate::node::{Node, header, parse};
use crate::record::{deployment, event};
use crate::{Refusal, SourceSettings};
use model::event::{AuthorKind, Commit, DeliveryEvent, DeploymentEvent, DeploymentState, EventBody};
use model::raw::RawRecord;
use model::{RepoName, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "A git history's records: commits, and tags as deployments",
    emits: "commit deployment",
    drops: "repository_line",
    times: "Unix seconds.",
    set_up: &["Nothing to set up: `streamgauge import git` makes these records from a clone."],
    seen: Some("Two full histories of public projects."),
    limits: &["A tag is a deployment at the moment in which it was made."],
};

/// The source's name on its events.
const SOURCE: &str = "git";

/// Reads one line of a history.
pub(crate) fn read(record: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&record.body)?;
    let line = Node::root(&value, settings);
    let kind = line.text("type")?;
    if kind == "repository" {
        return Err(Refusal::drop("repository_line"));
    }
    let repo = header(record, "repo").map(RepoName::new).ok_or_else(|| {
        let detail = "header `repo` is missing: a line of history does not say whose it is; \
                      give host/owner/name, as in github.com/argoproj/argo-cd";
        Refusal::reject("missing_header", detail)
    })?;
    let mut event = match kind {
        "commit" => commit(&line)?,
        "tag" => tag(&line, &repo, header(record, "environment").unwrap_or("production"))?,
        other => return Err(line.unknown("type", other, "repository, commit, tag")),
    };
    event.repo = Some(repo);
    event.imported = Some(true);
    Ok(vec![event])
}

fn commit(line: &Node<'_>) -> Result<DeliveryEvent, Refusal> {
    let sha = line.sha("sha")?;
    let committed_at = line.unix_time("committed_at")?;
    let parents = line.maybe_texts("parents")?;
    let parents = parents.map(|texts| texts.iter().map(|text| line.sha_of("parents", text)).collect());
    let paths = line.maybe_texts("dirs")?;
    let body = Commit {
        sha: sha.clone(),
        parents: parents.transpose()?,
        authored_at: authored_at(line)?,
        committed_at,
        author_kind: author_kind(line)?,
        paths: paths.map(|texts| texts.into_iter().map(Text::new).collect()),
        reverts: reverts(line)?,
        is_merge: None,
    };
    Ok(event(SOURCE, sha.text(), committed_at, committed_at, EventBody::Commit(body)))
}

/// Broken clients wrote author times before 1970 into real histories. They tell nothing, and the commit is
/// needed for its edges; so such a time is absent. (Milliseconds are far too large, and are refused.)
fn authored_at(line: &Node<'_>) -> Result<Option<Timestamp>, Refusal> {
    if line.value().get("authored_at").and_then(serde_json::Value::as_i64).is_some_and(|seconds| seconds < 0)
    {
        return Ok(None);
    }
    line.maybe_unix_time("authored_at")
}

fn author_kind(line: &Node<'_>) -> Result<Option<AuthorKind>, Refusal> {
    let Some(word) = line.maybe_text("author_kind")? else { return Ok(None) };
    AuthorKind::from_word(word).map(Some).ok_or_else(|| line.unknown("author_kind", word, "human, bot"))
}

/// One commit id or a list of them. Messages may abbreviate them.
fn reverts(line: &Node<'_>) -> Result<Option<Vec<Sha>>, Refusal> {
    if line.value().get("reverts").is_some_and(serde_json::Value::is_array) {
        let found = line.maybe_texts("reverts")?.unwrap_or_default();
        return Ok((!found.is_empty()).then(|| found.into_iter().map(Sha::new).collect()));
    }
    Ok(line.maybe_text("reverts")?.map(|sha| vec![Sha::new(sha)]))
}

/// A tag is a deployment of what it points to, done in the moment in which it was made.
fn tag(line: &Node<'_>, repo: &RepoName, environment: &str) -> Result<DeliveryEvent, Refusal> {
    let name = line.text("name")?;
    let tagged_at = line.unix_time("tagged_at")?;
    let body = DeploymentEvent {
        sha: Some(line.sha("sha")?),
        version: Some(Text::new(name)),
        started_at: Some(tagged_at),
        finished_at: Some(tagged_at),
        ..deployment(&format!("tag:{name}"), environment, DeploymentState::Succeeded)
    };
    let id = format!("tag:{repo}:{name}");
    Ok(event(SOURCE, id, tagged_at, tagged_at, EventBody::Deployment(Box::new(body))))
}
