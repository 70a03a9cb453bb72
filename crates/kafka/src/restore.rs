//! A task's state, read back from its changelog: all of it, or what came after the local copy (`local.rs`).
//!
//! Committed records only, up to the last stable offset: control records occupy offsets, so the end is where the
//! broker says that it is, and not one after the last record. The checkpoint says what the state must be; the
//! state that is found is held against it.

use crate::catalog::Revision;
use crate::checkpoint::{CATALOG_KEY, CHECKPOINT_KEY, Checkpoint, Disagreement, LAYOUT, entry_hash};
use crate::error::Error;
use crate::kept::Kept;
use crate::local::{Delta, LocalCheckpoints, MARK_KEY, Mark, name_of};
use crate::outside::Outside;
use crate::stage::Logic;
use crate::task::Context;
use foldhash::fast::FixedState;
use model::Timestamp;
use model::table::{ChangelogEntry, RestoreError};
use std::collections::HashMap;

/// Records between two counts of them.
const TELL_EVERY: u64 = 10_000;
/// The table number under which keys are no state.
const RESERVED: u8 = 0;

/// A task's state as it was.
pub struct Restored<L> {
    /// The task.
    pub logic: L,
    /// The catalog by which it was concluded.
    pub catalog: Revision,
    /// The checkpoint; `None`: the task is new.
    pub checkpoint: Option<Checkpoint>,
    /// Records of the changelog read.
    pub entries_read: u64,
    /// Bytes of the state's keys and values.
    pub bytes: u64,
    /// Where the local copy is.
    pub kept: Kept,
    /// Whether a local copy was used.
    pub from_copy: bool,
    /// Whether the state was made before the task was this process's.
    pub is_ahead: bool,
}

/// What a task is restored with.
pub struct Source<'a, O: Outside> {
    /// What every task of the stage is made with.
    pub context: &'a Context,
    /// Where changelogs and copies are.
    pub outside: &'a O,
    /// The changelog.
    pub topic: &'a str,
    /// Its partition.
    pub partition: u32,
    /// The task, as in `correlate-3`.
    pub name: &'a str,
    /// The newest catalog: that of a task that is new.
    pub newest: &'a Revision,
}

/// Why a copy is not used, and everything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unusable {
    /// There is none.
    Absent,
    Unreadable,
    /// Deletions that came after it may be gone.
    Old,
    /// The changelog does not have the offset up to which it goes, or no checkpoint from there on: it is another one.
    Elsewhere,
    /// With the changelog's tail it is not what the checkpoint says.
    Disagrees,
}

impl Unusable {
    /// The counted word.
    const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unreadable => "unreadable",
            Self::Old => "old",
            Self::Elsewhere => "of another changelog",
            Self::Disagrees => "not what the checkpoint says",
        }
    }
}

/// A state of a local copy and the changelog's tail, as both were at some time.
pub struct Ahead<L> {
    state: Filled<L>,
    catalog: Revision,
    checkpoint: Checkpoint,
    /// How far the copy went.
    mark: Mark,
    /// The tail.
    live: Live,
    /// A time before the tail was read.
    at: Timestamp,
}

/// Makes a task's state of its local copy before the task is this process's: see [`restore`]. `None`: it has to be made
/// then.
pub fn ahead<L: Logic, O: Outside>(source: &Source<'_, O>) -> Option<Ahead<L>> {
    let made = source.made_of_copy(source.outside.local()?);
    match made {
        Ok(made) => made.ok(),
        Err(error) => {
            tracing::debug!(task = source.name, %error, "nothing is restored ahead");
            None
        }
    }
}

/// Restores a task: from its local copy and the changelog's tail, or from the whole changelog. What
/// was made `ahead` is the state when the tail is still the same.
///
/// # Errors
/// A changelog that cannot be read, or that does not hold what its checkpoint says.
pub fn restore<L: Logic, O: Outside>(
    source: &Source<'_, O>,
    ahead: Option<Ahead<L>>,
) -> Result<Restored<L>, Error> {
    if let Some(local) = source.outside.local() {
        if let Some(ahead) = ahead
            && source.live(ahead.mark.offset)?.is_some_and(|live| live == ahead.live)
        {
            return Ok(Restored { is_ahead: true, ..source.taken(local, ahead) });
        }
        match source.made_of_copy(local)? {
            Ok(made) => return Ok(source.taken(local, made)),
            Err(Unusable::Absent) => {}
            Err(unusable) => {
                let (task, reason) = (source.name, unusable.word());
                tracing::warn!(task, reason, "the local checkpoint is discarded, and everything restored");
                source.context.stats.discarded(reason);
            }
        }
    }
    source.without_copy()
}

