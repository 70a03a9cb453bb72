//! The vendors' APIs as they tell of the story: what each answers to an address, one item to a page.

use model::Timestamp;
use model::raw::RawRecord;
use serde_json::{Value, json};
use sources::history::{Answer, HISTORIES, History, Wanted};
use std::collections::BTreeMap;

fn sha(of: char) -> String {
    String::from(of).repeat(40)
}

fn at(clock: &str) -> String {
    format!("2025-12-29T{clock}Z")
}

/// What is answered, by the address' path.
type Api = BTreeMap<String, Value>;

fn github() -> Api {
    let repository = |id: u64, name: &str| {
        json!({"id": id, "full_name": format!("acme/{name}"), "html_url": format!("https://github.com/acme/{name}"),
            "default_branch": "main", "owner": {"login": "acme", "type": "Organization"}})
    };
    let commit = |of: char, parents: &[char], clock: &str| {
        let parents: Vec<Value> = parents.iter().map(|parent| json!({"sha": sha(*parent)})).collect();
        let by = json!({"name": "Jane Roe", "email": "jane@example.com", "date": at(clock)});
        json!({"sha": sha(of), "parents": parents, "author": {"login": "jroe", "type": "User"},
            "commit": {"message": "Work", "author": by, "committer": by}})
    };
    let by = json!({"login": "deployer[bot]", "type": "Bot"});
    let deployment = |id: u64, of: char, began: &str, ended: &str| {
        json!({"id": id, "sha": sha(of), "ref": "main", "task": "deploy", "environment": "production",
            "production_environment": true, "created_at": at(began), "updated_at": at(ended), "creator": by})
    };
    let status = |id: u64, ended: &str| {
        json!([{"id": id, "state": "success", "environment": "production", "created_at": at(ended),
            "updated_at": at(ended), "creator": by}])
    };
    let of_cart = |path: &str| format!("/repos/acme/cart{path}");
    let of_checkout = |path: &str| format!("/repos/acme/checkout{path}");
    let tagged = json!({"sha": sha('7'), "message": "Release", "author": {"name": "Jane Roe"},
        "committer": {"date": at("11:00:00")}});
    BTreeMap::from([
        (of_checkout(""), repository(1, "checkout")),
        (
            of_checkout("/commits"),
            json!([
                commit('3', &['2'], "09:45:19"),
                commit('2', &['1'], "09:10:19"),
                commit('1', &[], "08:00:20")
            ]),
        ),
        (
            of_checkout("/deployments"),
            json!([
                deployment(200, '3', "10:05:00", "10:05:50"),
                deployment(100, '1', "09:00:00", "09:00:40")
            ]),
        ),
        (of_checkout("/deployments/200/statuses"), status(201, "10:05:50")),
        (of_checkout("/deployments/100/statuses"), status(101, "09:00:40")),
        (of_cart(""), repository(2, "cart")),
        (of_cart("/commits"), json!([commit('7', &[], "11:00:00")])),
        (
            of_cart("/git/matching-refs/tags"),
            json!([{"ref": "refs/tags/v2.0.0", "object": {"type": "tag", "sha": sha('8')}}]),
        ),
        (
            of_cart(&format!("/git/tags/{}", sha('8'))),
            json!({"tag": "v2.0.0", "tagger": {"name": "Jane Roe", "date": at("11:10:00")},
                "object": {"type": "commit", "sha": sha('7')}}),
        ),
        (of_cart(&format!("/git/commits/{}", sha('7'))), tagged),
    ])
}

fn gitlab() -> Api {
    let root = "/api/v4/projects";
    let project = json!({"id": 15, "name": "Shop", "web_url": "https://gitlab.example.com/acme/retail/shop",
        "path_with_namespace": "acme/retail/shop", "default_branch": "main"});
    let commit = |of: char, parents: &[char], clock: &str, name: &str, email: &str, message: &str| {
        let parents: Vec<String> = parents.iter().map(|parent| sha(*parent)).collect();
        json!({"id": sha(of), "parent_ids": parents, "message": message, "author_name": name, "author_email": email,
            "authored_date": format!("2025-12-29T{clock}.000+00:00"),
            "committed_date": format!("2025-12-29T{clock}.000+00:00")})
    };
    let merge = "Merge branch 'topic' into 'main'\n\nTopic\n\nSee merge request acme/retail/shop!7";
    let revert = format!("Revert \"Add the basket\"\n\nThis reverts commit {}.\n", sha('a'));
    let token = "project_15_bot_6f2a@noreply.gitlab.example.com";
    BTreeMap::from([
        (format!("{root}/acme%2Fretail%2Fshop"), project),
        (
            format!("{root}/15/repository/commits"),
            json!([
                commit('c', &['a', 'b'], "09:05:00", "Jane Roe", "jane.roe@example.com", merge),
                commit('b', &['a'], "09:00:00", "deployer", token, &revert),
            ]),
        ),
        (
            format!("{root}/15/environments"),
            json!([{"id": 3, "name": "production/eu", "tier": "production"}, {"id": 4, "name": "x", "tier": "other"}]),
        ),
        (
            format!("{root}/15/deployments"),
            json!([{"id": 15, "iid": 2, "ref": "main", "sha": sha('c'), "status": "success",
                "created_at": "2025-12-29T09:13:59.900Z", "updated_at": "2025-12-29T09:14:00.700Z",
                "user": {"id": 4, "name": "Jane Roe", "username": "jroe"},
                "environment": {"id": 3, "name": "production/eu", "slug": "production-eu-abc"},
                "deployable": {"id": 796, "status": "success", "started_at": null,
                    "finished_at": "2025-12-29T09:14:00.414Z"}}]),
        ),
    ])
}

