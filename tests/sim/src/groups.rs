//! The group coordinator: members, generations, range assignment in the eager protocol, committed offsets, offsets
//! of transactions that have not ended.

use crate::log::Txn;
use std::collections::BTreeMap;

/// After so long without a heartbeat a member is taken for dead, in microseconds.
pub const SESSION: i64 = 10_000_000;

/// A topic's partition.
pub type TopicPartition = (String, i32);

/// A member as the coordinator knows it.
#[derive(Debug)]
struct Known {
    process: usize,
    heard: i64,
    /// Whether it takes part in the rebalance that is under way.
    joined: bool,
    topics: Vec<String>,
    assignment: Vec<TopicPartition>,
}

/// A group.
#[derive(Debug, Default)]
pub struct Group {
    generation: i32,
    preparing: bool,
    members: BTreeMap<u64, Known>,
    committed: BTreeMap<TopicPartition, i64>,
    pending: BTreeMap<TopicPartition, BTreeMap<Txn, i64>>,
}

/// What a member hears when it asks how it stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is no member (any more).
    Unknown,
    /// It must give its partitions up, and has joined.
    Rebalancing,
    /// It belongs to this generation and has these partitions.
    Stable(i32, Vec<TopicPartition>),
}

impl Group {
    fn rebalance(&mut self) {
        if !self.preparing {
            self.preparing = true;
            self.members.values_mut().for_each(|member| member.joined = false);
        }
    }

    /// A new member; it takes part in the next generation.
    fn join(&mut self, id: u64, process: usize, topics: Vec<String>, now: i64) {
        self.rebalance();
        self.members.insert(id, Known { process, heard: now, joined: true, topics, assignment: Vec::new() });
    }

    /// How a member stands; asking is joining.
    fn ask(&mut self, id: u64, partitions_of: impl Fn(&str) -> usize) -> Standing {
        let Some(member) = self.members.get_mut(&id) else { return Standing::Unknown };
        if self.preparing {
            member.joined = true;
            if self.members.values().any(|member| !member.joined) {
                return Standing::Rebalancing;
            }
            self.assign(partitions_of);
        }
        let member = self.members.get(&id).map(|member| member.assignment.clone());
        Standing::Stable(self.generation, member.unwrap_or_default())
    }

    fn assign(&mut self, partitions_of: impl Fn(&str) -> usize) {
        self.preparing = false;
        self.generation += 1;
        self.members.values_mut().for_each(|member| member.assignment.clear());
        let mut topics: Vec<String> =
            self.members.values().flat_map(|member| member.topics.iter().cloned()).collect();
        topics.sort();
        topics.dedup();
        for topic in topics {
            let partitions = partitions_of(&topic);
            let mut members: Vec<&mut Known> =
                self.members.values_mut().filter(|member| member.topics.contains(&topic)).collect();
            let count = members.len();
            for (index, member) in members.iter_mut().enumerate() {
                let range = partitions * index / count..partitions * (index + 1) / count;
                member.assignment.extend(range.map(|partition| (topic.clone(), partition as i32)));
            }
        }
    }

    fn accepts(&self, id: u64, generation: i32) -> bool {
        self.generation == generation && self.members.contains_key(&id)
    }
}

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<String, Group>,
    ids: u64,
    /// Whether offsets are taken from any generation: a planted fault.
    pub fences_nobody: bool,
}

