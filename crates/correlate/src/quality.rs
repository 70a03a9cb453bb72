//! Data-quality signals (semantics, section 10): each is a row that is there exactly while what it says holds.
//!
//! A signal is derived where the fact that it speaks of is settled, from that fact alone or, where many records
//! say the same (`unattributed`, `unknown_environment`), from the earliest of its cases. What depends on now
//! (stale entries, silence, gaps) is not among them: views and rules tell that.

use crate::explain::human;
use crate::message::IncidentView;
use crate::ship::NotShipped;
use crate::state::{Flaky, Named, Rank};
use crate::task::Correlator;
use model::event::{Cause, EnvironmentTier};
use model::fact::{
    Change, DataQuality, Deployment, FlagChange, Incident, Outcome, ParkedEvent, PipelineRun, Row, RowKey,
};
use model::{DeploymentId, IncidentId, RepoName, ServiceName, Sha, Span, Text, Timestamp};
use serde::{Deserialize, Serialize};

const CLOCK: &str = "set the clock of the source right, or correct the times that it sends";

/// What a signal says while it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The service.
    pub service: Option<ServiceName>,
    /// When it was first true, in event time.
    pub since: Timestamp,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// The events of one kind that wait for the same claim.
pub(crate) type Waiting = &'static str;
/// Events that wait at the key for parked events.
pub(crate) const EVENTS: Waiting = "events";
/// Incidents that wait in the pool.
pub(crate) const INCIDENTS: Waiting = "incidents";

impl Correlator {
    /// Raises a signal, or takes it away.
    pub(crate) fn signal(&mut self, name: &str, subject: String, signal: Option<Signal>) {
        let (name, subject) = (Text::new(name), Text::new(subject));
        let key = RowKey::DataQuality(name.clone(), subject.clone());
        let row = signal.map(|Signal { service, since, detail, remedy }| {
            Row::DataQuality(Box::new(DataQuality { signal: name, subject, service, since, detail, remedy }))
        });
        self.publish(key, row, Vec::new(), false);
    }

    /// Moves one case of a signal that many may raise, and says what the earliest case says.
    fn case(&mut self, name: &str, subject: String, case: &str, old: Option<Timestamp>, new: Option<Signal>) {
        let key = |at| (Text::new(name), Text::new(&subject), at, Text::new(case));
        if let Some(at) = old {
            self.state.cases.remove(&key(at));
        }
        if let Some(new) = new {
            self.state.cases.put(key(new.since), new);
        }
        let from = (Text::new(name), Text::new(&subject), Timestamp::MIN, Text::default());
        let first = self.state.cases.range(from..).next();
        let first = first.filter(|((n, s, ..), _)| n.as_str() == name && s.as_str() == subject);
        let signal = first.map(|(_, signal)| signal.clone());
        self.signal(name, subject, signal);
    }

    /// What a commit says of a service's data.
    pub(crate) fn signal_commit(
        &mut self,
        service: &ServiceName,
        repo: &RepoName,
        sha: &Sha,
        shipped: Result<&Change, NotShipped>,
    ) {
        // A commit may be in two repositories of one service.
        let subject = format!("{service} {repo} {sha}");
        let skewed = shipped.ok().filter(|change| change.skewed).map(|change| Signal {
            service: Some(service.clone()),
            since: change.deployed_at,
            detail: format!(
                "the commit starts {} after deployment {} that ships it finished: it is left out of lead times",
                human(Span::from_seconds(-change.lead_time_s.unwrap_or(0))),
                change.deployment_id
            ),
            remedy: CLOCK.to_owned(),
        });
        self.signal("clock_skew", subject.clone(), skewed);
        let label = (shipped == Err(NotShipped::PathsUnknown))
            .then(|| self.state.label(service, repo, sha))
            .flatten();
        let unknown = label.map(|label| Signal {
            service: Some(service.clone()),
            since: label.finish,
            detail: format!(
                "deployment {} reaches the commit, whose paths are not known: it does not count as a change",
                label.id
            ),
            remedy: format!(
                "send `paths` with the commits of {repo}, or import its history with `import git`"
            ),
        });
        self.signal("paths_unknown", subject, unknown);
    }

