//! What an operator does and sees, on a real broker and the real engine: topics, tables, `check`, dead letters, and
//! stages that meet bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod check_brokers;
mod check_clickhouse;
mod check_vendors;
mod https;
mod letters;
mod proposals;
mod registry;
mod stages;

use kafka::KafkaSettings;
use std::sync::{Arc, Mutex, Weak};
use support::{Bench, shared};
use test_broker::Settings;

/// The broker and the engine of this binary.
fn bench() -> Option<Arc<Bench>> {
    static BENCH: Mutex<Weak<Bench>> = Mutex::new(Weak::new());
    shared(&BENCH, || Bench::start(&Settings::plain(1)))
}

/// A test's own prefix of topics, database and folder for the program.
struct Place {
    name: &'static str,
    folder: tempfile::TempDir,
    settings: KafkaSettings,
}

impl Place {
    fn new(bench: &Bench, name: &'static str) -> Self {
        let settings = KafkaSettings::new(bench.cluster.bootstrap(), &format!("{name}."), name);
        let place = Self { name, folder: tempfile::tempdir().unwrap(), settings };
        place.configure(bench.url(), "");
        place
    }

    /// Writes the configuration; `more` comes first.
    fn configure(&self, clickhouse: &str, more: &str) {
        let (brokers, name) = (&self.settings.brokers, self.name);
        let text = format!(
            "{more}\n[kafka]\nbrokers = {brokers:?}\nprefix = \"{name}.\"\ninstance = \"{name}\"\n\
             [clickhouse]\nurl = {clickhouse:?}\ndatabase = \"{name}\"\n"
        );
        std::fs::write(self.folder.path().join("c.toml"), text).unwrap();
    }

    /// Runs the program; gives its exit code and what it wrote.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let (code, out, error) =
            common::run(self.folder.path(), &[&["--config", "c.toml"], arguments].concat());
        (code, format!("{out}{error}"))
    }

    fn expect(&self, code: i32, arguments: &[&str], says: &[&str]) -> String {
        let (is, text) = self.run(arguments);
        assert_eq!(is, code, "{arguments:?}: {text}");
        for line in says {
            assert!(text.contains(line), "{arguments:?} does not say {line:?}:\n{text}");
        }
        text
    }
}
