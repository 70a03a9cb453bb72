//! GitHub's webhook bodies, with the fields that GitHub documents and a body of about its usual weight.

use crate::body::extended;
use crate::organisation::ORGANISATION;
use model::Timestamp;
use serde_json::{Value, json};

/// An account: of a person or of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The n-th developer.
    Person(u64),
    /// The bot that updates dependencies.
    Renovate,
    /// The workflows' own account.
    Actions,
}

impl Account {
    fn login(self) -> String {
        match self {
            Self::Person(number) => format!("dev-{number}"),
            Self::Renovate => "renovate[bot]".to_owned(),
            Self::Actions => "github-actions[bot]".to_owned(),
        }
    }

    fn id(self) -> u64 {
        match self {
            Self::Person(number) => 1_000 + number,
            Self::Renovate => 29_139_614,
            Self::Actions => 41_898_282,
        }
    }

    fn json(self) -> Value {
        let kind = if matches!(self, Self::Person(_)) { "User" } else { "Bot" };
        json!({"login": self.login(), "id": self.id(), "type": kind, "site_admin": false})
    }

    /// As commits carry their people.
    fn signature(self) -> Value {
        let login = self.login();
        json!({"name": login, "email": format!("{}+{login}@users.noreply.github.com", self.id()), "username": login})
    }
}

/// A commit as pushes list it.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) at: Timestamp,
    pub(crate) message: String,
    pub(crate) author: Account,
    pub(crate) paths: Vec<String>,
}

impl Commit {
    fn json(&self, repository: &str) -> Value {
        json!({
            "id": self.sha,
            "distinct": true,
            "message": self.message,
            "timestamp": self.at.to_string(),
            "url": format!("https://github.com/{repository}/commit/{}", self.sha),
            "author": self.author.signature(),
            "committer": self.author.signature(),
            "added": [],
            "removed": [],
            "modified": self.paths,
        })
    }
}

/// A pull request as it stands at some time.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) author: Account,
    pub(crate) branch: String,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) opened_at: Timestamp,
    pub(crate) labels: Vec<&'static str>,
    pub(crate) commits: usize,
}

/// How a pull request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed<'a> {
    pub(crate) at: Timestamp,
    /// The commit on the default branch; none when it was closed without a merge.
    pub(crate) merge_sha: Option<&'a str>,
}

/// A workflow run's attempt.
#[derive(Debug, Clone)]
pub(crate) struct Run<'a> {
    pub(crate) id: u64,
    pub(crate) attempt: u32,
    pub(crate) number: u64,
    pub(crate) workflow: &'static str,
    pub(crate) event: &'static str,
    pub(crate) sha: &'a str,
    pub(crate) branch: &'a str,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) actor: Account,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment<'a> {
    pub(crate) id: u64,
    pub(crate) sha: &'a str,
    pub(crate) reference: &'a str,
    pub(crate) environment: &'static str,
    pub(crate) created_at: Timestamp,
    pub(crate) run_id: u64,
    /// What set off the workflow that deploys: `push`, or `workflow_dispatch` by the account.
    pub(crate) event: &'static str,
    pub(crate) actor: Account,
}

/// A repository as every body carries it.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: u64,
    pub(crate) name: String,
}

/// No commit: where a new branch stood before.
pub(crate) const ZERO: &str = "0000000000000000000000000000000000000000";

