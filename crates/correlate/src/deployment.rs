//! Deployment attempts, and the logical deployments that they are parts of (semantics, section 3).

use crate::merge::{final_run_began, last};
use model::event::{AuthorKind, Canary, DeploymentEvent, DeploymentState, EnvironmentTier, Trigger};
use model::fact::Outcome;
use model::{DeliveryEvent, DeploymentId, Environment, EventBody, RepoName, Sha, Span, Text, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What groups attempts: the vendor's rollout, a version, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Chain {
    /// The vendor's rollout.
    Rollout(Text),
    /// A version (else digest, else commit) that named targets share.
    Version(Text),
    /// Without a named target, or without anything to share: stands alone.
    Alone(DeploymentId),
}

/// One attempt, merged from its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: DeploymentId,
    /// What it is grouped by.
    pub chain: Chain,
    /// The target.
    pub part: Option<Text>,
    /// The environment.
    pub environment: Environment,
    /// The tier, where a vendor says it.
    pub tier: Option<EnvironmentTier>,
    /// When it started.
    pub started: Timestamp,
    /// When it finished; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// Where it stands.
    pub state: DeploymentState,
    /// The version.
    pub version: Option<Text>,
    /// The commit.
    pub sha: Option<Sha>,
    /// The artifact's digest.
    pub digest: Option<Text>,
    /// The image.
    pub image: Option<Text>,
    /// What set it off.
    pub trigger: Option<Trigger>,
    /// Who set it off.
    pub author_kind: Option<AuthorKind>,
    /// What it lists.
    pub commits: Option<Vec<Sha>>,
    /// Marked as a hotfix.
    pub hotfix: bool,
    /// Serves although the rollout failed.
    pub serving: bool,
    /// A drill.
    pub drill: bool,
    /// Labels.
    pub labels: Option<BTreeMap<Text, Text>>,
    /// The ticket.
    pub change_ref: Option<Text>,
    /// Approved.
    pub approved: Option<bool>,
    /// Inside its change window.
    pub in_window: Option<bool>,
    /// The canary.
    pub canary: Option<Canary>,
    /// The repository that it names.
    pub repo: Option<RepoName>,
    /// Who told it.
    pub source: Text,
}

fn body(event: &DeliveryEvent) -> Option<&DeploymentEvent> {
    match &event.body {
        EventBody::Deployment(body) => Some(body),
        _ => None,
    }
}

impl Attempt {
    /// Merges the records of one attempt, given in order; `None` without records.
    pub fn merge(records: &[DeliveryEvent]) -> Option<Self> {
        let first = records.first()?;
        macro_rules! field {
            ($name:ident) => {
                last(records, |event| body(event)?.$name.clone())
            };
        }
        let id = last(records, |event| Some(body(event)?.deployment_id.clone()))?;
        let state = last(records, |event| Some(body(event)?.state))?;
        let environment = last(records, |event| Some(body(event)?.environment.clone()))?;
        let stated_finish = field!(finished_at);
        let terminal = matches!(
            state,
            DeploymentState::Succeeded | DeploymentState::Failed | DeploymentState::Cancelled
        );
        let finished = if terminal {
            stated_finish.or_else(|| final_run_began(records, |event| Some(body(event)?.state)))
        } else {
            None
        };
        let started = field!(started_at).or(stated_finish).unwrap_or(first.occurred_at);
        let part = field!(part);
        let (version, sha, digest) = (field!(version), field!(sha), field!(digest));
        let chain = match (field!(rollout_id), &part) {
            (Some(rollout), _) => Chain::Rollout(rollout),
            (None, None) => Chain::Alone(id.clone()),
            (None, Some(_)) => match (&version, &digest, &sha) {
                (Some(version), _, _) => Chain::Version(Text::new(format!("v:{version}"))),
                (None, Some(digest), _) => Chain::Version(Text::new(format!("d:{digest}"))),
                (None, None, Some(sha)) => Chain::Version(Text::new(format!("s:{sha}"))),
                (None, None, None) => Chain::Alone(id.clone()),
            },
        };
        Some(Self {
            chain,
            part,
            tier: field!(tier),
            started,
            finished,
            state,
            version,
            sha,
            digest,
            image: field!(image),
            trigger: field!(trigger),
            author_kind: field!(author_kind),
            commits: field!(commits),
            hotfix: field!(hotfix) == Some(true),
            serving: field!(serving) == Some(true),
            drill: records.iter().any(|record| record.is_drill()),
            labels: field!(labels),
            change_ref: field!(change_ref),
            approved: field!(approved),
            in_window: field!(in_window),
            canary: field!(canary),
            repo: last(records, |event| event.repo.clone()),
            source: last(records, |event| Some(event.source.clone()))?,
            environment,
            id,
        })
    }
}

/// The attempts of one logical deployment, each in the order (started, id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// All of them.
    pub members: Vec<DeploymentId>,
    /// Those that count: of each part the last.
    pub counting: Vec<DeploymentId>,
}

