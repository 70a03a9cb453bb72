//! The rendered SQL of the three targets. `UPDATE_GOLDEN=1` writes the files anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use streamgauge_warehouse::{Database, Target, dry_run};

fn rendered(target: &Target) -> String {
    dry_run(&Database::default(), target)
        .into_iter()
        .map(|statement| format!("-- {:03} {}\n{};\n\n", statement.version, statement.name, statement.sql))
        .collect()
}

fn check(target: &Target, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let sql = rendered(target);
    assert!(!sql.contains("${"), "a placeholder is left");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &sql).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(sql == golden, "{file} differs; UPDATE_GOLDEN=1 writes it anew, git diff shows what changed");
}

#[test]
fn the_embedded_engine_and_a_server_get_the_same_plain_sql() {
    check(&Target::Embedded, "server.sql");
    check(&Target::Server, "server.sql");
}

#[test]
fn a_cluster_gets_replicated_tables_under_distributed_ones() {
    let target = Target::cluster("dora").unwrap();
    check(&target, "cluster.sql");
    let statements = dry_run(&Database::default(), &target);
    let creates = statements.iter().filter(|one| one.sql.starts_with("CREATE"));
    assert!(creates.clone().all(|one| one.sql.contains("ON CLUSTER 'dora'")));
    let count = |text: &str| creates.clone().filter(|one| one.sql.contains(text)).count();
    assert_eq!(count("ENGINE = ReplicatedReplacingMergeTree("), count("ENGINE = Distributed('dora'"));
}

#[test]
fn a_database_of_another_name_is_named_everywhere() {
    let database = Database::new("other").unwrap();
    for statement in dry_run(&database, &Target::cluster("dora").unwrap()) {
        assert!(!statement.sql.contains("streamgauge"), "{}", statement.sql);
    }
}
