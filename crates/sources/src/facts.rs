//! What is to be known of a source, beside what it reads: `docs/sources.md` is made of it.

use model::metric::Metric;

/// What a source gives, leaves out and needs.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// One line about it.
    pub description: &'static str,
    /// The types of the events that it tells, with spaces between them; each has a row in [`FEEDS`].
    pub emits: &'static str,
    /// The counted words for which it drops, with spaces between them. A `*` stands for a word of the vendor's own.
    pub drops: &'static str,
    /// Its time fields, their form and their zone.
    pub times: &'static str,
    /// How its hook is set up at the vendor, a step to a line.
    pub set_up: &'static [&'static str],
    /// Which payloads were seen that the vendor made; `None`: it is written from the documentation alone.
    pub seen: Option<&'static str>,
    /// What it cannot tell, and what one would not expect of it.
    pub limits: &'static [&'static str],
}

impl Facts {
    /// Whether it tells events of a type.
    pub fn tells(&self, event: &str) -> bool {
        self.emits.split_whitespace().any(|told| told == event)
    }

    /// Whether a counted word is listed.
    pub fn lists(&self, reason: &str) -> bool {
        self.drops.split_whitespace().any(|listed| match listed.split_once('*') {
            None => listed == reason,
            Some((begin, end)) => reason
                .strip_prefix(begin)
                .and_then(|rest| rest.strip_suffix(end))
                .is_some_and(|own| !own.is_empty()),
        })
    }

    /// Whether its events have a part in a metric.
    pub fn feeds(&self, metric: Metric) -> bool {
        self.emits.split_whitespace().filter_map(feed).any(|feed| feed.metrics.contains(&metric))
    }
}

/// The word for which every source drops a record in whose lists is nothing.
pub const SHARED_DROP: &str = "nothing_told";

/// What the events of a type are for.
#[derive(Debug, Clone, Copy)]
pub struct Feed {
    /// The type's name in JSON.
    pub event: &'static str,
    /// The metrics in which they have a part (semantics, sections 4 to 7).
    pub metrics: &'static [Metric],
    /// What they say to these metrics, or what else they are for.
    pub part: &'static str,
}

/// What the events of a type are for, every type once.
pub const FEEDS: &[Feed] = &[
    Feed {
        event: "commit",
        metrics: &[Metric::ChangeLeadTime, Metric::ChangeFailRate, Metric::RecoveryTime, Metric::ReworkRate],
        part: "where a change starts; what it reverts",
    },
    Feed {
        event: "push",
        metrics: &[Metric::ChangeLeadTime],
        part: "the graph of commits where nothing tells their parents",
    },
    Feed {
        event: "pull_request",
        metrics: &[Metric::ChangeLeadTime],
        part: "the first commit of what was squashed; the stages of a change",
    },
    Feed { event: "review", metrics: &[], part: "the stages pickup and review" },
    Feed { event: "repository", metrics: &[], part: "renames and transfers" },
    Feed {
        event: "pipeline_run",
        metrics: &[Metric::PipelineSuccessRate, Metric::FlakyRate, Metric::TimeInCi],
        part: "runs, their attempts and times",
    },
    Feed { event: "test_run", metrics: &[], part: "kept, in no metric" },
    Feed { event: "canary_analysis", metrics: &[], part: "kept, in no metric" },
    Feed {
        event: "artifact",
        metrics: &[Metric::ChangeLeadTime],
        part: "the commit of a deployment that names an image only",
    },
    Feed {
        event: "deployment",
        metrics: &[
            Metric::DeploymentFrequency,
            Metric::ChangeLeadTime,
            Metric::ChangeFailRate,
            Metric::RecoveryTime,
            Metric::ReworkRate,
            Metric::AutomatedRate,
            Metric::RollbackRate,
            Metric::DeploymentSuccessRate,
            Metric::CanarySuccessRate,
        ],
        part: "what went out, when, how it ended; rollbacks and hotfixes",
    },
    Feed {
        event: "incident",
        metrics: &[
            Metric::ChangeFailRate,
            Metric::RecoveryTime,
            Metric::ReworkRate,
            Metric::TimeToRestore,
            Metric::TimeToDetect,
        ],
        part: "what failed, from when to when",
    },
    Feed { event: "sli_sample", metrics: &[], part: "kept, in no metric" },
    Feed { event: "flag_change", metrics: &[], part: "possible causes near an incident" },
    Feed { event: "scan", metrics: &[], part: "findings" },
    Feed { event: "maintenance", metrics: &[], part: "kept, in no metric" },
    Feed {
        event: "correction",
        metrics: &[
            Metric::DeploymentFrequency,
            Metric::ChangeLeadTime,
            Metric::ChangeFailRate,
            Metric::RecoveryTime,
            Metric::ReworkRate,
            Metric::AutomatedRate,
            Metric::RollbackRate,
            Metric::DeploymentSuccessRate,
            Metric::CanarySuccessRate,
            Metric::TimeToRestore,
            Metric::TimeToDetect,
        ],
        part: "what people put right",
    },
    Feed { event: "ownership", metrics: &[], part: "kept, in no metric" },
    Feed { event: "lost_delivery", metrics: &[], part: "counted in `data_quality`" },
];

/// What the events of a type are for.
pub fn feed(event: &str) -> Option<&'static Feed> {
    FEEDS.iter().find(|feed| feed.event == event)
}
