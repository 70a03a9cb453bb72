//! Which deployment ships a commit, since when it was on its way, and why none does.

use super::{Considered, Explanation, human};
use crate::ship::NotShipped;
use crate::state::{Node, PullRole};
use crate::task::Correlator;
use model::event::MergeMethod;
use model::fact::{Row, RowKey};
use model::{DeploymentId, RepoName, ServiceName, Sha, Span};
use std::collections::{BTreeMap, BTreeSet};

/// What tells what webhooks leave out.
pub(super) const HISTORY: &str = "mirror the repository ([git.mirror]), backfill it, or import its history";

impl Correlator {
    /// Explains a commit for every service of every repository of this task that knows it, or whose deployments reach or
    /// name it although nobody told of it.
    pub fn explain_commit(&self, prefix: &str) -> Vec<Explanation> {
        let like = |sha: &Sha| sha.to_string().starts_with(prefix);
        let rollouts = || self.state.rollouts.iter().map(|(_, rollout)| rollout);
        let listed = rollouts().flat_map(|rollout| rollout.listed.iter().flatten().cloned());
        let told = self.state.nodes.unordered().map(|(key, _)| key.clone());
        let reached = self.state.reach.unordered().map(|((_, repo, sha), _)| (repo.clone(), sha.clone()));
        let commits: BTreeSet<(RepoName, Sha)> =
            told.chain(reached).chain(listed).filter(|(_, sha)| like(sha)).collect();
        let run_on = self.state.runs_on.unordered().map(|((_, sha), _)| sha);
        let named = rollouts().filter_map(|rollout| rollout.commit_sha.as_ref());
        let untold: BTreeSet<&Sha> = named
            .chain(run_on)
            .filter(|sha| like(sha) && !commits.iter().any(|(_, known)| known == *sha))
            .collect();
        let of_each = commits.iter().take(10).flat_map(|(repo, sha)| {
            let services = self.catalog.all_services_of_repo(repo).into_iter();
            services.map(move |service| self.explain_commit_of(&service, repo, sha))
        });
        of_each.chain(untold.into_iter().take(10).flat_map(|sha| self.explain_untold(sha))).collect()
    }

    /// A commit that deployments or runs name and that nobody told of, for each service.
    fn explain_untold(&self, sha: &Sha) -> Vec<Explanation> {
        let mut of: BTreeMap<ServiceName, Vec<Considered>> = BTreeMap::new();
        for ((repo, _), _) in self.state.runs_on.unordered().filter(|((_, on), _)| on == sha) {
            for service in self.catalog.all_services_of_repo(repo) {
                of.entry(service).or_default().extend(self.undeployed_runs(repo, sha));
            }
        }
        for ((service, _), rollout) in self.state.rollouts.iter() {
            if rollout.commit_sha.as_ref() == Some(sha) {
                of.entry(service.clone()).or_default();
            }
        }
        of.into_iter()
            .map(|(service, mut considered)| {
                considered.extend(self.deployed_unknown(&service, sha));
                Explanation {
                    subject: format!("commit {sha} for {service}"),
                    verdict: "no change of this service: neither a push nor a history told of it".to_owned(),
                    considered,
                }
            })
            .collect()
    }

    /// The deployments of a service that are of a commit which no repository of the service knows.
    fn deployed_unknown(&self, service: &ServiceName, sha: &Sha) -> Vec<Considered> {
        let rollouts = self.state.rollouts.range((service.clone(), DeploymentId::default())..);
        let of = rollouts
            .take_while(|((of, _), _)| of == service)
            .filter(|(_, rollout)| rollout.commit_sha.as_ref() == Some(sha) && rollout.head.is_none());
        let detail = "it is of this commit, which is not known in a repository of the service: what it ships cannot be told";
        of.map(|((_, id), _)| {
            Considered::no(format!("deployment {id}"), "head", detail)
                .key("services.repositories (catalog)")
                .remedy(HISTORY)
        })
        .collect()
    }

    /// The runs on a commit whose time to a deployment is not known.
    fn undeployed_runs(&self, repo: &RepoName, sha: &Sha) -> Vec<Considered> {
        let runs = self.state.runs_on.of(&(repo.clone(), sha.clone())).filter(|((run, attempt), _)| {
            let key = RowKey::PipelineRun(repo.clone(), run.clone(), *attempt);
            matches!(self.state.row(&key), Some(Row::PipelineRun(row)) if row.start_to_deploy_s.is_none())
        });
        runs.take(5)
            .map(|((run, attempt), _)| {
                let detail =
                    "no deployment after it is known to reach its commit: its `start_to_deploy_s` is null";
                Considered::no(format!("run {run} attempt {attempt}"), "start to deploy", detail)
                    .remedy(HISTORY)
            })
            .collect()
    }