impl Webhook {
    /// `owner/name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{ORGANISATION}/{}", self.name)
    }

    fn repository(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "full_name": self.full_name(),
            "private": true,
            "owner": {"login": ORGANISATION, "id": 9_919, "type": "Organization"},
            "html_url": format!("https://github.com/{}", self.full_name()),
            "default_branch": "main",
        })
    }

    /// A body with what every body carries; what it says itself comes first.
    fn body(&self, sender: Account, own: Value) -> Value {
        let common = json!({
            "repository": self.repository(),
            "organization": {"login": ORGANISATION, "id": 9_919},
            "sender": sender.json(),
        });
        extended(common, own)
    }

    /// `push`: `commits` in order, the last of them where the branch stands now.
    pub(crate) fn push(
        &self,
        branch: &str,
        before: &str,
        commits: &[Commit],
        at: Timestamp,
        by: Account,
    ) -> Value {
        let name = self.full_name();
        let head = commits.last().map(|commit| commit.json(&name)).unwrap_or_default();
        let after = commits.last().map(|commit| commit.sha.as_str()).unwrap_or(ZERO);
        // In pushes GitHub writes this time as seconds.
        let repository = extended(self.repository(), json!({"pushed_at": at.seconds()}));
        let own = json!({
            "ref": format!("refs/heads/{branch}"),
            "before": before,
            "after": after,
            "created": before == ZERO,
            "deleted": false,
            "forced": false,
            "base_ref": null,
            "commits": commits.iter().map(|commit| commit.json(&name)).collect::<Vec<_>>(),
            "head_commit": head,
            "pusher": by.signature(),
            "repository": repository,
        });
        self.body(by, own)
    }

    /// `pull_request` with an action: `opened`, `synchronize`, `closed`.
    pub(crate) fn pull_request(
        &self,
        action: &str,
        pull: &Pull,
        closed: Option<Closed<'_>>,
        at: Timestamp,
        by: Account,
    ) -> Value {
        let merged_at =
            closed.filter(|closed| closed.merge_sha.is_some()).map(|closed| closed.at.to_string());
        let stands = json!({
            "state": if closed.is_some() { "closed" } else { "open" },
            "updated_at": at.to_string(),
            "closed_at": closed.map(|closed| closed.at.to_string()),
            "merged": merged_at.is_some(),
            "merged_at": merged_at,
            "merge_commit_sha": closed.and_then(|closed| closed.merge_sha),
            "commits": pull.commits,
        });
        let node = extended(self.pull_node(pull), stands);
        self.body(by, json!({"action": action, "number": pull.number, "pull_request": node}))
    }

    fn pull_node(&self, pull: &Pull) -> Value {
        let labels: Vec<Value> =
            pull.labels.iter().map(|name| json!({"name": name, "color": "d73a4a"})).collect();
        json!({
            "id": self.id * 100_000 + pull.number,
            "number": pull.number,
            "title": pull.title,
            "user": pull.author.json(),
            "draft": false,
            "created_at": pull.opened_at.to_string(),
            "labels": labels,
            "head": {"label": format!("{ORGANISATION}:{}", pull.branch), "ref": pull.branch, "sha": pull.head},
            "base": {"label": format!("{ORGANISATION}:main"), "ref": "main", "sha": pull.base},
            "html_url": format!("https://github.com/{}/pull/{}", self.full_name(), pull.number),
        })
    }

    /// `pull_request_review`, submitted.
    pub(crate) fn review(&self, id: u64, pull: &Pull, state: &str, at: Timestamp, by: Account) -> Value {
        let node = extended(self.pull_node(pull), json!({"state": "open", "updated_at": at.to_string()}));
        let review = json!({
            "id": id,
            "user": by.json(),
            "body": null,
            "commit_id": pull.head,
            "submitted_at": at.to_string(),
            "state": state,
            "author_association": "MEMBER",
        });
        self.body(by, json!({"action": "submitted", "review": review, "pull_request": node}))
    }

    /// `workflow_run`; `conclusion` is there when it has completed.
    pub(crate) fn workflow_run(&self, run: &Run<'_>, conclusion: Option<&str>, at: Timestamp) -> Value {
        let action = if conclusion.is_some() { "completed" } else { "requested" };
        let path = format!(".github/workflows/{}.yml", run.workflow);
        let node = json!({
            "id": run.id,
            "name": run.workflow,
            "head_branch": run.branch,
            "head_sha": run.sha,
            "path": path,
            "run_number": run.number,
            "run_attempt": run.attempt,
            "event": run.event,
            "status": if conclusion.is_some() { "completed" } else { "queued" },
            "conclusion": conclusion,
            "workflow_id": self.id * 10 + 1,
            "created_at": run.created_at.to_string(),
            "run_started_at": run.started_at.to_string(),
            "updated_at": at.to_string(),
            "html_url": format!("https://github.com/{}/actions/runs/{}", self.full_name(), run.id),
            "actor": run.actor.json(),
            "triggering_actor": run.actor.json(),
        });
        let workflow = json!({"id": self.id * 10 + 1, "name": run.workflow, "path": path, "state": "active"});
        self.body(run.actor, json!({"action": action, "workflow_run": node, "workflow": workflow}))
    }

    /// `deployment`, created.
    pub(crate) fn deployment(&self, deployment: &Deployment<'_>) -> Value {
        self.deployment_body(deployment, deployment.created_at)
    }

    /// `deployment_status`, created.
    pub(crate) fn deployment_status(
        &self,
        deployment: &Deployment<'_>,
        id: u64,
        state: &str,
        at: Timestamp,
    ) -> Value {
        let status = json!({
            "id": id,
            "state": state,
            "environment": deployment.environment,
            "description": "",
            "creator": Account::Actions.json(),
            "created_at": at.to_string(),
            "updated_at": at.to_string(),
            "log_url": format!("https://github.com/{}/actions/runs/{}", self.full_name(), deployment.run_id),
        });
        extended(self.deployment_body(deployment, at), json!({"deployment_status": status}))
    }

    fn deployment_body(&self, deployment: &Deployment<'_>, updated_at: Timestamp) -> Value {
        let node = json!({
            "id": deployment.id,
            "sha": deployment.sha,
            "ref": deployment.reference,
            "task": "deploy",
            "payload": {},
            "environment": deployment.environment,
            "original_environment": deployment.environment,
            "production_environment": deployment.environment == "production",
            "transient_environment": false,
            "description": null,
            "creator": Account::Actions.json(),
            "created_at": deployment.created_at.to_string(),
            "updated_at": updated_at.to_string(),
        });
        let run = json!({
            "id": deployment.run_id,
            "name": "deploy",
            "event": deployment.event,
            "head_sha": deployment.sha,
            "actor": deployment.actor.json(),
            "triggering_actor": deployment.actor.json(),
        });
        self.body(Account::Actions, json!({"action": "created", "deployment": node, "workflow_run": run}))
    }

    /// `release`, published.
    pub(crate) fn release(
        &self,
        id: u64,
        tag: &str,
        sha: &str,
        at: Timestamp,
        by: Account,
        hotfix: bool,
    ) -> Value {
        let name = if hotfix { format!("{tag} (hotfix)") } else { tag.to_owned() };
        let release = json!({
            "id": id,
            "tag_name": tag,
            "target_commitish": sha,
            "name": name,
            "draft": false,
            "prerelease": false,
            "author": by.json(),
            "created_at": at.to_string(),
            "published_at": at.to_string(),
            "body": "See the pull requests since the last release.",
            "assets": [],
            "html_url": format!("https://github.com/{}/releases/tag/{tag}", self.full_name()),
        });
        self.body(by, json!({"action": "published", "release": release}))
    }
}
