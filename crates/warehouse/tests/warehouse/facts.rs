//! Facts and other rows to load.

use model::event::{AuthorKind, EnvironmentTier, IncidentState, PullRequestState, RunState, Severity};
use model::fact::*;
use model::metric::{Delta, DoraStep, Grain, Metric, Pane, Window};
use model::{Sha, TeamName, Timestamp};
use std::collections::BTreeMap;

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub fn deployment(id: &str) -> Deployment {
    Deployment {
        service: "checkout".into(),
        team: Some("payments".into()),
        repo: Some("github.com/acme/shop".into()),
        environment: "prod".into(),
        tier: EnvironmentTier::Production,
        deployment_id: id.into(),
        rollout_id: None,
        parts: 2,
        version: Some("v1.2.3".into()),
        commit_sha: Some(Sha::new("a67038ae2e9cb9b9b16423702f98b41e36601001")),
        started_at: at("2026-01-31T09:30:00.123456Z"),
        finished_at: Some(at("2026-01-31T09:40:00Z")),
        outcome: Outcome::Succeeded,
        automated: Some(true),
        failed: Some(false),
        failure_evidence: Some(FailureEvidence::Temporal),
        rolled_back: false,
        is_rollback: true,
        is_rework: false,
        recovered_at: None,
        recovery_s: Some(-1),
        impact_to_recovery_s: None,
        changes: Some(3),
        labels: BTreeMap::from([("region".into(), "eu".into()), ("it's".into(), "a \\ \t tab".into())]),
        change_ref: Some("CHG-1".into()),
        approved: None,
        in_window: Some(true),
        canary_steps: Some(4),
        canary_promoted: None,
        hotfix: false,
        drill: false,
        skewed: false,
        source: "github".into(),
    }
}

