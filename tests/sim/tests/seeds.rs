//! The simulator's runs: seeds are green, and every planted fault is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use streamgauge_sim::{Mutant, run};

/// Seeds of a plain run of the tests; `cargo xtask sim --seeds N` runs as many as wanted.
const SEEDS: u64 = 100;
/// Seeds within which each mutant must be caught.
const CAUGHT_WITHIN: u64 = 400;

/// Seeds that found something in the stages, with what. A change of the simulator gives its seeds other runs: then those
/// are looked for anew, by taking the repair back.
const FOUND: &[(u64, &str)] = &[
    (2, "a catalog was adopted between records, and what it moved was not told"),
    (3, "a transaction of corrections committed the offsets of records that waited"),
    (7, "a transaction of corrections that waited for its brokers held the next one up"),
    (15, "a catalog that came while nothing else did was followed an hour later"),
    (138, "a restore that another process overtook said that the state was lost"),
    (5862, "the same, while what the other process committed was not written everywhere yet"),
    (414, "partitions that went within a poll were ingested under the generation that took them away"),
    (1318, "a blame was taken back at the home that a service had by then, not where it had been told"),
];

#[test]
fn whatever_fails_the_tables_are_the_oracles_and_nothing_is_told_twice() {
    let failed: Vec<String> = (0..SEEDS)
        .chain(FOUND.iter().map(|(seed, _)| *seed))
        .filter_map(|seed| Some(format!("seed {seed}: {}", run(seed, None, false).wrong?)))
        .collect();
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_seed_is_one_run_byte_for_byte() {
    for seed in 0..5 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        let differs = one.lines.iter().zip(&other.lines).position(|(a, b)| a != b);
        assert_eq!((differs, one.lines.len()), (None, other.lines.len()), "seed {seed}");
        assert_eq!(one.hash, other.hash);
        assert_ne!(one.hash, run(seed + 1_000, None, false).hash);
    }
}

#[test]
fn every_planted_fault_is_caught() {
    let missed: Vec<&str> = Mutant::ALL
        .iter()
        .filter(|mutant| !(0..CAUGHT_WITHIN).any(|seed| run(seed, Some(**mutant), false).wrong.is_some()))
        .map(|mutant| mutant.name())
        .collect();
    assert!(missed.is_empty(), "not caught within {CAUGHT_WITHIN} seeds: {missed:?}");
}