fn pagerduty() -> Api {
    let incident = json!({"id": "Q2PIV1DXQ7RCVX", "type": "incident", "status": "resolved", "urgency": "high",
        "title": "Checkout is slow, says Jane Roe", "created_at": at("10:21:00"), "resolved_at": at("10:55:00"),
        "last_status_change_at": at("10:55:00"), "priority": {"id": "PSO75BM", "summary": "P1"},
        "service": {"id": "PF9KMXH", "type": "service_reference", "summary": "API Service"}, "resolve_reason": null,
        "assignments": [{"assignee": {"summary": "Jane Roe"}}]});
    BTreeMap::from([("/incidents".to_owned(), json!({"incidents": [incident], "more": false}))])
}

fn jira() -> Api {
    let fields = json!({
        "statuscategorychangedate": "2025-12-29T05:00:00.828-0600", "issuetype": {"id": "10021", "name": "[System] Incident"},
        "project": {"id": "10005", "key": "OPS"}, "resolution": {"name": "Done"},
        "resolutiondate": "2025-12-29T11:05:00.000+0000", "created": "2025-12-29T10:30:00.000+0000",
        "updated": "2025-12-29T11:05:00.000+0000", "priority": {"name": "High", "id": "2"}, "labels": [], "issuelinks": [],
        "status": {"name": "Completed", "statusCategory": {"key": "done"}}, "components": [{"id": "10010", "name": "checkout"}],
        "environment": "Production, EU",
        "description": "See https://acme.pagerduty.com/incidents/Q2PIV1DXQ7RCVX",
    });
    let issue = json!({"id": "10417", "self": "https://acme.atlassian.net/rest/api/2/issue/10417", "key": "OPS-83",
        "fields": fields});
    BTreeMap::from([
        (
            "/rest/api/2/issuetype".to_owned(),
            json!([{"id": "1", "name": "Bug"}, {"id": "10021", "name": "[System] Incident"}]),
        ),
        ("/rest/api/2/search/jql".to_owned(), json!({"issues": [issue], "isLast": true})),
    ])
}

/// Asks until nothing is open. Lists are told one item to a page.
fn asked(history: &History, base: &str, only: &[&str], api: &Api) -> Vec<RawRecord> {
    let wanted = Wanted {
        base: base.to_owned(),
        since: Timestamp::parse("2025-12-28T00:00:00Z").unwrap(),
        until: Timestamp::parse("2025-12-30T00:00:00Z").unwrap(),
        only: only.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut open = (history.begin)(&wanted);
    open.reverse();
    let mut records = Vec::new();
    let mut unused: std::collections::BTreeSet<&String> = api.keys().collect();
    while let Some(question) = open.pop() {
        let (address, page) = question.url.split_once("#page=").unwrap_or((&question.url, "0"));
        let page: usize = page.parse().unwrap();
        let path = address.split("://").nth(1).unwrap();
        let path = path[path.find('/').unwrap()..].split('?').next().unwrap();
        let Some((key, body)) = api.get_key_value(path) else {
            assert!(question.may_be_gone, "{}", question.url);
            continue;
        };
        unused.remove(key);
        let (body, next) = match body.as_array().filter(|_| history.name.starts_with("git")) {
            Some(list) if page + 1 < list.len() => {
                (json!([list[page]]), Some(format!("{address}#page={}", page + 1)))
            }
            Some(list) => (list.get(page).map_or_else(|| json!([]), |item| json!([item])), None),
            None => (body.clone(), None),
        };
        // Kept as the file of open questions keeps it.
        let question = serde_json::from_slice(&serde_json::to_vec(&question).unwrap()).unwrap();
        let found = history.found(&wanted, &question, Answer { body: &body, next: next.as_deref() });
        assert!(found.passed_over.is_empty(), "{:?}", found.passed_over);
        records.extend(found.records);
        open.extend(found.questions.into_iter().rev());
    }
    assert!(unused.is_empty(), "never asked for: {unused:?}");
    records
}

/// Everything that the four vendors' APIs tell.
pub fn backfilled() -> Vec<RawRecord> {
    let of = |name: &str| HISTORIES.iter().find(|history| history.name == name).unwrap();
    let mut all = asked(of("github"), "https://api.github.com", &["acme/checkout", "acme/cart"], &github());
    all.extend(asked(of("gitlab"), "https://gitlab.example.com/api/v4", &["acme/retail/shop"], &gitlab()));
    all.extend(asked(of("pagerduty"), "https://api.pagerduty.com", &[], &pagerduty()));
    all.extend(asked(of("jira"), "https://acme.atlassian.net", &[], &jira()));
    for record in &all {
        let text = String::from_utf8_lossy(&record.body);
        assert!(
            !text.contains("Jane") && !text.contains("jroe") && !text.contains("example.com\""),
            "{text}"
        );
    }
    all
}
