use crate::with_database;
use streamgauge_warehouse::{Database, Error, Target, dry_run, migrate};

/// What interfaces.md promises, by view.
const PROMISED: &[(&str, &str)] = &[
    (
        "deployments",
        "service, team, environment, tier, deployment_id, rollout_id, version, commit_sha, started_at, finished_at, \
         outcome, automated, failed, failure_evidence, rolled_back, recovered_at, changes, labels, change_ref, \
         approved, in_window, source",
    ),
    (
        "changes",
        "service, team, repo, commit_sha, authored_at, committed_at, deployment_id, deployed_at, lead_time_s, \
         start_evidence, author_kind, skewed, coding_s, pickup_s, review_s, waiting_s, deploying_s",
    ),
    (
        "pull_requests",
        "repo, number, first_commit_at, opened_at, first_reviewed_at, merged_at, merge_commit_sha, deployment_id, \
         deployed_at, coding_s, pickup_s, review_s, waiting_s, deploying_s",
    ),
    (
        "incidents",
        "service, team, incident_id, severity, status, started_at, detected_at, mitigated_at, resolved_at, cause, \
         deployment_id, failure_evidence, source",
    ),
    (
        "dora_windows",
        "scope, metric, window, as_of, value, null_reason, samples, p50, p75, p90, p95, mean, confirmed, inferred, \
         live, provisional, definition, rev, computed_at",
    ),
    ("dora_steps", "scope, metric, window, as_of, value, samples"),
    ("dora_latest", "scope, metric, window, as_of, value, samples"),
    ("pipeline_runs", "repo, run_id, attempt"),
    ("flag_changes", "flag, from, to"),
    ("scans", "finding"),
    ("events", "event_id, type, source, repo, service, occurred_at, observed_at, body"),
    ("panes", "scope, metric, grain, start, end, samples"),
    ("data_quality", "signal, subject, detail, remedy"),
    ("parked_events", "source, event_id, reason"),
    ("services", "service, team"),
    ("teams", "team"),
    ("scopes", "scope, kind, first_at, failure_source"),
    ("definitions", "key, value"),
];

#[test]
fn migrating_twice_changes_nothing() {
    with_database("migrated_twice", |warehouse| async move {
        let tables = "SELECT name, uuid FROM system.tables WHERE database = currentDatabase() ORDER BY name";
        let before = warehouse.ask(tables).await;
        let again = migrate(&warehouse.client, &warehouse.database, &Target::Embedded).await.unwrap();
        assert_eq!((again.applied, again.version), (vec![], 8));
        assert_eq!(warehouse.ask(tables).await, before);
        assert_eq!(warehouse.ask("SELECT count() FROM schema_migrations FINAL").await, "8\n");
    });
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    with_database("newer", |warehouse| async move {
        warehouse.ask("INSERT INTO schema_migrations SELECT 9, 'future', '', now64(3)").await;
        let error = migrate(&warehouse.client, &warehouse.database, &Target::Embedded).await.unwrap_err();
        assert!(matches!(error, Error::Newer { found: 9, known: 8, .. }), "{error}");
    });
}

#[test]
fn a_migration_that_was_cut_off_goes_on() {
    with_database("cut_off", |warehouse| async move {
        warehouse
            .ask("ALTER TABLE schema_migrations DELETE WHERE version >= 3 SETTINGS mutations_sync = 2")
            .await;
        warehouse.ask("DROP VIEW dora_latest").await;
        let report = migrate(&warehouse.client, &warehouse.database, &Target::Embedded).await.unwrap();
        assert_eq!(report.applied.len(), 6);
        assert_eq!(warehouse.ask("SELECT count() FROM dora_latest").await, "0\n");
    });
}

#[test]
fn every_table_and_every_column_has_a_comment() {
    with_database("commented", |warehouse| async move {
        let without =
            "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''";
        assert_eq!(warehouse.ask(without).await, "");
        let without = "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''";
        assert_eq!(warehouse.ask(without).await, "");
        assert_eq!(
            warehouse.ask("SELECT comment != '' FROM system.databases WHERE name = currentDatabase()").await,
            "1\n"
        );
    });
}

#[test]
fn every_promised_view_has_its_promised_columns() {
    with_database("promised", |warehouse| async move {
        for (view, columns) in PROMISED {
            let columns: Vec<String> = columns.split(", ").map(|name| format!("`{name}`")).collect();
            warehouse.ask(&format!("SELECT {} FROM {view} LIMIT 0", columns.join(", "))).await;
        }
    });
}

#[test]
fn a_view_has_the_columns_and_comments_of_its_table() {
    with_database("views", |warehouse| async move {
        let storage = "SELECT replaceOne(table, '_rows', '') AS view, name, type, replaceOne(comment, '', '') FROM \
             system.columns WHERE database = currentDatabase() AND table LIKE '%\\_rows' AND name NOT IN \
             ('is_deleted', 'task') AND table != 'dora_steps_rows' ORDER BY view, position";
        let views = "SELECT table AS view, name, type, comment FROM system.columns WHERE database = \
             currentDatabase() AND table || '_rows' IN (SELECT name FROM system.tables WHERE database = \
             currentDatabase()) AND table != 'dora_steps' ORDER BY view, position";
        assert_eq!(warehouse.ask(views).await, warehouse.ask(storage).await);
    });
}

#[test]
fn the_engine_understands_the_sql_for_a_cluster() {
    with_database("cluster_syntax", |warehouse| async move {
        for statement in dry_run(&Database::default(), &Target::cluster("dora").unwrap()) {
            let quoted = statement.sql.replace('\\', "\\\\").replace('\'', "\\'");
            assert!(!warehouse.ask(&format!("SELECT formatQuery('{quoted}')")).await.is_empty());
        }
    });
}
