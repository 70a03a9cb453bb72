//! Which fields say something of people: some for every source, and a row for each source.

use super::text;

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

impl Personal {
    /// What is done with the value under `key` in what lies under `parent`.
    pub(super) fn action(&self, around: Action, parent: &str, key: &str) -> Action {
        match around {
            Action::Person if OPAQUE.contains(&key) => Action::Opaque,
            Action::Person | Action::Opaque => Action::Person,
            _ if self.kept.iter().any(|named| names(named, parent, key)) => Action::Copy,
            _ if self.people.iter().any(|named| names(named, parent, key)) => Action::Person,
            _ if PEOPLE.binary_search(&key).is_ok() => Action::Person,
            _ if self.prose.iter().any(|named| names(named, parent, key)) => Action::Prose,
            _ if PROSE.binary_search(&key).is_ok() => Action::Prose,
            _ => match (self.source, key) {
                ("buildkite", "buildkite:git:commit") => Action::Line,
                // As Google Pub/Sub pushes it.
                (_, "data") if parent == "message" => Action::Base64,
                ("aws", "Message") | (_, "data") => Action::Json,
                (_, "data_base64") => Action::Base64,
                _ => Action::Copy,
            },
        }
    }
}

/// Whether a name of the table is this key's.
fn names(name: &str, parent: &str, key: &str) -> bool {
    match name.strip_suffix(key) {
        Some("") => true,
        Some(before) => before.strip_suffix('.') == Some(parent),
        None => false,
    }
}

/// The row of a source; of one that has none, that of `canonical`, with the fields of every source.
pub(super) fn of(source: &str) -> &'static Personal {
    PERSONAL.iter().find(|row| row.source == source).unwrap_or(&NONE)
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
}
