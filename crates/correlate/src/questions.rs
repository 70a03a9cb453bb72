//! What one home asks of others: an artifact's commit, and which service has a deployment of an id.

use crate::message::{Address, Envelope, Match, Message};
use crate::state::Thing;
use crate::task::Correlator;
use model::{DeploymentId, EventBody, HomeKey, IncidentId, ServiceName};

impl Correlator {
    // Artifacts: an index keyed by digest or image.

    /// A home wants to know an artifact's commit from now on (or no longer).
    pub(crate) fn subscribe(&mut self, artifact: &HomeKey, home: &HomeKey, on: bool) {
        let key = (artifact.clone(), home.clone());
        if !on {
            self.state.subscribers.remove(&key);
            return;
        }
        let sha = self.artifact_commit(artifact);
        self.state.subscribers.put(key, sha.clone());
        self.tell_artifact(artifact, home, sha);
    }

    fn artifact_commit(&self, artifact: &HomeKey) -> Option<model::Sha> {
        let records = self.state.records.of(&Thing::Artifact(artifact.clone()));
        records
            .filter_map(|event| match event.body {
                EventBody::Artifact(body) => Some(body.sha),
                _ => None,
            })
            .next_back()
    }

    fn tell_artifact(&mut self, artifact: &HomeKey, home: &HomeKey, sha: Option<model::Sha>) {
        self.messages.push(Envelope {
            to: Address::Home(home.clone()),
            message: Message::Artifact { home: home.clone(), artifact: artifact.clone(), sha },
        });
    }

    /// An artifact's records changed: tells who wants to know.
    pub(crate) fn settle_artifact(&mut self, artifact: &HomeKey) {
        let sha = self.artifact_commit(artifact);
        let from = (artifact.clone(), HomeKey::default());
        let subscribers = self.state.subscribers.range(from..).take_while(|((a, _), _)| a == artifact);
        let outdated: Vec<_> =
            subscribers.filter(|(_, told)| **told != sha).map(|(key, _)| key.clone()).collect();
        for (artifact, home) in outdated {
            self.state.subscribers.put((artifact.clone(), home.clone()), sha.clone());
            self.tell_artifact(&artifact, &home, sha.clone());
        }
    }

    /// The index told an artifact's commit.
    pub(crate) fn put_artifact(&mut self, artifact: &HomeKey, sha: Option<model::Sha>) {
        match sha {
            Some(sha) => self.state.artifacts.put(artifact.clone(), sha),
            None => self.state.artifacts.remove(artifact),
        };
        let from = (artifact.clone(), ServiceName::default(), DeploymentId::default());
        let users = self.state.artifact_users.range(from..).take_while(|((a, ..), ())| a == artifact);
        let users: Vec<_> = users.map(|((_, service, id), ())| (service.clone(), id.clone())).collect();
        self.dirty.rollouts.extend(users);
    }

    /// Ends the subscriptions that no deployment of this task needs any more.
    pub(crate) fn settle_subscriptions(&mut self) {
        for (artifact, home) in std::mem::take(&mut self.dirty.subscriptions) {
            let from = (artifact.clone(), ServiceName::default(), DeploymentId::default());
            let mut users =
                self.state.artifact_users.range(from..).take_while(|((a, ..), ())| *a == artifact);
            let used = users.any(|((_, service, _), ())| self.catalog.home_of_service(service) == home);
            let key = (artifact.clone(), home.clone());
            if used != self.state.subscriptions.contains(&key) {
                if used {
                    self.state.subscriptions.put(key, ());
                } else {
                    self.state.subscriptions.remove(&key);
                }
                self.messages.push(Envelope {
                    to: Address::Home(artifact.clone()),
                    message: Message::Subscribe { artifact, home, on: used },
                });
            }
        }
    }

    // Deployment ids: a question to every task, answered when it comes and whenever the answer changes.

    /// An incident of this task names a deployment id (or no longer does).
    pub(crate) fn ask(&mut self, id: &DeploymentId, incident: &IncidentId, on: bool) {
        let asked = |correlator: &Self| {
            let from = (id.clone(), IncidentId::default());
            correlator.state.asking.range(from..).next().is_some_and(|((i, _), ())| i == id)
        };
        let before = asked(self);
        if on {
            self.state.asking.put((id.clone(), incident.clone()), ());
        } else {
            self.state.asking.remove(&(id.clone(), incident.clone()));
        }
        if before != asked(self) {
            let message = Message::Ask { id: id.clone(), task: self.task, on };
            self.messages.push(Envelope { to: Address::All, message });
        }
    }

    /// A task asks, from now on or no longer.
    pub(crate) fn put_question(&mut self, id: &DeploymentId, task: u32, on: bool) {
        let key = (id.clone(), task);
        if on {
            if !self.state.questions.contains(&key) {
                self.state.questions.put(key, None);
            }
            self.dirty.questions.insert(id.clone());
        } else {
            self.state.questions.remove(&key);
        }
    }

    /// Answers the standing questions whose answer may have changed.
    pub(crate) fn settle_questions(&mut self) {
        for id in std::mem::take(&mut self.dirty.questions) {
            let from = (id.clone(), 0);
            let askers = self.state.questions.range(from..).take_while(|((i, _), _)| *i == id);
            let askers: Vec<(u32, Option<Vec<Match>>)> =
                askers.map(|((_, task), told)| (*task, told.clone())).collect();
            if askers.is_empty() {
                continue;
            }
            let matches = self.matches(&id);
            for (task, told) in askers {
                if told.as_ref() != Some(&matches) {
                    self.state.questions.put((id.clone(), task), Some(matches.clone()));
                    let message =
                        Message::Answer { id: id.clone(), task: self.task, matches: matches.clone() };
                    self.messages.push(Envelope { to: Address::Task(task), message });
                }
            }
        }
    }

    fn matches(&self, id: &DeploymentId) -> Vec<Match> {
        let mut matches: Vec<Match> = self
            .rollouts_with(id)
            .filter_map(|(service, deployment)| {
                let rollout = self.state.rollouts.get(&(service.clone(), deployment.clone()))?;
                Some(Match {
                    service,
                    deployment,
                    can_fail: rollout.serves(),
                    cleared: rollout.corrected_failed == Some(false),
                })
            })
            .collect();
        matches.sort();
        matches
    }

    /// A task answered: the incidents that asked are to be looked at.
    pub(crate) fn put_answer(&mut self, id: &DeploymentId, task: u32, matches: &[Match]) {
        let key = (id.clone(), task);
        if matches.is_empty() {
            self.state.answers.remove(&key);
        } else {
            self.state.answers.put(key, matches.to_vec());
        }
        let from = (id.clone(), IncidentId::default());
        let asking = self.state.asking.range(from..).take_while(|((i, _), ())| i == id);
        let asking: Vec<IncidentId> = asking.map(|((_, incident), ())| incident.clone()).collect();
        for incident in asking {
            let services: Vec<ServiceName> =
                self.state.incident_homes(&incident).map(|(_, view)| view.service.clone()).collect();
            self.dirty.blames.extend(services.into_iter().map(|service| (service, incident.clone())));
        }
    }

    /// Every answer to a question.
    pub(crate) fn answered(&self, id: &DeploymentId) -> Vec<Match> {
        let from = (id.clone(), 0);
        let answers = self.state.answers.range(from..).take_while(|((i, _), _)| i == id);
        answers.flat_map(|(_, matches)| matches.iter().cloned()).collect()
    }
}
