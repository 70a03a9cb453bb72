//! What an incident blames, and why it does not blame what one would think.

use super::{CORRECT, Considered, Explanation, human};
use crate::message::IncidentView;
use crate::state::Named;
use crate::task::Correlator;
use model::event::{Cause, EnvironmentTier};
use model::{IncidentId, ServiceName};

impl Correlator {
    /// Why an incident does not blame the deployment of a service that it followed: the reason, the key that decides
    /// it, the remedy.
    pub(super) fn why_not_blamed(
        &self,
        service: &ServiceName,
        view: &IncidentView,
    ) -> (String, Option<&'static str>, Option<&'static str>) {
        let text = |text: &str| text.to_owned();
        if view.tier != EnvironmentTier::Production {
            return (format!("it is of {}, not of production", view.tier), None, None);
        }
        if view.drill {
            return (text("it is a drill"), None, None);
        }
        if !self.blames_at_all(view) {
            let severity = view.severity.map_or("unknown", |severity| severity.as_str());
            let detail =
                format!("its severity, {severity}, does not reach {}", self.definitions.min_severity);
            return (
                detail,
                Some("incident.min_severity"),
                Some("streamgauge correct incident ID --severity sev2"),
            );
        }
        if view.has_names() {
            let detail = match self.state.named.get(&(view.id.clone(), view.service.clone())) {
                Some(Named::Own(other)) => format!("it names deployment {other}"),
                Some(Named::Elsewhere(found)) => {
                    format!("it names {} of {}", found.deployment, found.service)
                }
                Some(Named::Unblamable(other)) => format!("it names {other}, which cannot fail"),
                _ => text("what it names resolves to nothing that is known"),
            };
            return (detail, None, Some("streamgauge correct incident ID --deployment-id D"));
        }
        if !matches!(view.cause, None | Some(Cause::Change | Cause::Unknown)) {
            let cause = view.cause.map_or("unknown", |cause| cause.as_str());
            return (
                format!("its cause is {cause}"),
                None,
                Some("streamgauge correct incident ID --cause change"),
            );
        }
        match self.most_recent(service, view.started_at) {
            None => (text("no deployment served when it started"), None, None),
            Some(recent) => {
                let after = human(view.started_at.since(recent.finish));
                let served = format!("{} served when it started, {after} after that had finished", recent.id);
                let rollout = self.state.rollouts.get(&(service.clone(), recent.id.clone()));
                if rollout.is_some_and(|rollout| rollout.corrected_failed == Some(false)) {
                    let detail =
                        format!("{served}; a correction says that it did not fail, so nobody is blamed");
                    return (
                        detail,
                        None,
                        Some("streamgauge correct --undo CORRECTION takes the correction back"),
                    );
                }
                let verdict = self.state.verdicts.get(&(service.clone(), view.id.clone()));
                if verdict.is_some_and(|verdict| verdict.blamed.is_some()) {
                    return (format!("{served}, and is blamed"), None, None);
                }
                (format!("{served}: outside the failure window"), Some("failure_window"), None)
            }
        }
    }

    /// Explains an incident (or one of its records) that is at home in this task.
    pub fn explain_incident(&self, id: &IncidentId) -> Vec<Explanation> {
        let views = self.state.incidents.iter().map(|(_, view)| view);
        let own =
            views.filter(|view| (view.id == *id || view.members.contains(id)) && self.holds(&view.service));
        let mut seen = None;
        own.filter(|view| seen.replace(view.id.clone()).as_ref() != Some(&view.id))
            .map(|view| {
                let mut considered: Vec<Considered> = view
                    .members
                    .iter()
                    .map(|member| Considered::yes(format!("record {member}"), "one incident", "pooled"))
                    .collect();
                let verdict = self.state.verdicts.get(&(view.service.clone(), view.id.clone()));
                let blamed = verdict.and_then(|verdict| verdict.blamed.clone());
                let text = match &blamed {
                    Some((deployment, rule)) => {
                        let text = format!("deployment {deployment}");
                        considered.push(Considered::yes(text, rule.as_str(), "blamed").remedy(CORRECT));
                        format!("it blames deployment {deployment} ({rule})")
                    }
                    None if self.blamed_dependency(view).0.is_some() => {
                        let (deployment, _) = self.blamed_dependency(view);
                        let deployment = deployment.map_or_else(String::new, |id| id.to_string());
                        let text = format!("deployment {deployment}");
                        considered.push(
                            Considered::yes(text, "temporal", "of a direct dependency: blamed")
                                .key("blame_dependencies"),
                        );
                        format!("it blames deployment {deployment} of a dependency (temporal)")
                    }
                    None => {
                        let (detail, key, remedy) = self.why_not_blamed(&view.service, view);
                        considered.push(Considered {
                            key,
                            remedy,
                            ..Considered::no("blame", "temporal", detail)
                        });
                        "it blames no deployment of its service".to_owned()
                    }
                };
                let restore = match view.resolved_at {
                    Some(at) => format!("restored after {}", human(at.since(view.started_at))),
                    None => "not resolved".to_owned(),
                };
                Explanation {
                    subject: format!("incident {} of {}", view.id, view.service),
                    verdict: format!("{}; {restore}; {text}", view.status),
                    considered,
                }
            })
            .collect()
    }
}
