//! What an API tells is what the webhook told: objects of real webhooks, answered as the API answers them, become events
//! with the same ids and the same content.
//!
//! GitHub's webhooks carry the API's own objects: its samples are the answers. GitLab's say the same in another shape: the
//! answers are written from its documentation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{files, outcome, payloads};
use model::Timestamp;
use model::raw::RawRecord;
use serde_json::{Value, json};
use streamgauge_sources::history::{Answer, Found, History, Question, Wanted, history};
use streamgauge_sources::{Outcome, SourceSettings, read};

fn wanted(base: &str) -> Wanted {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let (since, until) = (at("2000-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z"));
    Wanted { base: base.to_owned(), since, until, only: vec!["acme/shop".to_owned()] }
}

fn answer(history: &History, kind: &str, context: Value, body: &Value) -> Found {
    let question = Question { kind: kind.to_owned(), context, ..Question::default() };
    history.found(&wanted("https://api.github.com"), &question, Answer { body, next: None })
}

/// The events of an outcome, without when they were observed and without what the API does not tell.
fn events(outcome: &Outcome, untold: &[&str]) -> Vec<Value> {
    let Outcome::Emit(events) = outcome else { panic!("{outcome:?}") };
    let shown = |event: &model::DeliveryEvent| {
        let mut value = model::json::to_value(event);
        value.as_object_mut().unwrap().remove("observed_at");
        let kind = value["type"].as_str().unwrap().to_owned();
        for field in untold {
            value[&kind].as_object_mut().unwrap().remove(*field);
        }
        value
    };
    events.iter().map(shown).collect()
}

fn told(record: &RawRecord) -> Outcome {
    read(record, &SourceSettings::default())
}

