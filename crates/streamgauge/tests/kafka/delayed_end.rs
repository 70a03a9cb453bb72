//! Ends of transactions that come late, twice, or whose answers are lost, and the same tables.

use crate::measured::sized;
use crate::organisation::{Organisation, Random};
use crate::outputs;
use crate::stage::{Stage, shared};
use std::sync::Mutex;
use std::time::Duration;
use test_broker::Fault;

/// One in so many ends of transactions goes wrong.
const ONE_IN: usize = 4;
/// The longest delay of a request in seconds, and that of an answer.
const LATE_S: usize = 10;
const SLOW_S: usize = 3;
/// Faults that must have happened for the test to say anything.
const ENOUGH: u64 = 20;

#[test]
fn whatever_happens_to_ends_of_transactions_the_tables_are_those_of_the_embedded_run() {
    let Some(shared) = shared() else { return };
    let shared = &*shared;
    let (services, days, chunks) = sized((50, 90, 60), (6, 20, 20));
    let organisation = Organisation::new(services, days);
    let mut stage = Stage::proxied(shared, &organisation, "ends", 3);
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let random = Mutex::new(Random(seed));
    shared.proxy.set(move |_| {
        let mut random = random.lock().unwrap();
        let mut seconds =
            |most: usize| Duration::from_millis(1_000 + random.below(most * 1_000 - 999) as u64);
        let (late, slow) = (seconds(LATE_S), seconds(SLOW_S));
        match random.below(4 * ONE_IN) {
            0 => Fault::Late(late),
            1 => Fault::Twice(late),
            2 => Fault::Cut,
            3 => Fault::Slow(slow),
            _ => Fault::Pass,
        }
    });
    stage.start("a", &[]);
    stage.start("b", &[]);
    // Not all at once: transactions are to be open whenever something late comes.
    for records in organisation.records.chunks(organisation.records.len().div_ceil(chunks)) {
        stage.send(records);
        std::thread::sleep(Duration::from_secs(1));
    }
    stage.expect_equal();
    let (ends, faults) = shared.proxy.met();
    eprintln!("{ends} ends of transactions, {faults} faults");
    assert!(faults >= ENOUGH, "only {faults} of {ends} ends of transactions went wrong");
    shared.proxy.set(|_| Fault::Pass);
    outputs::expect_each_event_once(&stage.settings(), &organisation.records);
    outputs::expect_versions_to_rise(&stage.settings());
}
