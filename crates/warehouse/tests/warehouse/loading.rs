use crate::facts::{at, deployment, one_of_each};
use crate::{load, stamp, with_database};
use model::fact::*;
use model::{Definitions, DeliveryEvent, Scope};
use streamgauge_warehouse::rows::{DeploymentRow, PaneRow, StepRow, Stored};
use streamgauge_warehouse::{Limits, Loader, Stamp};

const VIEWS: [&str; 15] = [
    "deployments",
    "changes",
    "pull_requests",
    "incidents",
    "pipeline_runs",
    "flag_changes",
    "scans",
    "parked_events",
    "data_quality",
    "dora_steps",
    "panes",
    "services",
    "teams",
    "scopes",
    "definitions",
];

#[test]
fn the_same_rows_twice_are_the_same_tables_and_deleting_them_empties_them() {
    with_database("twice", |warehouse| async move {
        let rows: Vec<RowChange> = one_of_each().into_iter().map(RowChange::Upsert).collect();
        let mut loader = warehouse.loader();
        let report = load(&mut loader, 5, &rows).await.unwrap();
        assert_eq!((report.total(), report.inserts, report.retries), (15, 15, 0));
        let mut before = Vec::new();
        for view in VIEWS {
            before.push(warehouse.content(view).await);
            assert_eq!(before.last().unwrap().lines().count(), 1, "{view}");
        }
        load(&mut loader, 5, &rows).await.unwrap();
        let mut reversed = rows.clone();
        reversed.reverse();
        load(&mut loader, 6, &reversed).await.unwrap();
        for (view, before) in VIEWS.iter().zip(&before) {
            assert_eq!(&warehouse.content(view).await, before, "{view}");
        }
        let gone: Vec<RowChange> = rows.iter().map(|row| RowChange::Delete(row.key())).collect();
        load(&mut loader, 7, &gone).await.unwrap();
        // An older version that comes late changes nothing.
        load(&mut loader, 4, &rows).await.unwrap();
        for view in VIEWS {
            assert_eq!(warehouse.content(view).await, "", "{view}");
        }
        load(&mut loader, 8, &rows).await.unwrap();
        for (view, before) in VIEWS.iter().zip(&before) {
            assert_eq!(&warehouse.content(view).await, before, "{view} after its return");
        }
    });
}

#[test]
fn every_field_of_a_fact_is_a_column_of_its_view() {
    with_database("fields", |warehouse| async move {
        for (view, row) in VIEWS.iter().zip(one_of_each()) {
            // The fact's JSON, out of the variant's; what a pane holds is flat in its view.
            let json = serde_json::to_value(&row).unwrap();
            let mut fact = json.as_object().unwrap().values().next().unwrap().as_object().unwrap().clone();
            if let Some(serde_json::Value::Object(delta)) = fact.remove("delta") {
                fact.extend(delta);
            }
            let columns: Vec<String> = fact.keys().map(|name| format!("`{name}`")).collect();
            warehouse.ask(&format!("SELECT {} FROM {view} LIMIT 0", columns.join(", "))).await;
        }
    });
}

#[test]
fn a_row_reads_back_as_it_was_written() {
    with_database("round_trip", |warehouse| async move {
        let rows: Vec<RowChange> = one_of_each().into_iter().map(RowChange::Upsert).collect();
        let stamp = Stamp { task: 7, ..stamp(u64::MAX) };
        let mut loader = warehouse.loader();
        rows.iter().for_each(|change| loader.push(change, stamp, &"abc".into()));
        loader.flush().await.unwrap();
        let client = warehouse.inside();
        let mut expected = DeploymentRow::from(&deployment("d1"));
        expected.stamp(stamp, false);
        let found: DeploymentRow =
            client.query("SELECT ?fields FROM deployments_rows").fetch_one().await.unwrap();
        assert_eq!(found, expected);
        let (mut steps, mut panes) = (Vec::new(), Vec::new());
        for row in one_of_each() {
            match row {
                Row::Step(step) => steps.push(StepRow { definition: "abc".into(), ..step.as_ref().into() }),
                Row::Pane(pane) => panes.push(PaneRow::from(pane.as_ref())),
                _ => {}
            }
        }
        steps[0].stamp(stamp, false);
        panes[0].stamp(stamp, false);
        let found: StepRow = client.query("SELECT ?fields FROM dora_steps_rows").fetch_one().await.unwrap();
        assert_eq!(found, steps[0]);
        let found: PaneRow = client.query("SELECT ?fields FROM panes_rows").fetch_one().await.unwrap();
        assert_eq!(found, panes[0]);
        let body = warehouse.ask("SELECT body = '{\"a\":\"\\0é\"}' FROM parked_events").await;
        assert_eq!(body, "1\n", "a zero byte is kept");
    });
}