impl<O: Outside> Source<'_, O> {
    fn state(&self, source: Disagreement) -> Error {
        Error::State { task: self.name.to_owned(), source }
    }
    fn broken(&self, source: RestoreError) -> Error {
        Error::Restore { task: self.name.to_owned(), source }
    }

    /// The changelog's records from an offset on; `None`: it does not have that offset.
    fn live(&self, from: i64) -> Result<Option<Live>, Error> {
        let stats = &self.context.stats;
        let mut live = Live::default();
        let mut told = 0;
        let has = self.outside.read(self.topic, self.partition, self.name, from, |offset, key, value| {
            live.take(offset, key, value);
            if live.read - told >= TELL_EVERY {
                stats.restoring(live.read - told);
                told = live.read;
            }
        })?;
        stats.restoring(live.read - told);
        Ok(has.then_some(live))
    }

    /// The newest checkpoint of what was read, if it can be used.
    fn checkpoint(&self, live: &Live) -> Result<Option<Checkpoint>, Error> {
        // What another version wrote may have other fields: only its first is read.
        if let Some(other) = live.checkpoint.as_deref().and_then(layout_of).filter(|layout| *layout != LAYOUT)
        {
            return Err(self.state(Disagreement::Layout(other)));
        }
        let checkpoint = live.checkpoint.as_deref().map(decode_checkpoint).transpose();
        let checkpoint = checkpoint.map_err(|source| self.broken(source))?;
        if let Some(checkpoint) = &checkpoint {
            usable(checkpoint, self.context).map_err(|source| self.state(source))?;
        }
        Ok(checkpoint)
    }

    /// An empty task, with the catalog that its state was concluded by, where one is kept.
    fn make<L: Logic>(&self, kept: Option<&KeptCatalog>) -> Result<(L, Revision), Error> {
        let Context { read_catalog, definitions, tasks, .. } = self.context;
        let catalog = match kept {
            Some((file, text, offset)) => Revision::read(read_catalog, *offset, file, text)?,
            None => self.newest.clone(),
        };
        Ok((L::new(definitions, catalog.catalog.clone(), self.partition, *tasks), catalog))
    }

    fn without_copy<L: Logic>(&self) -> Result<Restored<L>, Error> {
        let at = self.outside.now();
        let live = self.live(0)?.unwrap_or_default();
        let kept = live.catalog.as_deref().map(decode_catalog).transpose();
        let kept = kept.map_err(|source| self.broken(source))?;
        let checkpoint = self.checkpoint(&live)?;
        let (logic, catalog) = self.make::<L>(kept.as_ref())?;
        let mut state = Filled::new(logic);
        // What goes on to the copy lies in memory in any case, and is not copied.
        let local = self.outside.local().filter(|_| checkpoint.is_some());
        let mut copied = Vec::with_capacity(if local.is_some() { live.entries.len() + 2 } else { 0 });
        // In the order of the keys tables grow at their end, as they do from a copy.
        let mut entries: Vec<_> = live.entries.into_iter().collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, value) in entries {
            if value.is_none() {
                continue;
            }
            let entry = ChangelogEntry { key, value };
            state.put(&entry).map_err(|source| self.broken(source))?;
            if local.is_some() {
                copied.push(entry);
            }
        }
        let (sequence, wanted, wanted_hash) =
            checkpoint.as_ref().map_or((0, 0, 0), |kept| (kept.sequence, kept.entries, kept.state_hash));
        if (state.entries, state.hash) != (wanted, wanted_hash) {
            return Err(self.state(Disagreement::State { sequence, found: state.entries, wanted }));
        }
        state.logic.state().restored();
        let kept = match (local, &checkpoint) {
            (Some(local), _) => {
                copied.push(ChangelogEntry { key: CATALOG_KEY.to_vec(), value: live.catalog });
                let mark = Mark { offset: live.checkpoint_at, at };
                self.keep(local, Delta { from: None, changes: copied, mark })
            }
            (None, None) => Kept::FromNow,
            (None, Some(_)) => Kept::No,
        };
        Ok(state.restored(catalog, checkpoint, live.read, kept, false))
    }

    /// The outer errors are those of a restore, whatever it is made from.
    fn made_of_copy<L: Logic>(
        &self,
        local: &dyn LocalCheckpoints,
    ) -> Result<Result<Ahead<L>, Unusable>, Error> {
        let copy = name_of(self.topic, self.partition);
        let (mut mark, mut catalog) = (None, None);
        let head = local.scan(&copy, &mut |key, value| {
            match key {
                CATALOG_KEY => catalog = Some(value.to_vec()),
                MARK_KEY => mark = Mark::decode(value),
                _ => {}
            }
            key < MARK_KEY
        });
        if let Err(reason) = head {
            tracing::warn!(task = self.name, reason, "reading the local checkpoint");
            return Ok(Err(Unusable::Unreadable));
        }
        let Some(mark) = mark else { return Ok(Err(Unusable::Absent)) };
        let at = self.outside.now();
        let Some(live) = self.live(mark.offset)? else { return Ok(Err(Unusable::Elsewhere)) };
        // The newest checkpoint lies at the mark or behind it; it is the changelog's, never the copy's.
        let Some(checkpoint) = self.checkpoint(&live)? else { return Ok(Err(Unusable::Elsewhere)) };
        if live.checkpoint_at != mark.offset && mark.is_old(at) {
            return Ok(Err(Unusable::Old));
        }
        let Some(Ok(kept)) = live.catalog.as_ref().or(catalog.as_ref()).map(|kept| decode_catalog(kept))
        else {
            return Ok(Err(Unusable::Disagrees));
        };
        if kept.2 != checkpoint.catalog {
            return Ok(Err(Unusable::Disagrees));
        }
        let (logic, catalog) = self.make::<L>(Some(&kept))?;
        let mut state = Filled::new(logic);
        // One entry's memory for all of them: there are millions.
        let mut entry = ChangelogEntry { key: Vec::new(), value: Some(Vec::new()) };
        let mut put = Ok(());
        let scanned = local.scan(&copy, &mut |key, value| {
            if key.first() == Some(&RESERVED) || live.entries.contains_key(key) {
                return true;
            }
            entry.key.clear();
            entry.key.extend_from_slice(key);
            let bytes = entry.value.get_or_insert_default();
            bytes.clear();
            bytes.extend_from_slice(value);
            put = state.put(&entry);
            put.is_ok()
        });
        if let Err(reason) = scanned {
            tracing::warn!(task = self.name, reason, "reading the local checkpoint");
            return Ok(Err(Unusable::Unreadable));
        }
        for (key, value) in &live.entries {
            let Some(value) = value.as_ref().filter(|_| put.is_ok()) else { continue };
            put = state.put(&ChangelogEntry { key: key.clone(), value: Some(value.clone()) });
        }
        if put.is_err() || (state.entries, state.hash) != (checkpoint.entries, checkpoint.state_hash) {
            return Ok(Err(Unusable::Disagrees));
        }
        state.logic.state().restored();
        Ok(Ok(Ahead { state, catalog, checkpoint, mark, live, at }))
    }

    /// What was made of a copy is the task's state.
    fn taken<L: Logic>(&self, local: &dyn LocalCheckpoints, made: Ahead<L>) -> Restored<L> {
        let Ahead { state, catalog, checkpoint, mark, live, at } = made;
        let entries = live.entries.into_iter().map(|(key, value)| ChangelogEntry { key, value });
        let catalogs =
            live.catalog.map(|value| ChangelogEntry { key: CATALOG_KEY.to_vec(), value: Some(value) });
        let changes = entries.chain(catalogs).collect();
        let now = Mark { offset: live.checkpoint_at, at };
        let kept = self.keep(local, Delta { from: Some(mark.offset), changes, mark: now });
        state.restored(catalog, Some(checkpoint), live.read, kept, true)
    }

    /// Brings the copy to where the state is.
    fn keep(&self, local: &dyn LocalCheckpoints, delta: Delta) -> Kept {
        let offset = delta.mark.offset;
        let written = local.write(&name_of(self.topic, self.partition), delta);
        match written {
            Ok(()) => Kept::UpTo(offset),
            Err(given_up) => {
                self.context.stats.given_up(self.name, &given_up);
                Kept::No
            }
        }
    }
}

