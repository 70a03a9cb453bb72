//! The checkpoint of a task: the last record of its every transaction, in its changelog.
//!
//! It says up to where the input is processed and what the state is then. A restore trusts it and not the group's
//! offsets: those expire, and can be set by hand.
//!
//! | checkpoint | the group's offset | the task |
//! | --- | --- | --- |
//! | none | none | begins at the start of its input |
//! | none | some | stops: its state is lost |
//! | some | none | goes on from the checkpoint (offsets of an empty group expire) |
//! | some | the same | goes on from the checkpoint |
//! | some | another | stops: somebody moved one of the two |

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// The key of a checkpoint. State has keys that begin with a table's number, from 1.
pub const CHECKPOINT_KEY: &[u8] = &[0, b'p'];
/// The key of the catalog that the state was concluded by.
pub const CATALOG_KEY: &[u8] = &[0, b'c'];
/// The layout of what is written to a changelog. A change of any task's tables raises it.
pub const LAYOUT: u32 = 4;

/// What one transaction left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`LAYOUT`] of the version that wrote it.
    pub layout: u32,
    /// The hash of the definitions that the state was made with.
    pub definition: String,
    /// How many tasks the stage had.
    pub tasks: u32,
    /// Which transaction of the task it is, from 1.
    pub sequence: u64,
    /// For each input topic the next offset to read; `None`: nothing was read.
    pub offsets: Vec<Option<i64>>,
    /// Records of state in this transaction.
    pub changed: u64,
    /// Entries of the state.
    pub entries: u64,
    /// The sum of the hashes of the state's entries.
    pub state_hash: u64,
    /// The offset of the catalog by which the state was concluded; −1: none was published.
    pub catalog: i64,
}

/// The hash of one entry of a task's state.
pub fn entry_hash(key: &[u8], value: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(key), value)
}

impl Checkpoint {
    /// Counts one changed entry: its value before and now.
    pub fn count(&mut self, key: &[u8], before: Option<&[u8]>, now: Option<&[u8]>) {
        if let Some(before) = before {
            self.state_hash = self.state_hash.wrapping_sub(entry_hash(key, before));
            self.entries = self.entries.saturating_sub(1);
        }
        if let Some(now) = now {
            self.state_hash = self.state_hash.wrapping_add(entry_hash(key, now));
            self.entries += 1;
        }
        self.changed += 1;
    }
}

/// Why a task cannot begin with what it finds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The group has read, but the changelog has no checkpoint.
    #[error(
        "the group has read {topic} up to offset {committed}, but the changelog holds no checkpoint: the state is \
         lost; delete the group's offsets to compute it anew from the input"
    )]
    StateLost {
        /// The input topic.
        topic: String,
        /// The group's offset.
        committed: i64,
    },
    /// The group's offset is not the checkpoint's.
    #[error(
        "the group's offset of {topic} is {committed}, but the checkpoint says {expected}: both are written in one \
         transaction, so somebody moved one; set the group's offset to {expected}, or delete the changelog's \
         records and the group's offsets to compute the state anew"
    )]
    Moved {
        /// The input topic.
        topic: String,
        /// The group's offset.
        committed: i64,
        /// The checkpoint's, in words.
        expected: String,
    },
    /// Another version wrote the state.
    #[error(
        "the state has layout {0}, this version writes {LAYOUT}: compute it anew in another generation (set \
         `generation`, then `streamgauge replay`)"
    )]
    Layout(u32),
    /// Another configuration made the state.
    #[error(
        "the state was made by the definitions {found}, this process computes by {wanted}: two configurations \
         share one generation; give this one a generation of its own (set `generation`, then `streamgauge replay`), or \
         the other's configuration"
    )]
    Definitions {
        /// Those of the state.
        found: String,
        /// Those of this process.
        wanted: String,
    },
    /// The stage had another number of tasks.
    #[error(
        "the state was made by {found} tasks, but the topics have {wanted} partitions now: more partitions need a \
         generation of their own, into which the raw topics are read anew (set `generation`, then `streamgauge \
         replay`)"
    )]
    Tasks {
        /// When the state was made.
        found: u32,
        /// Now.
        wanted: u32,
    },
    /// The state is not what the checkpoint says.
    #[error(
        "the changelog does not hold the state that its checkpoint {sequence} speaks of ({found} of {wanted} \
         entries, or another content): records are lost; compute it anew in another generation"
    )]
    State {
        /// The checkpoint's transaction.
        sequence: u64,
        /// Entries found.
        found: u64,
        /// Entries that there should be.
        wanted: u64,
    },
}

/// Where a task's input begins, by topic (`None`: at its start). `committed` are the group's offsets.
///
/// # Errors
/// [`Disagreement`] as in the table above.
pub fn begin_at(
    checkpoint: Option<&Checkpoint>,
    topics: &[String],
    committed: &[Option<i64>],
) -> Result<Vec<Option<i64>>, Disagreement> {
    let pairs = || topics.iter().zip(committed).enumerate();
    let Some(checkpoint) = checkpoint else {
        return match pairs().find_map(|(_, (topic, committed))| Some((topic, (*committed)?))) {
            Some((topic, committed)) => Err(Disagreement::StateLost { topic: topic.clone(), committed }),
            None => Ok(topics.iter().map(|_| None).collect()),
        };
    };
    let expected = |index: usize| checkpoint.offsets.get(index).copied().flatten();
    for (index, (topic, committed)) in pairs() {
        if let Some(committed) = committed
            && expected(index) != Some(*committed)
        {
            let expected =
                expected(index).map_or_else(|| "that nothing was read".to_owned(), |at| at.to_string());
            return Err(Disagreement::Moved { topic: topic.clone(), committed: *committed, expected });
        }
    }
    Ok((0..topics.len()).map(expected).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_begins_where_its_checkpoint_says_and_stops_when_the_group_disagrees() {
        let topics = ["events".to_owned(), "messages".to_owned()];
        let checkpoint = Checkpoint { offsets: vec![Some(7), None], ..Checkpoint::default() };
        let begin = |checkpoint, committed: [Option<i64>; 2]| begin_at(checkpoint, &topics, &committed);
        assert_eq!(begin(None, [None, None]), Ok(vec![None, None]));
        assert!(matches!(begin(None, [None, Some(3)]), Err(Disagreement::StateLost { .. })));
        assert_eq!(begin(Some(&checkpoint), [None, None]), Ok(vec![Some(7), None]));
        assert_eq!(begin(Some(&checkpoint), [Some(7), None]), Ok(vec![Some(7), None]));
        assert!(matches!(begin(Some(&checkpoint), [Some(8), None]), Err(Disagreement::Moved { .. })));
        assert!(matches!(begin(Some(&checkpoint), [Some(7), Some(0)]), Err(Disagreement::Moved { .. })));
    }

    #[test]
    fn the_hash_of_a_state_does_not_depend_on_the_order_of_its_changes() {
        let mut one = Checkpoint::default();
        one.count(b"a", None, Some(b"1"));
        one.count(b"b", None, Some(b"2"));
        one.count(b"a", Some(b"1"), None);
        let mut other = Checkpoint::default();
        other.count(b"b", None, Some(b"2"));
        assert_eq!((one.state_hash, one.entries), (other.state_hash, other.entries));
        let mut third = Checkpoint::default();
        third.count(b"2", None, Some(b"b"));
        assert_ne!(third.state_hash, other.state_hash);
    }
}