#[test]
fn a_small_limit_makes_many_inserts_and_the_same_table() {
    with_database("small_limit", |warehouse| async move {
        let rows: Vec<RowChange> = (0..25)
            .map(|number| RowChange::Upsert(Row::Deployment(Box::new(deployment(&format!("d{number:02}"))))))
            .collect();
        let limits = Limits { max_rows: 10, ..Limits::default() };
        let mut loader = Loader::new(warehouse.inside(), limits);
        let report = load(&mut loader, 1, &rows).await.unwrap();
        assert_eq!((report.inserts, report.rows["deployments_rows"]), (3, 25));
        assert_eq!(
            warehouse.ask("SELECT count(), uniqExact(deployment_id) FROM deployments").await,
            "25\t25\n"
        );
    });
}

#[test]
fn a_table_that_is_not_there_fails_at_once_with_its_name() {
    with_database("missing_table", |warehouse| async move {
        warehouse.ask("DROP TABLE deployments_rows").await;
        let rows = [RowChange::Upsert(Row::Deployment(Box::new(deployment("d"))))];
        let error = load(&mut warehouse.loader(), 1, &rows).await.unwrap_err().to_string();
        assert!(error.contains("deployments_rows") && error.contains("after 1 attempts"), "{error}");
    });
}

#[test]
fn a_server_that_does_not_answer_is_tried_a_bounded_number_of_times() {
    with_database("unreachable", |_| async move {
        let pause = std::time::Duration::from_millis(1);
        let limits = Limits { attempts: 3, first_pause: pause, longest_pause: pause, ..Limits::default() };
        let client = streamgauge_warehouse::client("http://127.0.0.1:1").with_database("x");
        let rows = [RowChange::Upsert(Row::Deployment(Box::new(deployment("d"))))];
        let error = load(&mut Loader::new(client, limits), 1, &rows).await.unwrap_err();
        assert!(error.to_string().contains("after 3 attempts"), "{error}");
    });
}

#[test]
fn only_full_tables_are_inserted_before_a_flush_and_what_is_cleared_is_not() {
    with_database("full_tables", |warehouse| async move {
        let limits = Limits { max_rows: 3, ..Limits::default() };
        let mut loader = Loader::new(warehouse.inside(), limits);
        let deployments =
            ["a", "b", "c"].map(|id| RowChange::Upsert(Row::Deployment(Box::new(deployment(id)))));
        let others: Vec<RowChange> = one_of_each().into_iter().skip(1).map(RowChange::Upsert).collect();
        for change in &deployments[..2] {
            loader.push(change, stamp(1), &"abc".into());
        }
        assert_eq!(loader.flush_full().await.unwrap().total(), 0);
        for change in others.iter().chain(&deployments[2..]) {
            loader.push(change, stamp(1), &"abc".into());
        }
        let report = loader.flush_full().await.unwrap();
        assert_eq!((report.total(), report.rows["deployments_rows"]), (3, 3));
        let (rows, bytes) = loader.buffered();
        assert!(rows == 14 && bytes > 0, "{rows} rows, {bytes} bytes");
        loader.clear();
        assert_eq!(loader.buffered(), (0, 0));
        assert_eq!(loader.flush().await.unwrap().total(), 0);
        assert_eq!(warehouse.ask("SELECT count() FROM deployments").await, "3\n");
        assert_eq!(warehouse.ask("SELECT count() FROM incidents").await, "0\n");
    });
}

#[test]
fn after_a_failed_flush_nothing_waits_and_the_same_again_is_stored_once() {
    with_database("failed_flush", |warehouse| async move {
        let rows: Vec<RowChange> = one_of_each().into_iter().map(RowChange::Upsert).collect();
        let mut loader = warehouse.loader();
        warehouse.ask("RENAME TABLE incidents_rows TO away").await;
        load(&mut loader, 1, &rows).await.unwrap_err();
        assert_eq!(loader.buffered(), (0, 0));
        warehouse.ask("RENAME TABLE away TO incidents_rows").await;
        load(&mut loader, 1, &rows).await.unwrap();
        for view in VIEWS {
            assert_eq!(warehouse.content(view).await.lines().count(), 1, "{view}");
        }
    });
}

/// Every order of some items.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(index);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

