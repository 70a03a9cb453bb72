//! PagerDuty: incidents, as they began and as they stand.
//!
//! Source: PagerDuty's documentation of the REST API, version 2, "List incidents". Events of webhooks have ids of their own
//! that the API does not tell: their ids differ, what they say does not.

use super::{Answer, Found, History, Question, Wanted, encoded, items, only, record, stamp, text, time};
use model::{Span, Timestamp};
use serde_json::{Value, json};

pub(super) const HISTORY: History = History {
    name: "pagerduty",
    url: Some("https://api.pagerduty.com"),
    root: "",
    token_variable: "PAGERDUTY_TOKEN",
    sources: &["pagerduty"],
    thing: "service's id, as in PF9KMXH",
    needs_names: false,
    asks: "Incidents: their beginning, and their status.",
    rights: "read-only",
    tried: &["/abilities"],
    limits: &[
        "Events of webhooks have ids that the API does not tell: both tell of the same incident.",
        "What lay between the beginning and the status now is not told.",
    ],
    // They are listed by when they began, and last.
    overlap: Span::from_days(30),
    headers: |token| {
        vec![
            ("authorization", format!("Token token={token}")),
            ("accept", "application/vnd.pagerduty+json;version=2".to_owned()),
        ]
    },
    begin,
    read,
};

/// Time that one list spans: a list is cut off at 10,000 incidents, and at 6 months.
const WINDOW: Span = Span::from_days(14);
/// Incidents of a page.
const LIMIT: u64 = 100;

fn begin(wanted: &Wanted) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut from = wanted.since;
    while from < wanted.until {
        let to = from.plus(WINDOW).min(wanted.until);
        let services: String =
            wanted.only.iter().map(|id| format!("&service_ids%5B%5D={}", encoded(id))).collect();
        let url = format!(
            "{}/incidents?since={}&until={}&time_zone=UTC&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged\
             &statuses%5B%5D=resolved&sort_by=created_at%3Aasc&limit={LIMIT}{services}",
            wanted.base,
            stamp(from),
            stamp(to),
        );
        questions.push(Question::new("incidents", url.clone(), &json!({"url": url, "offset": 0})));
        from = to;
    }
    questions
}

fn read(_: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    for item in items(answer, "incidents") {
        let Some(began) = time(item, "/created_at") else { continue };
        found.records.extend(event(item, "triggered", began));
        let changed = time(item, "/last_status_change_at");
        let (status, at) = match text(item, "/status") {
            Some("resolved") => ("resolved", time(item, "/resolved_at").or(changed)),
            Some("acknowledged") => ("acknowledged", changed),
            _ => continue,
        };
        match at {
            Some(at) => found.records.extend(event(item, status, at)),
            None => found.pass_over("incident_without_time"),
        }
    }
    if answer.body.get("more").and_then(Value::as_bool) == Some(true) {
        let offset = super::number(&question.context, "/offset").unwrap_or_default() + LIMIT;
        let first = text(&question.context, "/url").unwrap_or_default();
        let context = json!({"url": first, "offset": offset});
        found.questions.push(Question::new("incidents", format!("{first}&offset={offset}"), &context));
    }
    found
}

/// The event of version 3's webhook that told of a status.
fn event(item: &Value, status: &str, at: Timestamp) -> Option<model::raw::RawRecord> {
    let id = text(item, "/id")?;
    let mut data = only(item, &["id", "created_at", "priority", "resolve_reason", "urgency"]);
    let object = data.as_object_mut()?;
    object.insert("type".to_owned(), "incident".into());
    object.insert("status".to_owned(), status.into());
    object.insert("service".to_owned(), only(item.get("service")?, &["id", "type"]));
    let body = json!({"event": {
        "id": format!("{id}:{status}:{at}"), "event_type": format!("incident.{status}"), "resource_type": "incident",
        "occurred_at": at.to_string(), "data": data,
    }});
    Some(record("pagerduty", &[], &body, at))
}
