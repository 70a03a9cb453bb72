//! The page of guarantees names the faults and tests that show each: they exist.

use crate::faults::FAULTS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The project's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of every source file of a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_guarantee_names_faults_and_tests_that_exist() {
    let page = std::fs::read_to_string(project().join("docs/guarantees.md")).unwrap();
    let faults: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(faults.len(), FAULTS.len(), "two faults of one name");
    let mut code = String::new();
    ["crates", "tests"].iter().for_each(|folder| sources(&project().join(folder), &mut code));
    let mut rows = 0;
    let (_, guaranteed) = page.split_once("\n## Guaranteed\n").unwrap();
    let (guaranteed, _) = guaranteed.split_once("\n## ").unwrap();
    for row in guaranteed.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let shown = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing shows it: {row}");
        for name in names {
            let exists = faults.contains(name) || code.contains(&format!("fn {name}("));
            assert!(exists, "{name} is neither a fault nor a test: {row}");
        }
        rows += 1;
    }
    assert!(rows > 10, "{rows} rows of the page name what shows them");
}
