//! How far a member is behind, and what keeps it from reading: from what librdkafka reports of its partitions.
//!
//! librdkafka's own `consumer_lag` is of no use here: it knows the offsets that the consumer itself committed, but
//! ours are committed by transactions; and the records that end transactions occupy offsets that nobody consumes.

use rdkafka::Statistics;
use rdkafka::statistics::{Broker, Partition};
use std::collections::{BTreeMap, BTreeSet};

/// What a member's client said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Records that wait, by topic and partition; `None`: not known yet.
    pub partitions: BTreeMap<(String, i32), Option<i64>>,
    /// What keeps it from reading.
    pub trouble: Option<String>,
    /// Whether it reads at all: no partition may mean that none was assigned yet.
    pub reads: bool,
}

impl Heard {
    /// Records that wait in all partitions; `None`: not known yet.
    pub fn lag(&self) -> Option<i64> {
        self.reads.then(|| self.partitions.values().copied().sum()).flatten()
    }
}

/// What a client's statistics say of the partitions that are read, each from an offset on (`None`: nothing is read), and
/// of which some are held: of those the end is known as of when they were read. Of those of which they say nothing yet it
/// is what was `asked`.
pub fn heard(
    statistics: &Statistics,
    reading: Option<&BTreeMap<(String, i32), i64>>,
    held: &BTreeSet<(String, i32)>,
    asked: &BTreeMap<(String, i32), Option<i64>>,
) -> Heard {
    let find = |topic: &str, partition: i32| statistics.topics.get(topic)?.partitions.get(&partition);
    let lag = |((topic, partition), from): (&(String, i32), &i64)| {
        let at = (topic.clone(), *partition);
        let lag = find(topic, *partition).and_then(|known| lag_of(known, *from, held.contains(&at)));
        let lag = lag.or_else(|| asked.get(&at).copied().flatten());
        (at, lag)
    };
    let partitions: BTreeMap<_, _> = reading.into_iter().flatten().map(lag).collect();
    let is_up = |id| statistics.brokers.values().any(|broker| broker.nodeid == id && is_up(broker));
    let led_by_nobody = || {
        partitions.keys().find_map(|(topic, partition)| {
            let leader = find(topic, *partition)?.leader;
            (!is_up(leader)).then(|| match leader {
                ..0 => format!("{topic}/{partition} has no leader"),
                id => format!("the leader of {topic}/{partition}, broker {id}, does not answer"),
            })
        })
    };
    // That none is up has reasons of its own.
    let trouble = if is_any_up(statistics) { led_by_nobody() } else { None };
    Heard { partitions, trouble, reads: reading.is_some() }
}

/// Whether any broker can be talked to.
pub fn is_any_up(statistics: &Statistics) -> bool {
    statistics.brokers.values().any(is_up)
}

fn is_up(broker: &Broker) -> bool {
    matches!(&*broker.state, "UP" | "REAUTH")
}

