//! Samples of service level objectives: what `serve` asks Prometheus, and keeps as records of the source `prometheus`.
//!
//! An objective is asked for at each whole multiple of its time, a little later: so whoever asks, and however often, gets
//! the same samples, under the same ids. After a start the last hour is asked for again, and what was away for longer is a
//! gap, which is said.

use crate::clickhouse::ClickHouse;
use crate::config::prometheus::{Objective, Prometheus};
use crate::failure::wrong;
use crate::import::now;
use anyhow::Context;
use axum::body::Bytes;
use axum::http::Request;
use gateway::RawLog;
use http_body_util::{BodyExt, Full, Limited};
use https::Https;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::raw::{Origin, RawRecord};
use model::{Span, Text, Timestamp};
use serde_json::{Value, json};
use sources::history::encoded;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long after its time a sample is asked for: what is scraped arrives late.
const SETTLED_AFTER: Span = Span::from_seconds(60);
/// How far back samples are asked for.
const CATCH_UP: Span = Span::from_hours(1);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const ANSWER_BYTES: usize = 4 << 20;
/// How long the log may take to acknowledge.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// How long to wait after something did not work.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest sleep: the clock may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A Prometheus that is asked.
pub struct Asked {
    url: String,
    authorization: Option<String>,
    client: Client<https::Connector, Full<Bytes>>,
}

impl Asked {
    /// Makes it ready; nothing is asked yet.
    ///
    /// # Errors
    /// A file of `prometheus.ssl` that cannot be used; exit code 2: `authorization_file` that cannot be read.
    pub fn new(prometheus: &Prometheus) -> anyhow::Result<Self> {
        let https = Https::new(&prometheus.tls).context("prometheus.ssl")?;
        let authorization = prometheus.authorization_file.as_ref().map(|file| {
            let read = std::fs::read_to_string(file);
            read.map_err(|error| wrong(format!("prometheus.authorization_file: {}: {error}", file.display())))
        });
        let authorization = authorization.transpose()?.map(|text| text.trim().to_owned());
        Ok(Self {
            url: prometheus.url.clone(),
            authorization,
            client: Client::builder(TokioExecutor::new()).build(https.connector()),
        })
    }

