//! The table of sources, what is said of them, their files and their folders agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod page;

use common::seeds::{DELIVERIES, answered, facts};
use common::{deliveries, files, kept, payload_folder, payloads, received_at};
use model::metric::Metric;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use streamgauge_sources::{FEEDS, Outcome, SHARED_DROP, SOURCES, feed, source};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names of the folders in a folder.
fn folders(path: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Which file each row of the table names: `read: gitlab::read` is `gitlab.rs`.
fn files_of_rows() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(here("src/lib.rs")).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split("Source { name: \"")
        .skip(1)
        .map(|row| {
            let (name, rest) = row.split_once('"').unwrap();
            let (_, facts) = rest.split_once("facts: &").unwrap();
            let file = facts.split_once("::FACTS").unwrap().0.replace("::", "/");
            (name.to_owned(), format!("{file}.rs"))
        })
        .collect()
}

#[test]
fn the_page_of_sources_is_what_the_table_says() {
    let found = kept(&here("../../docs/sources.md"), &page::page());
    assert!(found.is_ok(), "docs/sources.md is stale: `cargo xtask docs` writes it anew");
}

#[test]
fn every_row_has_a_file_a_golden_folder_and_a_section_and_every_one_of_these_a_row() {
    let rows: BTreeSet<String> = SOURCES.iter().map(|source| source.name.to_owned()).collect();
    let of_rows = files_of_rows();
    assert_eq!(of_rows.keys().cloned().collect::<BTreeSet<_>>(), rows);

    for (name, file) in &of_rows {
        assert!(here("src").join(file).is_file(), "{name} has no file src/{file}");
    }
    let with_facts: BTreeSet<String> = sources_with_facts(&here("src"), "");
    assert_eq!(with_facts, of_rows.into_values().collect(), "a file with FACTS has a row, and one only");

    // The presets of mappings have folders, and no row.
    let read: BTreeSet<String> =
        rows.iter().cloned().chain(mapping::PRESETS.iter().map(|preset| preset.name.to_owned())).collect();
    for folder in ["tests/payloads", "tests/golden"] {
        assert_eq!(
            folders(&here(folder)),
            read,
            "{folder} has a folder for each row and preset and no other"
        );
    }
    for name in &rows {
        let goldens = files(&here("tests/golden").join(name));
        let payloads = files(&payload_folder().join(name));
        assert!(
            payloads.iter().all(|path| goldens.iter().any(|golden| golden.file_name() == path.file_name()))
        );
        let told = |path: &PathBuf| std::fs::read_to_string(path).unwrap().starts_with('[');
        assert!(goldens.iter().any(told), "no payload of {name} tells an event");
    }

    let page = std::fs::read_to_string(here("../../docs/sources.md")).unwrap();
    let sections: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("### ").map(str::to_owned)).collect();
    assert_eq!(sections, rows);
}

/// The files below `src` that say what is to be known of a source.
fn sources_with_facts(folder: &Path, below: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(sources_with_facts(&entry.path(), &format!("{name}/")));
        } else if std::fs::read_to_string(entry.path()).unwrap().contains("pub(crate) const FACTS: Facts") {
            found.insert(name);
        }
    }
    found
}

/// [`answered`] holds what is told and dropped against the rows: here with every payload as it was delivered.
#[test]
fn a_row_lists_what_its_payloads_tell_and_why_they_are_dropped_and_nothing_that_none_tells() {
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for seed in DELIVERIES.iter() {
        // What GitHub tells of packages may come under both of its names.
        let also = (seed.source == "ghcr").then_some("github");
        for name in [Some(seed.source.as_str()), also].into_iter().flatten() {
            if let (Outcome::Emit(events), Some(row)) =
                (answered(name, &seed.headers, &seed.body), source(name))
            {
                told.entry(row.name).or_default().extend(events.iter().map(|e| e.body.type_name()));
            }
        }
    }
    // In the settings of the delivery, too: `answered` reads every source in UTC.
    for delivery in deliveries() {
        if let Outcome::Drop(reason) = delivery.told(received_at()) {
            let word = reason.as_str();
            let is_preset = source(&delivery.source).is_none();
            let listed =
                is_preset || word == SHARED_DROP || facts(&delivery.source).any(|facts| facts.lists(word));
            assert!(listed, "{} is dropped as {word}, which its row does not list", delivery.name.display());
        }
    }
    if payloads().is_none() {
        return;
    }
    for row in SOURCES {
        let never: Vec<&str> =
            row.facts.emits.split_whitespace().filter(|kind| !told[row.name].contains(kind)).collect();
        assert!(never.is_empty(), "no payload of {} tells {never:?}", row.name);
    }
}

#[test]
fn every_row_says_all_that_the_page_needs() {
    for row in SOURCES {
        let (name, facts) = (row.name, row.facts);
        let texts = [facts.description, facts.emits, facts.times].into_iter().chain(facts.seen);
        let texts = texts.chain(facts.set_up.iter().copied()).chain(facts.limits.iter().copied());
        assert!(texts.clone().all(|text| !text.trim().is_empty()), "{name} leaves something empty");
        assert!((1..=4).contains(&facts.set_up.len()), "{name}: setting up takes one to four lines");
        assert!(!facts.limits.is_empty(), "{name} says nothing of its limits");
        assert!(
            texts.clone().all(|text| !text.contains("  ") && !text.contains('\n')),
            "{name}: a line each"
        );
        let listed: Vec<&str> = facts.drops.split_whitespace().collect();
        assert!(listed.windows(2).all(|pair| pair[0] < pair[1]), "{name}: drops are sorted, each once");
    }
}

/// Whether a payload of the vendor's own was seen is said in the file's head and in its row alike.
#[test]
fn the_head_of_a_file_and_its_row_agree_on_whether_a_live_payload_was_seen() {
    for (name, file) in files_of_rows() {
        let text = std::fs::read_to_string(here("src").join(&file)).unwrap();
        let head: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let none = head.join(" ").contains("No live payload seen");
        assert_eq!(none, source(&name).unwrap().facts.seen.is_none(), "{name}: src/{file}");
    }
}

#[test]
fn every_type_of_event_has_one_row_of_what_it_is_for_and_every_metric_is_fed() {
    let canonical = source("canonical").unwrap().facts;
    let types: Vec<&str> = FEEDS.iter().map(|feed| feed.event).collect();
    assert_eq!(types, canonical.emits.split_whitespace().collect::<Vec<_>>());
    for row in SOURCES {
        assert!(row.facts.emits.split_whitespace().all(|kind| feed(kind).is_some()), "{}", row.name);
    }
    for metric in Metric::ALL {
        assert!(FEEDS.iter().any(|feed| feed.metrics.contains(metric)), "nothing feeds {metric:?}");
    }
}
