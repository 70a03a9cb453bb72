//! GitLab: projects' commits, merge requests with their comments and approvals, deployments and the jobs that make them,
//! pipelines, incidents and annotated tags.
//!
//! Source: GitLab's documentation of the REST API, version 4. The API's times have milliseconds where webhooks have whole
//! seconds: they are cut, so that both give the same ids. It tells no id of a release, so releases are not asked for.

use super::{
    Answer, Commit, Found, History, Question, Wanted, commit, encoded, host, items, number, only, record,
    stamp, text, time,
};
use model::raw::RawRecord;
use model::{Span, Timestamp};
use serde_json::{Value, json};

pub(super) const HISTORY: History = History {
    name: "gitlab",
    url: Some("https://gitlab.com/api/v4"),
    root: "/api/v4",
    token_variable: "GITLAB_TOKEN",
    sources: &["git", "gitlab"],
    thing: "project, as in acme/shop",
    needs_names: true,
    asks: "Commits of the default branch, merge requests with their commits, comments and approvals, deployments, \
           pipelines, incidents, annotated tags.",
    rights: "`read_api`",
    tried: &["/user"],
    limits: &[
        "A deployment's end is that of its job; its webhook comes within a second of it.",
        "Approvals are comments of the system, and have the comment's time.",
        "The API tells no ids of releases, and no status of an incident but open and closed.",
        "A tag without a time is passed over; commits have no paths: a mirror tells these.",
    ],
    overlap: Span::from_hours(1),
    headers: |token| vec![("private-token", token.to_owned())],
    begin,
    read,
};

fn begin(wanted: &Wanted) -> Vec<Question> {
    let address = |name: &String| format!("{}/projects/{}", wanted.base, encoded(name));
    wanted.only.iter().map(|name| Question::new("project", address(name), &Value::Null)).collect()
}

fn read(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    match question.kind.as_str() {
        "project" => project(wanted, answer.body),
        "commits" => commits(wanted, question, answer),
        "merge_requests" => merge_requests(wanted, question, answer),
        "notes" => notes(question, answer),
        "environments" => environments(wanted, question, answer),
        "deployments" => deployments(question, answer),
        "pipelines" => pipelines(wanted, question, answer),
        "pipeline" => pipeline(question, answer.body),
        "incidents" => incidents(question, answer),
        "tags" => tags(wanted, question, answer),
        _ => Found::default(),
    }
}

/// A webhook's body about the project of the question.
fn told(kind: &str, question: &Question, fields: Value, at: Timestamp) -> RawRecord {
    let mut body = fields;
    if let Some(object) = body.as_object_mut() {
        object.insert("object_kind".to_owned(), kind.into());
        object.insert("project".to_owned(), question.context.get("project").cloned().unwrap_or_default());
    }
    record("gitlab", &[], &body, at)
}

/// A time of the API's, cut to whole seconds.
fn cut(item: &Value, pointer: &str) -> Option<String> {
    time(item, pointer).map(stamp)
}

fn root(wanted: &Wanted, question: &Question) -> String {
    let id = number(&question.context, "/project/id").unwrap_or_default();
    format!("{}/projects/{id}", wanted.base)
}

fn project(wanted: &Wanted, body: &Value) -> Found {
    let project = only(body, &["id", "name", "web_url", "path_with_namespace", "default_branch"]);
    let question = Question::new("project", String::new(), &json!({"project": project}));
    let (root, since) = (root(wanted, &question), stamp(wanted.since));
    let branch = text(body, "/default_branch").map(encoded).unwrap_or_default();
    let ask = |kind: &str, path: String| {
        Question::new(kind, format!("{root}/{path}"), &question.context).of_what_may_be_gone()
    };
    let changed = format!("updated_after={since}&per_page=100");
    Found {
        questions: vec![
            ask("commits", format!("repository/commits?ref_name={branch}&since={since}&per_page=100")),
            ask(
                "merge_requests",
                format!("merge_requests?state=all&scope=all&order_by=updated_at&sort=asc&{changed}"),
            ),
            // They say which tier a deployment's environment has.
            ask("environments", "environments?per_page=100".to_owned()),
            ask("pipelines", format!("pipelines?order_by=updated_at&sort=asc&{changed}")),
            ask(
                "incidents",
                format!(
                    "issues?issue_type=incident&state=all&scope=all&order_by=updated_at&sort=asc&{changed}"
                ),
            ),
            ask("tags", "repository/tags?order_by=updated&sort=desc&per_page=100".to_owned()),
        ],
        ..Found::default()
    }
}