/// Groups the attempts of one chain, given in the order (started, id).
pub fn group(chain: &Chain, attempts: &[&Attempt], merge_within: Span) -> Vec<Group> {
    if let Chain::Version(_) = chain {
        return group_by_target(attempts, merge_within);
    }
    let mut last_of_part: BTreeMap<Option<&Text>, usize> = BTreeMap::new();
    for (index, attempt) in attempts.iter().enumerate() {
        last_of_part.insert(attempt.part.as_ref(), index);
    }
    let counting: BTreeSet<usize> = last_of_part.into_values().collect();
    if attempts.is_empty() {
        return Vec::new();
    }
    let all = attempts.iter().enumerate();
    vec![Group {
        members: attempts.iter().map(|attempt| attempt.id.clone()).collect(),
        counting: all.filter(|(index, _)| counting.contains(index)).map(|(_, a)| a.id.clone()).collect(),
    }]
}

fn group_by_target(attempts: &[&Attempt], merge_within: Span) -> Vec<Group> {
    struct Open<'a> {
        members: Vec<DeploymentId>,
        targets: BTreeSet<Option<&'a Text>>,
        latest: Timestamp,
    }
    let mut groups: Vec<Open<'_>> = Vec::new();
    for attempt in attempts {
        let end = attempt.finished.unwrap_or(attempt.started);
        let target = attempt.part.as_ref();
        match groups.last_mut() {
            Some(open)
                if !open.targets.contains(&target) && attempt.started.since(open.latest) <= merge_within =>
            {
                open.members.push(attempt.id.clone());
                open.targets.insert(target);
                open.latest = open.latest.max(end);
            }
            _ => groups.push(Open {
                members: vec![attempt.id.clone()],
                targets: BTreeSet::from([target]),
                latest: end,
            }),
        }
    }
    groups.into_iter().map(|open| Group { counting: open.members.clone(), members: open.members }).collect()
}

/// A logical deployment: its parts merged, corrected, and its commit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Every attempt.
    pub members: Vec<DeploymentId>,
    /// The attempts that count.
    pub counting: Vec<DeploymentId>,
    /// The environment.
    pub environment: Environment,
    /// Its tier, corrected.
    pub tier: EnvironmentTier,
    /// The vendor's rollout.
    pub rollout_id: Option<Text>,
    /// The start of its smallest part.
    pub started: Timestamp,
    /// The latest finish of the attempts that count; `None` while one runs.
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// The version.
    pub version: Option<Text>,
    /// The commit that it states.
    pub sha: Option<Sha>,
    /// The artifact's digest.
    pub digest: Option<Text>,
    /// The image.
    pub image: Option<Text>,
    /// Where it states nothing but a version: the tags that may be called so, by the names of their artifacts.
    pub tags: Vec<Text>,
    /// The artifact's commit, else the stated one.
    pub commit_sha: Option<Sha>,
    /// That commit, when it is known in a repository of the service.
    pub head: Option<(RepoName, Sha)>,
    /// The commits that it lists, and the repository in which each is looked for.
    pub listed: Option<Vec<(RepoName, Sha)>>,
    /// Set off without a person.
    pub automated: Option<bool>,
    /// Marked as a hotfix.
    pub hotfix: bool,
    /// A drill.
    pub drill: bool,
    /// Labels.
    pub labels: BTreeMap<Text, Text>,
    /// The ticket.
    pub change_ref: Option<Text>,
    /// Approved.
    pub approved: Option<bool>,
    /// Inside its change window.
    pub in_window: Option<bool>,
    /// The canary.
    pub canary: Option<Canary>,
    /// The repository that it names.
    pub repo: Option<RepoName>,
    /// Who told it.
    pub source: Text,
    /// What a correction says of its failure.
    pub corrected_failed: Option<bool>,
    /// The version by which a rollback is recognised.
    pub immutable: Option<Text>,
}