    /// What decides a commit's start and nobody told.
    fn untold_times(&self, repo: &RepoName, sha: &Sha, node: &Node, considered: &mut Vec<Considered>) {
        if node.known && node.authored_at.is_none() {
            let detail = "no record says when it was written, as pushes do not: `authored_at` is null";
            considered
                .push(Considered::no("authored_at", "start", detail).key("lead_time.start").remedy(HISTORY));
        }
        for pull in self.pulls_with(repo, sha, PullRole::Merge).take(5) {
            let squashed =
                matches!(pull.merged.merge_method, Some(MergeMethod::Squash | MergeMethod::Rebase));
            if squashed && pull.merged.commits.is_none() {
                let detail = "its commits are not told, so the first of them is not known: the lead time starts with the earliest \
                              commit that is";
                considered.push(
                    Considered::no(
                        format!("commits of pull request {}", pull.merged.number),
                        "start",
                        detail,
                    )
                    .key("lead_time.start")
                    .remedy("backfill the pull request, or send `commits` with it"),
                );
            }
        }
    }

    fn explain_commit_of(&self, service: &ServiceName, repo: &RepoName, sha: &Sha) -> Explanation {
        let mut considered = Vec::new();
        let label = self.state.label(service, repo, sha);
        if let Some(rank) = &label {
            let text = format!("deployment {}", rank.id);
            considered.push(Considered::yes(
                text,
                "label",
                format!("the earliest that reaches it, finished {}", rank.finish),
            ));
        }
        for role in [PullRole::Merge, PullRole::Listed, PullRole::Head] {
            for pull in self.pulls_with(repo, sha, role).take(5) {
                let how = match role {
                    PullRole::Merge => "was merged by it",
                    PullRole::Listed => "lists it",
                    PullRole::Head => "ends in it",
                };
                considered.push(Considered::yes(
                    format!("pull request {}", pull.merged.number),
                    "start",
                    how,
                ));
            }
        }
        if let Some(node) = self.state.nodes.get(&(repo.clone(), sha.clone())) {
            self.untold_times(repo, sha, node, &mut considered);
        }
        considered.extend(self.undeployed_runs(repo, sha));
        considered.extend(self.deployed_unknown(service, sha));
        let verdict = match self.ship(service, repo, sha) {
            Ok(change) => {
                let start = change.start_evidence.map_or("nothing", |evidence| evidence.as_str());
                match change.lead_time_s {
                    Some(seconds) if change.skewed => {
                        considered.push(
                            Considered::no(
                                "lead time",
                                "skew",
                                format!("{seconds} s: a clock is wrong; left out of percentiles"),
                            )
                            .remedy("check the clocks of the machines that commit and deploy"),
                        );
                        format!("shipped by {} before it was made ({start})", change.deployment_id)
                    }
                    Some(seconds) => format!(
                        "shipped by {} after {} (from: {start})",
                        change.deployment_id,
                        human(Span::from_seconds(seconds))
                    ),
                    None => format!("shipped by {}, without a known start", change.deployment_id),
                }
            }
            Err(why) => {
                let (text, key, remedy) = not_shipped(why);
                considered.push(Considered { key, remedy, ..Considered::no("change", "changes", text) });
                format!("no change of this service: {text}")
            }
        };
        Explanation { subject: format!("commit {sha} of {repo} for {service}"), verdict, considered }
    }
}

/// Why a commit is no change, the key that decides it, the remedy.
pub(super) fn not_shipped(why: NotShipped) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match why {
        NotShipped::NoLabel => (
            "no succeeded production deployment of the service reaches it",
            None,
            Some("deploy it, or send the deployment's `sha`"),
        ),
        NotShipped::Merge => ("a merge commit is no change of its own", None, None),
        NotShipped::NotListed => ("its deployment lists its commits, and this is none of them", None, None),
        NotShipped::Swallowed => (
            "the first deployment of the service does not ship the history behind its head",
            Some("lead_time.first_deployment"),
            None,
        ),
        NotShipped::NotKnown => {
            ("it is only named as a parent", None, Some("import the repository's history"))
        }
        NotShipped::PathsUnknown => (
            "which paths it touches is not known",
            Some("services.repositories.paths (catalog)"),
            Some("import the history with --paths"),
        ),
        NotShipped::OtherPaths => {
            ("it touches none of the service's paths", Some("services.repositories.paths (catalog)"), None)
        }
    }
}