    /// What an expression gives at a time: Prometheus' answer, also where it refuses the expression.
    ///
    /// # Errors
    /// It cannot be asked now.
    pub async fn query(&self, expression: &str, at: Timestamp) -> Result<Value, String> {
        let asked = tokio::time::timeout(ANSWER_WITHIN, self.query_once(expression, at)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer in {} s", ANSWER_WITHIN.as_secs())))
    }

    async fn query_once(&self, expression: &str, at: Timestamp) -> Result<Value, String> {
        let form = format!("query={}&time={}", encoded(expression), at.seconds());
        let mut request = Request::post(format!("{}/api/v1/query", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(Full::new(Bytes::from(form))).map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| https::innermost(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        // 400 and 422 say what is wrong with the expression.
        match (status, parsed.filter(|value| value.get("status").is_some())) {
            (200 | 400 | 422, Some(value)) => Ok(value),
            _ => Err(format!("it answers {status}")),
        }
    }
}

/// Begins to ask, on other threads, until the handle is aborted.
///
/// # Errors
/// As [`Asked::new`].
pub fn start(
    prometheus: &Prometheus,
    log: Arc<dyn RawLog>,
    threads: &ClickHouse,
) -> anyhow::Result<JoinHandle<()>> {
    let asked = Asked::new(prometheus)?;
    let objectives = prometheus.objectives.clone();
    Ok(threads.handle().spawn(async move { follow(&asked, &objectives, &*log).await }))
}

async fn follow(asked: &Asked, objectives: &BTreeMap<Text, Objective>, log: &dyn RawLog) {
    let begin = now();
    let mut due: BTreeMap<&Text, Timestamp> =
        objectives.iter().map(|(name, objective)| (name, first_due(begin, objective.every))).collect();
    loop {
        let next = due.iter().map(|(name, at)| (*at, *name)).min();
        let Some((at, objective)) = next.and_then(|(at, name)| Some((at, objectives.get_key_value(name)?)))
        else {
            return;
        };
        let wait = at.plus(SETTLED_AFTER).since(now());
        if wait > Span::from_seconds(0) {
            let wait = Duration::from_secs(u64::try_from(wait.seconds() + 1).unwrap_or_default());
            tokio::time::sleep(wait.min(LOOK_EVERY)).await;
            continue;
        }
        let (name, objective) = objective;
        match sample(asked, name, objective, at, log).await {
            Ok(()) => {
                due.insert(name, at.plus(objective.every));
            }
            Err(error) if now().since(at) > CATCH_UP => {
                tracing::error!(slo = name.as_str(), %at, "a gap: no sample: {error}");
                due.insert(name, at.plus(objective.every));
            }
            Err(error) => {
                tracing::warn!(slo = name.as_str(), %at, "asked again: {error}");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// The first time that is asked for after a start.
fn first_due(now: Timestamp, every: Span) -> Timestamp {
    let back = now.minus(if every > CATCH_UP { every } else { CATCH_UP });
    let step = every.micros();
    Timestamp::from_micros((back.micros().div_euclid(step) + 1) * step)
}

async fn sample(
    asked: &Asked,
    name: &Text,
    objective: &Objective,
    at: Timestamp,
    log: &dyn RawLog,
) -> Result<(), String> {
    let away = |error: String| format!("prometheus {}: {error}", asked.url);
    let good = asked.query(&objective.good, at).await.map_err(away)?;
    let total = asked.query(&objective.total, at).await.map_err(away)?;
    let (acknowledge, acknowledged) = oneshot::channel();
    log.append(record(name, objective, at, &good, &total), acknowledge);
    match tokio::time::timeout(ACKNOWLEDGED_WITHIN, acknowledged).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(format!("the log: {error}")),
        _ => Err("the log does not acknowledge".to_owned()),
    }
}

/// The record of both answers.
fn record(name: &Text, objective: &Objective, at: Timestamp, good: &Value, total: &Value) -> RawRecord {
    let body = json!({
        "slo": name.as_str(),
        "service": objective.service,
        "from": at.minus(objective.every).to_string(),
        "to": at.to_string(),
        "good": good,
        "total": total,
    });
    RawRecord {
        source: Text::new("prometheus"),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        received_at: now(),
        origin: Origin { topic: Text::new("prometheus"), partition: 0, offset: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Kept;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server that answers each request with the next of these bodies, and hands over what it was asked.
    fn server(answers: Vec<(u16, &'static str)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = move || {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = String::new();
                while !text.contains("\r\n\r\n") || !text.contains("time=") {
                    let mut chunk = [0; 1024];
                    let read = stream.read(&mut chunk).unwrap();
                    text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                asked.push(text);
            }
            asked
        };
        (url, std::thread::spawn(asked))
    }

    fn asked(url: &str) -> Asked {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Bearer t\n").unwrap();
        let authorization_file = Some(file.path().to_owned());
        let (tls, objectives) = (https::Tls::default(), BTreeMap::new());
        Asked::new(&Prometheus { url: url.to_owned(), authorization_file, tls, objectives }).unwrap()
    }

    const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1741053600,"99.6"]}]}}"#;

    #[test]
    fn both_expressions_are_asked_at_the_sample_s_time_and_their_answers_kept_as_one_record() {
        let (url, server) = server(vec![(200, VECTOR), (200, VECTOR)]);
        let objective = Objective {
            service: "checkout".to_owned(),
            good: "sum(increase(ok{code!~\"5..\"}[5m]))".to_owned(),
            total: "all".to_owned(),
            every: Span::from_minutes(5),
        };
        let at = Timestamp::parse("2025-03-04T02:00:00Z").unwrap();
        let log = Kept::default();
        let asked = asked(&url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sample(&asked, &Text::new("availability"), &objective, at, &log)).unwrap();
        let requests = server.join().unwrap();
        assert!(requests[0].starts_with("POST /api/v1/query "), "{}", requests[0]);
        assert!(requests[0].contains("authorization: Bearer t"), "{}", requests[0]);
        let form = "query=sum%28increase%28ok%7Bcode%21~%225..%22%7D%5B5m%5D%29%29&time=1741053600";
        assert!(requests[0].ends_with(form), "{}", requests[0]);
        assert!(requests[1].ends_with("query=all&time=1741053600"), "{}", requests[1]);
        let records = log.0.into_inner().unwrap();
        let outcome = sources::read(&records[0], &sources::SourceSettings::default());
        let sources::Outcome::Emit(events) = outcome else { panic!("{outcome:?}") };
        let event = model::json::to_value(&events[0]);
        assert_eq!(event["id"], "availability:2025-03-04T02:00:00Z");
        assert_eq!(event["sli_sample"]["total"], 100);
        assert_eq!(event["sli_sample"]["from"], "2025-03-04T01:55:00Z");
    }

    #[test]
    fn a_refused_expression_is_an_answer_and_a_server_that_fails_is_none() {
        let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        let (url, server) = server(vec![(400, refused), (503, ""), (200, "<html>")]);
        let asked = asked(&url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let at = Timestamp::parse("2025-03-04T02:00:00Z").unwrap();
        let ask = || runtime.block_on(asked.query("(", at));
        assert_eq!(ask().unwrap()["error"], "parse error");
        assert_eq!(ask(), Err("it answers 503".to_owned()));
        assert_eq!(ask(), Err("it answers 200".to_owned()));
        server.join().unwrap();
    }

    #[test]
    fn samples_lie_at_whole_multiples_and_the_last_hour_is_asked_for_again() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2025-03-04T02:03:20Z");
        assert_eq!(first_due(now, Span::from_minutes(5)), at("2025-03-04T01:05:00Z"));
        assert_eq!(first_due(now, Span::from_hours(24)), at("2025-03-04T00:00:00Z"));
    }
}
