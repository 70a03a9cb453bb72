//! What the catalog could say and does not yet: entries, aliases, teams and environment tiers, each from evidence, as a
//! change of the catalog's own text.
//!
//! Nothing is guessed: where evidence points to two answers, or to none, the proposal is a comment that says what was
//! found and what to decide. Comments, order and layout of the text stay as they are: it is only added to.

mod edit;
mod environments;
mod evidence;
mod name;
mod renames;
mod rules;
mod write;

pub use edit::Change;
pub use evidence::{Claim, Deployer, Described, Evidence, Renamed, Seen, SeenEnvironment, TeamSaid};

use crate::catalog::Catalog;
use serde::Serialize;

/// What a proposal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalKind {
    /// A group of teams.
    Group,
    /// A team.
    Team,
    /// A service.
    Service,
    /// One more name of a service.
    Alias,
    /// The team of a service that is there.
    Owner,
    /// The tier of an environment.
    Environment,
    /// Another name of a repository, and since when.
    Rename,
    /// Something that a person must decide: a comment.
    Decide,
}

impl ProposalKind {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Team => "team",
            Self::Service => "service",
            Self::Alias => "alias",
            Self::Owner => "owner",
            Self::Environment => "environment",
            Self::Rename => "rename",
            Self::Decide => "decide",
        }
    }
}

/// One proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// What it is about.
    pub kind: ProposalKind,
    /// What is proposed: a name, or `service: value`.
    pub value: String,
    /// Why: counts, since when, from which source.
    pub evidence: String,
}

/// Everything that is proposed, and the change of the text that says it.
#[derive(Debug)]
pub struct Discovery {
    /// The proposals, in the order in which the text says them.
    pub proposals: Vec<Proposal>,
    /// The change.
    pub change: Change,
}

/// Proposes what the evidence says and the catalog does not. `text` is the catalog's own.
///
/// ```
/// # use streamgauge_catalog::{Catalog, discover::{discover, Claim, Evidence, Seen}};
/// # use model::{Definitions, Timestamp};
/// let text = "[[services]]\nname = \"checkout\" # the till\n";
/// let catalog = Catalog::from_toml("catalog.toml", text, &Definitions::default()).unwrap();
/// let seen = Seen { count: 3, since: Timestamp::parse("2026-01-31T09:30:00Z").unwrap(), sources: ["argocd".into()].into() };
/// let claim = Claim { reason: "unclaimed_alias".into(), claim: Some("argocd:checkout-prod".into()), event_type: "deployment".into(), seen };
/// let found = discover(text, &catalog, &Evidence { claims: vec![claim], ..Evidence::default() });
/// assert_eq!(
///     found.change.text(),
///     "[[services]]\nname = \"checkout\" # the till\n# because argocd:checkout-prod is checkout by its name: 3 deployment events from argocd since 2026-01-31\n\
///      aliases = [\"argocd:checkout-prod\"]\n"
/// );
/// ```
pub fn discover(text: &str, catalog: &Catalog, evidence: &Evidence) -> Discovery {
    let mut plan = rules::Plan::new(catalog);
    plan.described(&evidence.described);
    plan.deployers(evidence);
    plan.claims(&evidence.claims);
    plan.owners(evidence);
    plan.environments = environments::propose(catalog, &evidence.environments);
    plan.renames = renames::propose(catalog, &evidence.renames);
    write::write(text, plan)
}
