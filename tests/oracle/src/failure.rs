//! Failure evidence, recovery and rework (semantics, sections 5 to 7).

use crate::change::World;
use crate::incident::{Incident, Names};
use crate::record::{seconds, time};
use crate::rollout::Deployment;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The words of evidence 0 to 5.
const EVIDENCE: [&str; 6] = ["manual", "explicit", "rollback", "reverted", "hotfix", "temporal"];

/// What is concluded about every deployment, by its number.
#[derive(Debug, Default)]
pub struct Failures {
    /// `None` where it cannot fail.
    pub failed: Vec<Option<bool>>,
    pub evidence: Vec<Option<usize>>,
    pub rolled_back: Vec<bool>,
    pub is_rollback: Vec<bool>,
    pub is_rework: Vec<bool>,
    pub recovered: Vec<Option<i64>>,
    /// From the start of the earliest incident that blames it.
    pub impact: Vec<Option<i64>>,
    /// Per incident: whom it blames, and by which rule.
    blames: Vec<Vec<(usize, usize)>>,
    /// (blamed, rule, by which deployment): rules 2 to 4.
    remedies: BTreeSet<(usize, usize, usize)>,
}

impl Failures {
    pub fn of(world: &World, incidents: &[Incident]) -> Self {
        let count = world.deployments.len();
        let mut this =
            Self { rolled_back: vec![false; count], is_rollback: vec![false; count], ..Self::default() };
        this.rollbacks(world);
        this.reverts(world);
        this.hotfixes(world);
        for incident in incidents {
            let mut blames = blames(incident, world);
            blames.retain(|(index, _)| world.deployments[*index].corrected_failed != Some(false));
            this.blames.push(blames);
        }
        for index in 0..count {
            let (failed, evidence) = this.verdict(index, world);
            this.failed.push(failed);
            this.evidence.push(evidence);
        }
        for index in 0..count {
            let (recovered, impact) = this.recovery(index, world, incidents);
            this.recovered.push(recovered);
            this.impact.push(impact);
        }
        let ended: BTreeSet<usize> =
            incidents.iter().filter_map(|incident| remedy(incident, world)).collect();
        for (index, deployment) in world.deployments.iter().enumerate() {
            let against = this.remedies.iter().any(|(_, _, by)| *by == index);
            let rework = deployment.hotfix || against || ended.contains(&index);
            this.is_rework.push(deployment.succeeded() && rework);
        }
        this
    }

    /// Rule 2, per (service, environment), in order of (finish, id).
    fn rollbacks(&mut self, world: &World) {
        let mut places: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (index, d) in world.deployments.iter().enumerate().filter(|(_, d)| d.succeeded()) {
            places.entry((&d.service, &d.environment)).or_default().push(index);
        }
        for mut line in places.into_values() {
            line.sort_by_key(|index| world.deployments[*index].order());
            let versions: Vec<Option<String>> =
                line.iter().map(|index| immutable_version(&world.deployments[*index])).collect();
            // What an earlier rollback has taken away.
            let mut taken = vec![false; line.len()];
            for i in 0..line.len() {
                let Some(version) = &versions[i] else { continue };
                let Some(j) = (0..i).rev().find(|j| versions[*j].as_ref() == Some(version)) else { continue };
                if j + 1 == i || taken[j] || !within(world, line[j + 1], line[i]) {
                    continue;
                }
                self.is_rollback[line[i]] = true;
                self.remedies.insert((line[j + 1], 2, line[i]));
                taken[j + 1] = true;
                for k in j + 2..i {
                    taken[k] = true;
                    self.rolled_back[line[k]] = true;
                }
            }
        }
    }

    /// Rule 3, per service over labels.
    fn reverts(&mut self, world: &World) {
        for ((service, repo), labels) in &world.labels {
            let graph = &world.graphs[repo];
            let touches = |node: Option<usize>| {
                let paths = node.and_then(|node| graph.commits[node].paths.as_ref());
                world.catalog.touches(service, repo, paths)
            };
            for (node, by) in labels.iter().enumerate() {
                for reverted in &graph.commits[node].reverts {
                    let target = graph.index.get(reverted).copied();
                    let blamed = world.label_of(service, repo, reverted);
                    let (Some(by), Some(blamed)) = (*by, blamed) else { continue };
                    let later = world.deployments[blamed].order() < world.deployments[by].order();
                    let swallowed = world.swallowed(blamed, repo, reverted)
                        || world.swallowed(by, repo, &graph.shas[node]);
                    let revert_of_revert =
                        target.is_some_and(|target| !graph.commits[target].reverts.is_empty());
                    let counts = touches(Some(node)) && touches(target) && !swallowed && !revert_of_revert;
                    if later && counts && within(world, blamed, by) {
                        self.remedies.insert((blamed, 3, by));
                    }
                }
            }
        }
    }

