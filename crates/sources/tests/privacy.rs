//! People are taken out of a record before it is stored: nobody is named in what stays, and the events are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{deliveries, files, payloads, record, shown};
use model::raw::RawRecord;
use serde_json::Value;
use std::collections::BTreeSet;
use streamgauge_sources::privacy::scrub;
use streamgauge_sources::{Outcome, SourceSettings, read};

/// The vendors' samples: a name, and the record as delivered.
fn samples() -> Vec<(String, RawRecord)> {
    let Some(root) = payloads() else { return Vec::new() };
    let sample = |path: std::path::PathBuf| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let parts: Vec<&str> = name.split('/').collect();
        let headers: &[(&str, &str)] =
            if parts[0] == "github" { &[("x-github-event", parts[1])] } else { &[] };
        let record = record(parts[0], headers, std::fs::read(&path).unwrap());
        (name, record)
    };
    files(&root).into_iter().map(sample).collect()
}

/// What differs between what is told of a record as delivered, and of the same scrubbed.
fn difference(name: &str, record: &RawRecord, settings: &SourceSettings) -> Option<String> {
    let as_delivered = read(record, settings);
    let mut scrubbed = record.clone();
    match scrub(&mut scrubbed) {
        Ok(()) => {
            let told = read(&scrubbed, settings);
            // A rejection quotes the body, which may be what was taken out.
            if let (Outcome::Reject(one), Outcome::Reject(other)) = (&as_delivered, &told) {
                return (one.reason != other.reason).then(|| format!("{name}: {one:?}, {other:?}"));
            }
            let (told, as_delivered) = (shown(&told), shown(&as_delivered));
            (told != as_delivered).then(|| format!("{name}:\n{as_delivered}\nbecomes\n{told}"))
        }
        Err(error) => {
            let malformed = matches!(&as_delivered, Outcome::Reject(rejection) if rejection.reason.as_str() == "malformed");
            (!malformed).then(|| format!("{name}: {error}, but {as_delivered:?}"))
        }
    }
}

#[test]
fn the_event_of_a_scrubbed_record_is_that_of_the_record_as_delivered() {
    let settings = SourceSettings::default();
    let mut differences: Vec<String> =
        samples().iter().filter_map(|(name, record)| difference(name, record, &settings)).collect();
    let deliveries = deliveries();
    assert!(deliveries.len() > 600, "{}", deliveries.len());
    for delivery in deliveries {
        let record = record(&delivery.source, &delivery.headers(), &delivery.body);
        differences.extend(difference(&delivery.name.display().to_string(), &record, &delivery.settings));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn scrubbing_again_changes_nothing() {
    for (name, mut record) in samples() {
        scrub(&mut record).unwrap();
        let once = record.clone();
        scrub(&mut record).unwrap();
        assert!(record == once, "{name}");
    }
}

#[test]
fn nobody_is_named_in_what_stays() {
    let all: Vec<_> = samples()
        .into_iter()
        .chain(deliveries().into_iter().map(|delivery| {
            (
                delivery.name.display().to_string(),
                record(&delivery.source, &delivery.headers(), &delivery.body),
            )
        }))
        .collect();
    let (mut seen, mut named) = (0, Vec::new());
    for (name, mut record) in all {
        let Ok(payload) = serde_json::from_slice::<Value>(&record.body) else { continue };
        let mut found = Found::default();
        found.collect(&payload, false);
        if scrub(&mut record).is_err() {
            continue;
        }
        let mut kept = String::from_utf8(record.body).unwrap();
        // A repository's name holds its owner's, and a branch is called as its author called it.
        for name in &found.names_of_things {
            kept = kept.replace(name.as_str(), "");
        }
        for person in &found.people {
            seen += 1;
            if let Some(at) = word_at(&kept, person) {
                let around: String =
                    kept[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
                named.push(format!("{name}: {person:?} behind {around}"));
            }
        }
        if kept.contains("@users.noreply") {
            named.push(format!("{name}: an address"));
        }
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
    assert!(seen > 500 || payloads().is_none(), "only {seen} names were looked for");
}

/// Where a text has a word, and not only as a part of another.
fn word_at(text: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// What an independent look at a payload takes for names of people, and of what is no person.
#[derive(Default)]
struct Found {
    people: BTreeSet<String>,
    names_of_things: BTreeSet<String>,
}

impl Found {
    fn collect(&mut self, value: &Value, person: bool) {
        const NAMES: [&str; 14] = [
            "login",
            "email",
            "username",
            "user_username",
            "user_name",
            "user_email",
            "displayName",
            "display_name",
            "nickname",
            "uniqueName",
            "emailAddress",
            "full_name",
            "name",
            "slug",
        ];
        const ROLES: [&str; 16] = [
            "author",
            "committer",
            "pusher",
            "sender",
            "user",
            "assignee",
            "actor",
            "triggering_actor",
            "creator",
            "owner",
            "createdBy",
            "pushedBy",
            "requested_reviewers",
            "reviewers",
            "assignees",
            "reporter",
        ];
        match value {
            Value::Object(fields) => {
                let thing = fields.get("type").and_then(Value::as_str).is_some_and(|kind| {
                    matches!(kind, "Organization" | "team" | "Bot" | "repository" | "project")
                });
                let addressed = fields.contains_key("email") || fields.contains_key("login");
                let person = (person || addressed) && !thing;
                for (key, field) in fields {
                    let texts: Vec<&str> = match field {
                        Value::String(text) => vec![text.as_str()],
                        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                        _ => Vec::new(),
                    };
                    for text in texts {
                        if let Some((_, rest)) = text.split_once("/repos/") {
                            self.names_of_things
                                .insert(rest.split('/').take(2).collect::<Vec<_>>().join("/"));
                        }
                        if matches!(key.as_str(), "full_name" | "path_with_namespace" | "fullName")
                            && text.contains('/')
                            || matches!(
                                key.as_str(),
                                "ref" | "head_branch" | "source_branch" | "head_ref" | "refname"
                            )
                        {
                            self.names_of_things.insert(text.to_owned());
                        } else if (person && NAMES.contains(&key.as_str()))
                            || (ROLES.contains(&key.as_str()) && key != "owner")
                            || (NAMES[..6].contains(&key.as_str()) && !thing)
                        {
                            self.add(text);
                        }
                    }
                    let organisation = key == "organization"
                        || (key == "owner" && field.get("type").is_none_or(|kind| kind == "Organization"));
                    if let (true, Some(login)) = (organisation, field.get("login").and_then(Value::as_str)) {
                        self.names_of_things.insert(login.to_owned());
                        continue;
                    }
                    self.collect(field, ROLES.contains(&key.as_str()));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, person)),
            _ => {}
        }
    }

    /// Words that are no names are passed over: a bot's, and one that a payload has in other places by chance.
    fn add(&mut self, name: &str) {
        const CHANCE: [&str; 8] = ["admin", "human", "root", "test", "git", "system", "user", "GitHub"];
        if name.len() > 3 && !name.ends_with("[bot]") && !CHANCE.contains(&name) {
            self.people.insert(name.to_owned());
        }
    }
}
