//! Import by stage, in transactions of the size that the embedded run uses.

use crate::tasks::Tasks;
use crate::{Stage, input, memory};

/// Records of one transaction.
pub const BATCH: usize = 5_000;

pub fn measure(case: &str) -> Vec<Stage> {
    let mut input = input::open(case);
    let mut tasks = Tasks::new(&input);
    let base = memory::resident();
    let mut ingest = Stage::new("ingest (read, normalise)");
    let mut correlate = Stage::new("correlate");
    let mut aggregate = Stage::new("aggregate");
    let mut settle = Stage::new("aggregate: every window to its end");
    let mut encode = Stage::new("encode the changelog");
    loop {
        let batch: Vec<_> = input.records.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        ingest.items += batch.len();
        let events = ingest.time(base, || tasks.ingest(&batch));
        correlate.items += events.len();
        let out = correlate.time(base, || tasks.correlate(events));
        aggregate.items += out.contributions.len();
        aggregate.time(base, || tasks.aggregate(&out.contributions, false));
        encode.items += encode.time(base, || tasks.encode()).len();
    }
    settle.items = settle.time(base, || tasks.aggregate(&[], true)).len();
    encode.items += encode.time(base, || tasks.encode()).len();
    let all = Stage {
        name: "all of these".to_owned(),
        items: ingest.items,
        seconds: [&ingest, &correlate, &aggregate, &settle, &encode].iter().map(|stage| stage.seconds).sum(),
        peak: [&ingest, &correlate, &aggregate, &settle, &encode]
            .iter()
            .map(|stage| stage.peak)
            .max()
            .unwrap_or(0),
    };
    vec![ingest, correlate, aggregate, settle, encode, all]
}
