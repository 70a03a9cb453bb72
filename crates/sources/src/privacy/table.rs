//! Which fields say something of people: some for every source, and a row for each source.

use super::text;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a source's payloads say of people, beside `PEOPLE`, `PROSE` and `KEPT`.
///
/// A field is named by its key, or by the key of the object (or list) that it lies in and its own: `labels.title`.
#[derive(Debug, Clone, Copy)]
pub struct Personal {
    /// The source.
    pub source: &'static str,
    /// Keys under which people lie: a name, an object, or a list of them.
    pub people: &'static [&'static str],
    /// Keys of prose.
    pub prose: &'static [&'static str],
    /// Keys that look like one of those and are not.
    pub kept: &'static [&'static str],
    /// The word that the source reads like a name.
    pub(super) word: fn(&str) -> &'static str,
}

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is copied, its texts without addresses.
    Copy,
    /// A person: texts become a word.
    Person,
    /// Within a person: its text stays when it is no name.
    Opaque,
    /// Texts become what a source reads out of them.
    Prose,
    /// Of a text the first line stays, without addresses.
    Line,
    /// A text that holds JSON.
    Json,
    /// A text that holds base64 of JSON.
    Base64,
}

/// Keys under which people lie, in any source; sorted.
pub const PEOPLE: &[&str] = &[
    "ActorEmail",
    "ActorIP",
    "ActorIPAddress",
    "Author",
    "User",
    "abandoner",
    "account_name",
    "acked_by",
    "acknowledgers",
    "actor",
    "actors",
    "agent_name",
    "approvedBy",
    "approved_by",
    "approver",
    "approvers",
    "assignedTo",
    "assigned_to",
    "assignee",
    "assignees",
    "assignments",
    "author",
    "authorEmail",
    "authorName",
    "author_association_name",
    "author_email",
    "author_name",
    "authors",
    "avatar_url",
    "cancelled_by",
    "changedBy",
    "changed_by",
    "changesetAuthor",
    "closedBy",
    "closed_by",
    "commander",
    "committer",
    "committer_email",
    "committer_name",
    "committers",
    "createdBy",
    "createdByUser",
    "created_by",
    "creator",
    "culprits",
    "deletedBy",
    "deleted_by",
    "dismissed_by",
    "display_name",
    "editor",
    "email",
    "emailAddress",
    "email_address",
    "emails",
    "enabled_by",
    "firstName",
    "first_name",
    "from_user",
    "githubLogin",
    "gravatar_url",
    "initiatedBy",
    "installedBy",
    "invitee",
    "lastChangedBy",
    "lastModifiedBy",
    "lastName",
    "last_edited_by",
    "last_name",
    "last_status_change_by",
    "last_updated_by",
    "liquibaseSystemUser",
    "login",
    "maintainer",
    "maintainers",
    "member",
    "members",
    "mentioned_users",
    "merge_user",
    "mergedBy",
    "merged_by",
    "modifiedBy",
    "modified_by",
    "nickname",
    "opened_by",
    "operator",
    "owner",
    "owners",
    "participants",
    "pushedBy",
    "pushed_by",
    "pusher",
    "reporter",
    "requestedBy",
    "requestedFor",
    "requested_by",
    "requested_reviewer",
    "requested_reviewers",
    "requester",
    "resolvedBy",
    "resolved_by",
    "responder",
    "responders",
    "restorer",
    "reviewed_by",
    "reviewer",
    "reviewers",
    "sender",
    "silenced_by",
    "submitter",
    "triggeredBy",
    "triggered_by",
    "triggering_actor",
    "unblocked_by",
    "updatedBy",
    "updated_by",
    "uploader",
    "user",
    "userIdentity",
    "userName",
    "user_email",
    "user_name",
    "user_username",
    "username",
    "users",
    "voters",
];

