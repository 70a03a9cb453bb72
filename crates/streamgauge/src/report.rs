//! `report`: the metrics of a scope and a window, with sample sizes and bands.

use crate::ask::Asked;
use crate::cli;
use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::failure::{DONE, wrong};
use crate::output::{Align, Cell, Format, Table, duration, rate};
use anyhow::Context;
use model::metric::{Metric, MetricKind, Window};
use model::{Calendar, Day, Scope, Timestamp};
use std::io::Write;
use warehouse::ReportRow;
use windows::Bands;

/// `report`.
///
/// # Errors
/// Exit code 2 for a window, a time or a scope that is not known.
pub fn run(
    command: &cli::Report,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let window = window(&command.window)?;
    let asked = Asked::open(settings)?;
    let clickhouse = asked.clickhouse();
    let calendar = calendar(clickhouse)?;
    let as_of = command.as_of.as_deref().map(|text| end_of(text, &calendar)).transpose()?;
    let scopes = scopes(clickhouse, &command.scopes)?;
    write(clickhouse, settings, &scopes, &[window], as_of, format, out)?;
    Ok(DONE)
}

/// Writes the metrics of scopes and windows. Without `as_of`: of the last day with data of each scope.
///
/// # Errors
/// What ClickHouse says.
pub fn write(
    clickhouse: &ClickHouse,
    settings: &Settings,
    scopes: &[Scope],
    windows: &[Window],
    as_of: Option<Timestamp>,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let bands = settings.bands.and_then(Bands::bundled);
    let mut whole = table();
    for scope in scopes {
        let mut part = table();
        let mut ends = Vec::new();
        for window in windows {
            let end = match as_of {
                Some(end) => end,
                None => match last_end(clickhouse, scope, *window)? {
                    Some(end) => end,
                    None => continue,
                },
            };
            let rows = clickhouse.block_on(clickhouse.reader().report(scope, *window, Some(end)))?;
            ends.push(format!("{window} to {end}"));
            for row in rows {
                let cells = cells(scope, &row, bands.as_ref());
                // People do not read rows about what never happened.
                if row.samples > 0
                    || format != Format::Table
                    || Metric::ALL.iter().take(5).any(|m| *m == row.metric)
                {
                    part.row(cells.clone());
                }
                whole.row(cells);
            }
        }
        if format == Format::Table {
            writeln!(
                out,
                "{scope} · {}",
                if ends.is_empty() { NO_DATA.to_owned() } else { ends.join(", ") }
            )?;
            if !part.is_empty() {
                part.without(&["scope", "as_of"]).write(format, out)?;
            }
            writeln!(out)?;
        }
    }
    if format != Format::Table {
        whole.write(format, out)?;
    }
    Ok(())
}

/// What a scope without a single window says.
const NO_DATA: &str = "no data: no deployment, incident or run of it is known (tag releases, as in `git tag v1.0.0`, \
                       and import again; or import deployment events)";

/// The scopes that were asked for, checked; by default every service, those that never deployed too.
///
/// # Errors
/// Exit code 2: a scope that has no metrics, with the nearest that does.
pub fn scopes(clickhouse: &ClickHouse, asked: &[String]) -> anyhow::Result<Vec<Scope>> {
    let known = clickhouse.block_on(clickhouse.reader().scopes())?;
    if asked.is_empty() {
        let services = clickhouse.block_on(clickhouse.reader().services())?;
        let services: Vec<Scope> =
            services.iter().map(|name| Scope::new(format!("service:{name}"))).collect();
        if services.is_empty() {
            return Err(wrong(
                "there are no services yet (import something first, as in `streamgauge import git .`)",
            ));
        }
        return Ok(services);
    }
    let check = |text: &String| {
        if known.iter().any(|scope| scope.scope.as_str() == text) {
            return Ok(Scope::new(text));
        }
        let near = known
            .iter()
            .map(|scope| (strsim::jaro_winkler(scope.scope.as_str(), text), scope.scope.as_str()))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = match near {
            Some((likeness, near)) if likeness > 0.7 => format!("did you mean {near}?"),
            _ => "streamgauge sql 'SELECT scope FROM scopes' lists them".to_owned(),
        };
        Err(wrong(format!("--scope {text}: nothing is known of it ({hint})")))
    };
    asked.iter().map(check).collect()
}

/// Reads the word of `--window`.
///
/// # Errors
/// Exit code 2 with the words that are known.
pub fn window(word: &str) -> anyhow::Result<Window> {
    Window::from_word(word).ok_or_else(|| {
        let known = Window::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        wrong(format!(
            "--window {word}: not one of {known} (any other range: see the view `panes` in `streamgauge sql`)"
        ))
    })
}

/// The end that `--as-of` means: a day means its end, a time means itself.
///
/// # Errors
/// Exit code 2 for what is neither.
pub fn end_of(text: &str, calendar: &Calendar) -> anyhow::Result<Timestamp> {
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let epoch = jiff::civil::date(1970, 1, 1);
        let days = date.since((jiff::Unit::Day, epoch)).map(|span| span.get_days());
        return Ok(calendar.day_end(Day(i64::from(days.context("--as-of")?))));
    }
    Timestamp::parse(text).map_err(|error| {
        wrong(format!("--as-of {text}: neither a day (as in 2026-01-31) nor a time: {error}"))
    })
}

