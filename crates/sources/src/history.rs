//! History from the vendors' APIs: what is asked, and the records that an answer makes.
//!
//! [`HISTORIES`] is the table from a vendor's name to its two functions: the first questions, and what an answer leads to,
//! records and further questions. Nothing is asked here: whoever asks keeps the questions that are open, so that it can stop
//! and go on. To add a vendor: one file, one row.
//!
//! A record has the shape of the vendor's webhook, as its source reads it, and says the same wherever the API does: the
//! same ids and times, so that both together leave the tables of either. It is *received* when what it tells of happened,
//! not when it was asked for: the same answer is the same record, and where a webhook of the same moment says more than
//! the API does, it wins, for it was received later.
//!
//! People are taken out of records and of what is kept for later questions before anything leaves this file.

mod github;
mod gitlab;
mod jira;
mod pagerduty;

pub use crate::encoding::percent_encode as encoded;
use crate::privacy;
use model::raw::{Origin, RawRecord};
use model::{Span, Text, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where the API answers, without a slash at the end, as in `https://api.github.com`.
    pub base: String,
    /// From when on.
    pub since: Timestamp,
    /// Until when; the time at which the asking began.
    pub until: Timestamp,
    /// Of what: repositories (GitHub also hooks: `acme/shop/hooks/7`), projects, services; by the vendor's own names.
    pub only: Vec<String>,
}

/// A question that is open: an address, what it is for, and what is to be known when the answer comes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What it asks for; the vendor's own word.
    pub kind: String,
    /// The whole address.
    pub url: String,
    /// What the answer will not say again.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
    /// Whether what it asks for may be gone: a thing that was deleted since it was listed, a feature that is switched off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_gone: bool,
    /// What is asked instead where the address is not known: another version of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Box<Question>>,
}

impl Question {
    fn new(kind: &str, url: String, context: &Value) -> Self {
        Self { kind: kind.to_owned(), url, context: context.clone(), ..Self::default() }
    }
    /// It may be gone.
    fn of_what_may_be_gone(self) -> Self {
        Self { may_be_gone: true, ..self }
    }
    /// The same of the next page.
    fn next(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its JSON.
    pub body: &'a Value,
    /// The next page, as the header `Link` names it.
    pub next: Option<&'a str>,
}

/// What an answer leads to.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Records, oldest first where the API says so.
    pub records: Vec<RawRecord>,
    /// Further questions, the next first.
    pub questions: Vec<Question>,
    /// Of the records: deliveries that were lost, and are told now.
    pub healed: u64,
    /// What the API does not tell enough of, by a word.
    pub passed_over: BTreeMap<&'static str, u64>,
}

impl Found {
    fn pass_over(&mut self, what: &'static str) {
        *self.passed_over.entry(what).or_default() += 1;
    }
    /// Asks on, unless the page was the last one or reached back far enough.
    fn next_page(&mut self, question: &Question, answer: Answer<'_>, is_reached: bool) {
        if let Some(next) = answer.next.filter(|_| !is_reached) {
            self.questions.push(question.next(next));
        }
    }
}

/// A vendor whose history can be asked for.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// The source's name.
    pub name: &'static str,
    /// Where the vendor's own service answers; `None`: every organisation has its own address.
    pub url: Option<&'static str>,
    /// What follows an address that names the host only, where the service is self-hosted.
    pub root: &'static str,
    /// The variable that holds the token, where no file is named.
    pub token_variable: &'static str,
    /// The sources whose records it makes.
    pub sources: &'static [&'static str],
    /// What one thing is that can be asked for by name, for messages.
    pub thing: &'static str,
    /// Whether it must be said what is asked for.
    pub needs_names: bool,
    /// What it asks for, as `docs/sources.md` says it.
    pub asks: &'static str,
    /// What the token must be allowed to read.
    pub rights: &'static str,
    /// What any token may ask for and nobody without one, and costs nothing: the first of these that is there.
    pub tried: &'static [&'static str],
    /// What the API does not tell as webhooks do.
    pub limits: &'static [&'static str],
    /// How far before the last asking the next one begins: things of that time may have changed since.
    pub overlap: Span,
    /// The headers that prove us by a token, and choose the API's version.
    pub headers: fn(token: &str) -> Vec<(&'static str, String)>,
    /// The first questions.
    pub begin: fn(&Wanted) -> Vec<Question>,
    /// What an answer leads to; [`History::found`] takes people out of it.
    read: fn(&Wanted, &Question, Answer<'_>) -> Found,
}

/// Every vendor whose history can be asked for, by name.
pub const HISTORIES: &[History] = &[github::HISTORY, gitlab::HISTORY, jira::HISTORY, pagerduty::HISTORY];

/// The history of a vendor.
pub fn history(name: &str) -> Option<&'static History> {
    HISTORIES.iter().find(|history| history.name == name)
}

