//! Jira and Jira Service Management: issues that are incidents, as they stand.
//!
//! Source: Atlassian's documentation of the REST API, version 2, whose texts are texts (in version 3 they are documents):
//! `search/jql` of the cloud, and `search` of a Data Center, which does not know the former.

use super::{Answer, Found, History, Question, Wanted, encoded, items, number, only, record, text, time};
use model::{Span, Timestamp};
use serde_json::{Value, json};

pub(super) const HISTORY: History = History {
    name: "jira",
    url: None,
    root: "",
    token_variable: "JIRA_TOKEN",
    sources: &["jira"],
    thing: "project's key, as in OPS",
    needs_names: false,
    asks: "Issues that are incidents, as they stand; the cloud's token is `name@example.com:TOKEN`.",
    rights: "browsing the projects",
    tried: &["/rest/api/2/myself"],
    limits: &[
        "What lay before an issue's last change is not told.",
        "Ids have the host of the address that is asked: ask the site's own, not api.atlassian.com.",
    ],
    overlap: Span::from_hours(1),
    headers: |token| {
        // The cloud's tokens belong to an account, `name@example.com:TOKEN`; a Data Center's stand alone.
        let proof = match token.contains(':') {
            true => format!("Basic {}", model::base64::encode(token.as_bytes())),
            false => format!("Bearer {token}"),
        };
        vec![("authorization", proof), ("accept", "application/json".to_owned())]
    },
    begin,
    read,
};

/// Issues of a page.
const LIMIT: u64 = 100;
/// What the source reads of an issue.
const FIELDS: &str = "issuetype,labels,status,resolution,resolutiondate,statuscategorychangedate,created,updated,priority,\
                      environment,description,issuelinks,components,project";

fn begin(wanted: &Wanted) -> Vec<Question> {
    vec![Question::new("types", format!("{}/rest/api/2/issuetype", wanted.base), &Value::Null)]
}

fn read(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    match question.kind.as_str() {
        "types" => types(wanted, answer),
        _ => issues(question, answer),
    }
}

/// Which types of issues the source takes for incidents; a label makes any issue one.
fn types(wanted: &Wanted, answer: Answer<'_>) -> Found {
    let ids: Vec<&str> = items(answer, "")
        .iter()
        .filter(|item| text(item, "/name").is_some_and(|name| name.to_lowercase().contains("incident")))
        .filter_map(|item| text(item, "/id"))
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let label = "labels = incident";
    let kind = match ids.is_empty() {
        true => label.to_owned(),
        false => format!("(issuetype in ({}) OR {label})", ids.join(", ")),
    };
    let keys: Vec<String> =
        wanted.only.iter().map(|key| format!("\"{}\"", key.replace(['"', '\\'], ""))).collect();
    let project =
        if keys.is_empty() { String::new() } else { format!(" AND project in ({})", keys.join(", ")) };
    // A day in the zone of whoever asks: a day earlier is the same or before everywhere.
    let day: String = wanted.since.minus(Span::from_days(1)).to_string().chars().take(10).collect();
    let jql = encoded(&format!("{kind}{project} AND updated >= \"{day}\" ORDER BY updated ASC"));
    let of = |path: &str| {
        format!("{}/rest/api/2/{path}?jql={jql}&fields={FIELDS}&maxResults={LIMIT}", wanted.base)
    };
    let ask = |kind: &str, url: String| Question::new(kind, url.clone(), &json!({"url": url}));
    let older = ask("pages", of("search"));
    let asked = Question { otherwise: Some(Box::new(older)), ..ask("issues", of("search/jql")) };
    Found { questions: vec![asked], ..Found::default() }
}

fn issues(question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let list = items(answer, "issues");
    for item in list {
        // Jira's offsets have no colon.
        let Some(at) = time(item, "/fields/updated").or_else(|| offset_time(text(item, "/fields/updated")?))
        else {
            found.pass_over("issue_without_time");
            continue;
        };
        let issue = only(item, &["id", "self", "key", "fields"]);
        let body =
            json!({"webhookEvent": "jira:issue_updated", "timestamp": at.micros() / 1_000, "issue": issue});
        found.records.push(record("jira", &[], &body, at));
    }
    let first = text(&question.context, "/url").unwrap_or_default();
    let next = match question.kind.as_str() {
        "issues" => {
            text(answer.body, "/nextPageToken").map(|token| format!("&nextPageToken={}", encoded(token)))
        }
        _ => {
            let begin = number(answer.body, "/startAt").unwrap_or_default() + list.len() as u64;
            let more = number(answer.body, "/total").is_some_and(|total| begin < total) && !list.is_empty();
            more.then(|| format!("&startAt={begin}"))
        }
    };
    if let Some(next) = next {
        found.questions.push(question.next(&format!("{first}{next}")));
    }
    found
}

/// `2025-12-29T05:00:00.710-0600`.
fn offset_time(text: &str) -> Option<Timestamp> {
    let (begin, end) = text.split_at_checked(text.len().checked_sub(2)?)?;
    Timestamp::parse(&format!("{begin}:{end}")).ok()
}
