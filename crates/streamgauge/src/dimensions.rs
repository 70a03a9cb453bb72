//! Who is who, for the warehouse: services, teams and scopes as the catalog and the facts know them now.

use catalog::Catalog;
use model::fact::Row;
use model::{Definitions, Scope, ServiceName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use topology::Topology;
use warehouse::{Dimensions, ScopeDimension, ServiceDimension, TeamDimension};

/// What is known of a scope so far.
struct Seen {
    first_at: Timestamp,
    failure_source: bool,
}

/// Makes the dimensions; a function of the tasks' state and the catalog.
pub fn dimensions(topology: &Topology, now: Timestamp) -> Dimensions {
    let (catalog, definitions) = (topology.catalog(), topology.definitions());
    let mut services: BTreeSet<ServiceName> = catalog.services().into_iter().collect();
    let mut told: BTreeSet<ServiceName> = BTreeSet::new();
    for row in topology.facts() {
        match row {
            Row::Deployment(row) => services.insert(row.service.clone()),
            Row::Incident(row) => {
                told.insert(row.service.clone());
                services.insert(row.service.clone())
            }
            _ => false,
        };
    }
    let sees = |service: &ServiceName| {
        let config = catalog.service(service);
        let suffices = config.failure_evidence_suffices.unwrap_or(definitions.failure_evidence_suffices);
        config.incident_sources || suffices || told.contains(service)
    };
    Dimensions {
        scopes: scopes(topology, &sees),
        teams: teams(catalog, &services, now),
        services: services.iter().map(|service| of_service(catalog, service, sees(service), now)).collect(),
        definitions: Definitions::clone(definitions),
    }
}

fn of_service(
    catalog: &Catalog,
    service: &ServiceName,
    failure_source: bool,
    now: Timestamp,
) -> ServiceDimension {
    let config = catalog.service(service);
    let team = catalog.team(service, now);
    ServiceDimension {
        service: service.clone(),
        groups: team.as_ref().map(|team| catalog.groups(team, now)).unwrap_or_default(),
        team,
        repos: config.repositories.clone(),
        tags: config.tags.clone(),
        criticality: config.criticality.clone(),
        depends_on: config.dependencies.clone(),
        failure_source,
    }
}

fn teams(catalog: &Catalog, services: &BTreeSet<ServiceName>, now: Timestamp) -> Vec<TeamDimension> {
    catalog
        .teams()
        .into_iter()
        .map(|team| TeamDimension {
            groups: catalog.groups(&team, now),
            services: services
                .iter()
                .filter(|service| catalog.team(service, now).as_ref() == Some(&team))
                .cloned()
                .collect(),
            team,
        })
        .collect()
}

fn scopes(topology: &Topology, sees: &impl Fn(&ServiceName) -> bool) -> Vec<ScopeDimension> {
    let (catalog, definitions) = (topology.catalog(), topology.definitions());
    let mut seen: BTreeMap<Scope, Seen> = BTreeMap::new();
    let mut visible: BTreeMap<ServiceName, bool> = BTreeMap::new();
    for row in topology.facts() {
        let (service, at) = match row {
            Row::Deployment(row) => (Some(&row.service), row.finished_at.unwrap_or(row.started_at)),
            Row::Incident(row) => (Some(&row.service), row.started_at),
            Row::PipelineRun(row) => match row.finished_at.or(row.started_at) {
                Some(at) => (None, at),
                None => continue,
            },
            _ => continue,
        };
        let mut scopes: BTreeSet<Scope> = BTreeSet::new();
        scopes.extend(service.map(|service| catalog.scopes(service, at)).unwrap_or_default());
        match row {
            Row::Deployment(row) => {
                scopes.extend(correlate::contribute::label_scopes(&row.labels, definitions));
                scopes.extend(row.repo.as_ref().map(|repo| Scope::new(format!("repo:{repo}"))));
            }
            Row::PipelineRun(row) => {
                scopes.extend(correlate::contribute::scopes_of_repo(catalog, &row.repo, at))
            }
            _ => {}
        }
        let failure_source =
            service.is_some_and(|service| *visible.entry(service.clone()).or_insert_with(|| sees(service)));
        for scope in scopes {
            let entry = seen.entry(scope).or_insert(Seen { first_at: at, failure_source });
            entry.first_at = entry.first_at.min(at);
            entry.failure_source |= failure_source;
        }
    }
    let dimension = |(scope, seen): (Scope, Seen)| ScopeDimension {
        scope,
        first_at: seen.first_at,
        failure_source: seen.failure_source,
    };
    seen.into_iter().map(dimension).collect()
}
