//! What a payload says of people, taken out before anything is stored.
//!
//! Names, logins and addresses go; what they decide stays. A name becomes one of two words that the source reads
//! like the name itself: [`HUMAN`] or [`BOT`]. Of prose (messages, titles, descriptions) only those forms stay that a
//! source reads: merges, reverts, the word `hotfix`. So the event made of a scrubbed record is that of the record as
//! delivered. Addresses are also taken out of every other text.
//!
//! Which fields these are says `table`: some for every source, and a row for each source. What stays: the numbers and
//! opaque ids of accounts (a comment's author is compared with the pull request's), and names that belong to
//! something else, such as the owner in a repository's name or a name in a branch.
//!
//! Everything else stays as delivered, byte for byte. The body is copied while it is read, so memory is bounded by its
//! length.

mod scrub;
mod table;
mod text;

use crate::github::unwrap_form;
use crate::node::unmarked;
use crate::otlp;
use model::Text;
use model::raw::RawRecord;
use std::borrow::Cow;

pub use table::{PERSONAL, Personal};

/// What stands for a person's name or address.
pub const HUMAN: &str = "human";
/// What stands for the name of a program's account.
pub const BOT: &str = "[bot]";

/// Headers that stay, beside those of CloudEvents (`ce-…`): a source reads them, or they tell one delivery from
/// another. None holds a secret or a name.
pub const KEPT_HEADERS: &[&str] = &[
    "circleci-event-id",
    "circleci-event-type",
    "cluster",
    "content-type",
    "environment",
    "idempotency-key",
    "repo",
    "request-id",
    "sentry-hook-resource",
    "service",
    "sha",
    "traceparent",
    "webhook-id",
    "x-amz-sns-message-id",
    "x-amz-sns-message-type",
    "x-atlassian-webhook-identifier",
    "x-buildkite-event",
    "x-event-key",
    "x-forgejo-delivery",
    "x-forgejo-event",
    "x-gitea-delivery",
    "x-gitea-event",
    "x-github-delivery",
    "x-github-event",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-gitlab-instance",
    "x-request-id",
    "x-request-uuid",
    "x-snyk-event",
    "x-snyk-timestamp",
];

/// Whether a header (its name in lower case) stays.
pub fn keeps_header(name: &str) -> bool {
    KEPT_HEADERS.binary_search(&name).is_ok() || name.starts_with("ce-")
}

