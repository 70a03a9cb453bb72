//! Rollouts: to staging, to production, again when they fail, and what follows from a bad one.

use crate::canonical::{self, Correction};
use crate::cdevents::{self, Envelope};
use crate::github::{Account, Deployment};
use crate::organisation::{Deploys, Pages};
use crate::pager::{self, Incident};
use crate::repository::{Action, Purpose, Simulation};
use model::{Span, Timestamp};
use serde_json::{Value, json};

/// Of a thousand production rollouts, those that hurt users.
const BAD: u64 = 90;
/// How many versions of a service are remembered.
const REMEMBERED: usize = 8;

const HOUR: i64 = 3_600;

/// A build of the default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) sha: String,
    /// How far along the default branch it lies.
    pub(crate) position: u64,
    /// Its image's digest, of services that are deployed by digest.
    pub(crate) digest: String,
}

/// Where a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// The step before production.
    Staging,
    /// What users use.
    Production,
}

impl Environment {
    const fn name(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// What a rollout mends, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// By new code.
    Hotfix,
    /// By an earlier version.
    Rollback,
}

/// One attempt to roll a version out.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    pub(crate) slot: usize,
    pub(crate) version: Version,
    pub(crate) environment: Environment,
    /// The branch that is said to be deployed.
    pub(crate) reference: String,
    pub(crate) remedy: Option<Remedy>,
    pub(crate) attempt: u32,
    pub(crate) by: Account,
}

impl Simulation {
    /// A checked commit as something to roll out; services that deploy by digest publish their image.
    pub(crate) fn version(&mut self, slot: usize, sha: &str, position: u64, at: Timestamp) -> Version {
        let version = Version { sha: sha.to_owned(), position, digest: self.random.hex(64) };
        let service = self.service(slot).filter(|service| service.deploys == Deploys::CdEvents);
        if let Some(name) = service.map(|service| service.name.clone()) {
            let envelope = self.envelope(cdevents::ARTIFACT, at);
            let body = envelope.artifact(&name, &version.digest, &self.webhook.full_name(), sha);
            self.tell_cdevent(&envelope, &body);
        }
        version
    }

    /// Rolls a version out, unless production has a later one by now.
    pub(crate) fn deploy(&mut self, at: Timestamp, mut rollout: Rollout) {
        let Some(deploys) = self.service(rollout.slot).map(|service| service.deploys) else { return };
        let production = rollout.environment == Environment::Production;
        if production && self.superseded(&rollout) {
            return;
        }
        let finished_at = match deploys {
            Deploys::Deployments => match self.tell_deployment(at, &rollout) {
                Ok(finished_at) => finished_at,
                Err(failed_at) => {
                    let wait = self.random.wait(300, HOUR);
                    rollout.attempt += 1;
                    return self.schedule(
                        failed_at.plus(Span::from_seconds(wait)),
                        Action::Deploy(Box::new(rollout)),
                    );
                }
            },
            Deploys::CdEvents => self.tell_service(at, &rollout),
            Deploys::Releases if production => self.tell_release(at, &rollout),
            Deploys::Releases => at,
        };
        if production {
            return self.serve(finished_at, rollout);
        }
        let soak = if rollout.remedy.is_some() {
            self.random.wait(60, 600)
        } else {
            self.random.wait(300, 6 * HOUR)
        };
        let next = Rollout { environment: Environment::Production, attempt: 1, ..rollout };
        self.schedule(finished_at.plus(Span::from_seconds(soak)), Action::Deploy(Box::new(next)));
    }

    /// Forward only to what is later; back only while the bad version still serves.
    fn superseded(&self, rollout: &Rollout) -> bool {
        let Some(running) = self.services.get(rollout.slot) else { return true };
        match rollout.remedy {
            Some(Remedy::Rollback) => {
                let present = running.versions.last();
                present
                    .is_none_or(|present| present.position != running.position || *present == rollout.version)
            }
            _ => rollout.version.position <= running.position,
        }
    }