#[test]
fn a_thing_that_moves_to_another_home_is_one_row_whatever_order_its_two_tasks_are_loaded_in() {
    with_database("moved", |warehouse| async move {
        let things: Vec<Row> =
            one_of_each().into_iter().filter(|row| !matches!(row, Row::Step(_) | Row::Pane(_))).collect();
        let views = VIEWS.iter().filter(|view| !matches!(**view, "dora_steps" | "panes"));
        let put = || things.iter().cloned().map(RowChange::Upsert).collect::<Vec<_>>();
        let gone = || things.iter().map(|row| RowChange::Delete(row.key())).collect::<Vec<_>>();
        // Task 3 has made many more transactions than task 8: their versions say nothing to each other.
        let told = [((3, 900), put()), ((3, 901), gone()), ((8, 2), put())];
        let mut once = warehouse.loader();
        put().iter().for_each(|change| once.push(change, stamp(1), &"abc".into()));
        once.flush().await.unwrap();
        let mut expected = Vec::new();
        for view in views.clone() {
            expected.push(warehouse.content(view).await);
        }
        let storage =
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%\\_rows'";
        for order in orders(&told) {
            for table in warehouse.ask(storage).await.lines() {
                warehouse.ask(&format!("TRUNCATE TABLE {table}")).await;
            }
            let mut loader = warehouse.loader();
            for ((task, rev), changes) in &order {
                let stamp = Stamp { task: *task, ..stamp(*rev) };
                changes.iter().for_each(|change| loader.push(change, stamp, &"abc".into()));
                loader.flush().await.unwrap();
            }
            for (view, expected) in views.clone().zip(&expected) {
                let versions: Vec<_> = order.iter().map(|(version, _)| version).collect();
                assert_eq!(&warehouse.content(view).await, expected, "{view} after {versions:?}");
                let hidden = format!("SELECT rev FROM {view}");
                assert_eq!(warehouse.ask(&hidden).await, "2\n", "{view} after {versions:?}");
            }
        }
    });
}

#[test]
fn a_scope_is_what_every_task_says_of_it() {
    with_database("scopes", |warehouse| async move {
        let scope = |first_at: &str, failure_source| {
            let scope = Scope::new("team:payments");
            Row::Scope(Box::new(ScopeDimension { scope, first_at: at(first_at), failure_source }))
        };
        let mut loader = warehouse.loader();
        let definitions = Definitions { failure_window: None, ..Definitions::default() };
        let definitions = DefinitionDimension::of(&definitions);
        let rows = definitions.into_iter().map(|row| RowChange::Upsert(Row::Definition(Box::new(row))));
        load(&mut loader, 1, &rows.collect::<Vec<_>>()).await.unwrap();
        let told = [
            (0, 4, RowChange::Upsert(scope("2026-01-03T00:00:00Z", false))),
            (1, 1, RowChange::Upsert(scope("2026-01-01T00:00:00Z", false))),
            (2, 9, RowChange::Upsert(scope("2026-01-02T00:00:00Z", true))),
        ];
        for (task, rev, change) in &told {
            loader.push(change, Stamp { task: *task, ..stamp(*rev) }, &"abc".into());
        }
        loader.flush().await.unwrap();
        let scopes = warehouse.reader().scopes().await.unwrap();
        let [found] = scopes.as_slice() else { panic!("{scopes:?}") };
        assert_eq!((found.scope.as_str(), found.kind.as_str()), ("team:payments", "team"));
        assert_eq!((found.first_at, found.failure_source), (at("2026-01-01T00:00:00Z"), true));
        let blind = "SELECT count() FROM dora_blind_spots";
        assert_eq!(warehouse.ask(blind).await, "0\n");
        // What remains when a task no longer has anything in it.
        let gone = RowChange::Delete(told[2].2.key());
        loader.push(&gone, Stamp { task: 2, ..stamp(10) }, &"abc".into());
        loader.flush().await.unwrap();
        assert!(!warehouse.reader().scopes().await.unwrap()[0].failure_source);
        assert_eq!(warehouse.ask(blind).await, "12\n");
        assert_eq!(
            warehouse.ask("SELECT key, value FROM definitions WHERE key IN ('timezone', 'failure_window_s') ORDER BY key").await,
            "failure_window_s\t\ntimezone\tUTC\n"
        );
    });
}

#[test]
fn a_record_is_archived_once_and_its_copy_with_other_content_beside_it() {
    with_database("archive", |warehouse| async move {
        let event = |service: &str| -> DeliveryEvent {
            let json = format!(
                r#"{{"id":"1","type":"deployment","occurred_at":"2018-01-01T00:00:00Z","observed_at":"2018-01-01T00:00:00Z",
                "source":"ci","service":"{service}","deployment":{{"deployment_id":"d1","environment":"production","state":"succeeded"}}}}"#
            );
            model::json::from_slice(json.as_bytes()).unwrap()
        };
        let mut loader = warehouse.loader();
        for (rev, service) in [(1, "a"), (1, "b"), (1, "a"), (2, "b")] {
            loader.push_event(&event(service), stamp(rev));
        }
        loader.flush().await.unwrap();
        assert_eq!(
            warehouse.ask("SELECT service, type, JSONExtractString(body, 'deployment', 'deployment_id') FROM events ORDER BY service").await,
            "a\tdeployment\td1\nb\tdeployment\td1\n"
        );
        let hash = warehouse.ask("SELECT hash FROM events WHERE service = 'a'").await;
        let expected: String = event("a").content_hash().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash.trim(), expected);
    });
}

#[test]
fn a_question_mark_in_a_users_statement_is_kept() {
    with_database("question", |warehouse| async move {
        assert_eq!(warehouse.ask("SELECT 'why??' || '?' AS q FORMAT CSV").await, "\"why???\"\n");
    });
}
