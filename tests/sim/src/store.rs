//! The simulated ClickHouse: tables that keep the row of the greatest version, and inserts that fail before, while
//! and after they apply.

use crate::mutant::Mutant;
use crate::world::World;
use kafka::Stage;
use kafka::error::Error;
use kafka::load::{Rows, Store, Stored as Outcome};
use model::fact::{RowChange, RowKey};
use model::{DeliveryEvent, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use warehouse::{LoadReport, Stamp};

/// A row's key in its table: facts and dimensions are known by the task that wrote them, too.
pub type Key = (RowKey, Option<u32>);

/// The tables.
#[derive(Debug, Default)]
pub struct Stored {
    /// The newest version of each row.
    pub rows: BTreeMap<Key, (u64, RowChange)>,
    /// The archive, as JSON.
    pub events: BTreeSet<String>,
    inserts: Vec<Insert>,
    tokens: BTreeSet<(RowKey, u32, u64)>,
    begun: u64,
}

#[derive(Debug)]
struct Insert {
    number: u64,
    /// When it is applied; `None`: never, or it was.
    apply_at: Option<i64>,
    rows: Gathered,
}

/// Rows that wait.
#[derive(Debug, Default)]
pub struct Gathered {
    rows: Vec<(RowChange, Stamp)>,
    events: Vec<DeliveryEvent>,
}

impl Rows for Gathered {
    fn push(&mut self, change: &RowChange, stamp: Stamp, _: &Text) {
        self.rows.push((change.clone(), stamp));
    }
    fn push_event(&mut self, event: &DeliveryEvent, _: Stamp) {
        self.events.push(event.clone());
    }
    fn buffered(&self) -> (usize, usize) {
        (self.rows.len() + self.events.len(), 0)
    }
    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The key of a row that a task wrote.
pub fn key_of(change: &RowChange, task: u32) -> Key {
    match change.key() {
        key @ (RowKey::Step(_) | RowKey::Pane(_)) => (key, None),
        key => (key, Some(task)),
    }
}

impl Stored {
    /// Applies the inserts that are due.
    pub fn tick(&mut self, now: i64) -> Vec<String> {
        let mut happened = Vec::new();
        for index in 0..self.inserts.len() {
            let Some(insert) = self.inserts.get_mut(index) else { continue };
            if insert.apply_at.is_some_and(|at| at <= now) {
                insert.apply_at = None;
                let (number, Gathered { rows, events }) = (insert.number, std::mem::take(&mut insert.rows));
                happened.push(format!(
                    "insert {number} applies {} rows, {} events",
                    rows.len(),
                    events.len()
                ));
                rows.into_iter().for_each(|(change, stamp)| self.put(change, stamp));
                self.events.extend(events.iter().map(model::json::to_text));
            }
        }
        self.inserts.retain(|insert| insert.apply_at.is_some());
        happened
    }

    fn put(&mut self, change: RowChange, stamp: Stamp) {
        let key = key_of(&change, stamp.task);
        if self.rows.get(&key).is_none_or(|(rev, _)| *rev <= stamp.rev) {
            self.rows.insert(key, (stamp.rev, change));
        }
    }

    /// Whether no insert is on its way.
    pub fn is_quiet(&self) -> bool {
        self.inserts.is_empty()
    }
}

/// Where the loader of one process stores.
#[derive(Clone)]
pub struct SimStore {
    pub world: Arc<World>,
    pub me: usize,
}

/// An insert under way.
#[derive(Debug)]
pub struct Inserting {
    begun: i64,
    answers_at: i64,
    acknowledged: bool,
    rows: u64,
}

impl Store for SimStore {
    type Rows = Gathered;
    type Inserting = Inserting;

    fn rows(&self) -> Gathered {
        Gathered::default()
    }

    fn insert(&self, mut rows: Gathered) -> Inserting {
        let mut state = self.world.lock();
        let begun = state.micros;
        let count = rows.buffered().0 as u64;
        let takes = 1_000 + state.below(50_000) as i64;
        let mut inserting = Inserting { begun, answers_at: begun + takes, acknowledged: true, rows: count };
        if !state.processes.get(self.me).is_some_and(|process| process.alive) {
            return inserting;
        }
        let mut apply_at = Some(begun + takes / 2);
        if state.fails(8) {
            inserting.acknowledged = false;
            let how = match state.below(4) {
                0 => {
                    apply_at = None;
                    "insert refused"
                }
                1 => {
                    let (keep, events) = (state.below(count) as usize, state.below(2));
                    rows.rows.truncate(keep);
                    if events == 0 {
                        rows.events.clear();
                    }
                    "insert cut"
                }
                2 => "insert applied and not acknowledged",
                _ => {
                    apply_at = Some(begun + takes + state.below(40_000_000) as i64);
                    "insert applied late and not acknowledged"
                }
            };
            state.count(how);
            state.note(how);
        }
        if state.is(Mutant::TokenIsProof)
            && let Some((change, stamp)) = rows.rows.first()
        {
            let token = (change.key(), stamp.task, stamp.rev);
            if state.stored.tokens.contains(&token) {
                apply_at = None;
            } else if apply_at.is_some() {
                state.stored.tokens.insert(token);
            }
        }
        state.stored.begun += 1;
        let number = state.stored.begun;
        state.stored.inserts.push(Insert { number, apply_at, rows });
        state.note(format!("insert {number} of {count} begins"));
        inserting
    }

    fn abandon(&self, _: Inserting) {}

    fn is_over(&self, inserting: &Inserting) -> bool {
        let state = self.world.lock();
        state.is(Mutant::InsertNotAwaited) || state.micros >= inserting.answers_at
    }

    fn outcome(&self, inserting: Inserting) -> Result<Outcome<Gathered>, Error> {
        let gone = |_| Error::Thread { stage: Stage::Load, reason: "gone".to_owned() };
        self.world.wait(self.me, "during an insert").map_err(gone)?;
        let left = inserting.answers_at - self.world.lock().micros;
        let is_awaited = !self.world.lock().is(Mutant::InsertNotAwaited);
        if left > 0 && is_awaited {
            self.world.meanwhile(left);
        }
        self.world.wait(self.me, "after an insert, before the offsets").map_err(gone)?;
        let took = Duration::from_micros((self.world.lock().micros - inserting.begun).unsigned_abs());
        let report = if inserting.acknowledged || !is_awaited {
            Ok(LoadReport { rows: BTreeMap::from([("rows", inserting.rows)]), inserts: 1, retries: 0 })
        } else {
            let source = clickhouse::error::Error::TimedOut;
            Err(warehouse::Error::Load { table: "rows", rows: inserting.rows as usize, attempts: 1, source })
        };
        Ok(Outcome { rows: Gathered::default(), report, took })
    }
}
