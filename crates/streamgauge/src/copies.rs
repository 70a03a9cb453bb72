//! Local checkpoints on disk: an embedded store for each process, a key space for each task.
//!
//! Everything in it can be read from Kafka again. So what cannot be opened is thrown away, what cannot be written is
//! gone without, and nothing is forced to the disk: a batch is there whole or not at all.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable};
use kafka::local::LocalStore;
use model::table::ChangelogEntry;
use std::path::Path;
use std::sync::Arc;

/// Most bytes of a task's newest changes in memory.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Most bytes of journals: they are read when the store is opened.
const JOURNAL_BYTES: u64 = 64 << 20;
/// A copy is read once and from end to end: there is nothing to cache.
const CACHE_BYTES: u64 = 4 << 20;

/// The store of a process.
pub struct Copies {
    database: Database,
}

/// Opens the store of a process in a folder; `None`, which is said, where that cannot be.
pub fn open(folder: &Path, instance: Option<&str>) -> Option<Arc<dyn LocalStore>> {
    let path = folder.join(instance.map_or_else(|| "unnamed".to_owned(), file_name));
    let opened = Copies::open(&path).or_else(|error| {
        if matches!(error, fjall::Error::Locked) {
            return Err(error);
        }
        tracing::warn!(path = %path.display(), %error, "local checkpoints cannot be opened, and are made anew");
        std::fs::remove_dir_all(&path)?;
        Copies::open(&path)
    });
    match opened {
        Ok(copies) => Some(Arc::new(copies)),
        Err(error) => {
            tracing::warn!(
                path = %path.display(),
                %error,
                "there are no local checkpoints: a restart reads whole changelogs; processes that share a data folder \
                 need a kafka.instance each, and the folder must be writable"
            );
            None
        }
    }
}

/// An instance as the name of a folder.
fn file_name(instance: &str) -> String {
    let safe = |letter: char| {
        if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' }
    };
    format!("instance-{}", instance.chars().map(safe).collect::<String>())
}

impl Copies {
    fn open(path: &Path) -> fjall::Result<Self> {
        std::fs::create_dir_all(path)?;
        let database = Database::builder(path)
            .worker_threads(1)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .open()?;
        Ok(Self { database })
    }

    fn keyspace(&self, copy: &str) -> Result<Keyspace, String> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        self.database.keyspace(copy, options).map_err(|error| error.to_string())
    }
}

impl LocalStore for Copies {
    fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        if !self.database.keyspace_exists(copy) {
            return Ok(());
        }
        let keyspace = self.keyspace(copy)?;
        for entry in self.database.snapshot().iter(&keyspace) {
            let (key, value) = entry.into_inner().map_err(|error| error.to_string())?;
            if !take(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, copy: &str, changes: Vec<ChangelogEntry>) -> Result<(), String> {
        let keyspace = self.keyspace(copy)?;
        let mut batch = self.database.batch();
        for ChangelogEntry { key, value } in changes {
            match value {
                Some(value) => batch.insert(&keyspace, key, value),
                None => batch.remove(&keyspace, key),
            }
        }
        batch.commit().map_err(|error| error.to_string())
    }

    fn clear(&self, copy: &str) -> Result<(), String> {
        self.keyspace(copy)?.clear().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(copies: &dyn LocalStore, copy: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = Vec::new();
        copies
            .scan(copy, &mut |key, value| {
                entries.push((key.to_vec(), value.to_vec()));
                true
            })
            .unwrap();
        entries
    }

    fn put(key: &str, value: Option<&str>) -> ChangelogEntry {
        ChangelogEntry { key: key.into(), value: value.map(Into::into) }
    }

    fn pair(key: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
        (key.into(), value.into())
    }

    #[test]
    fn what_was_written_and_cleared_is_there_so_after_the_store_is_opened_again() {
        let home = tempfile::tempdir().unwrap();
        let copies = open(home.path(), Some("a/b")).unwrap();
        copies.write("one", vec![put("y", Some("1")), put("x", Some("2"))]).unwrap();
        copies.write("two", vec![put("x", Some("3"))]).unwrap();
        copies.write("one", vec![put("x", None), put("z", Some("4"))]).unwrap();
        copies.clear("two").unwrap();
        copies.write("two", vec![put("w", Some("5"))]).unwrap();
        drop(copies);
        let copies = open(home.path(), Some("a/b")).unwrap();
        assert_eq!(entries(&*copies, "one"), [pair("y", "1"), pair("z", "4")]);
        assert_eq!(entries(&*copies, "two"), [pair("w", "5")]);
        assert_eq!(entries(&*copies, "three"), []);
    }

    #[test]
    fn a_store_has_one_process_and_a_damaged_one_is_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let copies = open(home.path(), None).unwrap();
        copies.write("one", vec![put("x", Some("1"))]).unwrap();
        assert!(open(home.path(), None).is_none(), "another process of the same name has it");
        assert!(open(home.path(), Some("b")).is_some());
        drop(copies);
        for file in std::fs::read_dir(home.path().join("unnamed")).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                std::fs::write(path, "damaged").unwrap();
            }
        }
        let copies = open(home.path(), None).unwrap();
        assert_eq!(entries(&*copies, "one"), []);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_gone_without() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(open(&file, None).is_none());
    }
}
