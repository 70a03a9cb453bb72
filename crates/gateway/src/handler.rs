//! One request: from its head to its answer.

use crate::answer::{Answer, Outcome, not_allowed, not_found, text};
use crate::body::{self, Held, Memory, Packing};
use crate::cloudevents;
use crate::deliveries::{self, Delivery, Known};
use crate::limits::{ACKNOWLEDGED_WITHIN, HELD_BYTES, LARGE_AT_ONCE, LARGE_BYTES};
use crate::log::RawLog;
use crate::rate::Rate;
use crate::server::Pages;
use crate::settings::{GatewaySettings, Proof};
use crate::sns::{Fetch, Signers};
use crate::stats::{HookStats, Stats};
use crate::verify;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use model::raw::{Origin, RawRecord};
use model::{Text, Timestamp};
use sources::privacy;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, oneshot};

/// What all requests share.
pub(crate) struct Shared {
    hooks: BTreeMap<String, Arc<Gate>>,
    events: Option<Arc<Gate>>,
    log: Arc<dyn RawLog>,
    memory: Memory,
    large: Semaphore,
    pub(crate) stats: Arc<Stats>,
    pages: Pages,
}

/// One hook as it runs.
struct Gate {
    /// The source of its records; `None`: each CloudEvent says it.
    source: Option<Text>,
    proof: Proof,
    known: Known,
    rate: Rate,
    signers: Signers,
    stats: Arc<HookStats>,
}

/// A delivery that may be stored.
enum Proved {
    /// As these records, remembered as this delivery.
    Records(Vec<RawRecord>, Option<Delivery>),
    /// There is nothing left to do.
    Done(Answer),
}

impl Shared {
    pub(crate) fn new(settings: &GatewaySettings, log: Arc<dyn RawLog>, pages: Pages, fetch: Fetch) -> Self {
        let events = settings.events.as_ref().map(|_| "events".to_owned());
        let stats = Arc::new(Stats::new(settings.hooks.keys().cloned().chain(events)));
        let signers = Signers::new(fetch);
        let gate = |name: &str, source: Option<Text>, proof: &Proof| {
            let counted = stats.hooks.get(name).cloned().unwrap_or_default();
            Arc::new(Gate {
                source,
                proof: proof.clone(),
                known: Known::default(),
                rate: Rate::new(settings.rate_per_s),
                signers: signers.clone(),
                stats: counted,
            })
        };
        let hooks = settings.hooks.iter();
        Self {
            hooks: hooks
                .map(|(name, hook)| (name.clone(), gate(name, Some(hook.source.clone()), &hook.proof)))
                .collect(),
            events: settings.events.as_ref().map(|proof| gate("events", None, proof)),
            log,
            memory: Memory::new(HELD_BYTES),
            large: Semaphore::new(LARGE_AT_ONCE),
            stats,
            pages,
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let posted = path.strip_prefix("/v1/").and_then(|path| {
            let (kind, rest) = path.split_once('/').unwrap_or((path, ""));
            let (name, token) = match kind {
                "hooks" => rest.split_once('/').unwrap_or((rest, "")),
                "events" => ("", rest),
                _ => return None,
            };
            let gate = if kind == "events" { self.events.as_ref() } else { self.hooks.get(name) };
            gate.map(|gate| (gate.clone(), (!token.is_empty()).then(|| token.to_owned())))
        });
        match (posted, path) {
            (Some((gate, token)), _) if request.method() == Method::POST => {
                let answer = self.post(&gate, token, request).await.unwrap_or_else(|answer| answer);
                gate.stats.count(answer.outcome);
                answer.response()
            }
            (Some(_), _) => self.other(not_allowed("POST")),
            (None, "/healthz" | "/readyz" | "/metrics") if request.method() != Method::GET => {
                self.other(not_allowed("GET"))
            }
            (None, "/healthz") => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            (None, "/readyz") => match self.log.unready() {
                None => text(StatusCode::OK, "text/plain", "ready\n".to_owned()),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n")),
            },
            (None, "/metrics") => {
                text(StatusCode::OK, self.pages.metrics_type, (self.pages.metrics)(&self.stats))
            }
            (None, _) => self.other(not_found(
                "there is no such address: POST /v1/hooks/{hook} and /v1/events take deliveries, and gateway.hooks in the \
                 configuration names the hooks",
            )),
        }
    }

    fn other(&self, response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        self.stats.others.fetch_add(1, Ordering::Relaxed);
        response
    }

    async fn post(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        token: Option<String>,
        request: Request<Incoming>,
    ) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        // What has no signature at all is not even received.
        if let Some(name) = gate.proof.way.header().filter(|name| !head.headers.contains_key(*name)) {
            return Err(verify::Refused::Missing(name.to_owned().into()).into());
        }
        let packing = Packing::of(&head.headers)?;
        let mut held = self.memory.none();
        let body = body::receive(body, &mut held).await?;
        gate.stats.add_bytes(body.len());
        let blocks = gate.proof.way.is_sns();
        let proved = if blocks || packing != Packing::Plain || body.len() > LARGE_BYTES {
            let _one_of_few = self.large.acquire().await.map_err(|_| Answer::busy())?;
            let gate = gate.clone();
            let work = move || {
                let proved = gate.prove(&head.headers, token.as_deref(), body, packing, &mut held);
                // What is held stays held until the log has it.
                (proved, held)
            };
            let (proved, still) = tokio::task::spawn_blocking(work).await.map_err(|_| Answer::busy())?;
            held = still;
            proved?
        } else {
            gate.prove(&head.headers, token.as_deref(), body, packing, &mut held)?
        };
        let (records, delivery) = match proved {
            Proved::Done(answer) => return Ok(answer),
            Proved::Records(records, delivery) => (records, delivery),
        };
        self.store(records).await?;
        drop(held);
        // Only now: what was not acknowledged must be taken when it comes again.
        if let Some(delivery) = delivery {
            gate.known.remember(delivery);
        }
        Ok(Answer::accepted())
    }

