//! GitHub: repositories' commits, pull requests, reviews, deployments, workflow runs, releases and annotated tags; and
//! deliveries of hooks that failed.
//!
//! Source: GitHub's documentation of the REST API, version 2022-11-28. Deliveries are kept by GitHub for three days and
//! are told as they were sent, so that nothing of them differs from the webhook (`deliveries.rs`).

mod deliveries;

use super::{
    Answer, Commit, Found, History, Question, Wanted, commit, items, number, only, record, stamp, text, time,
};
use model::{Span, Timestamp};
use serde_json::{Value, json};

pub(super) const HISTORY: History = History {
    name: "github",
    url: Some("https://api.github.com"),
    root: "/api/v3",
    token_variable: "GITHUB_TOKEN",
    sources: &["canonical", "git", "github"],
    thing: "repository, as in acme/checkout",
    needs_names: true,
    asks: "Commits of the default branch, pull requests with their commits and reviews, deployments with their statuses, \
           attempts of workflow runs, releases, annotated tags; of a hook (`acme/shop/hooks/7`, `orgs/acme/hooks/7`) the \
           deliveries that failed; those that were not delivered later are told, all are counted in `data_quality`.",
    rights: "read of contents, pull requests, deployments and actions; of hooks their webhooks, too",
    // A server without limits knows the second alone.
    tried: &["/rate_limit", "/meta"],
    limits: &[
        "A plain tag has no time, and is passed over; an annotated one was pushed when it was made.",
        "A deployment does not name its workflow run: what a person set off by hand counts as its app's.",
        "Packages, alerts and renames are not asked for, nor are commits' paths: a mirror tells these.",
        "GitHub keeps deliveries for three days.",
    ],
    // Deployments and runs are listed by when they were made, and end later.
    overlap: Span::from_hours(24),
    headers: |token| {
        vec![
            ("authorization", format!("Bearer {token}")),
            ("accept", "application/vnd.github+json".to_owned()),
            ("x-github-api-version", "2022-11-28".to_owned()),
        ]
    },
    begin,
    read,
};

/// Earlier attempts of one run that are asked for.
const MAX_ATTEMPTS: u64 = 20;

fn begin(wanted: &Wanted) -> Vec<Question> {
    let base = &wanted.base;
    let question = |name: &String| match name.contains("/hooks/") {
        true => deliveries::of_hook(base, name),
        false => Question::new("repository", format!("{base}/repos/{name}"), &Value::Null),
    };
    wanted.only.iter().map(question).collect()
}

fn read(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    match question.kind.as_str() {
        "repository" => repository(wanted, answer.body),
        "commits" => commits(question, answer),
        "pulls" => pulls(wanted, question, answer),
        "reviews" => reviews(question, answer),
        "deployments" => deployments(wanted, question, answer),
        "statuses" => statuses(question, answer),
        "workflows" => workflows(wanted, question, answer),
        "runs" => runs(wanted, question, answer),
        "attempt" => Found { records: run(question, answer.body).into_iter().collect(), ..Found::default() },
        "releases" => releases(wanted, question, answer),
        "tags" => tags(wanted, question, answer),
        "tag" => tag(wanted, question, answer.body),
        "tagged" => tagged(question, answer.body),
        "deliveries" => deliveries::list(wanted, question, answer),
        "delivery" => deliveries::whole(question, answer.body),
        _ => Found::default(),
    }
}

/// A webhook's body about the repository of the question.
fn told(event: &str, question: &Question, fields: Value, at: Timestamp) -> model::raw::RawRecord {
    let mut body = fields;
    if let Some(object) = body.as_object_mut() {
        object
            .insert("repository".to_owned(), question.context.get("repository").cloned().unwrap_or_default());
    }
    record("github", &[("x-github-event", event)], &body, at)
}

fn repository(wanted: &Wanted, body: &Value) -> Found {
    let Some(name) = text(body, "/full_name") else { return Found::default() };
    let (root, since) = (format!("{}/repos/{name}", wanted.base), stamp(wanted.since));
    let repository = only(body, &["id", "name", "full_name", "html_url", "default_branch"]);
    let context = json!({"repository": repository});
    let branch = text(body, "/default_branch").map(super::encoded).unwrap_or_default();
    let ask = |kind: &str, path: String| {
        Question::new(kind, format!("{root}{path}"), &context).of_what_may_be_gone()
    };
    Found {
        questions: vec![
            // 409 is what an empty repository answers.
            ask("commits", format!("/commits?sha={branch}&since={since}&per_page=100")),
            ask("pulls", "/pulls?state=all&sort=updated&direction=desc&per_page=100".to_owned()),
            ask("deployments", "/deployments?per_page=100".to_owned()),
            // They say what a run's workflow is called.
            ask("workflows", "/actions/workflows?per_page=100".to_owned()),
            ask("releases", "/releases?per_page=100".to_owned()),
            ask("tags", "/git/matching-refs/tags?per_page=100".to_owned()),
        ],
        ..Found::default()
    }
}

