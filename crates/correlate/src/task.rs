//! One correlation task: files records, then settles what they changed.

use crate::contribute::contributions;
use crate::dimensions::Told;
use crate::dirty::Dirty;
use crate::message::{Address, Envelope, Message};
use crate::route::{Route, partition_of, route};
use crate::state::{Published, State, Thing};
use catalog::Catalog;
use model::fact::{Row, RowChange, RowKey};
use model::metric::{Contribution, ContributionKey, Delta};
use model::packed::Packed;
use model::table::{Change, ChangelogEntry, RestoreError, Stateful};
use model::{Calendar, Definitions, DeliveryEvent, HomeKey, RecordOrder, Scope, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a task gives out when it settles.
#[derive(Debug, Default)]
pub struct Emitted {
    /// For other tasks (or this one).
    pub messages: Vec<Envelope>,
    /// For the warehouse.
    pub rows: Vec<RowChange>,
    /// For the aggregate stage, combined per scope, metric and pane.
    pub contributions: Vec<Contribution>,
}

/// A correlation task: one of `tasks`, each with the homes whose key hashes to it.
#[derive(Debug)]
pub struct Correlator {
    pub(crate) task: u32,
    pub(crate) tasks: u32,
    pub(crate) definitions: Definitions,
    pub(crate) calendar: Calendar,
    /// The catalog as it was written.
    pub(crate) stated: Arc<Catalog>,
    /// The same with the renames that were told.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) state: State,
    pub(crate) dirty: Dirty,
    pub(crate) messages: Vec<Envelope>,
    pub(crate) rows: BTreeMap<RowKey, RowChange>,
    pub(crate) pending: BTreeMap<ContributionKey, Delta>,
    /// During a rebuild: the rows that were derived anew.
    pub(crate) derived: Option<BTreeSet<RowKey>>,
    pub(crate) told: Told,
}

impl Correlator {
    /// An empty task.
    pub fn new(definitions: Definitions, catalog: Arc<Catalog>, task: u32, tasks: u32) -> Self {
        // The zone was checked when the configuration was read.
        let calendar = Calendar::named(&definitions.timezone).unwrap_or_else(Calendar::utc);
        Self {
            task,
            tasks,
            definitions,
            calendar,
            stated: catalog.clone(),
            catalog,
            state: State::default(),
            dirty: Dirty::default(),
            messages: Vec::new(),
            rows: BTreeMap::new(),
            pending: BTreeMap::new(),
            derived: None,
            told: Told::default(),
        }
    }

    /// Files one message. What it changes is derived by [`Self::settle`].
    pub fn process(&mut self, message: &Message) {
        match message {
            Message::Event(event) => self.file(event),
            Message::Incident { home, id, view } => self.put_incident(home, id, view.clone()),
            Message::Subscribe { artifact, home, on } => self.subscribe(artifact, home, *on),
            Message::Artifact { artifact, sha, .. } => self.put_artifact(artifact, sha.clone()),
            Message::Ask { id, task, on } => self.put_question(id, *task, *on),
            Message::Answer { id, task, matches } => self.put_answer(id, *task, matches),
            Message::Blamed { id, of, service, from, deployment } => {
                self.put_blamed_elsewhere(id, of, service, *from, deployment.clone());
            }
            Message::Blame { id, of, service, from, blame } => {
                self.put_foreign_blame(service, id, of, *from, blame.clone())
            }
        }
    }

    /// Files an event under each thing of this task that it tells of; forwards it where the catalog says that
    /// its home is elsewhere.
    fn file(&mut self, event: &Arc<DeliveryEvent>) {
        let Route::To(targets) = route(&self.catalog, event) else { return };
        if let [(_, Thing::Renames)] = targets.as_slice() {
            return self.file_rename(event, event.order());
        }
        let mine = |address: &Address| match address {
            Address::Home(key) => self.is_mine(key),
            Address::All | Address::Task(_) => true,
        };
        // An artifact has a home for its digest and one for its image, and was sent to both: whoever holds one of
        // an event's homes keeps that and sends nothing on.
        let (here, elsewhere): (Vec<_>, Vec<_>) = targets.into_iter().partition(|(address, _)| mine(address));
        if here.is_empty() {
            let sent_on =
                elsewhere.into_iter().map(|(to, _)| Envelope { to, message: Message::Event(event.clone()) });
            self.messages.extend(sent_on);
        }
        // A record's order holds the hash of its text: made once for all things that it tells of.
        let order = event.order();
        for (_, thing) in here {
            self.file_under(thing, event, &order);
        }
    }

    fn file_under(&mut self, thing: Thing, event: &Arc<DeliveryEvent>, order: &RecordOrder) {
        if self.state.records.put(thing.clone(), order, event) {
            self.mark_record(&thing, order);
        }
    }

    /// A record came in, or is to be looked at anew: marks what it tells of.
    pub(crate) fn mark_record(&mut self, thing: &Thing, order: &RecordOrder) {
        // Kinds that grow for ever as one thing are marked record by record.
        match thing {
            Thing::Parked => self.dirty.parked.insert(order.clone()),
            Thing::Corrections => self.dirty.corrections.insert(order.clone()),
            // Followed when it comes in.
            Thing::Renames => false,
            thing => self.dirty.things.insert(thing.clone()),
        };
    }

    /// Whether this task holds a key.
    pub fn is_mine(&self, key: &HomeKey) -> bool {
        partition_of(key, self.tasks) == self.task
    }

    /// Whether this task holds a service's home.
    pub(crate) fn holds(&self, service: &ServiceName) -> bool {
        self.is_mine(&self.catalog.home_of_service(service))
    }

    /// Derives everything that the filed records may have changed, and gives out what differs.
    pub fn settle(&mut self) -> Emitted {
        if std::mem::take(&mut self.dirty.renames) {
            // As a new catalog does, a rename comes when nothing is marked.
            self.settle_marked();
            self.follow(self.with_renames());
            self.signal_renames();
        }
        self.settle_marked();
        Emitted {
            messages: std::mem::take(&mut self.messages),
            rows: std::mem::take(&mut self.rows).into_values().collect(),
            contributions: std::mem::take(&mut self.pending)
                .into_iter()
                .filter(|(_, delta)| !delta.is_zero())
                .map(|(key, delta)| Contribution { key, delta })
                .collect(),
        }
    }

    /// Layer by layer, what is marked.
    fn settle_marked(&mut self) {
        self.settle_things();
        self.settle_corrections();
        self.settle_chains();
        self.settle_rollouts();
        self.settle_subscriptions();
        self.settle_parked();
        self.settle_pool();
        self.settle_commits();
        self.settle_revert_pairs();
        self.settle_sweeps();
        self.settle_hotfixes();
        self.settle_blames();
        self.settle_questions();
        self.settle_failure_sources();
        self.settle_deployments();
        self.settle_incidents();
        self.settle_pulls();
        self.settle_runs();
        self.settle_derived();
    }

    fn settle_things(&mut self) {
        for thing in std::mem::take(&mut self.dirty.things) {
            match &thing {
                Thing::Commit(repo, sha) => self.settle_commit(repo, sha),
                Thing::Push(repo, source, id) => self.settle_push(repo, source, id),
                Thing::PullRequest(repo, number) | Thing::Reviews(repo, number) => {
                    self.settle_pull_records(repo, *number);
                }
                Thing::Run(repo, run, attempt) => {
                    self.dirty.runs.insert((repo.clone(), run.clone(), *attempt));
                }
                Thing::Attempt(service, id) => self.settle_attempt(service, id),
                Thing::Incident(id) => {
                    self.dirty.pool.insert(id.clone());
                }
                Thing::Artifact(key) => self.settle_artifact(key),
                Thing::Flag(source, id) => self.settle_flag(source, id, &thing),
                Thing::Scan(source, id) => self.settle_scan(source, id, &thing),
                Thing::LostDeliveries(source, hook) => self.settle_lost(source, hook, &thing),
                Thing::Parked | Thing::Corrections | Thing::Renames => {}
            }
        }
    }

    /// Publishes a row (or takes it away), with the contributions that it makes.
    pub(crate) fn publish(
        &mut self,
        key: RowKey,
        row: Option<Row>,
        extra_scopes: Vec<Scope>,
        failure_source: bool,
    ) {
        if let Some(derived) = &mut self.derived {
            derived.insert(key.clone());
        }
        let new = row.map(|row| Published { row, extra_scopes, failure_source });
        let packed = new.as_ref().map(Packed::new);
        let old = self.state.published.get(&key);
        if old == packed.as_ref() {
            return;
        }
        let old = old.map(Packed::open);
        let contributed = |published: Option<&Published>| {
            let all = |row| contributions(row, &self.catalog, &self.calendar, &self.definitions);
            published.map(all).unwrap_or_default()
        };
        // Most updates of a fact contribute what it contributed before.
        let (before, after) = (contributed(old.as_ref()), contributed(new.as_ref()));
        let row_changed =
            old.as_ref().map(|published| &published.row) != new.as_ref().map(|published| &published.row);
        self.told.outdate_by(&key);
        if before != after {
            for (contributed, times) in [(before, -1), (after, 1)] {
                for (key, delta) in contributed {
                    self.add(key, &delta, times);
                }
            }
        }
        match new.zip(packed) {
            Some((new, packed)) => {
                if row_changed {
                    self.rows.insert(key.clone(), RowChange::Upsert(new.row));
                }
                self.state.published.put(key, packed);
            }
            None => {
                self.state.published.remove(&key);
                self.rows.insert(key.clone(), RowChange::Delete(key));
            }
        }
    }

    /// Adds (or, −1, takes away) what a published row contributes.
    pub(crate) fn contribute(&mut self, published: &Published, times: i64) {
        for (key, delta) in contributions(published, &self.catalog, &self.calendar, &self.definitions) {
            self.add(key, &delta, times);
        }
    }

    pub(crate) fn add(&mut self, key: ContributionKey, delta: &Delta, times: i64) {
        self.pending.entry(key).or_default().add(delta, times);
    }

    /// The rows as they were last published, in no order: what the warehouse holds.
    pub fn published(&self) -> impl Iterator<Item = Row> {
        self.published_of(|_| true)
    }

    /// Those of them with such keys.
    pub(crate) fn published_of(&self, wanted: impl Fn(&RowKey) -> bool) -> impl Iterator<Item = Row> {
        let rows = self.state.published.unordered().filter(move |(key, _)| wanted(key));
        rows.map(|(_, published)| published.open().row)
    }
}

impl Stateful for Correlator {
    fn commit_state(&mut self, changelog: &mut Vec<ChangelogEntry>) {
        self.state.commit_state(changelog);
    }
    fn commit_changes(&mut self, changes: &mut Vec<Change>) {
        self.state.commit_changes(changes);
    }
    fn entries(&self) -> usize {
        self.state.entries()
    }
    fn restore_entry(&mut self, entry: &ChangelogEntry) -> Result<(), RestoreError> {
        self.state.restore_entry(entry)
    }
    fn restored(&mut self) {
        self.index();
    }
}