    /// Tells a GitHub deployment and its statuses. Returns when it finished, or when it failed.
    fn tell_deployment(&mut self, at: Timestamp, rollout: &Rollout) -> Result<Timestamp, Timestamp> {
        let [id, run_id, first, last] = [self.id(), self.id(), self.id(), self.id()];
        let by_hand = rollout.remedy == Some(Remedy::Rollback) || self.random.chance(50);
        let deployment = Deployment {
            id,
            sha: &rollout.version.sha,
            reference: &rollout.reference,
            environment: rollout.environment.name(),
            created_at: at,
            run_id,
            event: if by_hand { "workflow_dispatch" } else { "push" },
            actor: rollout.by,
        };
        let started_at = at.plus(Span::from_seconds(self.random.seconds(3, 30)));
        let finished_at = at.plus(Span::from_seconds(self.random.wait(60, 1_200)));
        let finished_at = finished_at.max(started_at.plus(Span::from_seconds(1)));
        let failed = rollout.attempt < 3 && self.random.chance(35);
        let outcome = if failed { "failure" } else { "success" };
        let created = self.webhook.deployment(&deployment);
        let running = self.webhook.deployment_status(&deployment, first, "in_progress", started_at);
        let finished = self.webhook.deployment_status(&deployment, last, outcome, finished_at);
        self.deliver("deployment", &created, at);
        self.deliver("deployment_status", &running, started_at);
        self.deliver("deployment_status", &finished, finished_at);
        if rollout.environment == Environment::Production && !failed && self.random.chance(4) {
            let wait = self.random.wait(HOUR, 48 * HOUR);
            let correction = Correction {
                target: "deployment",
                target_id: &format!("github:{id}"),
                set: json!({"failed": false}),
                reason: "the alert was about a test account",
            };
            self.tell_correction(rollout.slot, finished_at.plus(Span::from_seconds(wait)), &correction);
        }
        if failed { Err(finished_at) } else { Ok(finished_at) }
    }

    fn tell_service(&mut self, at: Timestamp, rollout: &Rollout) -> Timestamp {
        let back = rollout.remedy == Some(Remedy::Rollback);
        let envelope = self.envelope(if back { cdevents::ROLLED_BACK } else { cdevents::UPGRADED }, at);
        if let Some(service) = self.service(rollout.slot) {
            let body = envelope.service(&service.name, rollout.environment.name(), &rollout.version.digest);
            self.tell_cdevent(&envelope, &body);
        }
        at
    }

    fn tell_release(&mut self, at: Timestamp, rollout: &Rollout) -> Timestamp {
        let hotfix = rollout.remedy == Some(Remedy::Hotfix);
        let id = self.id();
        if let Some(running) = self.services.get_mut(rollout.slot) {
            running.releases += 1;
            let tag = format!("v1.{}.0", running.releases);
            let body = self.webhook.release(id, &tag, &rollout.version.sha, at, rollout.by, hotfix);
            self.deliver("release", &body, at);
        }
        at
    }

    fn envelope(&mut self, kind: &'static str, at: Timestamp) -> Envelope {
        Envelope { kind, id: self.random.uuid(), at }
    }