impl Groups {
    /// Joins a group anew; gives the member's id.
    pub fn join(&mut self, group: &str, process: usize, topics: Vec<String>, now: i64) -> u64 {
        self.ids += 1;
        let id = self.ids;
        self.groups.entry(group.to_owned()).or_default().join(id, process, topics, now);
        id
    }
    /// How a member stands.
    pub fn ask(&mut self, group: &str, id: u64, partitions_of: impl Fn(&str) -> usize) -> Standing {
        self.groups.get_mut(group).map_or(Standing::Unknown, |group| group.ask(id, partitions_of))
    }
    /// A member leaves.
    pub fn leave(&mut self, group: &str, id: u64) {
        if let Some(group) = self.groups.get_mut(group)
            && group.members.remove(&id).is_some()
        {
            group.rebalance();
        }
    }
    /// Heartbeats of processes that live, and members that are silent for too long. Gives who was put out.
    pub fn tick(&mut self, now: i64, beats: impl Fn(usize) -> bool) -> Vec<String> {
        let mut out = Vec::new();
        for (name, group) in &mut self.groups {
            group.members.values_mut().filter(|m| beats(m.process)).for_each(|m| m.heard = now);
            let before = group.members.len();
            group.members.retain(|_, member| now - member.heard <= SESSION);
            if group.members.len() < before {
                group.rebalance();
                out.push(format!("{name} put out {}", before - group.members.len()));
            }
        }
        out
    }
    /// Commits offsets, where the member is of the generation.
    pub fn commit(
        &mut self,
        group: &str,
        (id, generation): (u64, i32),
        offsets: &[(TopicPartition, i64)],
    ) -> bool {
        let Some(group) = self.groups.get_mut(group).filter(|group| group.accepts(id, generation)) else {
            return false;
        };
        offsets.iter().for_each(|(at, offset)| _ = group.committed.insert(at.clone(), *offset));
        true
    }
    /// Takes offsets into a transaction, where the member is of the generation.
    pub fn commit_in(
        &mut self,
        group: &str,
        (id, generation): (u64, i32),
        txn: Txn,
        offsets: &[(TopicPartition, i64)],
    ) -> bool {
        let fences_nobody = self.fences_nobody;
        let Some(group) = self.groups.get_mut(group) else { return false };
        if !fences_nobody && !group.accepts(id, generation) {
            return false;
        }
        for (at, offset) in offsets {
            group.pending.entry(at.clone()).or_default().insert(txn, *offset);
        }
        true
    }
    /// Puts offsets without any transaction or fence: a planted fault.
    pub fn put(&mut self, group: &str, offsets: &[(TopicPartition, i64)]) {
        let group = self.groups.entry(group.to_owned()).or_default();
        offsets.iter().for_each(|(at, offset)| _ = group.committed.insert(at.clone(), *offset));
    }
    /// A transaction ends in a group.
    pub fn end_txn(&mut self, group: &str, txn: Txn, commit: bool) {
        let Some(group) = self.groups.get_mut(group) else { return };
        for (at, pending) in &mut group.pending {
            if let Some(offset) = pending.remove(&txn)
                && commit
            {
                group.committed.insert(at.clone(), offset);
            }
        }
        group.pending.retain(|_, pending| !pending.is_empty());
    }
    /// A committed offset.
    pub fn committed(&self, group: &str, at: &TopicPartition) -> Option<i64> {
        self.groups.get(group)?.committed.get(at).copied()
    }
    /// Whether a transaction that has not ended holds an offset.
    pub fn is_pending(&self, group: &str, at: &TopicPartition) -> bool {
        self.groups.get(group).is_some_and(|group| group.pending.contains_key(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable(standing: Standing) -> (i32, usize) {
        match standing {
            Standing::Stable(generation, partitions) => (generation, partitions.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_member_that_comes_takes_partitions_from_who_was_there_and_offsets_of_the_old_generation_are_refused()
    {
        let mut groups = Groups::default();
        let topics = || vec!["t".to_owned()];
        let one = groups.join("g", 0, topics(), 0);
        assert_eq!(stable(groups.ask("g", one, |_| 3)), (1, 3));
        let two = groups.join("g", 1, topics(), 0);
        assert_eq!(groups.ask("g", two, |_| 3), Standing::Rebalancing);
        // Until the next generation is there the one before may commit.
        let offsets = [(("t".to_owned(), 0), 7)];
        assert!(groups.commit_in("g", (one, 1), 5, &offsets));
        assert_eq!(stable(groups.ask("g", one, |_| 3)), (2, 1));
        assert_eq!(stable(groups.ask("g", two, |_| 3)), (2, 2));
        assert!(!groups.commit_in("g", (one, 1), 6, &offsets));
        assert!(groups.is_pending("g", &offsets[0].0));
        groups.end_txn("g", 5, true);
        assert_eq!(groups.committed("g", &offsets[0].0), Some(7));
        groups.tick(SESSION + 1, |process| process == 0);
        assert_eq!(groups.ask("g", two, |_| 3), Standing::Unknown);
        assert_eq!(stable(groups.ask("g", one, |_| 3)), (3, 3));
    }
}
