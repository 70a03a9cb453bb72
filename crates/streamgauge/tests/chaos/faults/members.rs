//! Members that die, stand still, come and go, and take each other's names.

use crate::organisation::shuffled;
use crate::scene::Scene;
use std::time::{Duration, Instant};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// How long a static member may be away: its session of 10 s, less the 2 s between two heartbeats.
const STAYS_MEMBER: Duration = Duration::from_secs(8);

/// SIGKILL at random moments.
pub fn killed(scene: &mut Scene<'_>) -> u64 {
    let kills = scene.sized(45, 3);
    NAMES.iter().take(2).for_each(|name| scene.start(name));
    scene.load(Duration::from_secs(kills));
    scene.wait_until_begun();
    for _ in 0..kills {
        scene.pause(50, 2_500);
        let victim = NAMES[scene.random.below(2)];
        scene.kill(victim);
        scene.start(victim);
    }
    scene.loaded();
    kills
}

/// SIGKILL, and a local checkpoint that is damaged before the member is started again.
pub fn damaged_copies(scene: &mut Scene<'_>) -> u64 {
    let times = scene.sized(10, 2);
    NAMES.iter().take(2).for_each(|name| scene.start(name));
    scene.load(Duration::from_secs(3 * times));
    scene.wait_until_begun();
    let mut struck = 0;
    for _ in 0..times {
        scene.pause(1_000, 3_000);
        let victim = NAMES[scene.random.below(2)];
        scene.kill(victim);
        struck += u64::from(scene.damage_copies(victim));
        scene.start(victim);
    }
    scene.loaded();
    struck
}

/// SIGSTOP past the session, then SIGCONT: a zombie that believes that it owns its tasks.
pub fn stopped(scene: &mut Scene<'_>) -> u64 {
    let stops = scene.sized(2, 1);
    NAMES.iter().take(2).for_each(|name| scene.start(name));
    scene.load(Duration::from_secs(12 * stops));
    scene.wait_until_begun();
    for stop in 0..stops {
        scene.pause(100, 1_500);
        let victim = NAMES[scene.random.below(2)];
        scene.freeze(victim);
        // A session lasts 10 s, a transaction 30 s.
        let is_long = scene.full && stop == 1;
        if is_long {
            scene.pause(32_000, 34_000)
        } else {
            scene.pause(11_500, 13_000)
        }
        scene.thaw(victim);
    }
    scene.loaded();
    stops
}

/// The law with members that join and leave.
pub fn three(scene: &mut Scene<'_>) -> u64 {
    let moves = scene.sized(16, 6);
    NAMES.iter().for_each(|name| scene.start(name));
    let seed = scene.random.below(1 << 30) as u64;
    let records = shuffled(&scene.organisation.records, 3, seed);
    scene.load_records(records, Duration::from_secs(2 * moves));
    scene.wait_until_begun();
    for _ in 0..moves {
        scene.pause(1_000, 3_000);
        let name = NAMES[scene.random.below(NAMES.len())];
        let there = scene.members();
        if !there.iter().any(|member| member == name) {
            scene.start(name);
        } else if there.len() > 1 {
            scene.stop(name);
        }
    }
    scene.loaded();
    moves
}

/// A member that joins and leaves every 2 s, beside one that stays.
pub fn comes_and_goes(scene: &mut Scene<'_>) -> u64 {
    let times = scene.sized(15, 5);
    scene.start("a");
    scene.load(Duration::from_secs(2 * times));
    scene.wait_until_begun();
    for _ in 0..times {
        let until = Instant::now() + Duration::from_secs(2);
        scene.start("b");
        std::thread::sleep(until - Instant::now());
        scene.stop("b");
    }
    scene.loaded();
    times
}

/// One static member after the other ends, as it should or not, and is back within its session: the other's
/// partitions stay where they are.
pub fn rolled(scene: &mut Scene<'_>) -> u64 {
    let restarts = scene.sized(10, 2);
    NAMES.iter().take(2).for_each(|name| scene.start_static(name));
    scene.wait_until_ready(&NAMES[..2]);
    scene.load(Duration::from_secs(3 * restarts));
    scene.wait_until_begun();
    for at in 0..restarts as usize {
        let (rolled, other) = (NAMES[at % 2], NAMES[(at + 1) % 2]);
        let before = scene.assignments_of(other);
        scene.pause(500, 2_000);
        let away = Instant::now();
        if scene.random.below(2) == 0 {
            scene.stop(rolled)
        } else {
            scene.kill(rolled)
        }
        scene.start_static(rolled);
        scene.wait_until_ready(&[rolled]);
        let (away, moved) = (away.elapsed(), scene.assignments_of(other) - before);
        if away < STAYS_MEMBER {
            let what = format!(
                "partitions were given to {other} {moved} times while {rolled} was away for {away:?}"
            );
            scene.expect(moved == 0, what);
        } else {
            scene.notes.push(format!(
                "{rolled} was away for {away:?}, and {moved} times {other} was given partitions"
            ));
        }
    }
    scene.loaded();
    restarts
}

/// Two processes of one name, which fence each other.
pub fn two_of_one_name(scene: &mut Scene<'_>) -> u64 {
    scene.start_as("a", "same");
    scene.load(Duration::from_secs(15));
    scene.wait_until_begun();
    scene.start_as("b", "same");
    scene.pause(12_000, 18_000);
    let other = NAMES[scene.random.below(2)];
    scene.kill(other);
    scene.loaded();
    1
}
