//! Two generations held against each other: the windows that differ, and the facts and definitions behind them.

use crate::error::{Answer, Result};
use crate::schema::objects;
use crate::target::{Database, Target};
use clickhouse::Client;
use model::{Scope, Text, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which windows are compared; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this scope.
    pub scope: Option<String>,
    /// Of this metric.
    pub metric: Option<String>,
    /// Of this length.
    pub window: Option<String>,
}

/// A series that is not the same in both.
#[derive(Debug, Clone, PartialEq, clickhouse::Row, Serialize, Deserialize)]
pub struct Series {
    /// What it is about.
    pub scope: Scope,
    /// The metric.
    pub metric: Text,
    /// The window.
    pub window: Text,
    /// How many windows differ: hours of a 24h window, else days.
    pub windows: u64,
    /// The end of the first one that differs.
    pub since: Timestamp,
    /// The end of the last one that differs (now, where they still do).
    pub until: Timestamp,
    /// Its value in the old one.
    pub old_value: Option<f64>,
    /// How many things that is made of.
    pub old_samples: u64,
    /// Its value in the new one.
    pub new_value: Option<f64>,
    /// How many things that is made of.
    pub new_samples: u64,
}

/// The facts of one service or repository that are not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The view, as in `deployments`.
    pub view: &'static str,
    /// The service, or the repository of a view that has none.
    pub subject: String,
    /// How many are in the old one only.
    pub only_old: u64,
    /// How many are in the new one only.
    pub only_new: u64,
    /// In how many a column differs, by column; those that never do are left out.
    pub columns: Vec<(String, u64)>,
    /// The key of one that differs.
    pub example: String,
}

/// A definition that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, clickhouse::Row, Serialize, Deserialize)]
pub struct Definition {
    /// Its key.
    pub key: String,
    /// In the old one.
    pub old: String,
    /// In the new one.
    pub new: String,
}

/// What differs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Series, by scope, metric and window.
    pub series: Vec<Series>,
    /// Facts, by view and subject.
    pub facts: Vec<Facts>,
    /// Definitions.
    pub definitions: Vec<Definition>,
    /// The scopes of each service, in the new one.
    pub scopes: BTreeMap<String, BTreeSet<String>>,
}

/// The facts that windows are made of, and the column that says whose each is.
const FACTS: [(&str, &str); 4] =
    [("changes", "service"), ("deployments", "service"), ("incidents", "service"), ("pipeline_runs", "repo")];

/// Columns that differ whatever was computed.
const STAMPS: [&str; 2] = ["rev", "computed_at"];

/// Compares two generations of one server. The client has no database set.
///
/// # Errors
/// [`crate::Error::Query`]; also for a generation that does not exist.
pub fn compare<'a>(
    client: &'a Client,
    old: &'a Database,
    new: &'a Database,
    target: &'a Target,
    selection: &'a Selection,
) -> Answer<'a, Comparison> {
    Box::pin(async move {
        let series = series(client, old, new, selection).await?;
        let mut found = Comparison { series, ..Comparison::default() };
        let definitions = format!(
            "SELECT key, anyIf(value, side = 1) AS old, anyIf(value, side = 2) AS new FROM (\n\
             SELECT key, value, 1 AS side FROM {old}.definitions_rows FINAL\n\
             UNION ALL SELECT key, value, 2 AS side FROM {new}.definitions_rows FINAL\n\
             ) WHERE key != 'definition' GROUP BY key HAVING old != new ORDER BY key"
        );
        found.definitions = client.query(&definitions).fetch_all().await?;
        if found.series.is_empty() {
            return Ok(found);
        }
        for (view, subject) in FACTS {
            found.facts.extend(facts(client, old, new, target, view, subject).await?);
        }
        found.scopes = scopes(client, new).await?;
        Ok(found)
    })
}

/// What a series says at a time, as one text that two sides agree on or not. Nothing known and no data are the same.
const SAID: &str = "if(samples = 0 AND null_reason != 'no_failure_source', '', toString((value, null_reason, samples, \
                    p50, p75, p90, p95, mean, confirmed, inferred, per_day, days_with)))";