/// A state while it is filled.
struct Filled<L> {
    logic: L,
    entries: u64,
    hash: u64,
    bytes: u64,
}

impl<L: Logic> Filled<L> {
    fn new(logic: L) -> Self {
        Self { logic, entries: 0, hash: 0, bytes: 0 }
    }
    fn put(&mut self, entry: &ChangelogEntry) -> Result<(), RestoreError> {
        let value = entry.value.as_deref().unwrap_or_default();
        self.entries += 1;
        self.bytes += (entry.key.len() + value.len()) as u64;
        self.hash = self.hash.wrapping_add(entry_hash(&entry.key, value));
        self.logic.state().restore_entry(entry)
    }
    fn restored(
        self,
        catalog: Revision,
        checkpoint: Option<Checkpoint>,
        entries_read: u64,
        kept: Kept,
        from_copy: bool,
    ) -> Restored<L> {
        Restored {
            logic: self.logic,
            catalog,
            checkpoint,
            entries_read,
            bytes: self.bytes,
            kept,
            from_copy,
            is_ahead: false,
        }
    }
}

/// The checkpoint that a changelog ends with now.
///
/// # Errors
/// A changelog that cannot be read.
pub fn checkpoint(
    outside: &impl Outside,
    topic: &str,
    partition: u32,
    name: &str,
) -> Result<Option<Checkpoint>, Error> {
    let mut last = None;
    outside.read(topic, partition, name, 0, |_, key, value| {
        if key == CHECKPOINT_KEY {
            last = value.map(<[u8]>::to_vec);
        }
    })?;
    let broken = |source| Error::Restore { task: name.to_owned(), source };
    last.as_deref().map(decode_checkpoint).transpose().map_err(broken)
}

