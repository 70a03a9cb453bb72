//! `explain`: what counted, what did not, by which rule and key. The tasks answer, from the decisions that made
//! the numbers; a process that owns the folder is asked over HTTP.

use crate::ask::Asked;
use crate::cli::{self, Subject};
use crate::config::Settings;
use crate::engine::{SharedTopology, lock};
use crate::failure::{DONE, wrong};
use crate::output::Format;
use crate::report::{calendar, end_of, last_end, scopes, window};
use anyhow::{Context, anyhow};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use model::metric::{Metric, Window};
use model::{DeploymentId, IncidentId, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use topology::Topology;

/// Where the owner of a folder answers.
const ROUTE: &str = "/streamgauge/explain";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Question {
    Deployment(String),
    Commit(String),
    Incident(String),
    Metric { scope: Scope, metric: Metric, window: Window, as_of: Timestamp },
}

/// The routes that answer other commands.
pub fn routes(topology: SharedTopology) -> Router {
    let answer = move |body: String| async move {
        match serde_json::from_str::<Question>(&body) {
            Ok(question) => (StatusCode::OK, answer(&lock(&topology), &question).to_string()),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        }
    };
    Router::new().route(ROUTE, post(answer))
}

/// `explain`.
///
/// # Errors
/// Exit code 2 when nothing is known of what was asked.
pub fn run(
    command: &cli::Explain,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let asked = Asked::open(settings)?;
    let question = question(command, &asked)?;
    let told = match &asked {
        Asked::Own(pipeline) => answer(&lock(pipeline.topology()), &question),
        Asked::Other(clickhouse) => ask(clickhouse.url(), &question)?,
        Asked::Server(_) => {
            return Err(wrong(
                "explain asks the tasks of a data folder, and clickhouse.url is configured: import the raw records into a \
                 folder (a configuration without kafka and clickhouse), and ask there",
            ));
        }
    };
    let explanations = told.as_array().filter(|list| !list.is_empty()).ok_or_else(|| unknown(&question))?;
    if format == Format::Json {
        writeln!(out, "{told:#}")?;
        return Ok(DONE);
    }
    for explanation in explanations {
        write_text(explanation, out)?;
    }
    Ok(DONE)
}

fn question(command: &cli::Explain, asked: &Asked) -> anyhow::Result<Question> {
    if let (Some(subject), Some(id)) = (command.subject, &command.id) {
        return Ok(match subject {
            Subject::Deployment => Question::Deployment(id.clone()),
            Subject::Commit => Question::Commit(id.clone()),
            Subject::Incident => Question::Incident(id.clone()),
        });
    }
    let (Some(scope), Some(metric)) = (&command.scope, &command.metric) else {
        return Err(wrong("say what to explain: `explain deployment ID`, or `explain --scope S --metric M`"));
    };
    let metric = Metric::from_word(metric).ok_or_else(|| {
        let known = Metric::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        wrong(format!("--metric {metric}: not one of {known}"))
    })?;
    let window = window(&command.window)?;
    let clickhouse = asked.clickhouse();
    let scope = scopes(clickhouse, std::slice::from_ref(scope))?.into_iter().next().context("no scope")?;
    let as_of = match &command.as_of {
        Some(text) => end_of(text, &calendar(clickhouse)?)?,
        None => last_end(clickhouse, &scope, window)?
            .ok_or_else(|| wrong(format!("--scope {scope}: it has no data to explain")))?,
    };
    Ok(Question::Metric { scope, metric, window, as_of })
}

/// What the tasks say: a list of explanations, as JSON.
fn answer(topology: &Topology, question: &Question) -> Value {
    let tasks = topology.correlators().iter();
    let list: Vec<_> = match question {
        Question::Deployment(id) => {
            let id = DeploymentId::new(id);
            tasks.flat_map(|task| task.explain_deployment(&id)).collect()
        }
        Question::Commit(sha) => tasks.flat_map(|task| task.explain_commit(sha)).collect(),
        Question::Incident(id) => {
            let id = IncidentId::new(id);
            tasks.flat_map(|task| task.explain_incident(&id)).collect()
        }
        Question::Metric { scope, metric, window, as_of } => {
            return metric_answer(topology, scope, *metric, *window, *as_of);
        }
    };
    serde_json::to_value(list).unwrap_or_default()
}

fn metric_answer(
    topology: &Topology,
    scope: &Scope,
    metric: Metric,
    window: Window,
    as_of: Timestamp,
) -> Value {
    let Some(aggregator) = topology.aggregator(scope) else { return json!([]) };
    let index = aggregator.index_at(window, as_of);
    let step = aggregator.step(scope, metric, window, index);
    let (from, to) = bounds(topology, window, as_of);
    let tasks = topology.correlators().iter();
    let considered: Vec<_> = tasks.flat_map(|task| task.explain_metric(scope, metric, from, to)).collect();
    let value = step.value.map_or_else(|| "no data".to_owned(), |value| shown(metric, value));
    json!([{
        "subject": format!("{metric} of {scope}, {window} to {to}"),
        "verdict": format!("{value}, of {} samples from {from} on", step.samples),
        "considered": considered,
    }])
}

/// The window's start and end: whole hours of UTC, or whole days of the reporting zone.
fn bounds(topology: &Topology, window: Window, as_of: Timestamp) -> (Timestamp, Timestamp) {
    use model::{Calendar, Day, Hour};
    // The instant before the end lies in the last pane.
    let last = as_of.minus(model::Span::from_seconds(1));
    match window.grain() {
        model::metric::Grain::Hour => {
            let hour = Calendar::hour(last);
            (Calendar::hour_end(Hour(hour.0 - window.panes())), Calendar::hour_end(hour))
        }
        model::metric::Grain::Day => {
            let calendar = Calendar::named(&topology.definitions().timezone).unwrap_or_else(Calendar::utc);
            let day = calendar.day(last);
            (calendar.day_start(Day(day.0 + 1 - window.panes())), calendar.day_end(day))
        }
    }
}

fn shown(metric: Metric, value: f64) -> String {
    use model::metric::MetricKind;
    match metric.kind() {
        MetricKind::Count => value.to_string(),
        MetricKind::Rate => crate::output::rate(value),
        MetricKind::Median | MetricKind::Mean => crate::report::seconds(value),
    }
}

fn unknown(question: &Question) -> anyhow::Error {
    let (what, table, column) = match question {
        Question::Deployment(id) => (format!("deployment {id}"), "deployments", "deployment_id"),
        Question::Commit(sha) => (format!("commit {sha}"), "changes", "commit_sha"),
        Question::Incident(id) => (format!("incident {id}"), "incidents", "incident_id"),
        Question::Metric { scope, .. } => (scope.to_string(), "scopes", "scope"),
    };
    wrong(format!(
        "nothing is known of {what} (streamgauge sql 'SELECT {column} FROM {table} LIMIT 10' shows some that are known)"
    ))
}

/// Most things that are shown one by one; JSON has them all.
const SHOWN: usize = 40;

fn write_text(explanation: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    writeln!(out, "{}\n  {}", text(explanation, "subject"), text(explanation, "verdict"))?;
    let considered =
        explanation.get("considered").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for counted in [true, false] {
        let of: Vec<&Value> = considered
            .iter()
            .filter(|one| one.get("counted").and_then(Value::as_bool) == Some(counted))
            .collect();
        if of.is_empty() {
            continue;
        }
        writeln!(out, "  {}:", if counted { "counted" } else { "did not count" })?;
        for one in of.iter().take(SHOWN) {
            let sign = if counted { '+' } else { '-' };
            writeln!(
                out,
                "  {sign} {} [{}]: {}",
                text(one, "candidate"),
                text(one, "rule"),
                text(one, "detail")
            )?;
            let key = text(one, "key");
            let remedy = text(one, "remedy");
            if !key.is_empty() {
                writeln!(out, "      decided by: {key}")?;
            }
            if !remedy.is_empty() {
                writeln!(out, "      remedy: {remedy}")?;
            }
        }
        if of.len() > SHOWN {
            writeln!(out, "  … and {} more (--format json shows all)", of.len() - SHOWN)?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// One request to a loopback address; the answer ends with the connection.
fn ask(url: &str, question: &Question) -> anyhow::Result<Value> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    let body = serde_json::to_string(question)?;
    let mut stream = TcpStream::connect(address).with_context(|| format!("{url} does not answer"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {ROUTE} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{url} stopped answering"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("{url}: no answer"))?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(anyhow!("{url}: {}", head.lines().next().unwrap_or_default()));
    }
    serde_json::from_str(body).with_context(|| format!("{url}: an answer that is none"))
}
