//! Deliveries of a hook that failed: what was in them, as it was sent, and that they were lost.
//!
//! Source: GitHub's documentation of the REST API, version 2022-11-28, "Repository webhooks". Attempts of one delivery share
//! its `guid`. That a delivery was lost is a record of its own, not a mark on what was in it: so that is the webhook's to the
//! last byte, and the count does not hang on whether the webhook came after all.

use super::super::{Answer, Found, Question, Wanted, host, items, number, record, text, time};
use model::Timestamp;
use model::raw::RawRecord;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A hook of an organisation is named `orgs/acme/hooks/7`, one of a repository `acme/shop/hooks/7`.
pub(super) fn of_hook(base: &str, name: &str) -> Question {
    let of = if name.starts_with("orgs/") { "" } else { "repos/" };
    let page = match host(base) {
        "api.github.com" => "github.com",
        other => other,
    };
    let context =
        json!({"hook": format!("{base}/{of}{name}"), "name": format!("{page}/{name}"), "delivered": []});
    Question::new("deliveries", format!("{base}/{of}{name}/deliveries?per_page=100"), &context)
}

/// Deliveries of a hook, newest first. One that failed and was not delivered later is asked for whole.
pub(super) fn list(wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
    let mut found = Found::default();
    let hook = text(&question.context, "/hook").unwrap_or_default();
    let name = text(&question.context, "/name").unwrap_or_default();
    let known = |key: &str| -> BTreeSet<String> {
        let list = question.context.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (mut delivered, mut asked) = (known("delivered"), known("asked"));
    let mut is_reached = false;
    for item in items(answer, "") {
        let (Some(at), Some(guid)) = (time(item, "/delivered_at"), text(item, "/guid")) else { continue };
        if at < wanted.since {
            is_reached = true;
            continue;
        }
        if number(item, "/status_code").is_some_and(|code| (200..300).contains(&code)) {
            // What is newer comes first: whatever attempt of it is to come was healed by this one.
            if item.get("redelivery").and_then(Value::as_bool) == Some(true) {
                delivered.insert(guid.to_owned());
            }
            continue;
        }
        let Some(id) = number(item, "/id") else { continue };
        let mut lost = json!({"hook": name, "delivery_id": guid});
        let said = [("event", text(item, "/event").map(str::to_owned)), ("answer", answered(item))];
        for (field, value) in said {
            if let (Some(value), Some(fields)) = (value, lost.as_object_mut()) {
                fields.insert(field.to_owned(), value.into());
            }
        }
        let context = json!({"guid": guid, "at": at.to_string(), "id": id, "lost": lost});
        let is_healed = delivered.contains(guid);
        found.records.extend(told(&context, None, is_healed));
        if !is_healed && asked.insert(guid.to_owned()) {
            let whole = Question::new("delivery", format!("{hook}/deliveries/{id}"), &context);
            found.questions.push(whole.of_what_may_be_gone());
        }
    }
    if let Some(next) = answer.next.filter(|_| !is_reached) {
        let context = json!({"hook": hook, "name": name, "delivered": delivered, "asked": asked});
        found.questions.push(Question { context, ..question.next(next) });
    }
    found
}

/// What GitHub was answered, in its own words.
fn answered(item: &Value) -> Option<String> {
    let code = number(item, "/status_code").filter(|code| *code > 0);
    match (code, text(item, "/status")) {
        (Some(code), Some(status)) if !status.contains(&code.to_string()) => Some(format!("{code} {status}")),
        (_, Some(status)) => Some(status.to_owned()),
        (Some(code), None) => Some(code.to_string()),
        (None, None) => None,
    }
}

/// A delivery as it was sent.
pub(super) fn whole(question: &Question, body: &Value) -> Found {
    let mut found = Found::default();
    let at = time(&question.context, "/at").or_else(|| time(body, "/delivered_at"));
    match (text(body, "/event"), body.pointer("/request/payload"), at) {
        (Some(event), Some(payload), Some(at)) if payload.is_object() => {
            let guid = text(&question.context, "/guid").unwrap_or_default();
            let headers = [("x-github-delivery", guid), ("x-github-event", event)];
            found.records.push(record("github", &headers, payload, at));
            found.records.extend(told(&question.context, Some(payload), true));
            found.healed = 1;
        }
        _ => found.pass_over("delivery_without_payload"),
    }
    found
}

/// That an attempt failed, as an event; of what is known once the payload is there, the repository. It says the same
/// whenever it is asked for, but for what happened since.
fn told(context: &Value, payload: Option<&Value>, is_healed: bool) -> Option<RawRecord> {
    // A question that an earlier version kept says nothing of it.
    let lost = context.get("lost")?;
    let at: Timestamp = time(context, "/at")?;
    let (name, id) = (text(lost, "/hook")?, number(context, "/id")?);
    let (page, of_repo) =
        name.split_once('/').and_then(|(page, rest)| Some((page, rest.split_once("/hooks/")?.0)))?;
    let named = payload.and_then(|payload| text(payload, "/repository/full_name"));
    let of_hook = Some(of_repo).filter(|_| !of_repo.starts_with("orgs/"));
    let mut event = json!({
        "id": format!("lost:{name}:{id}"),
        "type": "lost_delivery",
        "occurred_at": at.to_string(),
        "observed_at": at.to_string(),
        "source": "github",
        "lost_delivery": lost,
    });
    if let (Some(repo), Some(fields)) = (of_hook.or(named), event.as_object_mut()) {
        fields.insert("repo".to_owned(), format!("{page}/{repo}").into());
    }
    if let Some(fields) = event.get_mut("lost_delivery").and_then(Value::as_object_mut).filter(|_| is_healed)
    {
        fields.insert("healed".to_owned(), true.into());
    }
    Some(record("canonical", &[], &event, at))
}