impl Rollout {
    /// Merges the attempts that count, given in the order (started, id). Head, tags, listed commits and corrections
    /// are filled in by the caller, who knows commits and catalog.
    pub fn merge(members: &[&Attempt], counting: &[&Attempt], tier: EnvironmentTier) -> Option<Self> {
        let first = members.first()?;
        macro_rules! field {
            ($name:ident) => {
                counting.iter().find_map(|attempt| attempt.$name.clone())
            };
        }
        let outcome = outcome(counting);
        let finished = match outcome {
            Outcome::Running => None,
            _ => counting.iter().filter_map(|attempt| attempt.finished).max(),
        };
        let (trigger, author_kind): (Option<Trigger>, Option<AuthorKind>) =
            (field!(trigger), field!(author_kind));
        let automated = match (trigger, author_kind) {
            (None, None) => None,
            (trigger, author) => {
                Some(trigger.is_some_and(|t| t != Trigger::Manual) || author == Some(AuthorKind::Bot))
            }
        };
        let (version, digest, sha): (Option<Text>, Option<Text>, Option<Sha>) =
            (field!(version), field!(digest), field!(sha));
        let listed: Vec<&Vec<Sha>> = counting.iter().filter_map(|attempt| attempt.commits.as_ref()).collect();
        let union: BTreeSet<&Sha> = listed.iter().flat_map(|list| list.iter()).collect();
        let listed = (!listed.is_empty())
            .then(|| union.into_iter().map(|sha| (RepoName::default(), sha.clone())).collect::<Vec<_>>());
        Some(Self {
            members: members.iter().map(|attempt| attempt.id.clone()).collect(),
            counting: counting.iter().map(|attempt| attempt.id.clone()).collect(),
            environment: first.environment.clone(),
            tier,
            rollout_id: match &first.chain {
                Chain::Rollout(id) => Some(id.clone()),
                _ => None,
            },
            started: first.started,
            finished,
            outcome,
            immutable: immutable_version(version.as_ref(), digest.as_ref(), sha.as_ref()),
            commit_sha: sha.clone(),
            version,
            sha,
            digest,
            image: field!(image),
            tags: Vec::new(),
            head: None,
            listed,
            automated,
            hotfix: counting.iter().any(|attempt| attempt.hotfix),
            drill: counting.iter().any(|attempt| attempt.drill),
            labels: field!(labels).unwrap_or_default(),
            change_ref: field!(change_ref),
            approved: field!(approved),
            in_window: field!(in_window),
            canary: field!(canary),
            repo: field!(repo),
            source: counting.first().unwrap_or(first).source.clone(),
            corrected_failed: None,
        })
    }

    /// Whether it enters the metrics of production at all.
    pub fn in_production(&self) -> bool {
        self.tier == EnvironmentTier::Production && !self.drill
    }
    /// Whether it serves production: succeeded or partial, no drill. Only such a one can fail.
    pub fn serves(&self) -> bool {
        self.in_production() && matches!(self.outcome, Outcome::Succeeded | Outcome::Partial)
    }
    /// Whether it succeeded in production, no drill.
    pub fn succeeded(&self) -> bool {
        self.in_production() && self.outcome == Outcome::Succeeded
    }
}

fn outcome(counting: &[&Attempt]) -> Outcome {
    let all = |state| counting.iter().all(|attempt| attempt.state == state);
    let any = |state| counting.iter().any(|attempt| attempt.state == state);
    if counting.iter().any(|attempt| attempt.finished.is_none()) {
        Outcome::Running
    } else if all(DeploymentState::Succeeded) {
        Outcome::Succeeded
    } else if all(DeploymentState::Cancelled) {
        Outcome::Cancelled
    } else if !any(DeploymentState::Succeeded) && !counting.iter().any(|attempt| attempt.serving) {
        Outcome::Failed
    } else {
        Outcome::Partial
    }
}

/// The version by which a rollback is recognised: a semantic version, a commit or a digest given as the
/// version, else the digest, else the commit. A moving name such as `latest` is none.
pub fn immutable_version(version: Option<&Text>, digest: Option<&Text>, sha: Option<&Sha>) -> Option<Text> {
    version
        .and_then(|version| immutable_name(version.as_str()))
        .or_else(|| digest.cloned())
        .or_else(|| sha.map(|sha| Text::new(sha.text())))
}

fn immutable_name(version: &str) -> Option<Text> {
    let bare = version.strip_prefix(['v', 'V']).unwrap_or(version);
    if is_semantic(bare) {
        return Some(Text::new(bare));
    }
    let hexadecimal = version.bytes().all(|byte| byte.is_ascii_hexdigit());
    let letters = version.bytes().any(|byte| byte.is_ascii_alphabetic());
    if hexadecimal && ((version.len() >= 7 && letters) || version.len() == 40 || version.len() == 64) {
        return Some(Text::new(version.to_ascii_lowercase()));
    }
    let digest = version.split_once(':').is_some_and(|(algorithm, digits)| {
        let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        matches!(algorithm, "sha256" | "sha384" | "sha512") && hexadecimal
    });
    digest.then(|| Text::new(version))
}

/// Semantic Versioning 2.0: three numbers, then optionally a pre-release and a build.
fn is_semantic(version: &str) -> bool {
    let core_end = version.find(['-', '+']).unwrap_or(version.len());
    let (core, rest) = version.split_at(core_end);
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        && (rest.is_empty() || rest.len() > 1)
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_cannot_move_is_a_version_to_roll_back_to() {
        let check = |version: &str, expect: Option<&str>| {
            assert_eq!(immutable_name(version), expect.map(Text::new), "{version}");
        };
        check("v1.2.3", Some("1.2.3"));
        check("1.2.3", Some("1.2.3"));
        check("1.2.3-rc.1+build", Some("1.2.3-rc.1+build"));
        check("1.2", None);
        check("latest", None);
        check("1234567", None);
        check("a234567", Some("a234567"));
        check("sha256:0123456789abcdef0123456789abcdef", Some("sha256:0123456789abcdef0123456789abcdef"));
    }
}
