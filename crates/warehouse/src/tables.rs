//! Rows sorted into their tables until they are inserted.

use crate::rows::{
    ChangeRow, DataQualityRow, DeploymentRow, FlagChangeRow, IncidentRow, PaneRow, ParkedEventRow,
    PipelineRunRow, PullRequestRow, ScanRow, Stamp, StepRow, Stored,
};
use model::Text;
use model::fact::{Row, RowChange, RowKey};

/// The rows that wait for one table.
#[derive(Debug)]
pub struct Table<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Roughly how many bytes they take.
    pub bytes: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), bytes: 0 }
    }
}

impl<T: Stored> Table<T> {
    /// Adds a row.
    pub fn push(&mut self, mut row: T, stamp: Stamp, deleted: bool) {
        row.stamp(stamp, deleted);
        self.bytes += row.weight();
        self.rows.push(row);
    }
    /// Takes the rows out.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(self).rows
    }
}

/// The rows that wait, by table.
#[derive(Debug, Default)]
pub struct Tables {
    pub deployments: Table<DeploymentRow>,
    pub changes: Table<ChangeRow>,
    pub pull_requests: Table<PullRequestRow>,
    pub incidents: Table<IncidentRow>,
    pub pipeline_runs: Table<PipelineRunRow>,
    pub flag_changes: Table<FlagChangeRow>,
    pub scans: Table<ScanRow>,
    pub parked_events: Table<ParkedEventRow>,
    pub data_quality: Table<DataQualityRow>,
    pub steps: Table<StepRow>,
    pub panes: Table<PaneRow>,
}

impl Tables {
    /// Sorts a change into its table. `definition` goes onto the steps.
    pub fn push(&mut self, change: &RowChange, stamp: Stamp, definition: &Text) {
        match change {
            RowChange::Upsert(row) => self.upsert(row, stamp, definition),
            RowChange::Delete(key) => self.delete(key, stamp),
        }
    }

    fn upsert(&mut self, row: &Row, stamp: Stamp, definition: &Text) {
        match row {
            Row::Deployment(fact) => self.deployments.push(fact.as_ref().into(), stamp, false),
            Row::Change(fact) => self.changes.push(fact.as_ref().into(), stamp, false),
            Row::PullRequest(fact) => self.pull_requests.push(fact.as_ref().into(), stamp, false),
            Row::Incident(fact) => self.incidents.push(fact.as_ref().into(), stamp, false),
            Row::PipelineRun(fact) => self.pipeline_runs.push(fact.as_ref().into(), stamp, false),
            Row::FlagChange(fact) => self.flag_changes.push(fact.as_ref().into(), stamp, false),
            Row::Scan(fact) => self.scans.push(fact.as_ref().into(), stamp, false),
            Row::ParkedEvent(fact) => self.parked_events.push(fact.as_ref().into(), stamp, false),
            Row::DataQuality(fact) => self.data_quality.push(fact.as_ref().into(), stamp, false),
            Row::Step(step) => {
                let row = StepRow { definition: definition.clone(), ..step.as_ref().into() };
                self.steps.push(row, stamp, false);
            }
            Row::Pane(pane) => self.panes.push(pane.as_ref().into(), stamp, false),
        }
    }

    fn delete(&mut self, key: &RowKey, stamp: Stamp) {
        match key.clone() {
            RowKey::Deployment(service, deployment_id) => {
                let row = DeploymentRow { service, deployment_id, ..DeploymentRow::default() };
                self.deployments.push(row, stamp, true);
            }
            RowKey::Change(service, repo, sha) => {
                let row =
                    ChangeRow { service, repo, commit_sha: Text::new(sha.text()), ..ChangeRow::default() };
                self.changes.push(row, stamp, true);
            }
            RowKey::PullRequest(repo, number) => {
                let row = PullRequestRow { repo, number, ..PullRequestRow::default() };
                self.pull_requests.push(row, stamp, true);
            }
            RowKey::Incident(incident_id) => {
                let row = IncidentRow { incident_id, ..IncidentRow::default() };
                self.incidents.push(row, stamp, true);
            }
            RowKey::PipelineRun(repo, run_id, attempt) => {
                let row = PipelineRunRow { repo, run_id, attempt, ..PipelineRunRow::default() };
                self.pipeline_runs.push(row, stamp, true);
            }
            RowKey::FlagChange(source, event_id) => {
                let row = FlagChangeRow { source, event_id, ..FlagChangeRow::default() };
                self.flag_changes.push(row, stamp, true);
            }
            RowKey::Scan(source, event_id) => {
                let row = ScanRow { source, event_id, ..ScanRow::default() };
                self.scans.push(row, stamp, true);
            }
            RowKey::ParkedEvent(source, event_id, hash) => {
                let row = ParkedEventRow { source, event_id, hash, ..ParkedEventRow::default() };
                self.parked_events.push(row, stamp, true);
            }
            RowKey::DataQuality(signal, subject) => {
                let row = DataQualityRow { signal, subject, ..DataQualityRow::default() };
                self.data_quality.push(row, stamp, true);
            }
            RowKey::Step(key) => {
                let row = StepRow {
                    scope: key.scope,
                    metric: Text::new(key.metric.as_str()),
                    window: Text::new(key.window.as_str()),
                    as_of: key.as_of,
                    ..StepRow::default()
                };
                self.steps.push(row, stamp, true);
            }
            RowKey::Pane(key) => {
                let row = PaneRow {
                    scope: key.scope,
                    metric: Text::new(key.metric.as_str()),
                    grain: Text::new(key.grain.as_str()),
                    start: key.start,
                    ..PaneRow::default()
                };
                self.panes.push(row, stamp, true);
            }
        }
    }
}