    /// What a deployment says of its service's data. `old` is its fact as it was last published.
    pub(crate) fn signal_deployment(
        &mut self,
        service: &ServiceName,
        id: &DeploymentId,
        old: Option<&Deployment>,
        new: Option<&Deployment>,
    ) {
        let subject = || format!("{service} {id}");
        let signal = |since: Option<Timestamp>, detail: String, remedy: &str| {
            Some(Signal { service: Some(service.clone()), since: since?, detail, remedy: remedy.to_owned() })
        };
        let skewed = new.filter(|row| row.skewed).and_then(|row| {
            let early = human(Span::from_seconds(-row.recovery_s.unwrap_or(0)));
            let detail =
                format!("the recovery lies {early} before the finish: it is left out of recovery times");
            signal(row.finished_at, detail, CLOCK)
        });
        self.signal("clock_skew", subject(), skewed);

        let rollout = self.state.rollouts.get(&(service.clone(), id.clone()));
        let headless = rollout.filter(|r| r.succeeded() && r.head.is_none() && r.listed.is_none()).and_then(|rollout| {
            let found = match &rollout.commit_sha {
                Some(sha) => format!("its commit {sha} is not known in a repository of {service}"),
                None => "it states no commit".to_owned(),
            };
            let detail = format!("{found}: how many changes it ships cannot be told");
            let remedy = "send the commit's repository, the commits, or an `artifact` event for its digest or image";
            signal(rollout.finished, detail, remedy)
        });
        let partial =
            rollout.filter(|r| r.in_production() && r.outcome == Outcome::Partial).and_then(|rollout| {
                let detail =
                    format!("{} of its parts count, and not all of them succeeded", rollout.counting.len());
                signal(rollout.finished, detail, "retry the parts that failed, or roll the others back")
            });
        self.signal("unknown_head", subject(), headless);
        self.signal("partial_rollout", subject(), partial);
        self.signal_environment(id, old, new);
        self.signal_ownership(service);
    }

    fn signal_environment(&mut self, id: &DeploymentId, old: Option<&Deployment>, new: Option<&Deployment>) {
        let other = |row: &&Deployment| row.tier == EnvironmentTier::Other;
        let name = |row: &Deployment| format!("{} {}", row.service, row.environment);
        let (old, new) = (old.filter(other), new.filter(other));
        let moved = old.filter(|old| new.is_none_or(|new| name(new) != name(old)));
        if let Some(old) = moved {
            self.case("unknown_environment", name(old), id.as_str(), Some(old.started_at), None);
        }
        let Some(new) = new else { return };
        let signal = Signal {
            service: Some(new.service.clone()),
            since: new.started_at,
            detail: format!(
                "no rule tells the tier of environment {:?}: what is deployed there counts nowhere",
                new.environment.as_str()
            ),
            remedy: "add a rule for it to `[[environments]]` of the catalog, or send `tier`".to_owned(),
        };
        let stood = old.filter(|_| moved.is_none()).map(|old| old.started_at);
        self.case("unknown_environment", name(new), id.as_str(), stood, Some(signal));
    }

    /// A service that serves production and that no team owned when it was last deployed.
    fn signal_ownership(&mut self, service: &ServiceName) {
        let all = (service.clone(), Rank::at(Timestamp::MIN))..(service.clone(), Rank::at(Timestamp::MAX));
        let mut serving = self.state.serving.range(all).map(|((_, rank), ())| rank.finish);
        let first = serving.next();
        let last = serving.next_back().or(first);
        let unowned = last.is_some_and(|last| self.catalog.team(service, last).is_none());
        let signal = first.filter(|_| unowned).map(|since| Signal {
            service: Some(service.clone()),
            since,
            detail: "it is deployed to production and no team owns it: it counts in the organisation only"
                .to_owned(),
            remedy: format!("give {service} a team in the catalog"),
        });
        self.signal("unowned_service", service.to_string(), signal);
    }