/// host/owner/name, as the source makes it of the webhook.
fn repo(question: &Question) -> String {
    let page =
        text(&question.context, "/repository/html_url").and_then(crate::forge::host).unwrap_or("github.com");
    format!("{page}/{}", text(&question.context, "/repository/full_name").unwrap_or_default())
}

fn root(wanted: &Wanted, question: &Question) -> String {
    format!("{}/repos/{}", wanted.base, text(&question.context, "/repository/full_name").unwrap_or_default())
}

fn commits(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let repo = repo(question);
    for item in items(answer, "") {
        let parents = item.get("parents").and_then(Value::as_array);
        let ends_as_bot = |pointer: &str| text(item, pointer).is_some_and(|name| name.ends_with("[bot]"));
        let told = Commit {
            sha: text(item, "/sha"),
            parents: parents.map(|list| list.iter().filter_map(|parent| text(parent, "/sha")).collect()),
            authored_at: text(item, "/commit/author/date"),
            committed_at: text(item, "/commit/committer/date"),
            by_bot: ends_as_bot("/author/login") || ends_as_bot("/commit/author/name"),
            message: text(item, "/commit/message"),
        };
        match commit(&repo, &told) {
            Some(record) => found.records.push(record),
            None => found.pass_over("commit_without_time_or_parents"),
        }
    }
    found.next_page(question, answer, false);
    found
}

fn pulls(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let mut is_reached = false;
    for item in items(answer, "") {
        let (Some(at), Some(number)) = (time(item, "/updated_at"), number(item, "/number")) else { continue };
        if at < wanted.since {
            is_reached = true;
            continue;
        }
        let opened = text(item, "/created_at") == text(item, "/updated_at");
        let action = match text(item, "/state") {
            Some("closed") => "closed",
            _ if opened => "opened",
            _ => "edited",
        };
        let fields = json!({"action": action, "number": number, "pull_request": pull(item)});
        found.records.push(told("pull_request", question, fields, at));
        let context = json!({"repository": question.context.get("repository"), "number": number});
        for (kind, part) in [("reviews", "reviews"), ("commits", "commits")] {
            let url = format!("{}/pulls/{number}/{part}?per_page=100", root(wanted, question));
            found.questions.push(Question::new(kind, url, &context).of_what_may_be_gone());
        }
    }
    found.next_page(question, answer, is_reached);
    found
}

/// What the source reads of a pull request; the rest is long.
fn pull(item: &Value) -> Value {
    let mut pull = only(
        item,
        &[
            "id",
            "number",
            "state",
            "merged_at",
            "closed_at",
            "created_at",
            "updated_at",
            "merge_commit_sha",
            "labels",
            "user",
            "auto_merge",
            "title",
            "draft",
        ],
    );
    if let Some(object) = pull.as_object_mut() {
        for side in ["head", "base"] {
            let end = item.get(side).map(|end| only(end, &["ref", "sha"])).unwrap_or_default();
            object.insert(side.to_owned(), end);
        }
    }
    pull
}

fn reviews(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "") {
        // One that is pending was not given.
        let Some(at) = time(item, "/submitted_at") else { continue };
        let review = only(item, &["id", "state", "submitted_at", "user", "commit_id"]);
        let number = json!({"number": question.context.get("number")});
        let fields = json!({"action": "submitted", "review": review, "pull_request": number});
        found.records.push(told("pull_request_review", question, fields, at));
    }
    found.next_page(question, answer, false);
    found
}

/// Newest first, by when they were asked for.
fn deployments(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let mut is_reached = false;
    for item in items(answer, "") {
        let (Some(at), Some(id)) = (time(item, "/created_at"), number(item, "/id")) else { continue };
        if at < wanted.since {
            is_reached = true;
            continue;
        }
        let fields = [
            "id",
            "sha",
            "ref",
            "task",
            "environment",
            "production_environment",
            "created_at",
            "updated_at",
            "creator",
        ];
        let deployment = only(item, &fields);
        found.records.push(told(
            "deployment",
            question,
            json!({"action": "created", "deployment": deployment}),
            at,
        ));
        let context = json!({"repository": question.context.get("repository"), "deployment": deployment});
        let url = format!("{}/deployments/{id}/statuses?per_page=100", root(wanted, question));
        found.questions.push(Question::new("statuses", url, &context).of_what_may_be_gone());
    }
    found.next_page(question, answer, is_reached);
    found
}

fn statuses(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "") {
        let Some(at) = time(item, "/created_at") else { continue };
        let status = only(item, &["id", "state", "environment", "created_at", "updated_at", "creator"]);
        let deployment = question.context.get("deployment");
        let fields = json!({"action": "created", "deployment_status": status, "deployment": deployment});
        found.records.push(told("deployment_status", question, fields, at));
    }
    found.next_page(question, answer, false);
    found
}

/// The names of all workflows, by their ids; then their runs.
fn workflows(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let mut names = question.context.get("workflows").and_then(Value::as_object).cloned().unwrap_or_default();
    for item in items(answer, "workflows") {
        if let (Some(id), Some(name)) = (number(item, "/id"), text(item, "/name")) {
            names.insert(id.to_string(), name.into());
        }
    }
    let context = json!({"repository": question.context.get("repository"), "workflows": names});
    found.questions.push(match answer.next {
        Some(next) => Question { context, ..question.next(next) },
        None => {
            let url = format!("{}/actions/runs?per_page=100", root(wanted, question));
            Question::new("runs", url, &context).of_what_may_be_gone()
        }
    });
    found
}