/// Keys of prose, in any source; sorted. Texts only: an object or a list under one is looked into.
pub const PROSE: &[&str] = &[
    "body",
    "bodyHtml",
    "body_html",
    "body_text",
    "comment",
    "comments",
    "commit_message",
    "content_html",
    "description",
    "descriptionHtml",
    "detailedMessage",
    "display_title",
    "html",
    "kubernetes.io/change-cause",
    "markdown",
    "merge_commit_message",
    "message",
    "note",
    "notes",
    "raw",
    "review_comment",
    "short_description",
    "squash_commit_message",
    "subject_text",
    "text",
    "title",
    "title_html",
];

/// Keys within a person whose texts stay when they are no names.
const OPAQUE: &[&str] = &[
    "account_id",
    "created_at",
    "date",
    "id",
    "kind",
    "role",
    "status",
    "timestamp",
    "triggerType",
    "type",
    "uuid",
    "vote",
];

/// What the table says of a source's keys. Every key of every delivery is looked up, so it is made once.
pub(super) struct Rules {
    /// The word that the source reads like a name.
    pub(super) word: fn(&str) -> &'static str,
    /// Those that a key may be named by, the first that counts first. The hash's seed may be known: keys that come in
    /// are looked up and never put in.
    by_key: HashMap<&'static str, Vec<Named>, FixedState>,
}

/// A key as the table names it.
struct Named {
    /// The key of what it must lie in; `None`: of anything.
    parent: Option<&'static str>,
    action: Action,
}

impl Rules {
    fn of(row: &Personal) -> Self {
        let mut rules = Self { word: row.word, by_key: HashMap::default() };
        rules.name(row.kept, Action::Copy);
        rules.name(row.people, Action::Person);
        rules.name(PEOPLE, Action::Person);
        rules.name(row.prose, Action::Prose);
        rules.name(PROSE, Action::Prose);
        match row.source {
            "buildkite" => rules.name(&["buildkite:git:commit"], Action::Line),
            "aws" => rules.name(&["Message"], Action::Json),
            _ => {}
        }
        // As Google Pub/Sub pushes it.
        rules.name(&["message.data", "data_base64"], Action::Base64);
        rules.name(&["data"], Action::Json);
        rules
    }

    fn name(&mut self, names: &[&'static str], action: Action) {
        for name in names {
            self.by_key.entry(name).or_default().push(Named { parent: None, action });
            for (at, _) in name.match_indices('.') {
                let (Some(parent), Some(key)) = (name.get(..at), name.get(at + 1..)) else { continue };
                self.by_key.entry(key).or_default().push(Named { parent: Some(parent), action });
            }
        }
    }

    /// What is done with the value under `key` in what lies under `parent`.
    pub(super) fn action(&self, around: Action, parent: &str, key: &str) -> Action {
        match around {
            Action::Person if OPAQUE.contains(&key) => Action::Opaque,
            Action::Person | Action::Opaque => Action::Person,
            _ => {
                let named = self.by_key.get(key).into_iter().flatten();
                let mut here = named.filter(|named| named.parent.is_none_or(|of| of == parent));
                here.next().map_or(Action::Copy, |named| named.action)
            }
        }
    }
}

/// What the table says of each source.
static RULES: LazyLock<HashMap<&str, Rules>> =
    LazyLock::new(|| PERSONAL.iter().map(|row| (row.source, Rules::of(row))).collect());

/// What it says of a source that has no row: the fields of every source.
static OTHER: LazyLock<Rules> = LazyLock::new(|| Rules::of(&NONE));

/// What the table says of a source's keys; of one without a row, what it says of every source.
pub(super) fn of(source: &str) -> &'static Rules {
    RULES.get(source).unwrap_or_else(|| &OTHER)
}

const NONE: Personal = Personal { source: "", people: &[], prose: &[], kept: &[], word: text::by_words };