    /// Rule 4, per (service, environment).
    fn hotfixes(&mut self, world: &World) {
        for (by, hotfix) in world.deployments.iter().enumerate() {
            if !hotfix.succeeded() || !hotfix.hotfix {
                continue;
            }
            let before = world.deployments.iter().enumerate().filter(|(_, d)| {
                d.succeeded()
                    && (&d.service, &d.environment) == (&hotfix.service, &hotfix.environment)
                    && d.order() < hotfix.order()
            });
            if let Some((blamed, _)) = before.max_by_key(|(_, d)| d.order())
                && within(world, blamed, by)
            {
                self.remedies.insert((blamed, 4, by));
            }
        }
    }

    /// Whether a deployment failed, and by the strongest of all evidence.
    fn verdict(&self, index: usize, world: &World) -> (Option<bool>, Option<usize>) {
        let deployment = &world.deployments[index];
        if !deployment.serves() {
            return (None, None);
        }
        if let Some(failed) = deployment.corrected_failed {
            return (Some(failed), Some(0));
        }
        let incidents =
            self.blames.iter().flatten().filter(|(blamed, _)| *blamed == index).map(|(_, rule)| *rule);
        let others = self.remedies.iter().filter(|(blamed, _, _)| *blamed == index).map(|(_, rule, _)| *rule);
        let strongest = incidents.chain(others).min();
        (Some(strongest.is_some()), strongest)
    }

    /// When a failed deployment recovered, and the start of the earliest incident that blames it.
    fn recovery(&self, index: usize, world: &World, incidents: &[Incident]) -> (Option<i64>, Option<i64>) {
        if self.failed[index] != Some(true) {
            return (None, None);
        }
        let blaming: Vec<&Incident> = incidents
            .iter()
            .zip(&self.blames)
            .filter(|(_, blames)| blames.iter().any(|(blamed, _)| *blamed == index))
            .map(|(incident, _)| incident)
            .collect();
        if blaming.is_empty() {
            let by = self.remedies.iter().filter(|(blamed, _, _)| *blamed == index).map(|(_, _, by)| *by);
            let ends = by.filter_map(|by| match self.failed[by] {
                Some(true) => self.recovery(by, world, incidents).0,
                _ => Some(world.deployments[by].end()),
            });
            return (ends.min(), None);
        }
        let ends: Option<Vec<i64>> = blaming.iter().map(|i| i.end(&world.settings.restored_at)).collect();
        (ends.and_then(|ends| ends.into_iter().max()), blaming.iter().map(|incident| incident.started).min())
    }

    /// The deployment that an incident's row names: its own service's, else the one that finished last.
    pub fn blamed(&self, incident: usize, world: &World) -> Option<(String, &'static str)> {
        let (index, rule) = self.blames[incident].first()?;
        Some((world.deployments[*index].id.clone(), EVIDENCE[*rule]))
    }

    /// From its finish to its recovery in whole seconds, and whether that is negative.
    pub fn recovery_time(&self, index: usize, world: &World) -> Option<(i64, bool)> {
        let (finish, recovered) = (world.deployments[index].finished?, self.recovered[index]?);
        Some((seconds(finish, recovered), recovered < finish))
    }

