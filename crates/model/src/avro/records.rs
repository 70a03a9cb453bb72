//! Which fields a record is made of, and in which order: that of its schema.
//!
//! A test reads what this writes with an Avro library and compares it field by field with the JSON form.

use super::AvroError;
use super::wire::{Avro, Input, write_length};
use crate::event::EventBody;
use crate::fact::{Row, RowChange, RowKey};

macro_rules! records {
    (crate::$module:ident { $($type:ident { $($field:ident),+ $(,)? })+ }) => {
        $(impl Avro for crate::$module::$type {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)+
            }
            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                Ok(Self { $($field: Avro::read(input)?),+ })
            }
        })+
    };
}

/// Words are Avro enums in the order of `ALL`. Each ends with the symbol `unknown`, its default: where a value is
/// optional it is none, where one is needed it is an error. No word is ever taken for another.
macro_rules! words {
    (crate::$module:ident { $($type:ident),+ $(,)? }) => {
        $(impl Avro for crate::$module::$type {
            fn write(&self, out: &mut Vec<u8>) {
                write_length(*self as usize, out);
            }
            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                Self::read_optional(input)?.ok_or(AvroError::UnknownWord(stringify!($type)))
            }
            fn read_optional(input: &mut Input<'_>) -> Result<Option<Self>, AvroError> {
                let index = input.index()?;
                if index > Self::ALL.len() {
                    return Err(AvroError::Impossible("symbol of an enum"));
                }
                Ok(Self::ALL.get(index).copied())
            }
        })+
    };
}

records!(crate::event {
    DeliveryEvent { id, occurred_at, observed_at, source, repo, service, drill, imported, body }
    Commit { sha, parents, authored_at, committed_at, author_kind, paths, reverts, is_merge }
    Push { reference, before, after, commits, default_branch, forced }
    ListedCommit { sha, committed_at }
    PullRequestEvent {
        number, state, opened_at, merged_at, closed_at, head_ref, base_ref, head_sha, merge_commit_sha,
        merge_method, commits, labels, author_kind,
    }
    Review { number, submitted_at, state }
    RepositoryEvent { action, from }
    PipelineRunEvent { run_id, attempt, workflow, sha, reference, state, started_at, finished_at }
    TestRun { run_id, suite, name, state, duration_s }
    CanaryAnalysis { rollout_id, step, score, verdict }
    Artifact { digest, image, sha, built_at }
    DeploymentEvent {
        deployment_id, rollout_id, part, environment, tier, version, sha, digest, image, state, started_at,
        finished_at, trigger, author_kind, commits, hotfix, serving, labels, change_ref, approved,
        in_window, canary,
    }
    Canary { steps, promoted }
    Names { deployment_id, version, sha }
    Remedy { deployment_id, sha }
    IncidentEvent {
        incident_id, state, severity, tier, started_at, detected_at, mitigated_at, resolved_at, cause,
        names, remedy, links,
    }
    SliSample { slo, good, total, from, to, endpoint }
    FlagChangeEvent { flag, action, environment, from, to }
    ScanEvent { scanner, finding, severity, state, sha, digest }
    Maintenance { window_id, from, to, kind }
    CorrectionSet { failed, tier, cancelled, cause, severity, deployment_id, duplicate_of }
    Correction { target, target_id, set, reason, undoes }
    Ownership { service, team, valid_from }
    LostDelivery { hook, delivery_id, event, answer, healed }
});

records!(crate::fact {
    Deployment {
        service, team, repo, environment, tier, deployment_id, rollout_id, parts, version, commit_sha,
        started_at, finished_at, outcome, automated, failed, failure_evidence, rolled_back, is_rollback,
        is_rework, recovered_at, recovery_s, impact_to_recovery_s, changes, labels, change_ref, approved,
        in_window, canary_steps, canary_promoted, hotfix, drill, skewed, source,
    }
    Change {
        service, team, repo, commit_sha, authored_at, committed_at, deployment_id, deployed_at, lead_time_s,
        start_evidence, author_kind, skewed, drill, pull_request, coding_s, pickup_s, review_s, waiting_s,
        deploying_s,
    }
    PullRequest {
        repo, number, state, first_commit_at, opened_at, first_reviewed_at, merged_at, merge_commit_sha,
        service, deployment_id, deployed_at, coding_s, pickup_s, review_s, waiting_s, deploying_s,
        lead_time_s, skewed, author_kind,
    }
    Incident {
        service, team, incident_id, members, severity, tier, status, started_at, detected_at,
        detection_stated, mitigated_at, resolved_at, time_to_restore_s, time_to_detect_s, cause,
        deployment_id, failure_evidence, skewed, drill, source,
    }
    PipelineRun {
        repo, run_id, attempt, workflow, commit_sha, state, started_at, finished_at, duration_s,
        start_to_deploy_s, skewed, drill, source,
    }
    FlagChange { source, event_id, service, flag, action, environment, changed_at, from, to }
    Scan {
        source, event_id, service, repo, scanner, finding, severity, state, commit_sha, digest, scanned_at,
    }
    ParkedEvent { source, event_id, hash, event_type, occurred_at, reason, claim, body }
    DataQuality { signal, subject, service, since, detail, remedy }
    ServiceDimension { service, team, groups, repos, tags, criticality, depends_on, failure_source }
    TeamDimension { team, groups, services }
    ScopeDimension { scope, first_at, failure_source }
    DefinitionDimension { key, value }
});

