//! One thing told by many records: field by field, the last one that says a thing wins.

use model::DeliveryEvent;
use model::Timestamp;

/// The last value that any record gives.
pub fn last<T>(records: &[DeliveryEvent], field: impl Fn(&DeliveryEvent) -> Option<T>) -> Option<T> {
    records.iter().rev().find_map(field)
}

/// When the first record of the final run occurred: the longest tail of records with one state.
pub fn final_run_began<S: PartialEq>(
    records: &[DeliveryEvent],
    state: impl Fn(&DeliveryEvent) -> Option<S>,
) -> Option<Timestamp> {
    let stated: Vec<(S, Timestamp)> =
        records.iter().filter_map(|record| state(record).map(|s| (s, record.occurred_at))).collect();
    let (end, _) = stated.last()?;
    stated.iter().rev().take_while(|(s, _)| s == end).last().map(|(_, at)| *at)
}