/// What each source's payloads say of people, by source.
pub const PERSONAL: &[Personal] = &[
    Personal { source: "alertmanager", prose: &["annotations.summary"], ..NONE },
    Personal { source: "argo_rollouts", kept: &["message"], ..NONE },
    Personal { source: "argocd", kept: &["message"], word: text::of_argocd, ..NONE },
    Personal { source: "aws", people: &["principalId"], ..NONE },
    Personal { source: "azure", word: text::of_azure, ..NONE },
    Personal { source: "bitbucket", people: &["workspace"], prose: &["summary"], ..NONE },
    Personal { source: "bitbucket_datacenter", ..NONE },
    Personal { source: "buildkite", ..NONE },
    Personal { source: "canonical", ..NONE },
    Personal { source: "cdevents", ..NONE },
    Personal { source: "circleci", prose: &["subject"], ..NONE },
    Personal { source: "datadog", ..NONE },
    Personal { source: "dockerhub", prose: &["full_description"], ..NONE },
    Personal { source: "flagd", ..NONE },
    Personal { source: "flux", kept: &["message"], ..NONE },
    Personal { source: "ghcr", word: text::by_suffix, ..NONE },
    Personal { source: "git", ..NONE },
    Personal { source: "gitea", word: text::of_gitea, ..NONE },
    Personal {
        source: "github",
        people: &["head.label", "base.label"],
        prose: &["verification.payload"],
        // A repository that changes hands is told by its former owner's login; an organisation is no person.
        kept: &["changes.owner", "from.user", "organization.login", "user.login"],
        word: text::by_suffix,
    },
    Personal { source: "gitlab", people: &["namespace", "user_url"], kept: &["labels.title"], ..NONE },
    Personal { source: "grafana", prose: &["annotations.summary"], ..NONE },
    Personal { source: "harbor", ..NONE },
    Personal { source: "incidentio", prose: &["summary", "incident.name"], ..NONE },
    Personal { source: "jenkins", ..NONE },
    Personal {
        source: "jira",
        people: &["updateAuthor"],
        prose: &["fields.summary", "items.fromString", "items.toString"],
        ..NONE
    },
    Personal { source: "kubernetes", kept: &["message"], ..NONE },
    Personal { source: "launchdarkly", people: &["_maintainer"], ..NONE },
    Personal { source: "opsgenie", people: &["recipients"], ..NONE },
    // Only what is read is kept of its records: `otlp::reduced`.
    Personal { source: "otlp", ..NONE },
    Personal { source: "pagerduty", people: &["agent"], ..NONE },
    Personal { source: "prometheus", ..NONE },
    Personal { source: "sarif", ..NONE },
    Personal { source: "sentry", ..NONE },
    Personal { source: "servicenow", people: &["caller"], ..NONE },
    Personal { source: "snyk", people: &["importingUser"], ..NONE },
    Personal { source: "tekton", kept: &["message"], ..NONE },
    Personal {
        source: "terraform",
        people: &["run_created_by", "run_updated_by"],
        prose: &["run_message"],
        ..NONE
    },
    Personal { source: "trivy", ..NONE },
    Personal { source: "unleash", ..NONE },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_row() {
        let rows: Vec<&str> = PERSONAL.iter().map(|row| row.source).collect();
        let sources: Vec<&str> = crate::SOURCES.iter().map(|source| source.name).collect();
        assert_eq!(rows, sources);
        assert!(PEOPLE.is_sorted() && PROSE.is_sorted());
    }

    #[test]
    fn a_name_with_its_parent_counts_there_alone_and_what_is_kept_counts_first() {
        let github = of("github");
        let under = |parent: &str, key: &str| github.action(Action::Copy, parent, key);
        assert_eq!(under("organization", "login"), Action::Copy);
        assert_eq!(under("sender", "login"), Action::Person);
        assert_eq!(under("head", "label"), Action::Person);
        assert_eq!(under("anything", "label"), Action::Copy);
        // As a vendor writes it that has the path for a key.
        assert_eq!(under("anything", "head.label"), Action::Person);
        assert_eq!((under("message", "data"), under("", "data")), (Action::Base64, Action::Json));
        assert_eq!(of("aws").action(Action::Copy, "", "Message"), Action::Json);
        assert_eq!(of("no such source").action(Action::Copy, "", "Message"), Action::Copy);
        assert_eq!(github.action(Action::Person, "sender", "id"), Action::Opaque);
    }
}