/// Newest first, by when they were made. An attempt has a record of its own; the list tells the last one.
fn runs(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let mut is_reached = false;
    for item in items(answer, "workflow_runs") {
        let (Some(created), Some(id)) = (time(item, "/created_at"), number(item, "/id")) else { continue };
        if created < wanted.since {
            is_reached = true;
            continue;
        }
        found.records.extend(run(question, item));
        let last = number(item, "/run_attempt").unwrap_or(1);
        for attempt in last.saturating_sub(MAX_ATTEMPTS).max(1)..last {
            let url = format!("{}/actions/runs/{id}/attempts/{attempt}", root(wanted, question));
            found.questions.push(Question::new("attempt", url, &question.context).of_what_may_be_gone());
        }
    }
    found.next_page(question, answer, is_reached);
    found
}

fn run(question: &Question, item: &Value) -> Option<model::raw::RawRecord> {
    let at = time(item, "/updated_at")?;
    let action = match text(item, "/status") {
        Some("completed") => "completed",
        Some("in_progress") => "in_progress",
        _ => "requested",
    };
    let fields = [
        "id",
        "name",
        "path",
        "head_sha",
        "head_branch",
        "event",
        "status",
        "conclusion",
        "run_attempt",
        "run_started_at",
        "created_at",
        "updated_at",
    ];
    let id = number(item, "/workflow_id").map(|id| id.to_string()).unwrap_or_default();
    // A workflow that was deleted is in no list.
    let name = text(&question.context, &format!("/workflows/{id}"));
    let workflow = name.map(|name| json!({"name": name}));
    let run = json!({"action": action, "workflow": workflow, "workflow_run": only(item, &fields)});
    Some(told("workflow_run", question, run, at))
}

/// The newest first. A draft may be published long after it was made: so far back is looked.
fn releases(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let long_ago = wanted.since.minus(Span::from_days(30));
    let mut is_reached = false;
    for item in items(answer, "") {
        is_reached |= time(item, "/created_at").is_some_and(|at| at < long_ago);
        let Some(at) = time(item, "/published_at").filter(|at| *at >= wanted.since) else { continue };
        let fields = [
            "id",
            "tag_name",
            "target_commitish",
            "name",
            "draft",
            "prerelease",
            "created_at",
            "published_at",
            "author",
        ];
        let release = json!({"action": "published", "release": only(item, &fields)});
        found.records.push(told("release", question, release, at));
    }
    found.next_page(question, answer, is_reached);
    found
}

/// Only an annotated tag says when it was made.
fn tags(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "") {
        let (Some(name), Some(sha)) = (text(item, "/ref"), text(item, "/object/sha")) else { continue };
        if text(item, "/object/type") != Some("tag") {
            found.pass_over("tag_without_time");
            continue;
        }
        let context = json!({"repository": question.context.get("repository"), "ref": name, "after": sha});
        let url = format!("{}/git/tags/{sha}", root(wanted, question));
        found.questions.push(Question::new("tag", url, &context).of_what_may_be_gone());
    }
    found.next_page(question, answer, false);
    found
}

fn tag(wanted: &Wanted, question: &Question, body: &Value) -> Found {
    let mut found = Found::default();
    let Some(at) = time(body, "/tagger/date").filter(|at| *at >= wanted.since) else { return found };
    let Some(sha) = text(body, "/object/sha").filter(|_| text(body, "/object/type") == Some("commit")) else {
        return found;
    };
    let mut context = question.context.clone();
    if let Some(object) = context.as_object_mut() {
        object.insert("tagged_at".to_owned(), at.to_string().into());
    }
    let url = format!("{}/git/commits/{sha}", root(wanted, question));
    found.questions.push(Question::new("tagged", url, &context).of_what_may_be_gone());
    found
}

/// The commit of a tag: with it the tag's push can be told.
fn tagged(question: &Question, body: &Value) -> Found {
    let mut found = Found::default();
    let Some(at) = time(&question.context, "/tagged_at") else { return found };
    let head = json!({
        "id": text(body, "/sha"),
        "message": text(body, "/message"),
        "timestamp": text(body, "/committer/date"),
        "author": body.get("author").map(|author| only(author, &["name"])),
    });
    let mut push = only(&question.context, &["ref", "after"]);
    if let Some(object) = push.as_object_mut() {
        object.insert("before".to_owned(), "0".repeat(40).into());
        object.insert("commits".to_owned(), json!([]));
        object.insert("head_commit".to_owned(), head);
    }
    let mut pushed = question.clone();
    if let Some(repository) = pushed.context.get_mut("repository").and_then(Value::as_object_mut) {
        repository.insert("pushed_at".to_owned(), at.seconds().into());
    }
    found.records.push(told("push", &pushed, push, at));
    found
}