/// Commits of a branch, and of a merge request, whose list may reach far back.
fn commits(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let page = text(&question.context, "/project/web_url").and_then(crate::forge::host);
    let page = page.unwrap_or_else(|| host(&wanted.base)).to_ascii_lowercase();
    let repo =
        format!("{page}/{}", text(&question.context, "/project/path_with_namespace").unwrap_or_default());
    for item in items(answer, "") {
        let parents = item.get("parent_ids").and_then(Value::as_array).filter(|list| !list.is_empty());
        let by_name = |pointer: &str| text(item, pointer).map(crate::person::by_name);
        let account =
            text(item, "/author_email").unwrap_or_default().split(['@', '+']).next().unwrap_or_default();
        let bot = Some(model::event::AuthorKind::Bot);
        let told = Commit {
            sha: text(item, "/id"),
            // In a merge request's list GitLab leaves them out.
            parents: Some(
                parents.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect()),
            ),
            authored_at: text(item, "/authored_date"),
            committed_at: text(item, "/committed_date"),
            by_bot: by_name("/author_name") == bot || Some(crate::person::by_name(account)) == bot,
            message: text(item, "/message"),
        };
        let is_root = parents.is_none();
        if is_root && question.context.get("iid").is_some() {
            found.pass_over("commit_without_parents");
            continue;
        }
        match commit(&repo, &told) {
            Some(record) => found.records.push(record),
            None => found.pass_over("commit_without_time"),
        }
    }
    found.next_page(question, answer, false);
    found
}

fn merge_requests(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "") {
        let (Some(iid), Some(updated)) = (number(item, "/iid"), time(item, "/updated_at")) else { continue };
        // The event of the merge, or of the closing, is the one that has its time.
        let (action, ended) = match text(item, "/state") {
            Some("merged") => ("merge", time(item, "/merged_at")),
            Some("closed") => ("close", time(item, "/closed_at")),
            _ if item.get("created_at") == item.get("updated_at") => ("open", None),
            _ => ("update", None),
        };
        let at = ended.unwrap_or(updated);
        let mut attributes = attributes(item);
        if let Some(object) = attributes.as_object_mut() {
            object.insert("action".to_owned(), action.into());
            object.insert("updated_at".to_owned(), stamp(at).into());
        }
        let labels: Vec<Value> = item
            .get("labels")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|title| json!({"title": title}))
            .collect();
        let author = item.get("author").map(|author| only(author, &["id", "username"])).unwrap_or_default();
        let body = json!({"user": author, "labels": labels, "object_attributes": attributes});
        found.records.push(told("merge_request", question, body, at));
        let context = json!({
            "project": question.context.get("project"), "iid": iid, "author_id": number(item, "/author/id"),
            "attributes": attributes,
        });
        for (kind, part) in [("notes", "notes?sort=asc&order_by=created_at&"), ("commits", "commits?")] {
            let url = format!("{}/merge_requests/{iid}/{part}per_page=100", root(wanted, question));
            found.questions.push(Question::new(kind, url, &context).of_what_may_be_gone());
        }
    }
    found.next_page(question, answer, false);
    found
}

fn attributes(item: &Value) -> Value {
    let mut kept = only(
        item,
        &["id", "iid", "state", "source_branch", "target_branch", "merge_commit_sha", "squash_commit_sha"],
    );
    if let Some(object) = kept.as_object_mut() {
        object.insert("created_at".to_owned(), cut(item, "/created_at").into());
        object.insert("author_id".to_owned(), number(item, "/author/id").into());
        object.insert("last_commit".to_owned(), json!({"id": text(item, "/sha")}));
    }
    kept
}

/// Comments are reviews; an approval is a comment that the system writes.
fn notes(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "") {
        let Some(at) = time(item, "/created_at") else { continue };
        let author = item.get("author").map(|author| only(author, &["id", "username"])).unwrap_or_default();
        let is_system = item.get("system").and_then(Value::as_bool) == Some(true);
        if is_system && text(item, "/body") == Some("approved this merge request") {
            let mut attributes = question.context.get("attributes").cloned().unwrap_or_default();
            if let Some(object) = attributes.as_object_mut() {
                object.insert("action".to_owned(), "approved".into());
                object.insert("updated_at".to_owned(), stamp(at).into());
                // As it was then: not yet merged.
                object.insert("state".to_owned(), "opened".into());
                object.remove("merge_commit_sha");
                object.remove("squash_commit_sha");
            }
            let body = json!({"user": author, "object_attributes": attributes});
            found.records.push(told("merge_request", question, body, at));
        } else if !is_system {
            let attributes = json!({
                "id": item.get("id"), "noteable_type": "MergeRequest", "system": false, "action": "create",
                "author_id": number(item, "/author/id"), "created_at": stamp(at),
            });
            let of = only(&question.context, &["iid", "author_id"]);
            let body = json!({"user": author, "object_attributes": attributes, "merge_request": of});
            found.records.push(told("note", question, body, at));
        }
    }
    found.next_page(question, answer, false);
    found
}

