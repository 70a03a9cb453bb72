use crate::facts::deployment;
use crate::{Warehouse, stamp, with_database};
use model::fact::{DefinitionDimension, Deployment, Row, RowChange, ScopeDimension};
use model::metric::{DoraStep, Metric, Window};
use model::{Definitions, Generation, Scope, Span, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use streamgauge_warehouse::compare::{Selection, compare};
use streamgauge_warehouse::{Error, Generations, Limits, Loader, Target, migrate};

const SECOND: Generation = Generation::new(2).unwrap();

/// What a generation computed: a deployment that failed or not, and the step that it makes.
fn computed(failed: bool, definitions: &Definitions) -> Vec<RowChange> {
    let scope = Scope::new("service:checkout");
    let step = DoraStep {
        scope: scope.clone(),
        metric: Metric::ChangeFailRate,
        window: Window::Days7,
        as_of: Timestamp::parse("2026-02-01T00:00:00Z").unwrap(),
        value: Some(if failed { 1.0 } else { 0.0 }),
        samples: 1,
        p50: None,
        p75: None,
        p90: None,
        p95: None,
        mean: None,
        per_day: None,
        days_with: None,
        confirmed: Some(u64::from(failed)),
        inferred: Some(0),
    };
    let end = DoraStep {
        as_of: Timestamp::parse("2026-02-07T00:00:00Z").unwrap(),
        value: None,
        samples: 0,
        confirmed: None,
        inferred: None,
        ..step.clone()
    };
    let scope = ScopeDimension { scope, first_at: step.as_of, failure_source: true };
    let definitions = DefinitionDimension::of(definitions).into_iter();
    definitions
        .map(|row| Row::Definition(Box::new(row)))
        .chain([
            Row::Scope(Box::new(scope)),
            Row::Step(Box::new(step)),
            Row::Step(Box::new(end)),
            Row::Deployment(Box::new(Deployment { failed: Some(failed), ..deployment("d1") })),
        ])
        .map(RowChange::Upsert)
        .collect()
}

/// Two generations: in the first nothing failed, in the second, of another failure window, one did.
async fn two(warehouse: &Warehouse) {
    let day = Definitions { failure_window: Some(Span::from_hours(24)), ..Definitions::default() };
    let second = warehouse.database.of(SECOND);
    migrate(&warehouse.client, &second, &Target::Server).await.unwrap();
    for (database, failed, definitions) in
        [(&warehouse.database, false, Definitions::default()), (&second, true, day)]
    {
        let client = warehouse.client.clone().with_database(database.as_str());
        let mut loader = Loader::new(client, Limits::default());
        let rows = computed(failed, &definitions);
        rows.iter().for_each(|row| loader.push(row, stamp(1), &"abc".into()));
        loader.flush().await.unwrap();
    }
}

fn generations(warehouse: &Warehouse) -> Generations<'_> {
    Generations::new(&warehouse.client, &warehouse.database, &Target::Server)
}

/// What the views show, asked in one query: whether a deployment failed, and the rates before and after it.
const SHOWN: &str = "SELECT (SELECT countIf(failed) FROM deployments), (SELECT max(value) FROM dora_steps), \
                     (SELECT max(value) FROM dora_windows)";

async fn shown(warehouse: &Warehouse) -> &'static str {
    match warehouse.ask(SHOWN).await.as_str() {
        "0\t0\t0\n" => "first",
        "1\t1\t1\n" => "second",
        _ => "a mixture",
    }
}

#[test]
fn a_generation_is_promoted_at_one_moment_while_others_read_and_can_be_promoted_back() {
    with_database("promoted", |warehouse| async move {
        two(&warehouse).await;
        let of = generations(&warehouse);
        assert_eq!((of.live().await.unwrap(), shown(&warehouse).await), (Generation::FIRST, "first"));
        let reader = warehouse.reader();
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let reading = tokio::spawn(async move {
            let mut answers: Vec<Vec<u8>> = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let answer = reader.raw(SHOWN, "TSV").unwrap().collect().await.unwrap().to_vec();
                if answers.last() != Some(&answer) {
                    answers.push(answer);
                }
            }
            answers
        });
        let promotion = of.promote(SECOND).await.unwrap();
        assert_eq!((promotion.before, promotion.now), (Generation::FIRST, SECOND));
        assert_eq!((of.live().await.unwrap(), shown(&warehouse).await), (SECOND, "second"));
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        over.store(true, Ordering::Relaxed);
        let answers = reading.await.unwrap();
        assert_eq!(answers, [b"0\t0\t0\n".to_vec(), b"1\t1\t1\n".to_vec()], "one change, and no mixture");
        assert_eq!(of.promote(SECOND).await.unwrap().before, SECOND, "again changes nothing");
        of.promote(Generation::FIRST).await.unwrap();
        assert_eq!(shown(&warehouse).await, "first");
        assert_eq!(
            warehouse.ask("SELECT promotion, generation FROM promotions ORDER BY promotion").await,
            "1\t1\n2\t2\n3\t1\n"
        );
    });
}

