//! Who there is: services, their repositories, teams and tools. A function of the options alone.

use crate::Options;
use crate::random::Random;

/// How a service's deployments are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deploys {
    /// By GitHub deployments and their statuses.
    Deployments,
    /// By published GitHub releases.
    Releases,
    /// By CDEvents that name an artifact's digest.
    CdEvents,
}

/// Who pages for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// PagerDuty.
    PagerDuty,
    /// Alertmanager.
    Alertmanager,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) team: usize,
    /// Its folder, in a repository of several services.
    pub(crate) path: Option<String>,
    pub(crate) deploys: Deploys,
    pub(crate) pages: Pages,
    /// Its id at PagerDuty.
    pub(crate) pager_id: String,
    pub(crate) depends_on: Vec<usize>,
    pub(crate) layer: &'static str,
    pub(crate) criticality: &'static str,
}

/// A repository.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) name: String,
    pub(crate) services: Vec<usize>,
    /// Whether pull requests are squashed; else they get a merge commit.
    pub(crate) squashes: bool,
}

/// A team.
#[derive(Debug, Clone)]
pub(crate) struct Team {
    pub(crate) name: String,
    pub(crate) group: &'static str,
    /// How far its clocks are ahead of UTC.
    pub(crate) offset_hours: i64,
    pub(crate) people: u64,
}

/// The organisation.
#[derive(Debug, Clone)]
pub(crate) struct Organisation {
    pub(crate) services: Vec<Service>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) teams: Vec<Team>,
}

/// The organisation's login.
pub(crate) const ORGANISATION: &str = "acme";

const SERVICES: &[&str] = &[
    "checkout",
    "payments",
    "catalogue",
    "search",
    "cart",
    "pricing",
    "inventory",
    "shipping",
    "orders",
    "accounts",
    "sessions",
    "profiles",
    "mail",
    "reviews",
    "ratings",
    "coupons",
    "invoices",
    "refunds",
    "ledger",
    "fraud",
    "tax",
    "quotes",
    "returns",
    "tracking",
    "routing",
    "geocoder",
    "media",
    "images",
    "uploads",
    "exports",
    "reports",
    "metering",
    "billing",
    "plans",
    "webhooks",
    "gateway",
    "edge",
    "tokens",
    "secrets",
    "audit",
];
const TEAMS: &[&str] = &[
    "storefront",
    "money",
    "discovery",
    "logistics",
    "identity",
    "growth",
    "finance",
    "risk",
    "content",
    "insights",
    "platform",
    "edge-and-api",
    "mobile",
    "partners",
    "data",
    "reliability",
];
const GROUPS: &[&str] = &["retail", "operations", "core", "insight"];
const LAYERS: &[&str] = &["application", "application", "edge", "data", "application", "cloud"];
const CRITICALITY: &[&str] = &["high", "medium", "medium", "low"];
/// Of each ten services, those from here on share a repository.
const SHARED_FROM: usize = 7;

impl Organisation {
    /// The organisation that some options describe.
    pub(crate) fn new(options: &Options) -> Self {
        let count = options.services as usize;
        let team_count = (options.teams as usize).clamp(1, count.max(1));
        let mut random = Random::new(options.seed, u64::MAX);
        let teams = (0..team_count).map(|at| team(at, &mut random)).collect();
        let services: Vec<Service> =
            (0..count).map(|at| service(at, at * team_count / count, &mut random)).collect();
        let mut repositories: Vec<Repository> = Vec::new();
        for (at, service) in services.iter().enumerate() {
            let shared = at % 10 > SHARED_FROM;
            match repositories.last_mut() {
                Some(repository) if shared => repository.services.push(at),
                _ => {
                    let name = match service.path {
                        Some(_) => format!("platform-{}", at / 10 + 1),
                        None => service.name.clone(),
                    };
                    repositories.push(Repository { name, services: vec![at], squashes: random.chance(600) });
                }
            }
        }
        Self { services, repositories, teams }
    }

    /// The same services and teams, each service in a repository of its own and deployed by GitHub.
    pub(crate) fn steady(options: &Options) -> Self {
        let mut organisation = Self::new(options);
        for service in &mut organisation.services {
            service.path = None;
            service.deploys = Deploys::Deployments;
        }
        let numbered = organisation.services.iter().enumerate();
        organisation.repositories = numbered
            .map(|(at, service)| Repository {
                name: service.name.clone(),
                services: vec![at],
                squashes: false,
            })
            .collect();
        organisation
    }
}

fn team(at: usize, random: &mut Random) -> Team {
    Team {
        name: numbered(TEAMS, at),
        group: GROUPS.get(at / 2 % GROUPS.len()).copied().unwrap_or_default(),
        offset_hours: random.one_of(&[-5, 0, 0, 1, 3, 7]),
        people: 4 + random.below(6),
    }
}

fn service(at: usize, team: usize, random: &mut Random) -> Service {
    let name = numbered(SERVICES, at);
    let shared = at % 10 >= SHARED_FROM;
    // Only earlier services: dependencies have no cycles.
    let mut depends_on: Vec<usize> = (0..random.below(3))
        .filter(|_| at > 0)
        .map(|_| usize::try_from(random.below(at as u64)).unwrap_or(0))
        .collect();
    depends_on.sort_unstable();
    depends_on.dedup();
    Service {
        path: shared.then(|| format!("services/{name}")),
        deploys: match at % 10 {
            3 => Deploys::CdEvents,
            5 => Deploys::Releases,
            _ if shared => Deploys::CdEvents,
            _ => Deploys::Deployments,
        },
        pages: if at % 5 == 4 { Pages::Alertmanager } else { Pages::PagerDuty },
        pager_id: format!("P{:06X}", 0x10_0000 + at),
        layer: LAYERS.get(at % LAYERS.len()).copied().unwrap_or_default(),
        criticality: random.one_of(CRITICALITY),
        name,
        team,
        depends_on,
    }
}

/// A name of the list; beyond its end with a number.
fn numbered(names: &[&str], at: usize) -> String {
    let name = names.get(at % names.len()).copied().unwrap_or_default();
    match at / names.len() {
        0 => name.to_owned(),
        round => format!("{name}-{}", round + 1),
    }
}