/// The tiers of all environments; then their deployments.
fn environments(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let mut tiers = question.context.get("tiers").and_then(Value::as_object).cloned().unwrap_or_default();
    for item in items(answer, "") {
        if let (Some(name), Some(tier)) = (text(item, "/name"), text(item, "/tier")) {
            tiers.insert(name.to_owned(), tier.into());
        }
    }
    let context = json!({"project": question.context.get("project"), "tiers": tiers});
    found.questions.push(match answer.next {
        Some(next) => Question { context, ..question.next(next) },
        None => {
            let (root, since) = (root(wanted, question), stamp(wanted.since));
            let url =
                format!("{root}/deployments?order_by=updated_at&sort=asc&updated_after={since}&per_page=100");
            Question::new("deployments", url, &context).of_what_may_be_gone()
        }
    });
    found
}

/// A deployment's end is that of its job, where one makes it.
fn deployments(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let page = text(&question.context, "/project/web_url").unwrap_or_default();
    for item in items(answer, "") {
        let Some(updated) = time(item, "/updated_at").or_else(|| time(item, "/created_at")) else { continue };
        let environment = text(item, "/environment/name");
        let tier = environment.and_then(|name| question.context.get("tiers")?.get(name));
        let status = text(item, "/status").unwrap_or_default();
        let ended = matches!(status, "success" | "failed" | "canceled");
        let at = time(item, "/deployable/finished_at").filter(|_| ended).unwrap_or(updated);
        let mut say = |status: &str, at: Timestamp| {
            let body = json!({
                "status": status, "status_changed_at": stamp(at), "deployment_id": item.get("id"),
                "deployable_id": number(item, "/deployable/id"), "environment": environment, "environment_tier": tier,
                "ref": item.get("ref"), "user": item.get("user").map(|user| only(user, &["id", "username"])),
                "commit_url": text(item, "/sha").map(|sha| format!("{page}/-/commit/{sha}")),
            });
            found.records.push(told("deployment", question, body, at));
        };
        if let Some(began) = time(item, "/deployable/started_at").filter(|began| ended && *began < at) {
            say("running", began);
        }
        say(status, at);
    }
    found.next_page(question, answer, false);
    found
}

fn pipelines(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for id in items(answer, "").iter().filter_map(|item| number(item, "/id")) {
        // The list does not say when one ended.
        let url = format!("{}/pipelines/{id}", root(wanted, question));
        found.questions.push(Question::new("pipeline", url, &question.context).of_what_may_be_gone());
    }
    found.next_page(question, answer, false);
    found
}

fn pipeline(question: &Question, item: &Value) -> Found {
    let mut found = Found::default();
    let Some(at) = time(item, "/finished_at").or_else(|| time(item, "/updated_at")) else { return found };
    let mut attributes = only(item, &["id", "status", "source", "sha", "ref"]);
    if let Some(object) = attributes.as_object_mut() {
        object.insert("created_at".to_owned(), cut(item, "/created_at").into());
        object.insert("finished_at".to_owned(), cut(item, "/finished_at").into());
    }
    found.records.push(told("pipeline", question, json!({"object_attributes": attributes}), at));
    found
}

/// The API tells no status of an incident but open and closed.
fn incidents(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "") {
        let Some(at) = time(item, "/updated_at") else { continue };
        let mut attributes = only(item, &["id", "iid", "state"]);
        if let Some(object) = attributes.as_object_mut() {
            object.insert("type".to_owned(), "Incident".into());
            object.insert("severity".to_owned(), text(item, "/severity").map(str::to_lowercase).into());
            for field in ["created_at", "updated_at", "closed_at"] {
                object.insert(field.to_owned(), cut(item, &format!("/{field}")).into());
            }
        }
        found.records.push(told("issue", question, json!({"object_attributes": attributes}), at));
    }
    found.next_page(question, answer, false);
    found
}

/// Only an annotated tag says when it was made, and that only since version 16.
fn tags(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let mut is_reached = false;
    for item in items(answer, "") {
        let Some(at) = time(item, "/created_at") else {
            found.pass_over("tag_without_time");
            continue;
        };
        if at < wanted.since {
            is_reached = true;
            continue;
        }
        let body = json!({
            "ref": text(item, "/name").map(|name| format!("refs/tags/{name}")), "after": item.get("target"),
            "before": "0".repeat(40), "checkout_sha": text(item, "/commit/id"), "commits": [],
        });
        found.records.push(told("tag_push", question, body, at));
    }
    found.next_page(question, answer, is_reached);
    found
}
