//! What decides a number, apart from the events and the catalog. One value, hashed onto every row.

use crate::event::{AuthorKind, Severity, words};
use crate::hex;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

words!(
    /// What a lead time starts from.
    LeadTimeStart {
        /// The committer time (of a squashed pull request: its earliest commit).
        Commit = "commit",
        /// The author time.
        Authored = "authored",
        /// The pull request's opening.
        PrOpened = "pr_opened",
        /// The pull request's merge.
        PrMerged = "pr_merged",
    }
);
words!(
    /// What the first deployment of a service with a known head ships.
    FirstDeployment {
        /// Only its head.
        Head = "head",
        /// Nothing.
        None = "none",
        /// The whole history.
        All = "all",
    }
);
words!(
    /// Which end of an incident is the recovery.
    RestoredAt {
        /// Resolved.
        Resolved = "resolved",
        /// Mitigated, else resolved.
        Mitigated = "mitigated",
    }
);
words!(
    /// A set of definitions known by name.
    Profile {
        /// Ours.
        Streamgauge = "streamgauge",
        /// Apache DevLake's numbers.
        Devlake = "devlake",
    }
);

/// Every setting that decides a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Which profile.
    pub profile: Profile,
    /// `lead_time.start`.
    pub lead_time_start: LeadTimeStart,
    /// `lead_time.first_deployment`.
    pub first_deployment: FirstDeployment,
    /// `lead_time.exclude`: authors left out of the metric, never out of the facts.
    pub lead_time_exclude: Vec<AuthorKind>,
    /// `failure_window`: `None` is unbounded (the devlake profile).
    pub failure_window: Option<Span>,
    /// `remediation_window`.
    pub remediation_window: Span,
    /// `rollout.merge_within`.
    pub merge_within: Span,
    /// `incident.min_severity`.
    pub min_severity: Severity,
    /// `incident.restored_at`.
    pub restored_at: RestoredAt,
    /// `blame_dependencies`.
    pub blame_dependencies: bool,
    /// `failure_evidence_suffices`: the default for services whose catalog entry is silent.
    pub failure_evidence_suffices: bool,
    /// `reporting.timezone`.
    pub timezone: String,
    /// `max_future`: how far `occurred_at` may lie ahead of `observed_at`.
    pub max_future: Span,
    /// `scopes.labels`: deployment labels that make scopes, each with its allowed values.
    pub label_scopes: std::collections::BTreeMap<crate::ids::Text, Vec<crate::ids::Text>>,
    /// The organisation's name, as in `org:acme`.
    pub organisation: String,
}

impl Default for Definitions {
    fn default() -> Self {
        Self {
            profile: Profile::Streamgauge,
            lead_time_start: LeadTimeStart::Commit,
            first_deployment: FirstDeployment::Head,
            lead_time_exclude: Vec::new(),
            failure_window: Some(Span::from_hours(4)),
            remediation_window: Span::from_days(7),
            merge_within: Span::from_minutes(30),
            min_severity: Severity::Sev3,
            restored_at: RestoredAt::Resolved,
            blame_dependencies: false,
            failure_evidence_suffices: false,
            timezone: "UTC".to_owned(),
            max_future: Span::from_minutes(10),
            label_scopes: std::collections::BTreeMap::new(),
            organisation: "default".to_owned(),
        }
    }
}

impl Definitions {
    /// The `devlake` profile: the settings under which the same code gives Apache DevLake's numbers.
    ///
    /// Source: `backend/plugins/dora/tasks` of apache/incubator-devlake.
    /// - `change_lead_time_calculator.go`: a deployment without an earlier successful one ships nothing.
    /// - `incident_deploy_connector.go`: an incident of any severity follows the latest successful deployment,
    ///   however long ago. Nothing else is evidence: a window of less than nothing admits no rollback, revert or
    ///   hotfix, and every deployment counts in the rate whether or not incidents are told.
    /// - The dashboards count each deployment by its own id: parts are one only where the vendor says so.
    pub fn devlake() -> Self {
        Self {
            profile: Profile::Devlake,
            first_deployment: FirstDeployment::None,
            failure_window: None,
            remediation_window: Span::from_seconds(-1),
            // Less than any distance, overlapping parts included.
            merge_within: Span::from_days(-36_500),
            min_severity: Severity::Sev5,
            failure_evidence_suffices: true,
            ..Self::default()
        }
    }

    /// Whether the profile is Apache DevLake's.
    pub fn is_devlake(&self) -> bool {
        self.profile == Profile::Devlake
    }

    /// Twelve hexadecimal digits that change whenever a definition does: the `definition` of every row.
    pub fn hash(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        hex::lower(Sha256::digest(json.as_bytes()).get(..6).unwrap_or_default())
    }
}