    fn tell_cdevent(&mut self, envelope: &Envelope, body: &Value) {
        let (kind, time) = (envelope.full_kind(), envelope.at.to_string());
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", envelope.id.as_str()),
            ("ce-source", cdevents::SOURCE),
            ("ce-type", kind.as_str()),
            ("ce-time", time.as_str()),
        ];
        let received_at = self.arrival(envelope.at);
        self.tell("cdevents", &headers, body, received_at);
    }

    /// A version serves users now. Some hurt them.
    fn serve(&mut self, at: Timestamp, rollout: Rollout) {
        let Some(running) = self.services.get_mut(rollout.slot) else { return };
        running.position = running.position.max(rollout.version.position);
        running.versions.push(rollout.version.clone());
        if running.versions.len() > REMEMBERED {
            running.versions.remove(0);
        }
        if rollout.remedy != Some(Remedy::Rollback) && self.random.chance(BAD) {
            self.suffer(at, &rollout);
        }
    }

    /// A bad version is noticed and mended: by the version before, by new code, by a revert, or by other means.
    fn suffer(&mut self, at: Timestamp, rollout: &Rollout) {
        let slot = rollout.slot;
        let noticed_at = at.plus(Span::from_seconds(self.random.wait(240, 3 * HOUR)));
        let before =
            self.services.get(slot).and_then(|running| running.versions.iter().rev().nth(1).cloned());
        let releases = self.service(slot).is_some_and(|service| service.deploys == Deploys::Releases);
        let (mended_after, action) = match (self.random.below(10), before) {
            // A release cannot be taken back.
            (0..4, Some(version)) if !releases => {
                let back = Rollout {
                    version,
                    environment: Environment::Production,
                    remedy: Some(Remedy::Rollback),
                    attempt: 1,
                    reference: "main".to_owned(),
                    ..rollout.clone()
                };
                (self.random.wait(300, 2_400), Some(Action::Deploy(Box::new(back))))
            }
            (0..7, _) => (self.random.wait(600, 2 * HOUR), Some(Action::Open(slot, Purpose::Hotfix))),
            (7..9, _) => {
                let purpose = Purpose::Revert(rollout.version.sha.clone());
                (self.random.wait(600, 2 * HOUR), Some(Action::Open(slot, purpose)))
            }
            _ => (self.random.wait(900, 10 * HOUR), None),
        };
        let mended_at = noticed_at.plus(Span::from_seconds(mended_after));
        if let Some(action) = action {
            self.schedule(mended_at, action);
        }
        if self.random.chance(650) {
            let ended_at = mended_at.plus(Span::from_seconds(self.random.wait(900, 2 * HOUR)));
            let named = self.random.chance(300).then(|| rollout.version.sha.clone());
            self.incident(slot, noticed_at, ended_at, named);
        }
    }

    /// Tells an incident from its first record to its last.
    pub(crate) fn incident(&mut self, slot: usize, at: Timestamp, ended_at: Timestamp, sha: Option<String>) {
        let Some(service) = self.service(slot).cloned() else { return };
        let number = self.id();
        let incident = Incident {
            id: match service.pages {
                Pages::PagerDuty => format!("Q{}", self.random.hex(13).to_ascii_uppercase()),
                Pages::Alertmanager => self.random.hex(16),
            },
            number,
            title: format!("{}: too many requests fail", service.name),
            priority: 1 + self.random.below(4),
            created_at: at,
            sha,
        };
        let incident_id = match service.pages {
            Pages::PagerDuty => {
                let mut steps = vec![
                    ("triggered", "triggered", at),
                    ("acknowledged", "acknowledged", at.plus(Span::from_seconds(self.random.wait(20, 280)))),
                    ("resolved", "resolved", ended_at),
                ];
                if self.random.chance(50) {
                    let again = ended_at.plus(Span::from_seconds(self.random.wait(300, HOUR)));
                    steps.push(("reopened", "triggered", again));
                    steps.push((
                        "resolved",
                        "resolved",
                        again.plus(Span::from_seconds(self.random.wait(600, 2 * HOUR))),
                    ));
                }
                for (what, status, at) in steps {
                    let event_id = self.random.hex(26).to_ascii_uppercase();
                    let body = pager::pagerduty(&incident, &service, &event_id, what, status, at);
                    let received_at = self.arrival(at);
                    self.tell("pagerduty", &[("x-webhook-id", event_id.as_str())], &body, received_at);
                }
                format!("pagerduty:{}", incident.id)
            }
            Pages::Alertmanager => {
                for ends_at in [None, Some(ended_at)] {
                    let body = pager::alertmanager(&incident, &service, ends_at);
                    let received_at = self.arrival(ends_at.unwrap_or(at));
                    self.tell("alertmanager", &[], &body, received_at);
                }
                format!("alertmanager:{}:{at}", incident.id)
            }
        };
        if self.random.chance(80) {
            let cause = self.random.one_of(&["capacity", "dependency", "external", "change"]);
            let correction = Correction {
                target: "incident",
                target_id: &incident_id,
                set: json!({"cause": cause}),
                reason: "found in the review of the incident",
            };
            let wait = self.random.wait(4 * HOUR, 72 * HOUR);
            self.tell_correction(slot, ended_at.plus(Span::from_seconds(wait)), &correction);
        }
    }

    fn tell_correction(&mut self, slot: usize, at: Timestamp, correction: &Correction<'_>) {
        let id = format!("correction-{}", self.id());
        let seen = self.arrival(at);
        let Some(service) = self.service(slot) else { return };
        let body = canonical::correction(&id, service, correction, at, seen);
        self.tell("canonical", &[], &body, seen);
    }
}
