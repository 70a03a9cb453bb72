//! `compare`: the windows that two generations do not agree on, and the facts and definitions behind it.

use crate::cli;
use crate::config::Settings;
use crate::failure::{DONE, NO, wrong};
use crate::output::{Align, Cell, Format, Table, rate};
use crate::replay::Place;
use crate::report::{seconds, window};
use model::Generation;
use model::metric::{Metric, MetricKind};
use std::collections::BTreeMap;
use std::io::Write;
use warehouse::compare::{Comparison, Facts, Selection, Series};

/// Compares the configuration's generation with another one.
///
/// # Errors
/// Exit code 2 for wrong use; a ClickHouse that does not answer.
pub fn run(
    command: &cli::Compare,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let place = Place::open(settings)?;
    let new = place.generation();
    let old = match command.with {
        Some(number) => Generation::new(number.get()).unwrap_or_default(),
        None => place.live()?,
    };
    if old == new {
        return Err(wrong(format!(
            "generation {new} cannot be compared with itself: name another one with --with (`streamgauge replay list` lists \
             them)"
        )));
    }
    let selection = Selection {
        scope: command.scope.clone(),
        metric: command.metric.as_deref().map(metric).transpose()?,
        window: command
            .window
            .as_deref()
            .map(|word| window(word).map(|window| window.to_string()))
            .transpose()?,
    };
    let found = place.compared(old, new, &selection)?;
    for definition in &found.definitions {
        writeln!(
            std::io::stderr(),
            "definition {}: {:?} in generation {old}, {:?} in generation {new}",
            definition.key,
            definition.old,
            definition.new
        )?;
    }
    if found.series.is_empty() {
        writeln!(std::io::stderr(), "generations {old} and {new} agree on every window")?;
        return Ok(DONE);
    }
    let columns = [
        ("scope", Align::Left),
        ("metric", Align::Left),
        ("window", Align::Left),
        ("windows", Align::Right),
        ("since", Align::Left),
        ("until", Align::Left),
        ("old", Align::Right),
        ("new", Align::Right),
        ("because", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for series in found.series.iter().take(command.limit) {
        table.row(row(series, &found, old, new));
    }
    table.write(format, out)?;
    let more = found.series.len().saturating_sub(command.limit);
    if more > 0 {
        writeln!(std::io::stderr(), "{more} more differ: --limit shows more, --scope and --metric fewer")?;
    }
    Ok(NO)
}

fn metric(word: &str) -> anyhow::Result<String> {
    match Metric::from_word(word) {
        Some(metric) => Ok(metric.to_string()),
        None => {
            let known = Metric::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(wrong(format!("--metric {word:?} is not one of {known}")))
        }
    }
}

fn row(series: &Series, found: &Comparison, old: Generation, new: Generation) -> Vec<Cell> {
    let kind = Metric::from_word(series.metric.as_str()).map(Metric::kind);
    let value = |value: Option<f64>, samples: u64| match (value, kind) {
        (None, _) => Cell::none(),
        (Some(value), Some(MetricKind::Count)) => Cell::new(value.to_string(), value),
        (Some(value), Some(MetricKind::Rate)) => Cell::new(format!("{} of {samples}", rate(value)), value),
        (Some(value), _) => Cell::new(format!("{} of {samples}", seconds(value)), value),
    };
    vec![
        Cell::text(series.scope.as_str()),
        Cell::text(series.metric.as_str()),
        Cell::text(series.window.as_str()),
        Cell::count(series.windows),
        Cell::text(series.since.to_string()),
        Cell::text(series.until.to_string()),
        value(series.old_value, series.old_samples),
        value(series.new_value, series.new_samples),
        Cell::text(because(series, found, old, new)),
    ]
}

/// The facts that a metric is made of.
fn view_of(metric: &str) -> &'static str {
    match Metric::from_word(metric) {
        Some(Metric::ChangeLeadTime) => "changes",
        Some(Metric::TimeToRestore | Metric::TimeToDetect) => "incidents",
        Some(Metric::PipelineSuccessRate | Metric::FlakyRate | Metric::TimeInCi) => "pipeline_runs",
        _ => "deployments",
    }
}

/// Which facts of the scope differ, and in what.
fn because(series: &Series, found: &Comparison, old: Generation, new: Generation) -> String {
    let (scope, view) = (series.scope.as_str(), view_of(series.metric.as_str()));
    let counts_in = |facts: &&Facts| {
        scope.starts_with("org:")
            || scope.split_once(':').is_some_and(|(_, name)| name == facts.subject)
            || found.scopes.get(&facts.subject).is_some_and(|scopes| scopes.contains(scope))
            // A repository counts where its services do.
            || found.scopes.values().any(|scopes| {
                scopes.contains(&format!("repo:{}", facts.subject)) && scopes.contains(scope)
            })
    };
    let behind: Vec<&Facts> =
        found.facts.iter().filter(|facts| facts.view == view).filter(counts_in).collect();
    let sum = |count: fn(&Facts) -> u64| behind.iter().map(|facts| count(facts)).sum::<u64>();
    let mut columns: BTreeMap<&str, u64> = BTreeMap::new();
    for (column, count) in behind.iter().flat_map(|facts| &facts.columns) {
        *columns.entry(column).or_default() += count;
    }
    let mut columns: Vec<(&str, u64)> = columns.into_iter().collect();
    columns.sort_by_key(|(column, count)| (std::cmp::Reverse(*count), *column));
    let mut parts: Vec<String> =
        columns.iter().map(|(column, count)| format!("{view}.{column} differs in {count}")).collect();
    for (count, generation) in [(sum(|facts| facts.only_old), old), (sum(|facts| facts.only_new), new)] {
        if count > 0 {
            parts.push(format!("{count} {view} in generation {generation} only"));
        }
    }
    match (behind.first(), found.definitions.is_empty()) {
        (Some(first), _) => format!("{}; {} is one", parts.join(", "), first.example),
        (None, false) => {
            let keys: Vec<&str> = found.definitions.iter().map(|one| one.key.as_str()).collect();
            format!("the {view} are the same; the definitions differ in {}", keys.join(", "))
        }
        (None, true) => format!("the {view} are the same; one of the two may be behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use warehouse::compare::Definition;

    #[test]
    fn a_difference_names_the_facts_of_its_scope_and_what_differs_in_them() {
        let series = |scope: &str, metric: &str| Series {
            scope: model::Scope::new(scope),
            metric: metric.into(),
            window: "7d".into(),
            windows: 3,
            since: model::Timestamp::default(),
            until: model::Timestamp::default(),
            old_value: None,
            old_samples: 0,
            new_value: Some(0.5),
            new_samples: 2,
        };
        let facts = |subject: &str, failed| Facts {
            view: "deployments",
            subject: subject.to_owned(),
            only_old: 0,
            only_new: 1,
            columns: vec![("failed".to_owned(), failed)],
            example: "v1".to_owned(),
        };
        let found = Comparison {
            facts: vec![facts("api", 2), facts("web", 5)],
            definitions: vec![Definition {
                key: "timezone".to_owned(),
                old: "UTC".to_owned(),
                new: "Europe/Berlin".to_owned(),
            }],
            scopes: [("api".to_owned(), ["service:api".to_owned(), "team:core".to_owned()].into())].into(),
            ..Comparison::default()
        };
        let (old, new) = (Generation::FIRST, Generation::new(2).unwrap());
        let because = |scope: &str, metric: &str| because(&series(scope, metric), &found, old, new);
        let api = "deployments.failed differs in 2, 1 deployments in generation 2 only; v1 is one";
        assert_eq!(because("service:api", "change_fail_rate"), api);
        assert_eq!(because("team:core", "change_fail_rate"), api);
        assert!(because("org:acme", "change_fail_rate").starts_with("deployments.failed differs in 7"));
        assert_eq!(
            because("service:api", "change_lead_time"),
            "the changes are the same; the definitions differ in timezone"
        );
    }
}
