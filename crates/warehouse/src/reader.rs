//! The queries of the command line.

use crate::error::{Answer, Result};
use clickhouse::Client;
use model::metric::{Metric, MetricKind, Window};
use model::{Scope, Text, Timestamp};
use serde::{Deserialize, Serialize};

/// The answer to a query as bytes of its format, chunk by chunk.
pub type RawBytes = clickhouse::query::BytesCursor;

/// One metric of a scope and a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportRow {
    /// The metric.
    pub metric: Metric,
    /// The window.
    pub window: Window,
    /// The window's end.
    pub as_of: Timestamp,
    /// The value: seconds, a rate from 0 to 1, or a count.
    pub value: Option<f64>,
    /// Why there is none: `no_data` or `no_failure_source`; else empty.
    pub null_reason: Text,
    /// How many things the value is made of.
    pub samples: u64,
    /// 50th percentile in whole seconds.
    pub p50: Option<i64>,
    /// 75th percentile.
    pub p75: Option<i64>,
    /// 90th percentile.
    pub p90: Option<i64>,
    /// 95th percentile.
    pub p95: Option<i64>,
    /// Mean in seconds.
    pub mean: Option<f64>,
    /// Of a change fail rate: failures with evidence other than temporal.
    pub confirmed: Option<u64>,
    /// Of a change fail rate: failures with temporal evidence only.
    pub inferred: Option<u64>,
    /// Of a count: how many a day.
    pub per_day: Option<f64>,
    /// Of a count: days with at least one.
    pub days_with: Option<u64>,
    /// Whether the failure window has not passed.
    pub provisional: bool,
    /// The hash of the definitions that made it.
    pub definition: Text,
}

/// A scope that has metrics.
#[derive(Debug, Clone, PartialEq, Eq, clickhouse::Row, Serialize, Deserialize)]
pub struct ScopeSummary {
    /// The scope.
    pub scope: Scope,
    /// The word before the colon.
    pub kind: Text,
    /// When the first thing counted in it happened.
    pub first_at: Timestamp,
    /// Whether the failures of any service in it can be seen.
    pub failure_source: bool,
}

#[derive(clickhouse::Row, Deserialize)]
struct MetricRow {
    metric: Text,
    as_of: Timestamp,
    value: Option<f64>,
    null_reason: Text,
    samples: u64,
    p50: Option<i64>,
    p75: Option<i64>,
    p90: Option<i64>,
    p95: Option<i64>,
    mean: Option<f64>,
    confirmed: Option<u64>,
    inferred: Option<u64>,
    per_day: Option<f64>,
    days_with: Option<u64>,
    provisional: bool,
    definition: Text,
}

/// What holds now, the running hour or day included.
const NOW: &str = "SELECT ?fields FROM dora_latest WHERE scope = ? AND `window` = ?";

/// What holds at a window's end, that of a step or between two.
const THEN: &str = "
WITH
    fromUnixTimestamp64Micro(toInt64(?), 'UTC') AS end_at,
    toInt64OrNull(coalesce((SELECT any(value) FROM definitions WHERE key = 'failure_window_s'), '')) AS failure_window_s
SELECT
    metric, end_at AS as_of, value, null_reason, samples, p50, p75, p90, p95, mean, confirmed, inferred, per_day,
    days_with,
    toBool(metric IN ('change_fail_rate', 'recovery_time', 'rework_rate') AND (isNull(failure_window_s)
        OR end_at + toIntervalSecond(assumeNotNull(failure_window_s)) > now64(6, 'UTC'))) AS provisional,
    definition
FROM dora_spans
WHERE scope = ? AND `window` = ? AND held_from <= end_at AND held_until > end_at";

/// Reads what the loader stored.
pub struct Reader {
    client: Client,
}

impl Reader {
    /// Takes a client whose database is set and migrated.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Every metric of a scope and a window, in the order of [`Metric::ALL`]: of the window that ends at `as_of`
    /// (the end of an hour or a day; other instants see what held then), or of the one that ends with the
    /// running hour or day. Empty when nothing is known of the scope by then; a metric without data has its reason.
    ///
    /// # Errors
    /// [`crate::Error::Query`].
    pub fn report<'a>(
        &'a self,
        scope: &'a Scope,
        window: Window,
        as_of: Option<Timestamp>,
    ) -> Answer<'a, Vec<ReportRow>> {
        Box::pin(async move {
            let query = match as_of {
                None => self.client.query(NOW).bind(scope.as_str()).bind(window.as_str()),
                Some(at) => {
                    self.client.query(THEN).bind(at.micros()).bind(scope.as_str()).bind(window.as_str())
                }
            };
            let rows: Vec<MetricRow> = query.fetch_all().await?;
            let Some(end) = rows.first().map(|row| row.as_of) else { return Ok(Vec::new()) };
            let definition = rows.first().map(|row| row.definition.clone()).unwrap_or_default();
            let mut found: Vec<Option<MetricRow>> = rows.into_iter().map(Some).collect();
            Ok(Metric::ALL
                .iter()
                .map(|metric| {
                    let row = found
                        .iter_mut()
                        .find(|row| row.as_ref().is_some_and(|row| row.metric.as_str() == metric.as_str()))
                        .and_then(Option::take);
                    match row {
                        Some(row) => from_row(*metric, window, row),
                        None => empty(*metric, window, end, definition.clone()),
                    }
                })
                .collect())
        })
    }

    /// Every scope, in order.
    ///
    /// # Errors
    /// [`crate::Error::Query`].
    pub fn scopes(&self) -> Answer<'_, Vec<ScopeSummary>> {
        Box::pin(async move {
            Ok(self.client.query("SELECT ?fields FROM scopes ORDER BY scope").fetch_all().await?)
        })
    }

    /// Every service that is known, deployed or not, in order.
    ///
    /// # Errors
    /// See [`crate::Error::Query`].
    pub fn services(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            Ok(self.client.query("SELECT service FROM services ORDER BY service").fetch_all().await?)
        })
    }

    /// Runs a user's statement as it is. `format` is any of ClickHouse's; a `FORMAT` in the statement wins.
    ///
    /// # Errors
    /// [`crate::Error::Query`] for what cannot be sent; the server's own errors come with the first chunk.
    pub fn raw(&self, sql: &str, format: &str) -> Result<RawBytes> {
        Ok(self.client.query_raw(sql).fetch_bytes(format)?)
    }
}

fn from_row(metric: Metric, window: Window, row: MetricRow) -> ReportRow {
    ReportRow {
        metric,
        window,
        as_of: row.as_of,
        value: row.value,
        null_reason: row.null_reason,
        samples: row.samples,
        p50: row.p50,
        p75: row.p75,
        p90: row.p90,
        p95: row.p95,
        mean: row.mean,
        confirmed: row.confirmed,
        inferred: row.inferred,
        per_day: row.per_day,
        days_with: row.days_with,
        provisional: row.provisional,
        definition: row.definition,
    }
}

/// A metric that has no step yet: a count of none is 0, anything else is null.
fn empty(metric: Metric, window: Window, as_of: Timestamp, definition: Text) -> ReportRow {
    let count = (metric.kind() == MetricKind::Count).then_some(0.0);
    ReportRow {
        metric,
        window,
        as_of,
        value: count,
        null_reason: Text::new(if count.is_some() { "" } else { "no_data" }),
        samples: 0,
        p50: None,
        p75: None,
        p90: None,
        p95: None,
        mean: None,
        confirmed: None,
        inferred: None,
        per_day: count,
        days_with: count.filter(|_| window != Window::Hours24).map(|_| 0),
        provisional: false,
        definition,
    }
}
