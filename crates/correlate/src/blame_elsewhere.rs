//! What an incident's home and the home of a deployment elsewhere tell each other. Homes move when the catalog does: what
//! was told is taken back where it was told, and each task's word is kept for itself.

use crate::message::{Address, Envelope, IncidentView, Message};
use crate::state::{BlameVerdict, Named, Told, ToldBlame};
use crate::task::Correlator;
use model::fact::FailureEvidence;
use model::{DeploymentId, HomeKey, IncidentId, ServiceName, Timestamp};
use std::sync::Arc;

impl Correlator {
    /// Another home's incident names a deployment of this task (or no longer does). Each task's word is kept for
    /// itself: while a catalog spreads, two may take themselves for the incident's home, and the one that hears of it
    /// last takes back only what it said itself.
    pub(crate) fn put_foreign_blame(
        &mut self,
        service: &ServiceName,
        id: &IncidentId,
        of: &ServiceName,
        from: u32,
        blame: Option<(DeploymentId, Arc<IncidentView>)>,
    ) {
        let key = (service.clone(), id.clone(), of.clone(), from);
        match blame {
            Some(blame) => self.state.foreign_blames.put(key.clone(), blame),
            None => self.state.foreign_blames.remove(&key),
        };
        self.dirty.blames.insert((service.clone(), id.clone()));
    }

    /// The deployment of a service that an incident of another service names.
    pub(crate) fn foreign_blame(
        &self,
        service: &ServiceName,
        id: &IncidentId,
    ) -> Option<(DeploymentId, Arc<IncidentView>)> {
        let from = (service.clone(), id.clone(), ServiceName::default(), 0);
        let ((s, i, ..), blame) = self.state.foreign_blames.range(from..).next()?;
        (s == service && i == id).then(|| blame.clone())
    }

    /// Keeps what an incident's names came to, and tells the home of a deployment elsewhere: the one that the catalog
    /// gives it now. What was told to another is taken back there.
    pub(crate) fn tell_named(
        &mut self,
        id: &IncidentId,
        of: &ServiceName,
        new: Option<(Named, Arc<IncidentView>)>,
    ) {
        self.signal_names(id, new.as_ref().map(|(named, view)| (named, view.as_ref())));
        let key = (id.clone(), of.clone());
        let blame = new.as_ref().and_then(|(named, view)| match named {
            Named::Elsewhere(found) => Some(ToldBlame {
                to: self.catalog.home_of_service(&found.service),
                service: found.service.clone(),
                deployment: found.deployment.clone(),
                view: view.clone(),
            }),
            _ => None,
        });
        match new {
            Some((named, _)) => self.state.named.put(key.clone(), named),
            None => self.state.named.remove(&key),
        };
        let old = self.state.told_blames.get(&key).cloned();
        if old == blame {
            return;
        }
        let same = |a: &ToldBlame, b: &ToldBlame| (&a.to, &a.service) == (&b.to, &b.service);
        if let Some(old) = old.filter(|old| blame.as_ref().is_none_or(|new| !same(old, new))) {
            self.send_blame(id, of, old.to, old.service, None);
        }
        match blame {
            Some(new) => {
                self.state.told_blames.put(key, new.clone());
                self.send_blame(id, of, new.to, new.service, Some((new.deployment, new.view)));
            }
            None => {
                self.state.told_blames.remove(&key);
            }
        }
    }

    fn send_blame(
        &mut self,
        id: &IncidentId,
        of: &ServiceName,
        to: HomeKey,
        service: ServiceName,
        blame: Option<(DeploymentId, Arc<IncidentView>)>,
    ) {
        let message = Message::Blame { id: id.clone(), of: of.clone(), service, from: self.task, blame };
        self.messages.push(Envelope { to: Address::Home(to), message });
    }

    /// What an incident's home is to know of a dependency's deployment that it blames.
    pub(crate) fn to_tell(&self, service: &ServiceName, id: &IncidentId, new: &BlameVerdict) -> Option<Told> {
        let view = self.view_for(service, id).filter(|view| view.service != *service)?;
        let (deployment, rule) = new.blamed.clone()?;
        let finish = self.state.rollouts.get(&(service.clone(), deployment.clone()))?.finished?;
        let to = self.catalog.home_of_service(&view.service);
        (rule == FailureEvidence::Temporal).then(|| Told { to, of: view.service.clone(), finish, deployment })
    }

    /// Tells an incident's home which deployment of a dependency it blames, and the one before that it does no more.
    pub(crate) fn tell_blamed(
        &mut self,
        service: &ServiceName,
        id: &IncidentId,
        old: Option<Told>,
        new: Option<Told>,
    ) {
        if old == new {
            return;
        }
        let same = |a: &Told, b: &Told| (&a.to, &a.of) == (&b.to, &b.of);
        let ended = old.filter(|old| new.as_ref().is_none_or(|new| !same(old, new)));
        let ended = ended.map(|old| (old.to, old.of, None));
        let begun = new.map(|new| (new.to, new.of, Some((new.finish, new.deployment))));
        for (home, of, deployment) in ended.into_iter().chain(begun) {
            let to = Address::Home(home);
            let (id, service) = (id.clone(), service.clone());
            let message = Message::Blamed { id, of, service, from: self.task, deployment };
            self.messages.push(Envelope { to, message });
        }
    }

    /// A dependency's home told which of its deployments an incident of this task blames: as
    /// [`Self::put_foreign_blame`], each task's word for itself.
    pub(crate) fn put_blamed_elsewhere(
        &mut self,
        id: &IncidentId,
        of: &ServiceName,
        service: &ServiceName,
        from: u32,
        deployment: Option<(Timestamp, DeploymentId)>,
    ) {
        let key = (id.clone(), of.clone(), service.clone(), from);
        match deployment {
            Some(deployment) => self.state.blamed_elsewhere.put(key, deployment),
            None => self.state.blamed_elsewhere.remove(&key),
        };
        self.dirty.incidents.insert((self.catalog.home_of_service(of), id.clone()));
    }
}