async fn series(
    client: &Client,
    old: &Database,
    new: &Database,
    selection: &Selection,
) -> Result<Vec<Series>> {
    let chosen = |column: &str, wanted: &Option<String>| {
        wanted.as_ref().map_or_else(String::new, |_| format!(" AND `{column}` = ?"))
    };
    let filter = [
        chosen("scope", &selection.scope),
        chosen("metric", &selection.metric),
        chosen("window", &selection.window),
    ]
    .concat();
    let side = |side: u8, database: &Database| {
        format!(
            "SELECT scope, metric, `window`, held_from, {side} AS side, {SAID} AS said, value, samples\n\
             FROM {database}.dora_spans WHERE held_from <= now64(6, 'UTC'){filter}"
        )
    };
    // Every instant at which either side takes a step, what each side says from then on, and until when.
    let query = format!(
        "SELECT
    scope, metric, `window`, windows, since, until,
    last.1.2 AS old_value, last.1.3 AS old_samples, last.2.2 AS new_value, last.2.3 AS new_samples
FROM (
    SELECT
        scope, metric, `window`,
        toUInt64(sum(greatest(1, if(`window` = '24h', dateDiff('hour', held_from, held_until), dateDiff('day', held_from, held_until))))) AS windows,
        min(held_from) AS since,
        max(held_until) AS until,
        argMax((old, new), held_from) AS last
    FROM (
        SELECT
            scope, metric, `window`, held_from,
            leadInFrame(held_from, 1, now64(6, 'UTC')) OVER following AS held_until,
            argMaxIf((said, value, samples), held_from, side = 1) OVER sofar AS old,
            argMaxIf((said, value, samples), held_from, side = 2) OVER sofar AS new
        FROM ({}\nUNION ALL\n{})
        WINDOW
            sofar AS (PARTITION BY scope, metric, `window` ORDER BY held_from RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
            following AS (PARTITION BY scope, metric, `window` ORDER BY held_from ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
    )
    WHERE old.1 != new.1 AND held_until > held_from
    GROUP BY scope, metric, `window`
)
ORDER BY scope, metric, `window`",
        side(1, old),
        side(2, new)
    );
    let mut query = client.query(&query);
    for _ in 0..2 {
        for wanted in [&selection.scope, &selection.metric, &selection.window].into_iter().flatten() {
            query = query.bind(wanted);
        }
    }
    Ok(query.fetch_all().await?)
}

#[derive(clickhouse::Row, Deserialize)]
struct FactsRow {
    subject: String,
    only_old: u64,
    only_new: u64,
    by_column: Vec<u64>,
    example: String,
}

async fn facts(
    client: &Client,
    old: &Database,
    new: &Database,
    target: &Target,
    view: &'static str,
    subject: &str,
) -> Result<Vec<Facts>> {
    let made = objects(new, target);
    let columns = made.iter().find(|object| object.name == view).map_or(&[][..], |view| &view.columns);
    let storage = format!("{view}_rows");
    let is_storage = |name: &str| name.strip_suffix("_local").unwrap_or(name) == storage;
    let key = made
        .iter()
        .find(|object| is_storage(&object.name) && !object.sorting_key.is_empty())
        .map_or("", |object| &object.sorting_key);
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    // A fact that went to another service is one that the old one has and one that the new one has.
    let of_key = |column: &&str| *column == subject || key.split(", ").any(|key| key == *column);
    let keys: Vec<&str> = names.iter().copied().filter(of_key).collect();
    let compared: Vec<&str> =
        names.into_iter().filter(|name| !keys.contains(name) && !STAMPS.contains(name)).collect();
    let list = |columns: &[&str], form: &dyn Fn(&str) -> String| {
        columns.iter().map(|column| form(column)).collect::<Vec<_>>().join(", ")
    };
    let keyed = list(&keys, &|column| format!("`{column}`"));
    let said = list(&compared, &|column| format!("ifNull(toString(`{column}`), 'null')"));
    let rest: Vec<&str> = keys.iter().copied().filter(|column| *column != subject).collect();
    let named = list(&rest, &|column| format!("toString(`{column}`)"));
    let width = compared.len();
    let query = format!(
        "SELECT
    toString({subject}) AS subject,
    countIf(NOT in_new) AS only_old,
    countIf(NOT in_old) AS only_new,
    sumForEach(differ) AS by_column,
    min(arrayStringConcat([{named}], ' ')) AS example
FROM (
    SELECT
        {keyed},
        countIf(side = 1) > 0 AS in_old,
        countIf(side = 2) > 0 AS in_new,
        arrayMap((o, n) -> toUInt64(in_old AND in_new AND o != n),
            arrayResize(anyIf(said, side = 1), {width}), arrayResize(anyIf(said, side = 2), {width})) AS differ
    FROM (
        SELECT {keyed}, 1 AS side, [{said}] AS said FROM {old}.{view}
        UNION ALL
        SELECT {keyed}, 2 AS side, [{said}] AS said FROM {new}.{view}
    )
    GROUP BY {keyed}
)
WHERE NOT in_old OR NOT in_new OR arraySum(differ) > 0
GROUP BY {subject}
ORDER BY subject"
    );
    let rows: Vec<FactsRow> = client.query(&query).fetch_all().await?;
    Ok(rows
        .into_iter()
        .map(|row| Facts {
            view,
            subject: row.subject,
            only_old: row.only_old,
            only_new: row.only_new,
            columns: compared
                .iter()
                .zip(row.by_column)
                .filter(|(_, count)| *count > 0)
                .map(|(column, count)| ((*column).to_owned(), count))
                .collect(),
            example: row.example,
        })
        .collect())
}

#[derive(clickhouse::Row, Deserialize)]
struct ServiceRow {
    service: String,
    team: Option<String>,
    groups: Vec<String>,
    repos: Vec<String>,
    tags: Vec<(String, String)>,
}

/// The scopes in which each service counts, but that of the organisation, in which each does.
async fn scopes(client: &Client, database: &Database) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let query = format!(
        "SELECT toString(service) AS service, CAST(team, 'Nullable(String)') AS team, CAST(groups, 'Array(String)') AS groups, \
         repos, CAST(tags, 'Map(String, String)') AS tags FROM {database}.services_rows FINAL"
    );
    let services: Vec<ServiceRow> = client.query(&query).fetch_all().await?;
    let scopes = |row: &ServiceRow| {
        std::iter::once(format!("service:{}", row.service))
            .chain(row.team.iter().map(|team| format!("team:{team}")))
            .chain(row.groups.iter().map(|group| format!("group:{group}")))
            .chain(row.repos.iter().map(|repo| format!("repo:{repo}")))
            .chain(row.tags.iter().map(|(key, value)| format!("tag:{key}={value}")))
            .collect()
    };
    Ok(services.iter().map(|row| (row.service.clone(), scopes(row))).collect())
}