    /// What an incident says of its service's data; `None` where it is no longer this task's.
    pub(crate) fn signal_incident(&mut self, id: &IncidentId, incident: Option<&Incident>) {
        let skewed = incident.filter(|row| row.skewed).map(|row| Signal {
            service: Some(row.service.clone()),
            since: row.started_at,
            detail: "it was resolved or detected before it started: that is left out of the durations"
                .to_owned(),
            remedy: CLOCK.to_owned(),
        });
        self.signal("clock_skew", id.to_string(), skewed);
        let flagged = incident.and_then(|row| self.flag_near(row));
        self.signal("flag_change_near_incident", id.to_string(), flagged);
    }

    /// The last change of a production flag of the service within the failure window before an incident that
    /// blames no deployment and whose cause nobody stated.
    fn flag_near(&self, incident: &Incident) -> Option<Signal> {
        let open = matches!(incident.cause, None | Some(Cause::Change | Cause::Unknown));
        let counts = incident.tier == EnvironmentTier::Production && !incident.drill;
        if !(open && counts && incident.deployment_id.is_none()) {
            return None;
        }
        let window = self.failure_window(&incident.service)?;
        let at = |at: Timestamp| (incident.service.clone(), at, Text::default(), Text::default());
        let until = incident.started_at.plus(Span::from_micros(1));
        let near = self.state.flags_at.range(at(incident.started_at.minus(window))..at(until));
        let ((_, changed, ..), flag) = near.last()?;
        Some(Signal {
            service: Some(incident.service.clone()),
            since: incident.started_at,
            detail: format!(
                "flag {flag} was changed {} before it started, and it blames no deployment",
                human(incident.started_at.since(*changed))
            ),
            remedy: "if the flag caused it, correct the incident's cause to `flag`".to_owned(),
        })
    }

    /// Files a flag's change where the incidents after it look for it.
    pub(crate) fn place_flag(&mut self, old: Option<&FlagChange>, new: Option<&FlagChange>) {
        for (row, on) in old.map(|row| (row, false)).into_iter().chain(new.map(|row| (row, true))) {
            let Some(service) = &row.service else { continue };
            let key = (service.clone(), row.changed_at, row.source.clone(), row.event_id.clone());
            if !on {
                self.state.flags_at.remove(&key);
            } else if self.catalog.tier(service, &row.environment) == EnvironmentTier::Production {
                self.state.flags_at.put(key, row.flag.clone());
            }
            let Some(window) = self.failure_window(service) else { continue };
            let (from, until) = (row.changed_at, row.changed_at.plus(window));
            let after = self.state.incidents_at.range((service.clone(), from, IncidentId::default())..);
            let after = after.take_while(|((s, at, _), ())| s == service && *at <= until);
            let home = self.catalog.home_of_service(service);
            let after: Vec<_> = after.map(|((.., id), ())| (home.clone(), id.clone())).collect();
            self.dirty.incidents.extend(after);
        }
    }

    /// What an incident's names came to, said by its own home.
    pub(crate) fn signal_names(&mut self, id: &IncidentId, named: Option<(&Named, &IncidentView)>) {
        let unresolved = named.filter(|(named, view)| **named == Named::Nothing && self.blames_at_all(view));
        let signal = unresolved.map(|(_, view)| {
            let names = [
                view.names.deployment_id.as_ref().map(|id| format!("deployment {id}")),
                view.names.version.as_ref().map(|version| format!("version {version}")),
                view.names.sha.as_ref().map(|sha| format!("commit {sha}")),
            ];
            let names: Vec<String> = names.into_iter().flatten().collect();
            Signal {
                service: Some(view.service.clone()),
                since: view.started_at,
                detail: format!(
                    "it names {}, and no deployment of {} is that: it blames none",
                    names.join(", "),
                    view.service
                ),
                remedy: "correct the incident's `deployment_id`, or send the deployment that it names"
                    .to_owned(),
            }
        });
        self.signal("names_unresolved", id.to_string(), signal);
    }