fn decode_checkpoint(bytes: &[u8]) -> Result<Checkpoint, RestoreError> {
    postcard::from_bytes(bytes)
        .map_err(|error| RestoreError::Corrupt { table: RESERVED, reason: error.to_string() })
}

/// The layout that a checkpoint of any version begins with.
fn layout_of(bytes: &[u8]) -> Option<u32> {
    postcard::take_from_bytes(bytes).ok().map(|(layout, _)| layout)
}

fn usable(checkpoint: &Checkpoint, context: &Context) -> Result<(), Disagreement> {
    if checkpoint.definition != context.definition {
        let (found, wanted) = (checkpoint.definition.clone(), context.definition.clone());
        return Err(Disagreement::Definitions { found, wanted });
    }
    if checkpoint.tasks != context.tasks {
        return Err(Disagreement::Tasks { found: checkpoint.tasks, wanted: context.tasks });
    }
    Ok(())
}

/// The last record of each key.
#[derive(Default, PartialEq)]
struct Live {
    entries: HashMap<Vec<u8>, Option<Vec<u8>>, FixedState>,
    checkpoint: Option<Vec<u8>>,
    /// The offset of the checkpoint.
    checkpoint_at: i64,
    catalog: Option<Vec<u8>>,
    read: u64,
}

impl Live {
    fn take(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) {
        self.read += 1;
        let value = value.map(<[u8]>::to_vec);
        match key {
            CHECKPOINT_KEY => (self.checkpoint, self.checkpoint_at) = (value, offset),
            CATALOG_KEY => self.catalog = value,
            key => match self.entries.get_mut(key) {
                Some(kept) => *kept = value,
                None => _ = self.entries.insert(key.to_vec(), value),
            },
        }
    }
}

/// A catalog as a changelog keeps it.
pub fn encode_catalog(revision: &Revision) -> Vec<u8> {
    postcard::to_allocvec(&(&revision.file, &*revision.text, revision.offset)).unwrap_or_default()
}

/// The file of such a catalog, its text, its offset.
type KeptCatalog = (String, String, i64);

fn decode_catalog(bytes: &[u8]) -> Result<KeptCatalog, RestoreError> {
    postcard::from_bytes(bytes)
        .map_err(|error| RestoreError::Corrupt { table: RESERVED, reason: error.to_string() })
}