#[test]
fn a_promotion_that_is_cut_off_anywhere_shows_one_generation_and_goes_on() {
    with_database("promotion_cut_off", |warehouse| async move {
        two(&warehouse).await;
        let of = generations(&warehouse);
        let all = of.statements(0, Generation::FIRST, SECOND);
        let mut last = "first";
        for (number, statement) in all.iter().enumerate() {
            warehouse.client.query_raw(statement).execute().await.unwrap();
            // Some of them, and all around the moment: each look analyses three views.
            if number % 5 > 0 && !statement.starts_with("INSERT") {
                continue;
            }
            let now = shown(&warehouse).await;
            assert!(now == last || (last, now) == ("first", "second"), "{number}: {now} after {statement}");
            last = now;
        }
        assert_eq!(last, "second");
        // Cut off just before and just after the moment, the same command again ends it.
        let back = of.statements(2, SECOND, Generation::FIRST);
        let moment = back.iter().position(|statement| statement.starts_with("INSERT")).unwrap();
        for statement in &back[..moment] {
            warehouse.client.query_raw(statement).execute().await.unwrap();
        }
        assert_eq!((of.live().await.unwrap(), shown(&warehouse).await), (SECOND, "second"));
        warehouse.client.query_raw(&back[moment]).execute().await.unwrap();
        assert_eq!((of.live().await.unwrap(), shown(&warehouse).await), (Generation::FIRST, "first"));
        of.promote(Generation::FIRST).await.unwrap();
        let view = warehouse.ask("SHOW CREATE VIEW deployments").await;
        assert!(!view.contains("promotions"), "in the end nobody is asked: {view}");
    });
}

#[test]
fn migrations_leave_the_views_where_they_are_and_the_live_generation_is_not_dropped() {
    with_database("kept", |warehouse| async move {
        two(&warehouse).await;
        let of = generations(&warehouse);
        let never = of.promote(Generation::new(3).unwrap()).await.unwrap_err();
        assert!(matches!(never, Error::NoGeneration { .. }), "{never}");
        of.promote(SECOND).await.unwrap();
        // As if every migration were new to this database.
        warehouse.ask("TRUNCATE TABLE schema_migrations").await;
        let report = migrate(&warehouse.client, &warehouse.database, &Target::Server).await.unwrap();
        assert!(!report.applied.is_empty());
        assert_eq!(shown(&warehouse).await, "second");
        assert!(matches!(of.drop(SECOND).await.unwrap_err(), Error::Live { .. }));
        let known = |known: Vec<streamgauge_warehouse::generation::Known>| -> Vec<(u32, bool, bool)> {
            known.iter().map(|one| (one.generation.number(), one.live, one.definition.is_some())).collect()
        };
        assert_eq!(known(of.known().await.unwrap()), [(1, false, true), (2, true, true)]);
        of.drop(Generation::FIRST).await.unwrap();
        of.drop(Generation::FIRST).await.unwrap();
        assert_eq!(shown(&warehouse).await, "second");
        assert_eq!(known(of.known().await.unwrap()), [(1, false, false), (2, true, true)]);
        assert_eq!(warehouse.ask("SELECT count() FROM dora_steps_rows").await, "0\n");
    });
}

#[test]
fn a_comparison_names_the_windows_that_differ_and_the_facts_and_definitions_behind_them() {
    with_database("compared", |warehouse| async move {
        two(&warehouse).await;
        let second = warehouse.database.of(SECOND);
        let compared = async |selection: Selection| {
            let (client, base) = (&warehouse.client, &warehouse.database);
            compare(client, base, &second, &Target::Server, &selection).await.unwrap()
        };
        let found = compared(Selection::default()).await;
        assert_eq!(found.series.len(), 1, "{found:?}");
        let series = &found.series[0];
        assert_eq!((series.scope.as_str(), series.metric.as_str()), ("service:checkout", "change_fail_rate"));
        // Six ends of days, from the step to the one that ends it.
        assert_eq!(series.windows, 6);
        assert_eq!(series.since.to_string(), "2026-02-01T00:00:00Z");
        assert_eq!(series.until.to_string(), "2026-02-07T00:00:00Z");
        assert_eq!((series.old_value, series.new_value), (Some(0.0), Some(1.0)));
        assert_eq!((series.old_samples, series.new_samples), (1, 1));
        let definitions: Vec<&str> = found.definitions.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(definitions, ["failure_window_s"]);
        let [facts] = found.facts.as_slice() else { panic!("{:?}", found.facts) };
        assert_eq!((facts.view, facts.subject.as_str()), ("deployments", "checkout"));
        assert_eq!(facts.columns, [("failed".to_owned(), 1)]);
        assert_eq!((facts.only_old, facts.only_new, facts.example.as_str()), (0, 0, "d1"));
        let other = Selection { metric: Some("rework_rate".to_owned()), ..Selection::default() };
        assert!(compared(other).await.series.is_empty());
        let base = &warehouse.database;
        let same =
            compare(&warehouse.client, base, base, &Target::Server, &Selection::default()).await.unwrap();
        assert_eq!(same, streamgauge_warehouse::compare::Comparison::default());
    });
}