impl History {
    /// What an answer leads to, without people.
    pub fn found(&self, wanted: &Wanted, question: &Question, answer: Answer<'_>) -> Found {
        let mut found = (self.read)(wanted, question, answer);
        // Lines of `git` are made of facts alone, and are byte for byte those of an import.
        let personal = |record: &RawRecord| record.source.as_str() != "git";
        found.records.retain_mut(|record| !personal(record) || privacy::scrub(record).is_ok());
        for question in &mut found.questions {
            if !question.context.is_null() {
                question.context = self.without_people(&question.context);
            }
        }
        found
    }

    fn without_people(&self, context: &Value) -> Value {
        let mut record = record(self.name, &[], context, Timestamp::MIN);
        let scrubbed = privacy::scrub(&mut record).and_then(|()| serde_json::from_slice(&record.body));
        scrubbed.unwrap_or(Value::Null)
    }
}

/// A record as if its webhook had come at a time.
fn record(source: &str, headers: &[(&str, &str)], body: &Value, at: Timestamp) -> RawRecord {
    RawRecord {
        source: Text::new(source),
        headers: headers.iter().map(|(name, value)| (Text::new(*name), (*value).to_owned())).collect(),
        body: body.to_string().into_bytes(),
        received_at: at,
        origin: Origin { topic: Text::new(format!("backfill:{source}")), partition: 0, offset: 0 },
    }
}

/// A commit as a line of the source `git`, which `import git` and a mirror make, too.
fn commit(repo: &str, commit: &Commit<'_>) -> Option<RawRecord> {
    let authored_at = commit.authored_at.and_then(|text| Timestamp::parse(text).ok());
    let committed_at = Timestamp::parse(commit.committed_at?).ok()?;
    let mut line = json!({
        "type": "commit",
        "sha": commit.sha?,
        "parents": commit.parents.as_ref()?,
        "committed_at": committed_at.seconds(),
        "author_kind": if commit.by_bot { "bot" } else { "human" },
    });
    let fields = line.as_object_mut()?;
    if let Some(authored_at) = authored_at {
        fields.insert("authored_at".to_owned(), authored_at.seconds().into());
    }
    if let Some(reverts) = commit.message.and_then(crate::message::reverts) {
        fields.insert("reverts".to_owned(), reverts.iter().map(|sha| sha.text().to_string()).collect());
    }
    Some(record("git", &[("repo", repo)], &line, committed_at))
}

/// What an API says of a commit.
struct Commit<'a> {
    sha: Option<&'a str>,
    parents: Option<Vec<&'a str>>,
    authored_at: Option<&'a str>,
    committed_at: Option<&'a str>,
    by_bot: bool,
    message: Option<&'a str>,
}

/// The items of a page, in a list or under a key.
fn items<'a>(answer: Answer<'a>, key: &str) -> &'a [Value] {
    let list =
        if answer.body.is_array() { answer.body } else { answer.body.get(key).unwrap_or(&Value::Null) };
    list.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer).and_then(|text| Timestamp::parse(text).ok())
}

/// These fields of an object: what is kept for later questions holds no more than they need.
fn only(value: &Value, fields: &[&str]) -> Value {
    let kept = fields.iter().filter_map(|field| Some(((*field).to_owned(), value.get(field)?.clone())));
    Value::Object(kept.collect())
}

/// A time as a query takes it, in whole seconds.
fn stamp(at: Timestamp) -> String {
    Timestamp::from_seconds(at.seconds()).unwrap_or(at).to_string()
}

/// The host of the API's address.
fn host(base: &str) -> &str {
    crate::forge::host(base).unwrap_or_default()
}
