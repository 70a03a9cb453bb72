//! Tasks: a stage and a partition of its input.

use correlate::Correlator;
use model::table::Stateful;
use serde::{Deserialize, Serialize};
use std::fmt;
use windows::Aggregator;

/// A task: a stage and a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskId {
    /// Correlate, by the home of what an event is about.
    Correlate(u32),
    /// Aggregate, by scope.
    Aggregate(u32),
}

impl TaskId {
    pub(crate) fn correlate(index: usize) -> Self {
        Self::Correlate(u32::try_from(index).unwrap_or(u32::MAX))
    }
    pub(crate) fn aggregate(index: usize) -> Self {
        Self::Aggregate(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(crate) fn stateful<'a>(
        self,
        correlators: &'a mut [Correlator],
        aggregators: &'a mut [Aggregator],
    ) -> Option<&'a mut dyn Stateful> {
        match self {
            Self::Correlate(index) => {
                correlators.get_mut(index as usize).map(|task| task as &mut dyn Stateful)
            }
            Self::Aggregate(index) => {
                aggregators.get_mut(index as usize).map(|task| task as &mut dyn Stateful)
            }
        }
    }

    /// The partition.
    pub const fn partition(self) -> u32 {
        match self {
            Self::Correlate(partition) | Self::Aggregate(partition) => partition,
        }
    }

    /// The task in five bytes, as a key of a store: stage, then partition, so that tasks sort.
    pub fn to_bytes(self) -> [u8; 5] {
        let (stage, partition) = match self {
            Self::Correlate(partition) => (b'c', partition),
            Self::Aggregate(partition) => (b'a', partition),
        };
        let [a, b, c, d] = partition.to_be_bytes();
        [stage, a, b, c, d]
    }

    /// Reads the five bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (stage, partition) = bytes.split_first()?;
        let partition = u32::from_be_bytes(partition.try_into().ok()?);
        match stage {
            b'c' => Some(Self::Correlate(partition)),
            b'a' => Some(Self::Aggregate(partition)),
            _ => None,
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Correlate(partition) => write!(f, "correlate-{partition}"),
            Self::Aggregate(partition) => write!(f, "aggregate-{partition}"),
        }
    }
}