records!(crate::metric {
    ContributionKey { scope, metric, hour, day }
    Delta { numerator, denominator, confirmed, inferred, samples }
    Contribution { key, delta }
    Contributions { contributions }
    DoraStep {
        scope, metric, window, as_of, value, samples, p50, p75, p90, p95, mean, per_day, days_with,
        confirmed, inferred,
    }
    StepKey { scope, metric, window, as_of }
    Pane { scope, metric, grain, start, end, delta }
    PaneKey { scope, metric, grain, start }
});

records!(crate::fact {
    RowChanges { rows }
});

words!(crate::event {
    AuthorKind,
    EnvironmentTier,
    PullRequestState,
    MergeMethod,
    ReviewState,
    RunState,
    DeploymentState,
    Trigger,
    IncidentState,
    Severity,
    Cause,
    RepositoryAction,
    Verdict,
    MaintenanceKind,
    CorrectionTarget,
});
words!(crate::fact { Outcome, FailureEvidence, StartEvidence });
words!(crate::metric { Metric, Window, Grain });

/// A union: the branch's number in the schema, then its value.
macro_rules! union {
    ($type:ident { $($index:literal $variant:ident),+ $(,)? }) => {
        impl Avro for $type {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => {
                        write_length($index, out);
                        value.write(out);
                    })+
                }
            }
            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                match input.index()? {
                    $($index => Avro::read(input).map(Self::$variant),)+
                    _ => Err(AvroError::Impossible("branch of a union")),
                }
            }
        }
    };
}

union!(EventBody {
    0 Commit, 1 Push, 2 PullRequest, 3 Review, 4 Repository, 5 PipelineRun, 6 TestRun, 7 CanaryAnalysis,
    8 Artifact, 9 Deployment, 10 Incident, 11 SliSample, 12 FlagChange, 13 Scan, 14 Maintenance,
    15 Correction, 16 Ownership, 17 LostDelivery,
});

/// The branches of a changed row: the rows, and the keys of rows that are gone. New ones are appended.
macro_rules! row_changes {
    (
        upsert { $($upsert:literal $row:ident),+ $(,)? }
        delete { $($delete:literal $key:ident($($part:ident),+)),+ $(,)? }
    ) => {
        impl Avro for RowChange {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::Upsert(Row::$row(row)) => {
                        write_length($upsert, out);
                        row.write(out);
                    })+
                    $(Self::Delete(RowKey::$key($($part),+)) => {
                        write_length($delete, out);
                        $($part.write(out);)+
                    })+
                }
            }
            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                Ok(match input.index()? {
                    $($upsert => Self::Upsert(Row::$row(Avro::read(input)?)),)+
                    $($delete => {
                        $(let $part = Avro::read(input)?;)+
                        Self::Delete(RowKey::$key($($part),+))
                    })+
                    _ => return Err(AvroError::Impossible("branch of a union")),
                })
            }
        }
    };
}

row_changes!(
    upsert {
        0 Deployment, 1 Change, 2 PullRequest, 3 Incident, 4 PipelineRun, 5 FlagChange, 6 Scan, 7 ParkedEvent,
        8 DataQuality, 9 Step, 10 Pane, 22 Service, 23 Team, 24 Scope, 25 Definition,
    }
    delete {
        11 Deployment(service, id),
        12 Change(service, repo, sha),
        13 PullRequest(repo, number),
        14 Incident(id),
        15 PipelineRun(repo, run, attempt),
        16 FlagChange(source, event),
        17 Scan(source, event),
        18 ParkedEvent(source, event, hash),
        19 DataQuality(signal, subject),
        20 Step(key),
        21 Pane(key),
        26 Service(service),
        27 Team(team),
        28 Scope(scope),
        29 Definition(key),
    }
);
