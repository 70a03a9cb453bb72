//! ClickHouse away, unsure, cut off, and full of parts.

use crate::door::Trouble;
use crate::organisation::Random;
use crate::scene::Scene;
use kafka::Stage;
use std::sync::Mutex;
use std::time::Duration;

/// One in so many inserts goes wrong.
const ONE_IN: usize = 2;
/// The table that merges nothing.
const TABLE: &str = "dora_steps_rows";

fn two_members(scene: &mut Scene<'_>, load: Duration) {
    scene.start("a");
    scene.start("b");
    scene.load(load);
    scene.wait_until_begun();
}

/// Inserts meet one of these troubles now and then, until enough did.
fn troubled(scene: &mut Scene<'_>, troubles: &'static [Trouble], enough: u64) -> u64 {
    let random = Mutex::new(Random(scene.random.below(1 << 30) as u64));
    let before = scene.ground.door.met().1;
    scene.ground.door.set(move |is_insert| {
        let mut random = random.lock().unwrap();
        if is_insert && random.below(ONE_IN) == 0 {
            troubles[random.below(troubles.len())]
        } else {
            Trouble::Pass
        }
    });
    let ground = scene.ground;
    scene.wait_for("inserts that go wrong", |_| ground.door.met().1 - before >= enough);
    scene.loaded();
    ground.door.set(|_| Trouble::Pass);
    ground.door.met().1 - before
}

/// Answered wrongly after the insert was applied.
pub fn failed(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(8));
    let enough = scene.sized(30, 8);
    troubled(scene, &[Trouble::Failed, Trouble::Unknown], enough)
}

/// Cut in the middle of the body, or before the answer.
pub fn cut(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(8));
    let enough = scene.sized(30, 8);
    troubled(scene, &[Trouble::CutBody, Trouble::CutAnswer], enough)
}

/// Sets something of every table that stores rows.
fn set_of_tables(scene: &mut Scene<'_>, setting: &str) {
    let name = scene.name.clone();
    let query = format!("SELECT name FROM system.tables WHERE database = '{name}' AND name LIKE '%\\_rows'");
    let tables = scene.ground.ask(&name, &query).unwrap();
    for table in tables.lines() {
        let set = scene.ground.ask(&name, &format!("ALTER TABLE {table} MODIFY SETTING {setting}"));
        scene.expect(set.is_ok(), format!("{table}: {set:?}"));
    }
}

/// Answers are lost, then nobody answers for longer than the window in which the same block is known again: the engine
/// is told to keep one. The stages before the loader go on meanwhile, and say that only it fails.
pub fn away(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(6));
    set_of_tables(scene, "non_replicated_deduplication_window = 1");
    let ground = scene.ground;
    let before = ground.door.met().1;
    ground.door.set(|is_insert| if is_insert { Trouble::CutAnswer } else { Trouble::Pass });
    scene.wait_for("answers that are lost", |_| ground.door.met().1 - before >= 4);
    ground.door.set(|_| Trouble::Refused);
    scene.loaded();
    let stages = [Stage::Ingest, Stage::Correlate, Stage::Aggregate];
    scene.wait_for("the stages before the loader go on while ClickHouse is away", |scene| {
        stages.iter().all(|stage| scene.lag(*stage) == Some(0.0))
    });
    let failing = |scene: &Scene<'_>, stage: Stage| {
        let labels = [("stage", stage.as_str())];
        scene.sum("streamgauge_stage_ready", &labels) < scene.members().len() as f64
    };
    scene.wait_for("the loader says that it is not ready", |scene| failing(scene, Stage::Load));
    scene.pause(5_000, 10_000);
    let behind = scene.sum("streamgauge_stage_restarts_total", &[("stage", "load")]);
    scene.notes.push(format!("load was started again {behind} times"));
    for stage in stages {
        let restarts = scene.sum("streamgauge_stage_restarts_total", &[("stage", stage.as_str())]);
        scene.expect(restarts == 0.0, format!("{stage} was started again {restarts} times"));
    }
    let met = ground.door.met().1 - before;
    ground.door.set(|_| Trouble::Pass);
    met
}

/// Too many parts, by the engine itself: it is told to take few, and not to merge.
pub fn parts(scene: &mut Scene<'_>) -> u64 {
    two_members(scene, Duration::from_secs(8));
    let name = scene.name.clone();
    let ask = |scene: &mut Scene<'_>, query: &str| {
        let answer = scene.ground.ask(&name, query);
        scene.expect(answer.is_ok(), format!("{query}: {answer:?}"));
    };
    let limits = "parts_to_delay_insert = 0, parts_to_throw_insert = 2";
    ask(scene, &format!("SYSTEM STOP MERGES `{name}`.{TABLE}"));
    ask(scene, &format!("ALTER TABLE {TABLE} MODIFY SETTING {limits}"));
    scene.loaded();
    let members = ["a", "b"];
    let refused = |scene: &Scene<'_>| -> usize {
        members.iter().map(|member| scene.log(member).matches("Too many parts").count()).sum()
    };
    let wanted = scene.sized(6, 2);
    scene.wait_for("inserts that are refused for too many parts", |scene| refused(scene) >= wanted);
    let times = refused(scene);
    ask(scene, &format!("ALTER TABLE {TABLE} RESET SETTING parts_to_delay_insert, parts_to_throw_insert"));
    ask(scene, &format!("SYSTEM START MERGES `{name}`.{TABLE}"));
    times as u64
}