    pub fn row(&self, index: usize, world: &World) -> Value {
        let d = &world.deployments[index];
        let recovery = self.recovery_time(index, world);
        let canary =
            |field: &str| d.canary.as_ref().map(|canary| canary.get(field).cloned().unwrap_or(Value::Null));
        json!({
            "service": d.service,
            "team": world.catalog.team(&d.service, d.finished.unwrap_or(d.started)),
            "repo": d.repo,
            "environment": d.environment,
            "tier": d.tier,
            "deployment_id": d.id,
            "rollout_id": d.rollout_id,
            "parts": d.parts,
            "version": d.version,
            "commit_sha": world.commit_sha[index],
            "started_at": time(Some(d.started)),
            "finished_at": time(d.finished),
            "outcome": d.outcome,
            "automated": d.automated,
            "failed": self.failed[index],
            "failure_evidence": self.evidence[index].map(|rule| EVIDENCE[rule]),
            "rolled_back": self.rolled_back[index],
            "is_rollback": self.is_rollback[index],
            "is_rework": self.is_rework[index],
            "recovered_at": time(self.recovered[index]),
            "recovery_s": recovery.map(|(s, _)| s),
            "impact_to_recovery_s": self.impact[index].zip(self.recovered[index]).map(|(a, b)| seconds(a, b)),
            "changes": world.shipped[index],
            "labels": d.labels,
            "change_ref": d.change_ref,
            "approved": d.approved,
            "in_window": d.in_window,
            "canary_steps": canary("steps"),
            "canary_promoted": canary("promoted"),
            "hotfix": d.hotfix,
            "drill": d.drill,
            "skewed": recovery.is_some_and(|(_, skewed)| skewed),
            "source": d.source,
        })
    }
}

/// Whether the remediation window, from finish to finish, holds both.
fn within(world: &World, earlier: usize, later: usize) -> bool {
    let span = world.deployments[later].end() - world.deployments[earlier].end();
    span <= world.settings.remediation_window_s * 1_000_000
}

/// The version of rule 2: `version` when it cannot mean two things, else the digest, else the SHA.
fn immutable_version(deployment: &Deployment) -> Option<String> {
    if let Some(version) = &deployment.version {
        if let Some(semantic) = semantic(version) {
            return Some(semantic.to_owned());
        }
        if hex_sha(version) || digest(version) {
            return Some(version.to_lowercase());
        }
    }
    deployment.digest.clone().or_else(|| deployment.sha.clone())
}

/// A semantic version without its `v`.
fn semantic(version: &str) -> Option<&str> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let core = bare.split(['-', '+']).next()?;
    let suffix = &bare[core.len()..];
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let ok = suffix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
        && suffix.len() != 1;
    (numbers.len() == 3 && numbers.iter().all(is_number) && ok).then_some(bare)
}

fn hex_sha(version: &str) -> bool {
    let hex = version.chars().all(|c| c.is_ascii_hexdigit());
    let letter = version.chars().any(|c| c.is_ascii_alphabetic());
    hex && version.len() >= 7 && (letter || matches!(version.len(), 40 | 64))
}

fn digest(version: &str) -> bool {
    let hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    version
        .split_once(':')
        .is_some_and(|(algorithm, text)| matches!(algorithm, "sha256" | "sha384" | "sha512") && hex(text))
}

/// Whom an incident blames: its own service's deployment first.
fn blames(incident: &Incident, world: &World) -> Vec<(usize, usize)> {
    let rank = |severity: &str| severity.trim_start_matches("sev").parse::<u32>().unwrap_or(0);
    let reaches = incident.severity.as_ref().is_none_or(|s| rank(s) <= rank(&world.settings.min_severity));
    if !incident.counts() || !reaches {
        return Vec::new();
    }
    if let Some(names) = &incident.names {
        return explicit(incident, names, world).map(|index| (index, 1)).into_iter().collect();
    }
    let dependencies = || {
        let listed = world.catalog.entry(&incident.service).map(|entry| entry.dependencies.clone());
        let listed: BTreeSet<String> = listed.unwrap_or_default().into_iter().collect();
        let mut found: Vec<usize> = listed
            .iter()
            .filter(|service| **service != incident.service)
            .filter_map(|service| temporal(service, incident, world))
            .collect();
        found.sort_by_key(|index| {
            std::cmp::Reverse((world.deployments[*index].order(), &world.deployments[*index].service))
        });
        found
    };
    let mut found = Vec::new();
    match incident.cause.as_deref() {
        None | Some("change" | "unknown") => {
            found.extend(temporal(&incident.service, incident, world));
            if world.settings.blame_dependencies {
                found.extend(dependencies());
            }
        }
        Some("dependency") if world.settings.blame_dependencies => found.extend(dependencies()),
        _ => {}
    }
    found.into_iter().map(|index| (index, 5)).collect()
}

