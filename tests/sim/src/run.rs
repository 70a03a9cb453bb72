//! One run: an organisation's records told to every stage while everything fails; then nothing fails any more, and
//! once it has come to rest every table is held against the oracle.

use crate::check;
use crate::mutant::Mutant;
use crate::story::Story;
use crate::world::World;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Turns while things fail, at most.
const TURNS: u64 = 1_200;
/// Rounds in which it must have come to rest.
const ROUNDS: u32 = 4_000;
/// Rounds without anything new before it counts as at rest.
const AT_REST: u32 = 12;
/// Time between two rounds, in microseconds; a longer pause follows where everything seems to rest.
const ROUND: i64 = 60_000;
/// How often everything must rest after a pause, before the long one.
const PAUSES: u32 = 2;
/// Longer than a session, a transaction and the pause between two corrections may last, in microseconds.
const PAUSE: i64 = 70_000_000;
/// Longer than any interval in which a stage does something by itself, in microseconds.
const LONG: i64 = 3_700_000_000;

/// What became of a run.
#[derive(Debug)]
pub struct Run {
    pub seed: u64,
    /// Of everything that happened, in order.
    pub hash: u64,
    /// How often what happened where.
    pub coverage: BTreeMap<String, u64>,
    /// What is wrong.
    pub wrong: Option<String>,
    /// What happened, where it was asked for.
    pub lines: Vec<String>,
}

/// Runs a seed.
pub fn run(seed: u64, mutant: Option<Mutant>, lines: bool) -> Run {
    let story = Story::of(seed);
    let world = World::new(seed, mutant, lines);
    let result = catch_unwind(AssertUnwindSafe(|| play(&world, &story)));
    let wrong = match result {
        Ok(wrong) => wrong,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("a panic: {}", text.unwrap_or_default()))
        }
    };
    world.lock().healed = true;
    let _ = catch_unwind(AssertUnwindSafe(|| world.clear()));
    let mut state = world.lock();
    let hash = state.trace.hash;
    let lines = state.trace.lines.take().unwrap_or_default();
    Run { seed, hash, coverage: std::mem::take(&mut state.coverage), wrong, lines }
}

fn play(world: &Arc<World>, story: &Story) -> Option<String> {
    story.set(world);
    let least = 200 + world.lock().below(400);
    for turn in 0..TURNS {
        world.turn();
        if let Some(wrong) = world.lock().wrong.clone() {
            return Some(wrong);
        }
        let told = {
            let cast = world.cast();
            cast.untold.is_empty() && cast.unpublished.is_empty()
        };
        if told && turn > least {
            break;
        }
    }
    world.heal();
    while !world.cast().untold.is_empty() {
        world.tell();
    }
    while !world.cast().unpublished.is_empty() {
        world.publish();
    }
    if !rests(world) {
        let wrong = world.lock().wrong.clone();
        return Some(wrong.unwrap_or_else(|| format!("it does not come to rest: {}", check::unread(world))));
    }
    check::everything(world, story)
}

/// Lets everybody work until nothing happens any more: not after members that died were missed and corrections came
/// due, and not after a long time.
fn rests(world: &Arc<World>) -> bool {
    let (mut quiet, mut stage, mut before) = (0, 0, -1);
    for _ in 0..ROUNDS {
        let places = world.cast().places();
        for place in places {
            world.step(place);
        }
        let mut state = world.lock();
        if state.wrong.is_some() {
            return false;
        }
        state.pass(ROUND);
        let written = state.log.written();
        let is_over = state.transactions.is_quiet() && state.stored.is_quiet();
        if stage > PAUSES && written != before {
            state.wrong("something was told only after a long time".to_owned());
            return false;
        }
        quiet = if is_over && written == before { quiet + 1 } else { 0 };
        if written != before {
            stage = 0;
        }
        before = written;
        drop(state);
        if quiet >= AT_REST && check::unread(world).is_empty() {
            if stage > PAUSES {
                return true;
            }
            world.lock().pass(if stage == PAUSES { LONG } else { PAUSE });
            (quiet, stage) = (0, stage + 1);
        }
    }
    false
}