/// Records that wait in a partition which is read from an offset on.
fn lag_of(partition: &Partition, from: i64, is_held: bool) -> Option<i64> {
    // Up to here records were written; those of open transactions are counted too, so that one that hangs shows.
    let end = partition.hi_offset.max(partition.ls_offset);
    if end < 0 {
        return None;
    }
    // Everything was fetched and nothing waits here: what lies between the last record and the end ends transactions.
    // Of what is held, what was fetched was thrown away.
    if !is_held && partition.fetchq_cnt == 0 && partition.next_offset >= end {
        return Some(0);
    }
    let next = partition.app_offset.max(from).max(partition.lo_offset).max(0);
    Some((end - next).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::Topic;

    /// Nothing was asked.
    fn heard(
        statistics: &Statistics,
        reading: Option<&BTreeMap<(String, i32), i64>>,
        held: &BTreeSet<(String, i32)>,
    ) -> Heard {
        super::heard(statistics, reading, held, &BTreeMap::new())
    }

    fn statistics(state: &str, leader: i32, partition: Partition) -> Statistics {
        let broker = Broker { nodeid: 1, state: state.to_owned(), ..Broker::default() };
        let partitions = [(0, Partition { leader, ..partition })].into();
        let topic = Topic { partitions, ..Topic::default() };
        Statistics {
            brokers: [("b/1".to_owned(), broker)].into(),
            topics: [("events".to_owned(), topic)].into(),
            ..Statistics::default()
        }
    }

    fn lag(next_offset: i64, app_offset: i64, fetchq_cnt: i64, from: i64) -> Option<i64> {
        let partition = Partition {
            hi_offset: 10,
            ls_offset: 10,
            lo_offset: 0,
            next_offset,
            app_offset,
            fetchq_cnt,
            ..Partition::default()
        };
        let reading = [(("events".to_owned(), 0), from)].into();
        heard(&statistics("UP", 1, partition), Some(&reading), &BTreeSet::new()).lag()
    }

    #[test]
    fn what_is_held_waits_although_it_was_fetched() {
        let partition = Partition {
            hi_offset: 10,
            ls_offset: 10,
            next_offset: 10,
            app_offset: 4,
            ..Partition::default()
        };
        let (at, statistics) = (("events".to_owned(), 0), statistics("UP", 1, partition));
        let heard = |held: &BTreeSet<_>| heard(&statistics, Some(&[(at.clone(), 0)].into()), held).lag();
        let (none, held) = (BTreeSet::new(), [at.clone()].into());
        assert_eq!((heard(&none), heard(&held)), (Some(0), Some(6)));
    }

    #[test]
    fn the_record_that_ends_a_transaction_does_not_wait() {
        assert_eq!(lag(10, 9, 0, -1), Some(0));
        assert_eq!(lag(10, 4, 5, -1), Some(6));
        assert_eq!(lag(7, 7, 0, -1), Some(3));
        assert_eq!(lag(-1001, -1001, 0, 8), Some(2));
    }

    #[test]
    fn what_was_not_fetched_yet_is_not_known() {
        let partition = Partition { hi_offset: -1001, ls_offset: -1001, ..Partition::default() };
        let reading = [(("events".to_owned(), 0), 0)].into();
        assert_eq!(heard(&statistics("UP", 1, partition), Some(&reading), &BTreeSet::new()).lag(), None);
        assert_eq!(heard(&statistics("UP", 1, Partition::default()), None, &BTreeSet::new()).lag(), None);
        assert_eq!(
            heard(&statistics("UP", 1, Partition::default()), Some(&BTreeMap::new()), &BTreeSet::new()).lag(),
            Some(0)
        );
    }

    #[test]
    fn the_leader_that_does_not_answer_is_named_while_others_do() {
        let reading = [(("events".to_owned(), 0), 0)].into();
        let trouble = |state, leader| {
            heard(&statistics(state, leader, Partition::default()), Some(&reading), &BTreeSet::new())
                .trouble
                .unwrap_or_default()
        };
        assert_eq!(trouble("UP", 1), "");
        assert_eq!(trouble("DOWN", 1), "");
        assert_eq!(trouble("UP", -1), "events/0 has no leader");
        assert_eq!(trouble("UP", 2), "the leader of events/0, broker 2, does not answer");
    }

    #[test]
    fn what_was_asked_holds_until_the_client_knows_it() {
        let at = ("events".to_owned(), 0);
        let reading = [(at.clone(), 4)].into();
        let lag = |partition, asked| {
            let asked = [(at.clone(), asked)].into();
            super::heard(&statistics("UP", 1, partition), Some(&reading), &BTreeSet::new(), &asked).lag()
        };
        let unknown = || Partition { hi_offset: -1, ls_offset: -1, ..Partition::default() };
        assert_eq!([lag(unknown(), Some(6)), lag(unknown(), None)], [Some(6), None]);
        assert_eq!(lag(Partition { hi_offset: 20, app_offset: 18, ..unknown() }, Some(6)), Some(2));
    }
}