    /// Waits until the log has acknowledged all records.
    async fn store(&self, records: Vec<RawRecord>) -> Result<(), Answer> {
        let started = Instant::now();
        let mut waiting = Vec::with_capacity(records.len());
        for record in records {
            let (acknowledge, acknowledged) = oneshot::channel();
            self.log.append(record, acknowledge);
            waiting.push(acknowledged);
        }
        let all = async {
            for acknowledged in waiting {
                if !matches!(acknowledged.await, Ok(Ok(()))) {
                    return Err(Answer::not_logged());
                }
            }
            Ok(())
        };
        tokio::time::timeout(ACKNOWLEDGED_WITHIN, all).await.unwrap_or_else(|_| Err(Answer::not_logged()))?;
        self.stats.logged(started.elapsed());
        Ok(())
    }
}

impl Gate {
    /// Proves a delivery and makes records of it that name nobody.
    fn prove(
        &self,
        headers: &HeaderMap,
        token: Option<&str>,
        body: Bytes,
        packing: Packing,
        held: &mut Held,
    ) -> Result<Proved, Answer> {
        let body = body::unpack(body, packing, held)?;
        let now = now();
        let now_s = now.micros().div_euclid(1_000_000);
        let Proof { way, secrets, topics } = &self.proof;
        if way.is_sns() {
            if let Some(done) = self.signers.prove(&body, topics, now_s)? {
                return Ok(Proved::Done(done));
            }
        } else {
            way.check(&verify::Delivery { headers, token, body: &body, now_s }, secrets)?;
        }
        let source = self.source.as_ref().map_or("", |source| source.as_str());
        let delivery = deliveries::delivery(source, headers, &body);
        if delivery.is_some_and(|delivery| self.known.has(delivery)) {
            self.limit(1)?;
            return Ok(Proved::Done(Answer::new(Outcome::Known, "")));
        }
        let told = match &self.source {
            Some(source) => vec![(source.as_str(), &*body)],
            None => cloudevents::events(headers, &body)?,
        };
        self.limit(told.len())?;
        if told.is_empty() {
            return Ok(Proved::Done(Answer::accepted()));
        }
        let records = told.into_iter().map(|(source, body)| record(source, headers, body, now));
        Ok(Proved::Records(records.collect::<Result<_, _>>()?, delivery))
    }

    fn limit(&self, deliveries: usize) -> Result<(), Answer> {
        if self.rate.take(deliveries) {
            return Ok(());
        }
        Err(Answer::new(
            Outcome::TooMany,
            "this hook sends more than gateway.rate a second: send it again later",
        ))
    }
}

/// The record of a delivery, without people.
fn record(
    source: &str,
    headers: &HeaderMap,
    body: &[u8],
    received_at: Timestamp,
) -> Result<RawRecord, Answer> {
    let headers = headers
        .iter()
        .filter(|(name, _)| privacy::keeps_header(name.as_str()))
        .filter_map(|(name, value)| Some((Text::new(name.as_str()), value.to_str().ok()?.to_owned())));
    let mut record = RawRecord {
        source: Text::new(source),
        headers: headers.collect(),
        body: body.to_vec(),
        received_at,
        origin: Origin { topic: Text::new("gateway"), partition: 0, offset: 0 },
    };
    privacy::scrub(&mut record).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Answer::new(
            Outcome::Malformed,
            format!("the body is not JSON ({place}): set the webhook to send JSON"),
        )
    })?;
    Ok(record)
}

/// The machine's clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
