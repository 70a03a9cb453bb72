//! Rows as they are stored: one type per storage table, its fields the table's columns.

mod delivery;
mod operations;
mod ownership;
mod series;

pub use delivery::{ChangeRow, DeploymentRow, PipelineRunRow, PullRequestRow};
pub use operations::{DataQualityRow, EventRow, FlagChangeRow, IncidentRow, ParkedEventRow, ScanRow};
pub use ownership::{DefinitionRow, ScopeRow, ServiceRow, TeamRow};
pub use series::{PaneRow, StepRow};

use crate::block::{Cells, Millis};
use model::{Sha, Text, Timestamp};

/// What a row carries beside what it says: who wrote it, in which transaction, when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The partition of the correlate stage that wrote the row. A fact's row is known by its natural key and this:
    /// `rev` counts one task's transactions and says nothing about those of another, so a thing that moves to
    /// another home is deleted and put as two rows, in whatever order they come. Steps, panes and events have none.
    pub task: u32,
    /// The version: generation and transaction sequence of the task.
    pub rev: u64,
    /// When the row was computed.
    pub computed_at: Timestamp,
}

/// A row of a storage table.
pub trait Stored: Cells {
    /// The storage table.
    const TABLE: &'static str;
    /// Sets the row's writer and version, and whether it says that the row should no longer exist.
    fn stamp(&mut self, stamp: Stamp, deleted: bool);
}

/// Declares a row type with the columns that every storage table has; `by task` where the task is part of the key.
macro_rules! stored {
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal $(by $task:ident)? { $($field:ident: $type:ty,)+ }
    ) => {
        $(#[$doc])*
        #[allow(missing_docs, reason = "each column has its comment in schemas/clickhouse")]
        #[derive(Debug, Clone, Default, PartialEq, clickhouse::Row, serde::Deserialize)]
        pub struct $name {
            $(pub $field: $type,)+
            $(pub $task: u32,)?
            pub rev: u64,
            pub is_deleted: u8,
            /// Milliseconds since 1970.
            pub computed_at: i64,
        }

        impl crate::rows::Stored for $name {
            const TABLE: &'static str = $table;
            fn stamp(&mut self, stamp: crate::rows::Stamp, deleted: bool) {
                $(self.$task = stamp.$task;)?
                self.rev = stamp.rev;
                self.is_deleted = u8::from(deleted);
                self.computed_at = stamp.computed_at.micros().div_euclid(1_000);
            }
        }

        impl crate::block::Cells for $name {
            fn columns() -> Vec<crate::block::Description> {
                use crate::block::Cell;
                vec![
                    $((super::column_name(stringify!($field)), <$type>::type_name()),)+
                    $((stringify!($task), u32::type_name()),)?
                    ("rev", u64::type_name()),
                    ("is_deleted", u8::type_name()),
                    ("computed_at", super::Millis::type_name()),
                ]
            }
            fn write(&self, columns: &mut [crate::block::Column]) {
                use crate::block::Cell;
                // There are as many as `columns` says.
                let mut columns = columns.iter_mut();
                $(if let Some(column) = columns.next() { self.$field.write(column) })+
                $(if let Some(column) = columns.next() { self.$task.write(column) })?
                if let Some(column) = columns.next() { self.rev.write(column) }
                if let Some(column) = columns.next() { self.is_deleted.write(column) }
                if let Some(column) = columns.next() { super::Millis(self.computed_at).write(column) }
            }
        }
    };
}
use stored;

/// The column that a field is, without what makes it no keyword.
fn column_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// A word as a column's text.
fn word(word: &'static str) -> Text {
    Text::new(word)
}

/// A commit's id as a column's text (its own binary form is not ClickHouse's).
fn sha(sha: &Sha) -> Text {
    Text::new(sha.text())
}