    /// What an attempt of a run says of its source's clock.
    pub(crate) fn signal_run(
        &mut self,
        repo: &RepoName,
        run_id: &model::RunId,
        attempt: u32,
        run: Option<&PipelineRun>,
    ) {
        let skewed = run.filter(|run| run.skewed).and_then(|run| {
            Some(Signal {
                service: None,
                since: run.finished_at?,
                detail: format!(
                    "source {} says that it finished before it started: it is in no duration",
                    run.source
                ),
                remedy: CLOCK.to_owned(),
            })
        });
        self.signal("clock_skew", format!("{repo} {run_id} {attempt}"), skewed);
    }

    /// Whether a workflow failed and later passed on a commit.
    pub(crate) fn signal_flaky(
        &mut self,
        (repo, workflow, sha): &(RepoName, Text, Sha),
        flaky: Option<&Flaky>,
    ) {
        let signal = flaky.and_then(|flaky| flaky.since).map(|since| Signal {
            service: None,
            since,
            detail: format!("{workflow} failed and later passed on the same commit"),
            remedy: "find the test or step that does not depend on the commit alone".to_owned(),
        });
        self.signal("flaky_pipeline", format!("{repo} {workflow} {sha}"), signal);
    }

    /// Publishes an event that waits for the catalog (or takes it away), and what its claim is.
    pub(crate) fn put_parked(&mut self, kind: Waiting, parked: ParkedEvent, waits: bool) {
        let key = RowKey::ParkedEvent(parked.source.clone(), parked.event_id.clone(), parked.hash.clone());
        let old = match self.state.row(&key) {
            Some(Row::ParkedEvent(old)) => Some(*old),
            _ if waits => None,
            _ => return,
        };
        let name = |row: &ParkedEvent| {
            row.claim.as_ref().map_or(format!("{kind} without a name"), |claim| format!("{kind} {claim}"))
        };
        let case = format!("{} {} {}", parked.source, parked.event_id, parked.hash);
        let moved = old.filter(|old| !waits || name(old) != name(&parked));
        if let Some(old) = moved {
            self.case("unattributed", name(&old), &case, Some(old.occurred_at), None);
        }
        if waits {
            let signal = unattributed(kind, &parked);
            self.case("unattributed", name(&parked), &case, None, Some(signal));
        }
        let row = waits.then(|| Row::ParkedEvent(Box::new(parked)));
        self.publish(key, row, Vec::new(), false);
    }
}

fn unattributed(kind: Waiting, parked: &ParkedEvent) -> Signal {
    let claim = parked.claim.as_ref().map_or("", |claim| claim.as_str());
    let (detail, remedy) = match parked.reason.as_str() {
        "ambiguous_repository" => (
            format!("{kind} name only {claim}, which belongs to several services"),
            "name the service in the event".to_owned(),
        ),
        "unclaimed_alias" => (
            format!("{kind} name {claim:?}, which no service of the catalog claims"),
            format!("add {claim:?} to the aliases of a service in the catalog"),
        ),
        _ => (
            format!("{kind} name neither a service nor a repository"),
            "send `repo` or `service` with the event".to_owned(),
        ),
    };
    Signal {
        service: None,
        since: parked.occurred_at,
        detail: format!("{detail}: they wait, and count nowhere"),
        remedy,
    }
}

/// The deployment in a published row.
pub(crate) fn deployment_in(row: Option<&Row>) -> Option<&Deployment> {
    match row {
        Some(Row::Deployment(row)) => Some(row),
        _ => None,
    }
}