/// Rule 5 for one service: its most recent deployment that serves, when the incident started soon after it.
fn temporal(service: &str, incident: &Incident, world: &World) -> Option<usize> {
    let own = world.catalog.entry(service).and_then(|entry| entry.failure_window_s);
    let window = own.or(world.settings.failure_window_s);
    let before = world.deployments.iter().enumerate();
    let before = before.filter(|(_, d)| d.service == service && d.serves() && d.end() <= incident.started);
    let (index, deployment) = before.max_by_key(|(_, d)| d.order())?;
    let soon = window.is_none_or(|window| incident.started - deployment.end() <= window * 1_000_000);
    soon.then_some(index)
}

/// Rule 1: the deployment that an incident names.
fn explicit(incident: &Incident, names: &Names, world: &World) -> Option<usize> {
    if let Some(id) = &names.deployment
        && let Some(index) = by_id(&incident.service, id, world)
    {
        return world.deployments[index].serves().then_some(index);
    }
    let own = |matches: &dyn Fn(usize, &Deployment) -> bool| {
        let all = world.deployments.iter().enumerate();
        let found = all.filter(|(_, d)| d.service == incident.service && d.serves());
        nearest(found.filter(|(i, d)| matches(*i, d)).map(|(i, _)| i).collect(), incident.started, world)
    };
    if let Some(version) = &names.version
        && let Some(index) = own(&|_, d| d.version.as_ref() == Some(version))
    {
        return Some(index);
    }
    let sha = names.sha.as_ref()?;
    own(&|i, d| d.sha.as_ref() == Some(sha) || head_is(i, sha, world)).or_else(|| {
        let repos = world.catalog.repos_of(&incident.service);
        let label = repos.iter().find_map(|repo| world.label_of(&incident.service, repo, sha));
        let free = world.free_labels.iter().filter(|((s, _, c), _)| *s == incident.service && c == sha);
        let free = free.map(|(_, index)| *index);
        label.into_iter().chain(free).min_by_key(|index| world.deployments[*index].order())
    })
}

fn head_is(index: usize, sha: &str, world: &World) -> bool {
    world.head[index].as_ref().is_some_and(|(repo, node)| world.graphs[repo].shas[*node] == sha)
}

/// A deployment by the id of any of its attempts: in its own service, else elsewhere when unique.
fn by_id(service: &str, id: &str, world: &World) -> Option<usize> {
    let all = world.deployments.iter().enumerate().filter(|(_, d)| d.ids.contains(id));
    let (own, elsewhere): (Vec<_>, Vec<_>) = all.partition(|(_, d)| d.service == service);
    if let Some((index, _)) = own.first() {
        return Some(*index);
    }
    if let [(index, _)] = elsewhere[..] { Some(index) } else { None }
}

/// The latest that finished by a time, else the earliest after it.
fn nearest(found: Vec<usize>, at: i64, world: &World) -> Option<usize> {
    let order = |index: &usize| world.deployments[*index].order();
    let (before, after): (Vec<usize>, Vec<usize>) =
        found.into_iter().partition(|index| world.deployments[*index].end() <= at);
    before
        .into_iter()
        .max_by(|a, b| order(a).cmp(&order(b)))
        .or_else(|| after.into_iter().min_by(|a, b| order(a).cmp(&order(b))))
}

/// The deployment that ended a production incident.
fn remedy(incident: &Incident, world: &World) -> Option<usize> {
    let remedy = incident.remedy.as_ref().filter(|_| incident.counts())?;
    let own = |index: &usize| world.deployments[*index].service == incident.service;
    if let Some(index) =
        remedy.deployment.as_ref().and_then(|id| by_id(&incident.service, id, world)).filter(own)
    {
        return Some(index);
    }
    let sha = remedy.sha.as_ref()?;
    let all = world.deployments.iter().enumerate();
    let found = all.filter(|(index, d)| {
        d.service == incident.service
            && d.succeeded()
            && d.end() > incident.started
            && head_is(*index, sha, world)
    });
    found.min_by_key(|(_, d)| d.order()).map(|(index, _)| index)
}
