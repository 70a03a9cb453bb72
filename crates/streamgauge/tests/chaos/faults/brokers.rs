//! Brokers that go and come back, lead no more, or are too few.

use crate::ground::BROKERS;
use crate::scene::Scene;
use kafka::Stage;
use std::time::Duration;
use test_broker::Tool;

/// How many partitions the topics of raw records get.
const MORE_PARTITIONS: usize = 6;

fn two_members(scene: &mut Scene<'_>, load: Duration) {
    scene.start("a");
    scene.start("b");
    scene.load(load);
    scene.wait_until_begun();
}

/// Each broker in turn is stopped in order and started again.
pub fn bounced(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(25));
    let first = scene.random.below(BROKERS as usize) as u32;
    for number in 0..BROKERS {
        scene.pause(200, 2_000);
        scene.ground.cluster.restart((first + number) % BROKERS + 1).unwrap();
    }
    scene.loaded();
    u64::from(BROKERS)
}

/// The coordinator of a task's transactions, or of a group, dies and comes back.
pub fn coordinator_killed(scene: &mut Scene<'_>) -> u64 {
    let kills = scene.sized(2, 1);
    two_members(scene, Duration::from_secs(10 * kills));
    for kill in 0..kills {
        scene.pause(200, 1_500);
        let settings = scene.settings.clone();
        let stage = [Stage::Correlate, Stage::Aggregate][scene.random.below(2)];
        let node = if kill == 0 {
            let id = settings.topics.transactional_id(stage, 0);
            scene.ground.coordinator(&settings, "__transaction_state", &id)
        } else {
            scene.ground.coordinator(&settings, "__consumer_offsets", &settings.topics.group(stage))
        };
        scene.ground.cluster.kill(node).unwrap();
        // The controllers miss a broker after 6 s; then others coordinate.
        scene.pause(7_000, 10_000);
        scene.ground.cluster.restart(node).unwrap();
    }
    scene.loaded();
    kills
}

fn set_in_sync(scene: &Scene<'_>, replicas: u32) {
    let setting = format!("min.insync.replicas={replicas}");
    let alter = ["--alter", "--entity-type", "brokers", "--entity-default", "--add-config", &setting];
    scene.ground.cluster.tool(Tool::Configs, &alter).unwrap();
}

/// A record that no topic takes: too few replicas are in sync.
pub fn too_few_replicas(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(25));
    set_in_sync(scene, 3);
    let node = scene.random.below(BROKERS as usize) as u32 + 1;
    scene.ground.cluster.kill(node).unwrap();
    scene.pause(14_000, 22_000);
    scene.ground.cluster.restart(node).unwrap();
    set_in_sync(scene, 2);
    scene.loaded();
    1
}

/// More partitions of the topics of raw records: those between the stages have as many as there are tasks.
pub fn raw_partitions(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(20));
    scene.pause(200, 2_000);
    let (settings, topics) = (scene.settings.clone(), scene.raw_topics());
    scene.ground.add_partitions(&settings, &topics, MORE_PARTITIONS);
    scene.loaded();
    topics.len() as u64
}