/// Takes people out of a record: out of its body, by the list of its source, and every header that is not kept.
///
/// # Errors
/// A body that is not JSON, with line and column: nothing can be said of what it holds, so it must not be stored.
pub fn scrub(record: &mut RawRecord) -> Result<(), serde_json::Error> {
    record.headers.retain(|(name, _)| keeps_header(name.as_str()));
    for (_, value) in &mut record.headers {
        if let Cow::Owned(without) = text::without_addresses(value) {
            *value = without;
        }
    }
    let rules = table::of(record.source.as_str());
    let body = unwrap_form(&record.body);
    let is_form = matches!(body, Cow::Owned(_));
    record.body = scrub::document(unmarked(&body), rules)?;
    // Its keys say nothing of what lies under them.
    if record.source.as_str() == "otlp" {
        record.body = otlp::reduced(&serde_json::from_slice(&record.body)?).to_string().into_bytes();
    }
    if is_form {
        // What was a form is the JSON that the form held.
        record.headers.retain(|(name, _)| name.as_str() != "content-type");
        record.headers.push((Text::new("content-type"), "application/json".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use model::raw::Origin;

    fn scrubbed(source: &str, body: &str) -> String {
        let mut record = RawRecord {
            source: Text::new(source),
            headers: vec![
                (Text::new("authorization"), "Bearer secret".to_owned()),
                (Text::new("x-github-event"), "push".to_owned()),
            ],
            body: body.as_bytes().to_vec(),
            received_at: Timestamp::MIN,
            origin: Origin::default(),
        };
        scrub(&mut record).unwrap();
        assert_eq!(record.header("authorization"), None);
        assert_eq!(record.header("x-github-event"), Some("push"));
        String::from_utf8(record.body).unwrap()
    }

    #[test]
    fn the_kept_headers_are_sorted() {
        assert!(KEPT_HEADERS.is_sorted());
    }

    #[test]
    fn names_become_words_that_say_the_same() {
        assert_eq!(
            scrubbed("github", r#"{"sender":{"login":"jane","id":7,"type":"User","site_admin":false}}"#),
            r#"{"sender":{"login":"human","id":7,"type":"User","site_admin":false}}"#
        );
        assert_eq!(
            scrubbed("github", r#"{"author":{"name":"dependabot[bot]","email":"a@b.com"}}"#),
            r#"{"author":{"name":"[bot]","email":"human"}}"#
        );
        assert_eq!(
            scrubbed("gitlab", r#"{"user_username":"project_7_bot_1","assignees":[{"name":"Jane"}]}"#),
            r#"{"user_username":"[bot]","assignees":[{"name":"human"}]}"#
        );
    }

    #[test]
    fn of_prose_the_read_forms_stay_and_of_other_texts_all_but_addresses() {
        let sha = "a67038ae2e9cb9b9b16423702f98b41e36601001";
        let body = format!(
            r#"{{"message":"Merge branch 'x' by Jane\n\nThis reverts commit {sha}.\nSigned-off-by: Jane <j@acme.com>","ref":"refs/heads/x","note_of":"ask j@acme.com: now"}}"#
        );
        assert_eq!(
            scrubbed("github", &body),
            format!(
                r#"{{"message":"Merge branch '\nThis reverts commit {sha}","ref":"refs/heads/x","note_of":"ask [address]: now"}}"#
            )
        );
    }

    #[test]
    fn what_stays_is_copied_byte_for_byte() {
        let body = r#" { "a\u0062\"" : [1.0, 1e2 ,-0, 123456789012345678901234567890],
            "b": "\/ \u00e9 \\", "owner": "j\u0061ne\"\\", "c": ["\\\"", "x\u0040acme.com", {}, ""], "a\u0040b.com": true } "#;
        let kept = body
            .replace(r#""j\u0061ne\"\\""#, r#""human""#)
            .replace(r"x\u0040acme.com", "[address]")
            .replace(r"a\u0040b.com", "[address]");
        assert_eq!(scrubbed("github", body), kept);
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let mut body = b"{\"a\":\n \"\xff\"}".to_vec();
        let refused = |body: &[u8]| scrub::document(body, table::of("github")).unwrap_err();
        assert_eq!((refused(&body).line(), refused(&body).is_syntax()), (2, true));
        body = b"\xff".to_vec();
        assert_eq!((refused(&body).line(), refused(&body).column()), (1, 1));
    }

    #[test]
    fn a_form_becomes_the_json_in_it() {
        assert_eq!(
            scrubbed("github", "payload=%7B%22sender%22%3A%7B%22login%22%3A%22jane%22%7D%7D&x=1"),
            r#"{"sender":{"login":"human"}}"#
        );
    }

    #[test]
    fn json_within_texts_is_scrubbed_too() {
        let inner = r#"{"detail":{"userIdentity":{"userName":"jane"}}}"#;
        let body = serde_json::json!({ "Message": inner }).to_string();
        let expected = inner.replace("jane", "human");
        assert_eq!(scrubbed("aws", &body), serde_json::json!({ "Message": expected }).to_string());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let mut record = RawRecord {
            source: Text::new("github"),
            headers: Vec::new(),
            body: b"{\"a\":1} trailing jane".to_vec(),
            received_at: Timestamp::MIN,
            origin: Origin::default(),
        };
        assert!(scrub(&mut record).is_err());
    }
}
