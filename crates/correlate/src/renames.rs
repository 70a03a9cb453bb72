//! Renames that were told: a rename or transfer is a dated alias (semantics, section 9), whether the catalog declares it
//! or the forge told of it. So each task reads the catalog with every rename that it was told of, and follows a new one
//! as it follows a new catalog.
//!
//! One task ([`RENAMES`]) is told by ingest and tells all tasks, itself among them. What a task sends on because of a
//! rename therefore lies behind that rename in every task's messages: nobody is sent what it would send back.

use crate::message::{Address, Envelope, Message};
use crate::quality::Signal;
use crate::state::Thing;
use crate::task::Correlator;
use catalog::{Catalog, Rename};
use model::event::RepositoryAction;
use model::{DeliveryEvent, EventBody, HomeKey, RecordOrder, RepoName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The key of the task that tells the others of renames.
pub const RENAMES: &str = "@renames";

/// What an event says a repository was called before.
pub(crate) fn rename(event: &DeliveryEvent) -> Option<Rename> {
    let EventBody::Repository(body) = &event.body else { return None };
    let moved = match body.action {
        RepositoryAction::Renamed | RepositoryAction::Transferred => true,
        RepositoryAction::Archived => false,
    };
    let (from, to) = (body.from.clone()?, event.repo.clone()?);
    (moved && from != to).then_some(Rename { from, at: event.occurred_at, to })
}

impl Correlator {
    /// Keeps a rename; the task of renames tells it to all.
    pub(crate) fn file_rename(&mut self, event: &Arc<DeliveryEvent>, order: RecordOrder) {
        if !self.state.records.put(Thing::Renames, &order, event) {
            return;
        }
        self.dirty.renames = true;
        if self.tells_renames() {
            self.messages.push(Envelope { to: Address::All, message: Message::Event(event.clone()) });
        }
    }

    fn tells_renames(&self) -> bool {
        self.is_mine(&HomeKey::new(RENAMES))
    }

    /// The renames that were told.
    fn told_renames(&self) -> BTreeSet<Rename> {
        self.state.records.of(&Thing::Renames).filter_map(|event| rename(&event)).collect()
    }

    /// The catalog with every rename that was told.
    pub(crate) fn with_renames(&self) -> Arc<Catalog> {
        let told = self.told_renames();
        if told.is_empty() {
            return self.stated.clone();
        }
        Arc::new(self.stated.with_renames(&told, &self.definitions))
    }

    /// Says which names the catalog's text lists that were told to be old. Due after a rename or another catalog.
    pub(crate) fn signal_renames(&mut self) {
        if !self.tells_renames() {
            return;
        }
        let mut first: BTreeMap<RepoName, Rename> = BTreeMap::new();
        for rename in self.told_renames() {
            first.entry(rename.from.clone()).or_insert(rename);
        }
        for (old, rename) in first {
            if !self.catalog.lists_outgrown(&old) {
                self.signal("renamed_repository", old.to_string(), None);
                continue;
            }
            let now = self.catalog.canonical_repo(&old, Timestamp::MIN);
            let signal = Signal {
                service: self.catalog.services_of_repo(&now, rename.at).into_iter().next(),
                since: rename.at,
                detail: format!(
                    "the catalog lists \"{old}\", which has another name since {} and is \"{now}\" now: what names either \
                     counts as one repository",
                    rename.at
                ),
                remedy: format!(
                    "write \"{now}\" in place of \"{old}\" in the catalog, and add [[renames]] from = \"{old}\", to = \
                     \"{}\", at = \"{}\"",
                    rename.to, rename.at
                ),
            };
            self.signal("renamed_repository", old.to_string(), Some(signal));
        }
    }
}
