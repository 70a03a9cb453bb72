//! Prometheus: samples of a service level objective, from two expressions: good events, and all.
//!
//! Source: Prometheus' documentation, "HTTP API" (instant queries, "Expression query result formats"). No live payload seen.
//!
//! `streamgauge serve` asks for each objective of the configuration (`[prometheus]`) and keeps both answers as they were
//! given, with the objective's name, its service and the time that they are about. An expression gives one series, or
//! one for each value of the label `endpoint`. `increase` gives fractions, which are rounded to whole events; so the
//! good ones may exceed all by one, and are then as many.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, record};
use model::event::{DeliveryEvent, SliSample};
use model::raw::RawRecord;
use model::{EventBody, Text};
use std::collections::BTreeMap;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Prometheus' query API: samples of service level objectives",
    emits: "sli_sample",
    drops: "no_data no_events",
    times: "`from`, `to`: RFC 3339, of the question that was asked; the answers' own times are not used.",
    set_up: &[
        "`[prometheus]` in the configuration: the server's `url`, and for each objective its `service` and the expressions `good` and `total` over the time between two samples, as in `sum(increase(http_requests_total{code!~\"5..\"}[5m]))`.",
        "`streamgauge serve` asks at each whole multiple of `every`, and after a start for the hour before.",
    ],
    seen: None,
    limits: &[
        "An expression that gives several series without a label `endpoint` is refused: sum them up.",
        "No sample is told where there were no events.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "prometheus";
/// Series that one answer may have.
const MAX_SERIES: usize = 1_000;
/// Counts above this many are no longer whole in floating point.
const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

/// By endpoint: how many. `None`: the answer has no number.
type Counts<'a> = BTreeMap<Option<&'a str>, Option<u64>>;

/// Reads the two answers of one question.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let slo = body.text("slo")?;
    bounded("slo", slo, MAX_NAME_BYTES)?;
    let service = body.text("service")?;
    let (from, to) = (body.time("from")?, body.time("to")?);
    let (total, good) = (counts(&body, "total")?, counts(&body, "good")?);
    if total.values().all(Option::is_none) {
        return Err(Refusal::drop("no_data"));
    }
    let mut events = Vec::new();
    for (endpoint, total) in total {
        let Some(total) = total.filter(|total| *total > 0) else { continue };
        // Without good events an expression has no series to sum up.
        let good = good.get(&endpoint).copied().flatten().unwrap_or(0);
        let sample = SliSample {
            slo: Text::new(slo),
            good: if good == total + 1 { total } else { good },
            total,
            from,
            to,
            endpoint: endpoint.map(Text::new),
        };
        let id = format!("{slo}:{to}{}", endpoint.map_or_else(String::new, |name| format!(":{name}")));
        let mut event = record::event(SOURCE, id, to, raw.received_at, EventBody::SliSample(sample));
        event.service = Some(Text::new(service));
        events.push(event);
    }
    if events.is_empty() { Err(Refusal::drop("no_events")) } else { Ok(events) }
}

/// The numbers of an answer.
fn counts<'a>(body: &Node<'a>, path: &str) -> Result<Counts<'a>, Refusal> {
    let answer = body.object(path)?;
    if answer.text("status")? != "success" {
        let error = answer.maybe_text("error")?.unwrap_or("no reason given");
        return Err(Refusal::reject(
            "invalid",
            format!("field `{path}`: Prometheus refused the query: {error}"),
        ));
    }
    let data = answer.object("data")?;
    match data.text("resultType")? {
        "scalar" => {
            let result = data.value().get("result");
            Ok(BTreeMap::from([(None, number(path, result.and_then(|pair| pair.get(1)))?)]))
        }
        "vector" => {
            let series = data.items("result")?;
            if series.len() > MAX_SERIES {
                let found = series.len();
                let detail =
                    format!("field `{path}` has {found} series; at most {MAX_SERIES} are read: sum them up");
                return Err(Refusal::reject("too_large", detail));
            }
            let mut counts = BTreeMap::new();
            for one in series {
                let endpoint = one.maybe_entry("metric", "endpoint")?;
                let value = one.value().get("value").and_then(|pair| pair.get(1));
                if counts.insert(endpoint, number(path, value)?).is_some() {
                    let detail = format!(
                        "field `{path}` has several series that differ in other labels than `endpoint`: sum them up"
                    );
                    return Err(Refusal::reject("invalid", detail));
                }
            }
            Ok(counts)
        }
        other => Err(data.unknown("resultType", other, "vector, scalar: ask an instant query")),
    }
}

/// A number as Prometheus writes it; `NaN` is none.
fn number(path: &str, value: Option<&serde_json::Value>) -> Result<Option<u64>, Refusal> {
    let wrong = || {
        let detail =
            format!("field `{path}` holds no count of events: {}", value.unwrap_or(&serde_json::Value::Null));
        Refusal::reject("invalid", detail)
    };
    let number: f64 =
        value.and_then(serde_json::Value::as_str).ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
    match number.round() {
        number if number.is_nan() => Ok(None),
        number if (0.0..=MAX_COUNT).contains(&number) => Ok(Some(number as u64)),
        _ => Err(wrong()),
    }
}
