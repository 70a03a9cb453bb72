//! Rows sorted into their tables until they are inserted.

use crate::block::Block;
use crate::error::Result;
use crate::insert::Inserter;
use crate::loader::{Limits, LoadReport};
use crate::rows::{
    ChangeRow, DataQualityRow, DefinitionRow, DeploymentRow, EventRow, FlagChangeRow, IncidentRow, PaneRow,
    ParkedEventRow, PipelineRunRow, PullRequestRow, ScanRow, ScopeRow, ServiceRow, Stamp, StepRow, Stored,
    TeamRow,
};
use model::fact::{Row, RowChange, RowKey};
use model::{DeliveryEvent, Text};
use std::marker::PhantomData;

/// The rows that wait for one table, in blocks of which each is one insert.
#[derive(Debug)]
struct Table<T> {
    /// The last one is filled. The first is kept when it is empty: its memory serves the next rows.
    blocks: Vec<Block>,
    limits: Limits,
    of: PhantomData<fn(T)>,
}

impl<T: Stored> Table<T> {
    fn new(limits: Limits) -> Self {
        Self { blocks: Vec::new(), limits, of: PhantomData }
    }

    /// Adds a row; says how many bytes it takes.
    fn push(&mut self, mut row: T, stamp: Stamp, deleted: bool) -> usize {
        row.stamp(stamp, deleted);
        if self.blocks.last().is_none_or(|block| self.is_reached(block)) {
            self.blocks.push(Block::default());
        }
        self.blocks.last_mut().map_or(0, |block| block.push(&row))
    }

    fn is_reached(&self, block: &Block) -> bool {
        self.limits.is_reached(block.rows(), block.bytes())
    }

    fn is_full(&self) -> bool {
        self.blocks.iter().any(|block| self.is_reached(block))
    }

    fn size(&self) -> (usize, usize) {
        self.blocks.iter().fold((0, 0), |(rows, bytes), block| (rows + block.rows(), bytes + block.bytes()))
    }

    fn clear(&mut self) {
        self.blocks.truncate(1);
        self.blocks.iter_mut().for_each(Block::clear);
    }

    async fn insert(&mut self, into: &Inserter, report: &mut LoadReport) -> Result<()> {
        let columns = T::columns();
        for block in self.blocks.iter().filter(|block| block.rows() > 0) {
            into.insert(T::TABLE, &columns, block, report).await?;
        }
        self.clear();
        Ok(())
    }
}

macro_rules! tables {
    ($($table:ident: $row:ty,)+) => {
        /// The rows that wait, by table.
        #[derive(Debug)]
        pub struct Tables {
            $($table: Table<$row>,)+
            /// How many rows wait, in all tables.
            rows: usize,
            /// How many bytes they take.
            bytes: usize,
        }

        impl Tables {
            /// Without rows. An insert has no more than the limits say.
            pub fn new(limits: &Limits) -> Self {
                Self { $($table: Table::new(limits.clone()),)+ rows: 0, bytes: 0 }
            }

            /// Throws away what waits.
            pub fn clear(&mut self) {
                $(self.$table.clear();)+
                (self.rows, self.bytes) = (0, 0);
            }

            /// Inserts, table after table, what is full, or everything. What is inserted no longer waits.
            ///
            /// # Errors
            /// Those of the first insert that fails; the tables after it were not tried.
            pub async fn insert(&mut self, into: &Inserter, all: bool) -> Result<LoadReport> {
                let mut report = LoadReport::default();
                $(
                    if all || self.$table.is_full() {
                        let (rows, bytes) = self.$table.size();
                        self.$table.insert(into, &mut report).await?;
                        self.rows -= rows;
                        self.bytes -= bytes;
                    }
                )+
                Ok(report)
            }
        }
    };
}

tables! {
    deployments: DeploymentRow,
    changes: ChangeRow,
    pull_requests: PullRequestRow,
    incidents: IncidentRow,
    pipeline_runs: PipelineRunRow,
    flag_changes: FlagChangeRow,
    scans: ScanRow,
    parked_events: ParkedEventRow,
    data_quality: DataQualityRow,
    steps: StepRow,
    panes: PaneRow,
    services: ServiceRow,
    teams: TeamRow,
    scopes: ScopeRow,
    definitions: DefinitionRow,
    events: EventRow,
}

