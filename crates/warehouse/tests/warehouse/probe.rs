use crate::{stamp, with_database};
use streamgauge_warehouse::{Database, Target, grants, pending, probe};

#[test]
fn tables_as_the_migrations_made_them_do_not_differ() {
    with_database("as_made", |warehouse| async move {
        let differences = |target: Target| {
            let (client, database) = (warehouse.client.clone(), warehouse.database.clone());
            async move { probe::differences(&client, &database, &target).await.unwrap() }
        };
        assert_eq!(differences(Target::Embedded).await, []);
        assert_eq!(differences(Target::Server).await, []);
        let cluster = differences(Target::cluster("c").unwrap()).await;
        assert!(cluster.iter().any(|one| one.object == "scans_rows_local" && one.breaks), "{cluster:?}");
        assert_eq!(pending(&warehouse.client, &warehouse.database).await.unwrap(), []);
        let none = Database::new("never_made").unwrap();
        assert_eq!(pending(&warehouse.client, &none).await.unwrap().len(), 8);
    });
}

#[test]
fn what_somebody_altered_is_named() {
    with_database("altered", |warehouse| async move {
        warehouse.ask("ALTER TABLE teams_rows ADD COLUMN budget UInt64").await;
        warehouse.ask("ALTER TABLE scans_rows MODIFY COLUMN finding LowCardinality(String)").await;
        warehouse.ask("ALTER TABLE changes_rows DROP COLUMN coding_s").await;
        warehouse.ask("DROP TABLE panes_rows").await;
        warehouse.ask("CREATE TABLE panes_rows (scope String) ENGINE = MergeTree ORDER BY scope").await;
        warehouse.ask("DROP VIEW dora_latest").await;
        let found =
            probe::differences(&warehouse.client, &warehouse.database, &Target::Server).await.unwrap();
        let says = |object: &str, what: &str, breaks: bool| {
            assert!(
                found
                    .iter()
                    .any(|one| one.object == object && one.what.contains(what) && one.breaks == breaks),
                "{object}: {what}: {found:?}"
            );
        };
        says("teams_rows", "a column budget that no migration made", false);
        says("scans_rows", "its column finding is LowCardinality(String), not String", true);
        says("changes_rows", "its column coding_s is missing", true);
        says("panes_rows", "its engine is MergeTree, not ReplacingMergeTree", true);
        says("panes_rows", "it is ordered by (scope), not (scope, metric, grain, start)", true);
        says("dora_latest", "is missing", true);
    });
}

#[test]
fn a_row_that_was_acknowledged_is_read_and_no_view_shows_it() {
    with_database("own_writes", |warehouse| async move {
        let before = warehouse.content("definitions").await;
        for rev in 1..=2 {
            let now =
                model::Timestamp::from_micros(stamp(rev).computed_at.micros() + i64::try_from(rev).unwrap());
            assert!(probe::read_your_writes(&warehouse.inside(), now).await.unwrap());
        }
        assert_eq!(warehouse.content("definitions").await, before);
        let server = probe::server(&warehouse.client).await.unwrap();
        assert!(server.is_recent() && server.readonly == 0, "{server:?}");
        let disks = probe::disks(&warehouse.client).await.unwrap();
        assert!(disks.iter().any(|disk| disk.total > disk.free && disk.free > 0), "{disks:?}");
    });
}

#[test]
fn the_grants_are_statements_that_clickhouse_understands() {
    with_database("granting", |warehouse| async move {
        let user = Database::new("dora").unwrap();
        for target in [Target::Server, Target::cluster("main").unwrap()] {
            let sql = grants(&user, &warehouse.database, &target);
            let statements: Vec<&str> =
                sql.lines().filter(|line| !line.starts_with("--") && !line.is_empty()).collect();
            assert!(statements.len() > 50, "{sql}");
            for statement in statements {
                let statement = statement.strip_suffix(';').unwrap();
                assert!(!warehouse.ask(&format!("EXPLAIN AST {statement}")).await.is_empty(), "{statement}");
            }
        }
    });
}
