//! Where an event goes: the home of what it is about, an index, the incident pool, or every task.

use crate::message::Address;
use crate::renames::{RENAMES, rename};
use crate::state::Thing;
use catalog::{Catalog, Owner};
use model::{DeliveryEvent, EventBody, HomeKey, RepoName, ServiceName, Text};

/// The key of the incident pool: incidents are linked to each other across services, so one task pools them.
pub const POOL: &str = "@incidents";
/// The key under which events wait for the catalog.
pub const PARKED: &str = "@parked";

/// Where an event goes and what it is about there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To these addresses, as records of these things.
    To(Vec<(Address, Thing)>),
    /// To the archive only: no fact is made of it, for this reason.
    Archive(&'static str),
}

/// The task that holds a key: FNV-1a of its bytes, stable across versions and machines.
pub fn partition_of(key: &HomeKey, tasks: u32) -> u32 {
    let hash = key.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The remainder is smaller than a u32.
    u32::try_from(hash % u64::from(tasks.max(1))).unwrap_or(0)
}

/// Decides where an event goes under a catalog.
pub fn route(catalog: &Catalog, event: &DeliveryEvent) -> Route {
    let at = event.occurred_at;
    let repo = event.repo.as_ref().map(|repo| catalog.canonical_repo(repo, at));
    // Without a repository: the first one of the service that it names.
    let of_service = || {
        let service = owner(catalog, event, event.service.as_ref()).ok()?;
        catalog.service(&service).repositories.first().cloned()
    };
    let in_repo = |thing: &dyn Fn(RepoName) -> Thing| match repo.clone().or_else(of_service) {
        Some(repo) => one(catalog.home_of_repo(&repo), thing(repo)),
        None => one(HomeKey::new(PARKED), Thing::Parked),
    };
    match &event.body {
        EventBody::Commit(body) => in_repo(&|repo| Thing::Commit(repo, body.sha.clone())),
        EventBody::Push(_) => in_repo(&|repo| Thing::Push(repo, event.source.clone(), event.id.clone())),
        EventBody::PullRequest(body) => in_repo(&|repo| Thing::PullRequest(repo, body.number)),
        EventBody::Review(body) => in_repo(&|repo| Thing::Reviews(repo, body.number)),
        EventBody::PipelineRun(body) => in_repo(&|repo| Thing::Run(repo, body.run_id.clone(), body.attempt)),
        EventBody::Deployment(body) => match owner(catalog, event, event.service.as_ref()) {
            Ok(service) => {
                let home = catalog.home_of_service(&service);
                one(home, Thing::Attempt(service, body.deployment_id.clone()))
            }
            Err(_) => one(HomeKey::new(PARKED), Thing::Parked),
        },
        EventBody::Incident(body) => one(HomeKey::new(POOL), Thing::Incident(body.incident_id.clone())),
        EventBody::Artifact(body) => Route::To(
            [("digest:", &body.digest), ("image:", &body.image)]
                .into_iter()
                .filter_map(|(kind, name)| Some(HomeKey::new(format!("{kind}{}", name.as_ref()?))))
                .map(|key| (Address::Home(key.clone()), Thing::Artifact(key)))
                .collect(),
        ),
        EventBody::Correction(_) => Route::To(vec![(Address::All, Thing::Corrections)]),
        EventBody::FlagChange(body) => {
            let alias = Text::new(format!("flag:{}", body.flag));
            let hint = event.service.as_ref().or(event.repo.is_none().then_some(&alias));
            match owner(catalog, event, hint) {
                Ok(service) => one(
                    catalog.home_of_service(&service),
                    Thing::Flag(event.source.clone(), event.id.clone()),
                ),
                Err(_) => one(HomeKey::new(PARKED), Thing::Parked),
            }
        }
        EventBody::Scan(_) => match (owner(catalog, event, event.service.as_ref()), &repo) {
            (Ok(service), _) => {
                one(catalog.home_of_service(&service), Thing::Scan(event.source.clone(), event.id.clone()))
            }
            (Err(_), Some(repo)) => {
                one(catalog.home_of_repo(repo), Thing::Scan(event.source.clone(), event.id.clone()))
            }
            (Err(_), None) => one(HomeKey::new(PARKED), Thing::Parked),
        },
        EventBody::LostDelivery(body) => {
            let (source, hook) = (event.source.clone(), body.hook.clone());
            one(HomeKey::new(format!("hook:{hook}")), Thing::LostDeliveries(source, hook))
        }
        EventBody::Repository(_) => match rename(event) {
            Some(_) => one(HomeKey::new(RENAMES), Thing::Renames),
            None => Route::Archive("repository_event"),
        },
        EventBody::TestRun(_) => Route::Archive("test_run"),
        EventBody::CanaryAnalysis(_) => Route::Archive("canary_analysis"),
        EventBody::SliSample(_) => Route::Archive("sli_sample"),
        EventBody::Maintenance(_) => Route::Archive("maintenance"),
        EventBody::Ownership(_) => Route::Archive("ownership"),
    }
}

fn one(home: HomeKey, thing: Thing) -> Route {
    Route::To(vec![(Address::Home(home), thing)])
}

/// The service that an event belongs to, or why none can be told.
pub fn owner(catalog: &Catalog, event: &DeliveryEvent, hint: Option<&Text>) -> Result<ServiceName, Unowned> {
    let repo = event.repo.as_ref().map(|repo| catalog.canonical_repo(repo, event.occurred_at));
    match catalog.owner(repo.as_ref(), hint, event.occurred_at) {
        Owner::Service(service) => Ok(service),
        Owner::Ambiguous { repo, services } => Err(Unowned {
            reason: "ambiguous_repository",
            claim: Some(Text::new(repo.as_str())),
            remedy: format!("name the service in the event: {} belongs to {} services", repo, services.len()),
        }),
        Owner::Unclaimed { alias } => Err(Unowned {
            reason: "unclaimed_alias",
            remedy: format!("add \"{alias}\" to the aliases of a service in the catalog"),
            claim: Some(alias),
        }),
        Owner::Unnamed => Err(Unowned {
            reason: "names_nothing",
            claim: None,
            remedy: "send `repo` or `service` with the event".to_owned(),
        }),
    }
}

/// Why an event waits for the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unowned {
    /// A counted word.
    pub reason: &'static str,
    /// What nobody claims.
    pub claim: Option<Text>,
    /// What to do.
    pub remedy: String,
}
