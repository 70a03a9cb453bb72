//! The one law with the program: an organisation's events, shuffled and each told three times, end in the same
//! tables as in their order.
//!
//! `cargo xtask law` runs it at the size of the acceptance, 50 services over 90 days, as a release build; a plain run
//! of the tests takes a smaller organisation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{assert_same, engine_is_there, ok, streamgauge, tables};
use std::path::Path;

/// `SERVICES,DAYS` of a larger organisation.
const SIZE: &str = "STREAMGAUGE_LAW_SIZE";

fn size() -> (String, String) {
    let stated = std::env::var(SIZE).unwrap_or_else(|_| "8,45".to_owned());
    let (services, days) = stated.split_once(',').unwrap_or_else(|| panic!("{SIZE} is SERVICES,DAYS"));
    (services.to_owned(), days.to_owned())
}

/// Fisher and Yates, by the numbers of `SplitMix64` from a fixed seed.
fn shuffle(lines: &mut [&str]) {
    let mut state = 20_260_101_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    };
    for last in (1..lines.len()).rev() {
        lines.swap(last, below(last + 1));
    }
}

fn import(folder: &Path, data: &str, partitions: &str) -> String {
    let output = streamgauge(folder)
        .args(["import", "events", "--catalog", "catalog.toml", "--data", data])
        .arg(format!("{data}.ndjson"))
        .env("STREAMGAUGE__PARTITIONS", partitions)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_organisation_shuffled_and_told_three_times_is_imported_into_the_same_tables() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (services, days) = size();
    let generate = ["generate", "--services", services.as_str()];
    let events = ok(folder, &[&generate[..], &["--days", days.as_str()]].concat());
    std::fs::write(folder.join("catalog.toml"), ok(folder, &[&generate[..], &["--print-catalog"]].concat()))
        .unwrap();
    std::fs::write(folder.join("straight.ndjson"), &events).unwrap();
    let mut lines: Vec<&str> = std::iter::repeat_n(events.lines(), 3).flatten().collect();
    shuffle(&mut lines);
    std::fs::write(folder.join("shuffled.ndjson"), lines.join("\n")).unwrap();
    let told = import(folder, "straight", "1");
    let shuffled = import(folder, "shuffled", "12");
    let copies = 2 * events.lines().count();
    assert!(shuffled.contains(&format!("{copies} records were there already")), "{shuffled}");
    let expected = tables(folder, "straight");
    assert!(expected.iter().all(|(_, rows)| !rows.is_empty()), "a table is empty");
    assert_same(&expected, &tables(folder, "shuffled"));
    let rows: usize = expected.iter().map(|(_, rows)| rows.lines().count()).sum();
    println!("{rows} rows equal after {}", told.lines().next().unwrap_or_default());
}
