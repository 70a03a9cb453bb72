//! Spans to an OpenTelemetry collector: OTLP over HTTP, as JSON.
//! Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.
//!
//! Spans are few, because only what was sampled is traced. They wait in a bounded queue; what does not fit, or is not
//! taken after some attempts, is given up and counted in the log: no record waits for its trace.

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kafka::trace::{Attribute, Span, Spans, TraceContext};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// Most spans that wait.
const QUEUE: usize = 4_096;
/// Most spans of one request.
const BATCH: usize = 512;
/// How long spans are gathered.
const GATHER: Duration = Duration::from_millis(500);
/// Attempts of one request.
const ATTEMPTS: u32 = 5;
/// The first pause between them; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long the collector may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of the process waits for what is under way.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// `SPAN_KIND_CONSUMER`.
const CONSUMER: u32 = 5;

/// Where spans are queued.
#[derive(Debug)]
pub struct Queue {
    spans: Sender<Span>,
    lost: AtomicU64,
}

impl Spans for Queue {
    fn ended(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::warn!(lost, "spans are given up: the collector does not keep up");
            }
        }
    }
}

/// Sends what is queued until the queue is dropped.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts sending to a collector, such as `http://localhost:4318`. `instance` is the process's name.
    pub fn start(endpoint: &str, instance: &str, handle: &Handle) -> (Queue, Self) {
        let (spans, queued) = channel(QUEUE);
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let resource = json!({"attributes": [
            attribute("service.name", &"streamgauge".into()),
            attribute("service.version", &env!("CARGO_PKG_VERSION").into()),
            attribute("service.instance.id", &instance.into()),
        ]});
        let task = handle.spawn(send_all(url, resource, queued));
        (Queue { spans, lost: AtomicU64::new(0) }, Self { task })
    }

    /// Waits a while until everything is sent; the queue must be gone.
    pub async fn finish(self) {
        let _ = tokio::time::timeout(FINISH_WITHIN, self.task).await;
    }
}

async fn send_all(url: String, resource: Value, mut queued: Receiver<Span>) {
    let client: Client<HttpConnector, Full<axum::body::Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut spans = Vec::with_capacity(BATCH);
    while queued.recv_many(&mut spans, BATCH).await > 0 {
        if !queued.is_closed() {
            tokio::time::sleep(GATHER).await;
        }
        while spans.len() < BATCH
            && let Ok(span) = queued.try_recv()
        {
            spans.push(span);
        }
        let body = axum::body::Bytes::from(request(&resource, &spans).to_string());
        if let Err(error) = deliver(&client, &url, &body).await {
            tracing::warn!(url, spans = spans.len(), "spans are given up: {error:#}");
        }
        spans.clear();
    }
}

async fn deliver(
    client: &Client<HttpConnector, Full<axum::body::Bytes>>,
    url: &str,
    body: &axum::body::Bytes,
) -> anyhow::Result<()> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        match tokio::time::timeout(ANSWER_WITHIN, post(client, url, body.clone())).await {
            Ok(Ok(200..=299)) => return Ok(()),
            Ok(Ok(status)) if !matches!(status, 429 | 502 | 503 | 504) => {
                bail!("the collector answers {status}")
            }
            Ok(Ok(status)) if attempt == ATTEMPTS => bail!("the collector answers {status}"),
            Ok(Err(error)) if attempt == ATTEMPTS => return Err(error),
            Err(_) if attempt == ATTEMPTS => bail!("the collector does not answer"),
            _ => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Ok(())
}

async fn post(
    client: &Client<HttpConnector, Full<axum::body::Bytes>>,
    url: &str,
    body: axum::body::Bytes,
) -> anyhow::Result<u16> {
    let request = axum::http::Request::post(url)
        .header(axum::http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let answer = client.request(request).await.context("the collector cannot be reached")?;
    let status = answer.status().as_u16();
    // Read to its end, so that the connection can be used again.
    let _ = answer.into_body().collect().await;
    Ok(status)
}

/// An `ExportTraceServiceRequest`.
fn request(resource: &Value, spans: &[Span]) -> Value {
    let scope = json!({"name": "streamgauge", "version": env!("CARGO_PKG_VERSION")});
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]})
}

fn span(span: &Span) -> Value {
    // Whole numbers of 64 bits are texts in the JSON form of protocol buffers; ids are hexadecimal in OTLP's.
    let nanoseconds =
        |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let link = |link: &TraceContext| json!({"traceId": link.trace_id(), "spanId": link.span_id()});
    let mut value = json!({
        "traceId": span.context.trace_id(),
        "spanId": span.context.span_id(),
        "name": span.name,
        "kind": CONSUMER,
        "startTimeUnixNano": nanoseconds(span.started),
        "endTimeUnixNano": nanoseconds(span.ended),
        "attributes": span.attributes.iter().map(|(key, value)| attribute(key, value)).collect::<Vec<_>>(),
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
    });
    if let (Some(parent), Some(fields)) = (&span.parent, value.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), parent.span_id().into());
    }
    value
}

fn attribute(key: &str, value: &Attribute) -> Value {
    match value {
        Attribute::Text(text) => json!({"key": key, "value": {"stringValue": text}}),
        Attribute::Number(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use std::sync::{Arc, Mutex};

    type Received = Arc<Mutex<Vec<Value>>>;

    /// Refuses the first request, as a collector does that is busy.
    async fn receive(State(received): State<Received>, body: String) -> StatusCode {
        let mut received = received.lock().unwrap();
        received.push(serde_json::from_str(&body).unwrap());
        if received.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }

    #[test]
    fn spans_reach_a_collector_that_was_busy_at_first_in_the_form_that_it_reads() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let received = Received::default();
        let routes = Router::new().route("/v1/traces", post(receive)).with_state(received.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, routes).await });

        let (queue, exporter) = Exporter::start(&format!("http://{address}/"), "one", runtime.handle());
        let parent = TraceContext::root();
        let mut sent = Span::begin(parent.child(), "g", Some("events")).with("messaging.kafka.offset", 7);
        (sent.parent, sent.links) = (Some(parent), vec![TraceContext::root()]);
        queue.ended(sent.clone());
        drop(queue);
        runtime.block_on(exporter.finish());

        let received = received.lock().unwrap();
        assert_eq!((received.len(), &received[0]), (2, &received[1]));
        let all = &received[1]["resourceSpans"][0];
        assert_eq!(
            all["resource"]["attributes"][0],
            json!({"key": "service.name", "value": {"stringValue": "streamgauge"}})
        );
        let span = &all["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], parent.trace_id());
        assert_eq!(span["parentSpanId"], parent.span_id());
        assert_eq!(span["links"][0]["spanId"], sent.links[0].span_id());
        assert_eq!((&span["name"], &span["kind"]), (&json!("process events"), &json!(5)));
        let offset = json!({"key": "messaging.kafka.offset", "value": {"intValue": "7"}});
        assert!(span["attributes"].as_array().unwrap().contains(&offset), "{span}");
        assert!(
            span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000_000_000
        );
    }
}
