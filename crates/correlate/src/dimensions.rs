//! Dimensions: services, teams, scopes and definitions as this task's facts and the catalog know them now.
//!
//! Each row has one task that tells it: a service's is the task of its home, which publishes the service's
//! deployments and incidents too; teams and definitions hang on the catalog alone and are told by the first task. A
//! scope spans homes: each task tells what its own facts say of it, and the view merges them.
//!
//! They are derived when the runner punctuates, not when an event comes: whose a service is now changes with time.

use crate::contribute::{label_scopes, scopes_of_repo};
use crate::task::Correlator;
use model::fact::{
    DefinitionDimension, Row, RowChange, RowKey, ScopeDimension, ServiceDimension, TeamDimension,
};
use model::{Calendar, Hour, Scope, ServiceName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The task that tells what hangs on no home.
const FIRST: u32 = 0;

/// What the dimensions that a task told were derived from; by default nothing, and they have to be derived.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The hour, since ownership has dates. Taken away by whatever else may change a dimension.
    at: Option<Hour>,
}

impl Told {
    /// The catalog changed, or what was told is not known.
    pub fn outdate(&mut self) {
        self.at = None;
    }
    /// A row changed.
    pub fn outdate_by(&mut self, key: &RowKey) {
        if shows(key) {
            self.at = None;
        }
    }
}

/// Whether dimensions hang on a fact.
fn shows(key: &RowKey) -> bool {
    matches!(key, RowKey::Deployment(..) | RowKey::Incident(_) | RowKey::PipelineRun(..))
}

impl Correlator {
    /// Tells how the dimensions differ from what this task told before. `now` decides whose a service is. Nothing
    /// is derived, and nothing told, while no row and no catalog changed within one hour of UTC.
    pub fn punctuate(&mut self, now: Timestamp) -> Vec<RowChange> {
        let hour = Some(Calendar::hour(now));
        if self.told.at == hour {
            return Vec::new();
        }
        let derived = self.dimensions(now);
        let gone: Vec<RowKey> = self
            .state
            .dimensions
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !derived.contains_key(*key))
            .cloned()
            .collect();
        let mut changes = Vec::new();
        for key in gone {
            self.state.dimensions.remove(&key);
            changes.push(RowChange::Delete(key));
        }
        for (key, row) in derived {
            if self.state.dimensions.get(&key) != Some(&row) {
                self.state.dimensions.put(key, row.clone());
                changes.push(RowChange::Upsert(row));
            }
        }
        self.told.at = hour;
        changes
    }

    fn dimensions(&self, now: Timestamp) -> BTreeMap<RowKey, Row> {
        let (mut rows, named) = self.scope_rows();
        rows.extend(self.service_rows(named, now));
        if self.task == FIRST {
            rows.extend(self.team_rows(now));
            let definitions = DefinitionDimension::of(&self.definitions).into_iter();
            rows.extend(definitions.map(|row| Row::Definition(Box::new(row))));
        }
        rows.into_iter().map(|row| (row.key(), row)).collect()
    }

    /// The services of this task's homes: those that the catalog declares, and those that only facts name.
    fn service_rows(&self, named: impl Iterator<Item = ServiceName>, now: Timestamp) -> Vec<Row> {
        let mut services: BTreeSet<ServiceName> = self.catalog.services().into_iter().collect();
        services.extend(named);
        let mine = services.into_iter().filter(|service| self.holds(service));
        mine.map(|service| Row::Service(Box::new(self.service_row(service, now)))).collect()
    }

    fn service_row(&self, service: ServiceName, now: Timestamp) -> ServiceDimension {
        let config = self.catalog.service(&service);
        let team = self.catalog.team(&service, now);
        ServiceDimension {
            groups: team.as_ref().map(|team| self.catalog.groups(team, now)).unwrap_or_default(),
            team,
            repos: config.repositories.clone(),
            tags: config.tags.clone(),
            criticality: config.criticality.clone(),
            depends_on: config.dependencies.clone(),
            failure_source: self.has_failure_source(&service),
            service,
        }
    }

    /// The declared teams. Only declared services have one.
    fn team_rows(&self, now: Timestamp) -> Vec<Row> {
        let services = self.catalog.services();
        let row = |team| {
            let owned =
                services.iter().filter(|service| self.catalog.team(service, now).as_ref() == Some(&team));
            let services = owned.cloned().collect();
            TeamDimension { groups: self.catalog.groups(&team, now), services, team }
        };
        self.catalog.teams().into_iter().map(|team| Row::Team(Box::new(row(team)))).collect()
    }

    /// The scopes that this task's facts belong to; and the services that these facts name, since each fact is opened once.
    fn scope_rows(&self) -> (Vec<Row>, impl Iterator<Item = ServiceName> + use<>) {
        let mut scopes: BTreeMap<Scope, ScopeDimension> = BTreeMap::new();
        let mut sees: BTreeMap<ServiceName, bool> = BTreeMap::new();
        for fact in self.published_of(shows) {
            let Some((at, found)) = self.scopes_of(&fact) else { continue };
            let failure_source = service_of(&fact).is_some_and(|service| {
                *sees.entry(service.clone()).or_insert_with(|| self.has_failure_source(service))
            });
            for scope in found {
                let told = ScopeDimension { scope: scope.clone(), first_at: at, failure_source };
                scopes.entry(scope).and_modify(|known| known.merge(&told)).or_insert(told);
            }
        }
        let rows = scopes.into_values().map(|scope| Row::Scope(Box::new(scope))).collect();
        (rows, sees.into_keys())
    }

    /// When a fact began to count, and for what.
    fn scopes_of(&self, fact: &Row) -> Option<(Timestamp, BTreeSet<Scope>)> {
        Some(match fact {
            Row::Deployment(row) => {
                let at = row.finished_at.unwrap_or(row.started_at);
                let repo = row.repo.as_ref().map(|repo| Scope::new(format!("repo:{repo}")));
                let scopes = self.catalog.scopes(&row.service, at).into_iter();
                (at, scopes.chain(label_scopes(&row.labels, &self.definitions)).chain(repo).collect())
            }
            Row::Incident(row) => {
                (row.started_at, self.catalog.scopes(&row.service, row.started_at).into_iter().collect())
            }
            Row::PipelineRun(row) => {
                let at = row.finished_at.or(row.started_at)?;
                (at, scopes_of_repo(&self.catalog, &row.repo, at).into_iter().collect())
            }
            _ => return None,
        })
    }
}

/// The service whose failures a fact may show.
fn service_of(fact: &Row) -> Option<&ServiceName> {
    match fact {
        Row::Deployment(row) => Some(&row.service),
        Row::Incident(row) => Some(&row.service),
        _ => None,
    }
}