#[test]
fn github_s_objects_become_the_events_of_their_webhooks() {
    let Some(root) = payloads() else { return };
    let github = history("github").unwrap();
    // The event, the webhooks that the API can tell, what their objects answer, and what they do not tell.
    type Case = (&'static str, &'static str, &'static str, fn(&Value) -> Value);
    let cases: [Case; 5] = [
        ("pull_request", "closed", "pulls", |body| json!([body["pull_request"]])),
        ("pull_request_review", "submitted", "reviews", |body| json!([body["review"]])),
        ("deployment", "", "deployments", |body| json!([body["deployment"]])),
        ("workflow_run", "completed", "runs", |body| json!({"workflow_runs": [body["workflow_run"]]})),
        ("release", "published", "releases", |body| json!([body["release"]])),
    ];
    let mut compared = 0;
    for (event, begin, kind, object) in cases {
        for path in files(&root.join("github").join(event)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with(begin) {
                continue;
            }
            let text = std::fs::read(&path).unwrap();
            let body: Value = serde_json::from_slice(&text).unwrap();
            let webhook = outcome("github", &[("x-github-event", event)], &text);
            if matches!(webhook, Outcome::Drop(_)) {
                continue;
            }
            let workflow = body["workflow_run"]["workflow_id"].to_string();
            let context = json!({"repository": body["repository"], "number": body["pull_request"]["number"],
                "workflows": {workflow: body["workflow"]["name"]}});
            let found = answer(github, kind, context, &object(&body));
            let record = &found.records[0];
            // Which workflow run deployed is told by the webhook alone.
            let untold = if event == "deployment" { vec!["trigger", "author_kind"] } else { vec![] };
            assert_eq!(events(&told(record), &untold), events(&webhook, &untold), "{}", path.display());
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn a_run_of_github_s_has_the_name_that_its_workflow_has_now() {
    let github = history("github").unwrap();
    let repository = json!({"full_name": "acme/shop", "html_url": "https://github.com/acme/shop"});
    let list = json!({"workflows": [{"id": 7, "name": "Build and test"}]});
    let asked = answer(github, "workflows", json!({"repository": repository}), &list).questions.remove(0);
    let run = json!({"workflow_runs": [{"id": 1, "workflow_id": 7, "name": "", "path": ".github/workflows/a.yml",
        "head_sha": "a".repeat(40), "status": "completed", "conclusion": "success", "run_attempt": 1,
        "created_at": "2025-06-01T00:00:00Z", "updated_at": "2025-06-01T00:10:00Z"}]});
    let found = answer(github, &asked.kind, asked.context, &run);
    assert_eq!(events(&told(&found.records[0]), &[])[0]["pipeline_run"]["workflow"], "Build and test");
}

#[test]
fn a_status_of_github_s_becomes_the_event_of_its_webhook() {
    let Some(root) = payloads() else { return };
    let github = history("github").unwrap();
    for path in files(&root.join("github/deployment_status")) {
        let text = std::fs::read(&path).unwrap();
        let body: Value = serde_json::from_slice(&text).unwrap();
        let webhook = outcome("github", &[("x-github-event", "deployment_status")], &text);
        if matches!(webhook, Outcome::Drop(_)) {
            continue;
        }
        let context = json!({"repository": body["repository"], "deployment": body["deployment"]});
        let found = answer(github, "statuses", context, &json!([body["deployment_status"]]));
        let untold = ["trigger", "author_kind"];
        assert_eq!(
            events(&told(&found.records[0]), &untold),
            events(&webhook, &untold),
            "{}",
            path.display()
        );
    }
}

/// A payload of the source's own tests.
fn kept(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/payloads/gitlab/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let whole: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    whole["body"].to_string().into_bytes()
}

#[test]
fn gitlab_s_answers_become_the_events_of_its_webhooks() {
    let gitlab = history("gitlab").unwrap();
    let project = json!({"id": 15, "web_url": "https://gitlab.example.com/acme/retail/shop",
        "path_with_namespace": "acme/retail/shop", "default_branch": "main"});
    let sha = |of: char| String::from(of).repeat(40);
    let jane = json!({"id": 4, "name": "Jane Roe", "username": "jroe"});
    let merge_request = json!([{
        "id": 99, "iid": 7, "state": "merged", "source_branch": "topic", "target_branch": "main",
        "created_at": "2025-12-28T09:00:00.123Z", "updated_at": "2025-12-29T12:00:00.123Z",
        "merged_at": "2025-12-29T09:00:00.987Z", "closed_at": null, "labels": ["ui", "bug"], "author": jane,
        "sha": sha('b'), "merge_commit_sha": sha('c'), "squash_commit_sha": null,
    }]);
    let note = json!([{"id": 1244, "body": "This needs work.", "system": false, "noteable_type": "MergeRequest",
        "author": {"id": 5, "username": "jdoe"}, "created_at": "2025-12-28T09:30:00.441Z"}]);
    let pipeline = json!({"id": 31, "iid": 3, "ref": "main", "sha": sha('c'), "source": "push", "status": "success",
        "created_at": "2025-12-29T09:10:00.441Z", "updated_at": "2025-12-29T09:15:00.541Z",
        "started_at": "2025-12-29T09:10:10.441Z", "finished_at": "2025-12-29T09:15:00.500Z"});
    let incident = json!([{"id": 301, "iid": 23, "state": "closed", "severity": "CRITICAL", "issue_type": "incident",
        "created_at": "2025-12-29T10:00:00.000Z", "updated_at": "2025-12-29T11:00:00.300Z",
        "closed_at": "2025-12-29T11:00:00.200Z", "author": jane}]);
    let deployment = json!([{"id": 15, "iid": 2, "ref": "main", "sha": sha('c'), "status": "success",
        "created_at": "2025-12-29T09:13:00Z", "updated_at": "2025-12-29T09:14:02.700Z", "user": jane,
        "environment": {"id": 3, "name": "production/eu"},
        "deployable": {"id": 796, "started_at": null, "finished_at": "2025-12-29T09:14:00.414Z"}}]);
    let context =
        json!({"project": project, "iid": 7, "author_id": 4, "tiers": {"production/eu": "production"}});
    // Who merged is told by the webhook; the author, whom the API tells instead, is not.
    for (webhook, kind, body, untold) in [
        ("merge_request.merge", "merge_requests", &merge_request, &["author_kind"][..]),
        ("note.merge_request", "notes", &note, &[]),
        ("pipeline.success", "pipeline", &pipeline, &[]),
        ("incident.close", "incidents", &incident, &[]),
        ("deployment.success", "deployments", &deployment, &[]),
    ] {
        let found = answer(gitlab, kind, context.clone(), body);
        let expected = events(&outcome("gitlab", &[], kept(webhook)), untold);
        assert_eq!(events(&told(&found.records[0]), untold), expected, "{webhook}");
        let text = String::from_utf8(found.records[0].body.clone()).unwrap();
        assert!(!text.contains("jroe") && !text.contains("Jane"), "{text}");
    }
}

#[test]
fn what_an_api_leaves_out_and_what_is_none_leads_to_nothing_and_never_to_a_panic() {
    for history in streamgauge_sources::history::HISTORIES {
        let kinds = "repository commits workflows pulls reviews deployments statuses runs attempt releases tags tag tagged \
                     deliveries delivery project merge_requests notes environments pipelines pipeline incidents types \
                     issues pages other";
        for kind in kinds.split_whitespace() {
            let bodies = [
                json!(null),
                json!([]),
                json!({}),
                json!("x"),
                json!([null, 7, {}, {"id": "x", "created_at": 3}]),
            ];
            for body in bodies {
                for context in [json!(null), json!({"repository": 7, "project": [], "url": 1}), json!([])] {
                    let found = answer(history, kind, context, &body);
                    assert!(found.records.iter().all(|record| !record.body.is_empty()));
                }
            }
        }
    }
}

#[test]
fn a_page_that_reaches_back_far_enough_is_the_last_and_of_the_rest_nothing_is_asked() {
    let github = history("github").unwrap();
    let mut wanted = wanted("https://api.github.com");
    wanted.since = Timestamp::parse("2025-06-01T00:00:00Z").unwrap();
    let context =
        json!({"repository": {"full_name": "acme/shop", "html_url": "https://github.com/acme/shop"}});
    let question = Question { kind: "deployments".to_owned(), context, ..Question::default() };
    let sha = "a".repeat(40);
    let deployment =
        |id: u64, at: &str| json!({"id": id, "sha": sha, "environment": "production", "created_at": at});
    let next = "https://api.github.com/repos/acme/shop/deployments?page=2";
    let found = |list: Value| github.found(&wanted, &question, Answer { body: &list, next: Some(next) });
    let young = found(json!([deployment(2, "2025-06-02T00:00:00Z")]));
    let urls = |found: &Found| found.questions.iter().map(|asked| asked.url.clone()).collect::<Vec<_>>();
    let statuses = "https://api.github.com/repos/acme/shop/deployments/2/statuses?per_page=100";
    assert_eq!(urls(&young), [statuses, next]);
    let old = found(json!([deployment(2, "2025-06-02T00:00:00Z"), deployment(1, "2025-05-31T00:00:00Z")]));
    assert_eq!((urls(&old), old.records.len()), (vec![statuses.to_owned()], 1));
}

#[test]
fn pagerduty_s_list_is_asked_for_in_parts_and_in_pages() {
    let pagerduty = history("pagerduty").unwrap();
    let mut wanted = wanted("https://api.pagerduty.com");
    wanted.since = Timestamp::parse("2025-01-01T00:00:00Z").unwrap();
    wanted.until = Timestamp::parse("2025-01-31T00:00:00Z").unwrap();
    wanted.only = vec!["PF9KMXH".to_owned()];
    let questions = (pagerduty.begin)(&wanted);
    let spans: Vec<(bool, bool)> = questions
        .iter()
        .map(|asked| (asked.url.contains("since=2025-01-15"), asked.url.contains("until=2025-01-15")))
        .collect();
    assert_eq!(spans, [(false, true), (true, false), (false, false)]);
    assert!(questions.iter().all(|asked| asked.url.contains("service_ids%5B%5D=PF9KMXH")));
    let page = json!({"incidents": [], "more": true});
    let mut question = questions[0].clone();
    for offset in [100, 200] {
        let found = pagerduty.found(&wanted, &question, Answer { body: &page, next: None });
        question = found.questions[0].clone();
        assert_eq!(question.url, format!("{}&offset={offset}", questions[0].url));
    }
}

#[test]
fn jira_s_cloud_is_asked_first_and_a_data_center_as_it_can() {
    let jira = history("jira").unwrap();
    let mut wanted = wanted("https://acme.atlassian.net");
    wanted.only = vec!["OPS".to_owned()];
    let types = json!([{"id": "1", "name": "Bug"}, {"id": "10021", "name": "[System] Incident"}]);
    let first = (jira.begin)(&wanted).remove(0);
    let found = jira.found(&wanted, &first, Answer { body: &types, next: None });
    let asked = &found.questions[0];
    assert!(asked.url.starts_with("https://acme.atlassian.net/rest/api/2/search/jql?jql="), "{}", asked.url);
    assert!(asked.url.contains("issuetype%20in%20%2810021%29%20OR%20labels"), "{}", asked.url);
    assert!(asked.url.contains("project%20in%20%28%22OPS%22%29"), "{}", asked.url);
    let page = json!({"issues": [], "nextPageToken": "a/b"});
    let next = jira.found(&wanted, asked, Answer { body: &page, next: None });
    assert!(next.questions[0].url.ends_with("&nextPageToken=a%2Fb"));
    let older = asked.otherwise.as_ref().unwrap();
    assert!(older.url.starts_with("https://acme.atlassian.net/rest/api/2/search?jql="));
    let issue = json!({"id": "1", "fields": {"updated": "2025-12-29T05:00:00.710-0600"}});
    let page = json!({"startAt": 0, "total": 2, "issues": [issue]});
    let next = jira.found(&wanted, older, Answer { body: &page, next: None });
    assert!(next.questions[0].url.ends_with("&startAt=1"));
    let page = json!({"startAt": 1, "total": 2, "issues": [issue]});
    assert!(jira.found(&wanted, &next.questions[0], Answer { body: &page, next: None }).questions.is_empty());
}

#[test]
fn a_lost_delivery_is_told_the_same_whenever_it_is_asked_for_and_is_no_part_of_what_was_in_it() {
    let github = history("github").unwrap();
    let mut wanted = wanted("https://api.github.com");
    wanted.only = vec!["orgs/acme/hooks/9".to_owned()];
    let begin = (github.begin)(&wanted);
    let item = |id: u64, guid: &str, code: u64, again: bool| {
        json!({"id": id, "guid": guid, "delivered_at": format!("2026-01-01T00:00:0{id}Z"), "redelivery": again,
            "status_code": code, "status": if code == 0 { "timed out" } else { "Invalid HTTP Response: 502" },
            "event": "push"})
    };
    let ask = |question: &Question, body: Value| {
        github.found(&wanted, question, Answer { body: &body, next: None })
    };
    let lost = |found: &Found| -> Vec<Value> {
        let records = found.records.iter().filter(|record| record.source.as_str() == "canonical");
        records.flat_map(|record| events(&told(record), &[])).collect()
    };
    let expected = |id: u64, guid: &str, answer: &str| {
        json!({"id": format!("lost:github.com/orgs/acme/hooks/9:{id}"), "type": "lost_delivery",
            "occurred_at": format!("2026-01-01T00:00:0{id}Z"), "source": "github",
            "lost_delivery": {"hook": "github.com/orgs/acme/hooks/9", "delivery_id": guid, "event": "push",
                "answer": answer}})
    };
    let first = ask(&begin[0], json!([item(2, "b", 0, false), item(1, "a", 502, false)]));
    let refused = "Invalid HTTP Response: 502";
    assert_eq!(lost(&first), [expected(2, "b", "timed out"), expected(1, "a", refused)]);
    assert_eq!(first.questions.len(), 2);

    // The payload's record is the webhook's; that it was lost is told beside it, with the repository that it names.
    let payload = json!({"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}});
    let whole = ask(&first.questions[0], json!({"id": 2, "event": "push", "request": {"payload": payload}}));
    let record = whole.records.iter().find(|record| record.source.as_str() == "github").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&record.body).unwrap(), payload);
    let headers: Vec<&str> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["x-github-delivery", "x-github-event"]);
    let mut healed = expected(2, "b", "timed out");
    healed["lost_delivery"]["healed"] = json!(true);
    healed["repo"] = json!("github.com/acme/shop");
    assert_eq!(lost(&whole), [healed]);

    // Asked again later, after somebody had the first one delivered again: that healed it, and nothing is asked for it.
    let again = json!([item(3, "a", 202, true), item(2, "b", 0, false), item(1, "a", 502, false)]);
    let later = ask(&begin[0], again);
    let mut by_hand = expected(1, "a", refused);
    by_hand["lost_delivery"]["healed"] = json!(true);
    assert_eq!(lost(&later), [expected(2, "b", "timed out"), by_hand]);
    assert_eq!(later.questions, first.questions[..1]);
    assert_eq!(later.records[0], first.records[0]);
}