/// One row of every table.
pub fn one_of_each() -> Vec<Row> {
    let time = at("2026-01-31T09:30:00Z");
    let sha = Sha::new("a67038ae2e9cb9b9b16423702f98b41e36601001");
    let change = Change {
        service: "checkout".into(),
        team: None,
        repo: "github.com/acme/shop".into(),
        commit_sha: sha.clone(),
        authored_at: Some(time),
        committed_at: None,
        deployment_id: "d1".into(),
        deployed_at: time,
        lead_time_s: Some(-5),
        start_evidence: Some(StartEvidence::PrFirstCommit),
        author_kind: Some(AuthorKind::Bot),
        skewed: true,
        pull_request: Some(7),
        drill: false,
        coding_s: Some(1),
        pickup_s: None,
        review_s: None,
        waiting_s: None,
        deploying_s: Some(600),
    };
    let pull_request = PullRequest {
        repo: "github.com/acme/shop".into(),
        number: 7,
        state: PullRequestState::Merged,
        first_commit_at: None,
        opened_at: time,
        first_reviewed_at: None,
        merged_at: Some(time),
        merge_commit_sha: Some(sha.clone()),
        service: Some("checkout".into()),
        deployment_id: None,
        deployed_at: None,
        coding_s: None,
        pickup_s: None,
        review_s: None,
        waiting_s: None,
        deploying_s: None,
        lead_time_s: None,
        skewed: false,
        author_kind: None,
    };
    let incident = Incident {
        service: "checkout".into(),
        team: Some(TeamName::new("payments")),
        incident_id: "pagerduty:Q1".into(),
        members: vec!["pagerduty:Q1".into(), "jira:OPS-1".into()],
        severity: Some(Severity::ALL[0]),
        tier: EnvironmentTier::Production,
        status: IncidentState::ALL[0],
        started_at: time,
        detected_at: time,
        detection_stated: true,
        mitigated_at: None,
        resolved_at: None,
        time_to_restore_s: None,
        time_to_detect_s: Some(0),
        cause: None,
        deployment_id: None,
        failure_evidence: None,
        skewed: false,
        drill: false,
        source: "pagerduty".into(),
    };
    let run = PipelineRun {
        repo: "github.com/acme/shop".into(),
        run_id: "9".into(),
        attempt: 1,
        workflow: "ci".into(),
        commit_sha: sha.clone(),
        state: RunState::Passed,
        started_at: Some(time),
        finished_at: None,
        duration_s: None,
        start_to_deploy_s: None,
        skewed: false,
        drill: true,
        source: "github".into(),
    };
    let flag = FlagChange {
        source: "unleash".into(),
        event_id: "1".into(),
        service: None,
        flag: "dark-mode".into(),
        action: "on".into(),
        environment: "prod".into(),
        changed_at: time,
        from: None,
        to: Some("true".into()),
    };
    let scan = Scan {
        source: "trivy".into(),
        event_id: "1".into(),
        service: None,
        repo: None,
        scanner: "trivy".into(),
        finding: "CVE-2026-1".into(),
        severity: "high".into(),
        state: "open".into(),
        commit_sha: Some(sha),
        digest: None,
        scanned_at: time,
    };
    let parked = ParkedEvent {
        source: "github".into(),
        event_id: "1".into(),
        hash: "ab".into(),
        event_type: "deployment".into(),
        occurred_at: time,
        reason: "unclaimed".into(),
        claim: None,
        body: "{\"a\":\"\u{0}é\"}".into(),
    };
    let quality = DataQuality {
        signal: "unknown_head".into(),
        subject: "checkout/d1".into(),
        service: None,
        since: time,
        detail: "x".into(),
        remedy: "y".into(),
    };
    let step = DoraStep {
        scope: "service:checkout".into(),
        metric: Metric::ChangeLeadTime,
        window: Window::Days30,
        as_of: at("2026-02-01T00:00:00Z"),
        value: Some(0.1),
        samples: 3,
        p50: Some(-1),
        p75: None,
        p90: None,
        p95: None,
        mean: Some(1.0 / 3.0),
        per_day: None,
        days_with: None,
        confirmed: None,
        inferred: None,
    };
    let delta = Delta {
        numerator: -2,
        denominator: 5,
        samples: BTreeMap::from([(-60, 1), (3600, 2)]),
        ..Delta::default()
    };
    let pane = Pane {
        scope: "service:checkout".into(),
        metric: Metric::ChangeLeadTime,
        grain: Grain::Day,
        start: at("2026-01-31T00:00:00Z"),
        end: at("2026-02-01T00:00:00Z"),
        delta,
    };
    let service = ServiceDimension {
        service: "checkout".into(),
        team: Some("payments".into()),
        groups: vec!["retail".into()],
        repos: vec!["github.com/acme/shop".into()],
        tags: BTreeMap::from([("layer".into(), "edge".into())]),
        criticality: None,
        depends_on: vec!["cart".into()],
        failure_source: true,
    };
    let team = TeamDimension {
        team: "payments".into(),
        groups: vec!["retail".into()],
        services: vec!["checkout".into()],
    };
    let scope = ScopeDimension { scope: "team:payments".into(), first_at: time, failure_source: true };
    let definition = DefinitionDimension { key: "timezone".into(), value: "UTC".to_owned() };
    vec![
        Row::Deployment(Box::new(deployment("d1"))),
        Row::Change(Box::new(change)),
        Row::PullRequest(Box::new(pull_request)),
        Row::Incident(Box::new(incident)),
        Row::PipelineRun(Box::new(run)),
        Row::FlagChange(Box::new(flag)),
        Row::Scan(Box::new(scan)),
        Row::ParkedEvent(Box::new(parked)),
        Row::DataQuality(Box::new(quality)),
        Row::Step(Box::new(step)),
        Row::Pane(Box::new(pane)),
        Row::Service(Box::new(service)),
        Row::Team(Box::new(team)),
        Row::Scope(Box::new(scope)),
        Row::Definition(Box::new(definition)),
    ]
}
