//! Ends of transactions that come late, twice, or whose answers are lost.

use crate::organisation::Random;
use crate::scene::Scene;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use test_broker::Fault;

/// One in so many ends of transactions goes wrong.
const ONE_IN: usize = 4;
/// The longest that an answer takes.
const SLOW_MS: usize = 3_000;

/// On every proxy, one in some.
pub fn late(scene: &mut Scene<'_>) -> u64 {
    let most_ms = scene.sized(60_000, 5_000);
    let (load, enough) = scene.sized((40, 12), (8, 3));
    let random = Arc::new(Mutex::new(Random(scene.random.below(1 << 30) as u64)));
    let before = scene.ground.ends_hurt();
    scene.ground.set_ends(move || {
        let mut random = random.lock().unwrap();
        let mut within = |most: usize| Duration::from_millis(1_000 + random.below(most - 999) as u64);
        let (late, slow) = (within(most_ms), within(SLOW_MS));
        match random.below(4 * ONE_IN) {
            0 => Fault::Late(late),
            1 => Fault::Twice(late),
            2 => Fault::Cut,
            3 => Fault::Slow(slow),
            _ => Fault::Pass,
        }
    });
    scene.start("a");
    scene.start("b");
    scene.load(Duration::from_secs(load));
    scene.loaded();
    scene.wait_until_begun();
    let ground = scene.ground;
    scene.wait_for("ends of transactions that go wrong", |_| ground.ends_hurt() - before >= enough);
    let hurt = ground.ends_hurt() - before;
    // What is late goes on its way; what comes now passes.
    ground.set_ends(|| Fault::Pass);
    hurt
}