impl Tables {
    /// Sorts a change into its table. `definition` goes onto the steps.
    pub fn push(&mut self, change: &RowChange, stamp: Stamp, definition: &Text) {
        let weight = match change {
            RowChange::Upsert(row) => self.upsert(row, stamp, definition),
            RowChange::Delete(key) => self.delete(key, stamp),
        };
        self.count(weight);
    }

    /// Adds an event of the archive.
    pub fn push_event(&mut self, event: &DeliveryEvent, stamp: Stamp) {
        let weight = self.events.push(event.into(), stamp, false);
        self.count(weight);
    }

    fn count(&mut self, weight: usize) {
        self.rows += 1;
        self.bytes += weight;
    }

    /// How many rows wait, and how many bytes they take.
    pub fn waiting(&self) -> (usize, usize) {
        (self.rows, self.bytes)
    }

    fn upsert(&mut self, row: &Row, stamp: Stamp, definition: &Text) -> usize {
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
                self.steps.push(row, stamp, false)
            }
            Row::Pane(pane) => self.panes.push(pane.as_ref().into(), stamp, false),
            Row::Service(row) => self.services.push(row.as_ref().into(), stamp, false),
            Row::Team(row) => self.teams.push(row.as_ref().into(), stamp, false),
            Row::Scope(row) => self.scopes.push(row.as_ref().into(), stamp, false),
            Row::Definition(row) => self.definitions.push(row.as_ref().into(), stamp, false),
        }
    }

    fn delete(&mut self, key: &RowKey, stamp: Stamp) -> usize {
        match key.clone() {
            RowKey::Deployment(service, deployment_id) => {
                let row = DeploymentRow { service, deployment_id, ..DeploymentRow::default() };
                self.deployments.push(row, stamp, true)
            }
            RowKey::Change(service, repo, sha) => {
                let row =
                    ChangeRow { service, repo, commit_sha: Text::new(sha.text()), ..ChangeRow::default() };
                self.changes.push(row, stamp, true)
            }
            RowKey::PullRequest(repo, number) => {
                let row = PullRequestRow { repo, number, ..PullRequestRow::default() };
                self.pull_requests.push(row, stamp, true)
            }
            RowKey::Incident(incident_id) => {
                let row = IncidentRow { incident_id, ..IncidentRow::default() };
                self.incidents.push(row, stamp, true)
            }
            RowKey::PipelineRun(repo, run_id, attempt) => {
                let row = PipelineRunRow { repo, run_id, attempt, ..PipelineRunRow::default() };
                self.pipeline_runs.push(row, stamp, true)
            }
            RowKey::FlagChange(source, event_id) => {
                let row = FlagChangeRow { source, event_id, ..FlagChangeRow::default() };
                self.flag_changes.push(row, stamp, true)
            }
            RowKey::Scan(source, event_id) => {
                let row = ScanRow { source, event_id, ..ScanRow::default() };
                self.scans.push(row, stamp, true)
            }
            RowKey::ParkedEvent(source, event_id, hash) => {
                let row = ParkedEventRow { source, event_id, hash, ..ParkedEventRow::default() };
                self.parked_events.push(row, stamp, true)
            }
            RowKey::DataQuality(signal, subject) => {
                let row = DataQualityRow { signal, subject, ..DataQualityRow::default() };
                self.data_quality.push(row, stamp, true)
            }
            RowKey::Step(key) => {
                let row = StepRow {
                    scope: key.scope,
                    metric: Text::new(key.metric.as_str()),
                    window: Text::new(key.window.as_str()),
                    as_of: key.as_of,
                    ..StepRow::default()
                };
                self.steps.push(row, stamp, true)
            }
            RowKey::Pane(key) => {
                let row = PaneRow {
                    scope: key.scope,
                    metric: Text::new(key.metric.as_str()),
                    grain: Text::new(key.grain.as_str()),
                    start: key.start,
                    ..PaneRow::default()
                };
                self.panes.push(row, stamp, true)
            }
            RowKey::Service(service) => {
                self.services.push(ServiceRow { service, ..ServiceRow::default() }, stamp, true)
            }
            RowKey::Team(team) => self.teams.push(TeamRow { team, ..TeamRow::default() }, stamp, true),
            RowKey::Scope(scope) => self.scopes.push(ScopeRow { scope, ..ScopeRow::default() }, stamp, true),
            RowKey::Definition(key) => {
                self.definitions.push(DefinitionRow { key, ..DefinitionRow::default() }, stamp, true)
            }
        }
    }
}