/// The calendar in which the folder's days are counted.
///
/// # Errors
/// What ClickHouse says.
pub fn calendar(clickhouse: &ClickHouse) -> anyhow::Result<Calendar> {
    let query =
        clickhouse.client().query("SELECT value FROM definitions WHERE key = 'timezone'").fetch_optional();
    let zone: Option<String> = clickhouse.block_on(query)?;
    Ok(zone.and_then(|zone| Calendar::named(&zone)).unwrap_or_else(Calendar::utc))
}

/// The end of the last hour or day with data of a scope.
///
/// # Errors
/// What ClickHouse says.
pub fn last_end(clickhouse: &ClickHouse, scope: &Scope, window: Window) -> anyhow::Result<Option<Timestamp>> {
    let query = clickhouse
        .client()
        .query("SELECT toInt64(toUnixTimestamp64Micro(max(`end`))) FROM panes WHERE scope = ? AND grain = ? HAVING count() > 0")
        .bind(scope.as_str())
        .bind(window.grain().as_str())
        .fetch_optional::<i64>();
    Ok(clickhouse.block_on(query)?.map(Timestamp::from_micros))
}

fn table() -> Table {
    use Align::{Left, Right};
    Table::new(&[
        ("scope", Left),
        ("window", Left),
        ("as_of", Left),
        ("metric", Left),
        ("value", Right),
        ("samples", Right),
        ("p75", Right),
        ("p90", Right),
        ("p95", Right),
        ("band", Left),
        ("note", Left),
    ])
}

fn cells(scope: &Scope, row: &ReportRow, bands: Option<&Bands>) -> Vec<Cell> {
    let is_duration = matches!(row.metric.kind(), MetricKind::Median | MetricKind::Mean);
    let value = match (row.value, row.metric.kind()) {
        (None, _) => {
            let reason =
                if row.null_reason.as_str().is_empty() { "no_data" } else { row.null_reason.as_str() };
            let text = if reason == "no_data" { "no data".to_owned() } else { format!("no data ({reason})") };
            Cell::new(text, serde_json::Value::Null)
        }
        (Some(value), MetricKind::Count) => Cell::new(
            row.per_day.map_or(value.to_string(), |daily| format!("{value} ({daily:.2} a day)")),
            value,
        ),
        (Some(value), MetricKind::Rate) => Cell::new(rate(value), value),
        (Some(value), MetricKind::Median | MetricKind::Mean) => Cell::new(seconds(value), value),
    };
    let percentile = |seconds: Option<i64>| match seconds.filter(|_| is_duration) {
        Some(seconds) => Cell::new(duration(seconds), seconds),
        None => Cell::none(),
    };
    // Bands are about one application at a time.
    let is_service = scope.as_str().starts_with("service:");
    let measured = if row.metric == Metric::DeploymentFrequency { row.per_day } else { row.value };
    let band = bands
        .filter(|_| is_service && (row.samples > 0 || row.metric == Metric::DeploymentFrequency))
        .and_then(|bands| bands.classify(row.metric, measured));
    let mut notes = Vec::new();
    if let (Some(confirmed), Some(inferred)) = (row.confirmed, row.inferred)
        && confirmed + inferred > 0
    {
        notes.push(format!("{confirmed} confirmed, {inferred} inferred"));
    }
    if let Some(days) = row.days_with.filter(|_| row.samples > 0) {
        notes.push(format!("on {days} days"));
    }
    if row.provisional {
        notes.push("provisional".to_owned());
    }
    vec![
        Cell::text(scope.as_str()),
        Cell::text(row.window.as_str()),
        Cell::text(row.as_of.to_string()),
        Cell::text(row.metric.as_str()),
        value,
        Cell::count(row.samples),
        percentile(row.p75),
        percentile(row.p90),
        percentile(row.p95),
        Cell::optional(band.map(|band| band.as_str())),
        Cell::new(
            notes.join("; "),
            if notes.is_empty() { serde_json::Value::Null } else { notes.join("; ").into() },
        ),
    ]
}

/// A duration in seconds, for people.
pub fn seconds(value: f64) -> String {
    duration(whole(value))
}

#[expect(clippy::cast_possible_truncation, reason = "durations lie far below 2^52 seconds")]
fn whole(seconds: f64) -> i64 {
    seconds.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_means_its_end_in_the_reporting_zone_and_a_time_itself() {
        let end =
            |text: &str, zone: &str| end_of(text, &Calendar::named(zone).unwrap()).map(|end| end.to_string());
        assert_eq!(end("2026-01-31", "UTC").unwrap(), "2026-02-01T00:00:00Z");
        assert_eq!(end("2026-01-31", "Europe/Berlin").unwrap(), "2026-01-31T23:00:00Z");
        assert_eq!(end("2026-01-31T05:00:00+01:00", "UTC").unwrap(), "2026-01-31T04:00:00Z");
        assert!(end("yesterday", "UTC").is_err());
    }
}
