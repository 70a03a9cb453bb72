//! The local checkpoints of an instance, on a disk that fills up, loses what waited, damages what it holds, and is put
//! back from a backup.

use crate::mutant::Mutant;
use crate::outside::Sim;
use crate::world::State;
use kafka::local::{Delta, GivenUp, LocalCheckpoints, LocalStore, apply};
use model::table::ChangelogEntry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Copy = BTreeMap<Vec<u8>, Vec<u8>>;
type Copies = BTreeMap<String, Copy>;

/// What an instance of a stage keeps.
#[derive(Debug, Default)]
pub struct Disk {
    /// The process that has it open.
    pub owner: usize,
    on_disk: InMemory,
    marks: BTreeMap<String, i64>,
    /// What is not written yet.
    waiting: VecDeque<(String, Delta)>,
    backup: Option<Copies>,
    failed: bool,
}

#[derive(Debug, Default)]
struct InMemory(Mutex<Copies>);

impl InMemory {
    fn lock(&self) -> MutexGuard<'_, Copies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalStore for InMemory {
    fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        let entries = self.lock().get(copy).cloned().unwrap_or_default();
        let _ = entries.iter().all(|(key, value)| take(key, value));
        Ok(())
    }
    fn write(&self, copy: &str, changes: Vec<ChangelogEntry>) -> Result<(), String> {
        let mut copies = self.lock();
        let entries = copies.entry(copy.to_owned()).or_default();
        for ChangelogEntry { key, value } in changes {
            match value {
                Some(value) => _ = entries.insert(key, value),
                None => _ = entries.remove(&key),
            }
        }
        Ok(())
    }
    fn clear(&self, copy: &str) -> Result<(), String> {
        self.lock().remove(copy);
        Ok(())
    }
}

impl Disk {
    /// Writes some of what waits.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some((copy, delta)) = self.waiting.pop_front() else { break };
            let _ = apply(&self.on_disk, &mut self.marks, &copy, delta);
        }
    }

    /// The state that a copy holds.
    pub fn state(&self, copy: &str) -> Copy {
        let mut entries = self.on_disk.lock().get(copy).cloned().unwrap_or_default();
        entries.retain(|key, _| key.first() != Some(&0));
        entries
    }
}

/// Opens the disk of a process that starts, unless another one of its name has it.
pub fn open(state: &mut State, name: &str, me: usize) {
    let owner = state.disks.get(name).map(|disk| disk.owner);
    if owner.is_some_and(|owner| state.processes.get(owner).is_some_and(|process| process.alive)) {
        return;
    }
    let becomes = if state.healed { 99 } else { state.below(24) };
    let disk = state.disks.entry(name.to_owned()).or_default();
    (disk.owner, disk.failed) = (me, false);
    disk.waiting.clear();
    disk.marks.clear();
    let what = match becomes {
        0 => {
            disk.on_disk.lock().clear();
            "a disk is lost"
        }
        1..5 if disk.backup.is_some() => {
            *disk.on_disk.lock() = disk.backup.clone().unwrap_or_default();
            "a disk is put back from a backup"
        }
        5..8 => {
            let damaged = disk.on_disk.lock().values_mut().next().is_some_and(damage);
            if !damaged {
                return;
            }
            "a copy is damaged"
        }
        _ => return,
    };
    state.count(what);
    state.note(format!("{name}: {what}"));
}

/// A byte of the first value that has any is another one.
fn damage(copy: &mut Copy) -> bool {
    let value = copy.iter_mut().filter(|(key, _)| key.first() != Some(&0)).map(|(_, value)| value);
    let byte = value.filter_map(|value| value.last_mut()).next();
    byte.map(|byte| *byte ^= 1).is_some()
}

impl Sim {
    /// The disk that this process has open.
    pub fn disk<T>(&self, of: impl FnOnce(&mut State, &mut Disk) -> T) -> Option<T> {
        let mut state = self.world.lock();
        let name = state.disk_of(self.me)?;
        let mut disk = state.disks.remove(&name)?;
        let done = (disk.owner == self.me).then(|| of(&mut state, &mut disk));
        state.disks.insert(name, disk);
        done
    }
}

impl LocalCheckpoints for Sim {
    fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        let entries = self.disk(|state, disk| {
            if state.fails(20) {
                state.count("a copy cannot be read");
                return None;
            }
            // What waits is mostly written by now.
            if state.below(3) > 0 {
                disk.write(usize::MAX);
            }
            Some(disk.on_disk.lock().get(copy).cloned().unwrap_or_default())
        });
        let Some(Some(entries)) = entries else { return Err("it cannot be read".to_owned()) };
        let _ = entries.iter().all(|(key, value)| take(key, value));
        Ok(())
    }

    fn write(&self, copy: &str, delta: Delta) -> Result<(), GivenUp> {
        let written = self.disk(|state, disk| {
            if disk.failed || state.fails(150) {
                if !disk.failed {
                    state.count("a disk is full");
                }
                disk.failed = true;
                return Err(GivenUp::Failed("no space left on device".to_owned()));
            }
            if state.fails(80) {
                state.count("a copy is not brought further");
                return Ok(());
            }
            disk.waiting.push_back((copy.to_owned(), delta));
            let count = state.below(4) as usize;
            disk.write(count);
            if state.below(20) == 0 {
                disk.backup = Some(disk.on_disk.lock().clone());
            }
            Ok(())
        });
        written.unwrap_or_else(|| Err(GivenUp::Failed("gone".to_owned())))
    }

    /// Nobody follows here.
    fn run_here(&self, _: &str, _: &[u32]) {}

    /// Any of which there is a copy.
    fn ran_here(&self, changelog: &str) -> Vec<u32> {
        let copies = self.disk(|state, disk| {
            let copies: Vec<String> = disk.on_disk.lock().keys().cloned().collect();
            let mut ran = |copy: &String| {
                let partition = copy.strip_prefix(changelog)?.strip_prefix('-')?.parse().ok()?;
                (state.below(3) > 0).then_some(partition)
            };
            let ran: Vec<u32> = copies.iter().filter_map(&mut ran).collect();
            if !ran.is_empty() {
                state.count("states are made ahead");
            }
            ran
        });
        copies.unwrap_or_default()
    }
}

/// What a mutant has read of a changelog from an offset on in place of what is there; `None`: what is there.
pub fn stale(state: &State, changelog: &str, partition: i32, from: i64) -> Option<Vec<u8>> {
    if !state.is(Mutant::StaleCopyBelieved) || from == 0 {
        return None;
    }
    let written = state.checkpoints.get(&(changelog.to_owned(), partition))?;
    written.iter().find(|record| record.offset == from)?.value.as_deref().map(<[u8]>::to_vec)
}
