//! `serve`: the gateway. On Kafka it stands in front of the topics; embedded it shares the process with the pipeline, and
//! what it answers 202 is in the durable log.

use crate::backfill;
use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::{DONE, wrong};
use crate::log::record_hash;
use crate::mirror;
use crate::run::{Input, follow, stop_signal, wait_for};
use crate::sli;
use crate::telemetry;
use crate::telemetry::exposition::MEDIA_TYPE;
use crate::telemetry::pulls::Pulls;
use anyhow::Context;
use gateway::{Acknowledge, Gateway, GatewaySettings, Pages, RawLog};
use kafka::KafkaSettings;
use kafka::acknowledged::AcknowledgedSender;
use kafka::admin::Admin;
use model::raw::RawRecord;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use tokio::task::JoinHandle;

/// Records that wait for the pipeline; their bytes are bounded by the gateway.
const QUEUE_RECORDS: usize = 10_000;

/// Serves until it is told to stop.
///
/// # Errors
/// Exit code 2 without hooks, or when a secret is missing; an address that cannot be listened on; as `run`.
pub fn run(settings: &Settings) -> anyhow::Result<u8> {
    let hooks = settings.gateway.open()?;
    let heals = settings.backfills.values().any(|backfill| backfill.every.is_some());
    let asks = settings.prometheus.is_some() || settings.mirrors.is_some() || heals;
    if hooks.hooks.is_empty() && hooks.events.is_none() && !asks {
        return Err(wrong(
            "no hook is configured: add [gateway.hooks.github] with secret_files to the configuration \
             (deploy/streamgauge.toml shows every key)",
        ));
    }
    match &settings.kafka {
        Some(brokers) => on_kafka(settings, brokers, &hooks),
        None => embedded(settings, &hooks),
    }
}

/// The topics of Kafka.
struct TopicLog(AcknowledgedSender);

impl RawLog for TopicLog {
    fn append(&self, record: RawRecord, acknowledge: Acknowledge) {
        self.0.send(&record, acknowledge);
    }
    fn unready(&self) -> Option<String> {
        self.0.trouble().map(|error| format!("the brokers do not take records: {error}"))
    }
}

fn on_kafka(settings: &Settings, brokers: &KafkaSettings, hooks: &GatewaySettings) -> anyhow::Result<u8> {
    need_topics(brokers, hooks, settings)?;
    // Only its threads are used.
    let threads = ClickHouse::served(String::new())?;
    let stop = stop_signal(&threads);
    let log = Arc::new(TopicLog(AcknowledgedSender::new(brokers)?));
    let asking = asking(settings, log.clone(), &threads)?;
    let pulls = Arc::new(Pulls::default());
    let mirroring = mirror::start(settings, log.clone(), &threads, pulls.clone())?;
    let healing = backfill::start(settings, log.clone(), &threads, pulls.clone())?;
    let gateway = start(settings, hooks, log, &threads, pulls)?;
    wait_for(&stop);
    asking.inspect(JoinHandle::abort);
    drop((mirroring, healing));
    threads.block_on(gateway.stop());
    Ok(DONE)
}

/// The topics of the hooks' sources must be there: else every delivery would be answered 503.
fn need_topics(brokers: &KafkaSettings, hooks: &GatewaySettings, settings: &Settings) -> anyhow::Result<()> {
    let mut sources: BTreeSet<&str> = hooks.hooks.values().map(|hook| hook.source.as_str()).collect();
    sources.extend(settings.prometheus.as_ref().map(|_| "prometheus"));
    sources.extend(settings.mirrors.as_ref().map(|_| "git"));
    backfill::asked_sources(settings).for_each(|source| {
        sources.insert(source);
    });
    if hooks.events.is_some() {
        gateway::cloudevents::sources().for_each(|source| {
            sources.insert(source);
        });
    }
    // What a user may not see is not listed.
    let there = Admin::new(brokers)?.partitions()?;
    let wanted = sources.into_iter().map(|source| brokers.topics.raw(source));
    let missing: Vec<String> = wanted.filter(|topic| !there.contains_key(topic)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(wrong(format!(
        "there is no topic {}, or none that this user may write to: `streamgauge topics` makes it, `streamgauge topics --acls \
         USER --gateway` lists the right",
        missing.join(", ")
    )))
}

/// The durable log of a data folder.
pub struct FolderLog(pub SyncSender<Input>);

impl RawLog for FolderLog {
    fn append(&self, record: RawRecord, acknowledge: Acknowledge) {
        let hash = record_hash(&record, false);
        let refused = self.0.try_send(Input::Record(Box::new(record), hash, Some(acknowledge)));
        let (input, why) = match refused {
            Ok(()) => return,
            Err(TrySendError::Full(input)) => (input, "the pipeline is behind"),
            Err(TrySendError::Disconnected(input)) => (input, "the pipeline has stopped"),
        };
        if let Input::Record(.., Some(acknowledge)) = input {
            let _ = acknowledge.send(Err(why.to_owned()));
        }
    }
    /// The process ends when its log cannot be written.
    fn unready(&self) -> Option<String> {
        None
    }
}

fn embedded(settings: &Settings, hooks: &GatewaySettings) -> anyhow::Result<u8> {
    let mut pipeline = Pipeline::open(settings, settings.listen)?;
    let stop = stop_signal(pipeline.clickhouse());
    writeln!(std::io::stderr(), "SQL is answered at {} until Ctrl-C", pipeline.clickhouse().url())?;
    let (queue, input) = sync_channel(QUEUE_RECORDS);
    let log = Arc::new(FolderLog(queue));
    let asking = asking(settings, log.clone(), pipeline.clickhouse())?;
    let pulls = Arc::new(Pulls::default());
    let mirroring = mirror::start(settings, log.clone(), pipeline.clickhouse(), pulls.clone())?;
    let healing = backfill::start(settings, log.clone(), pipeline.clickhouse(), pulls.clone())?;
    let gateway = start(settings, hooks, log, pipeline.clickhouse(), pulls)?;
    let followed = follow(&mut pipeline, &input, &stop);
    // What waits in the queue is answered 503, and comes again.
    drop(input);
    asking.inspect(JoinHandle::abort);
    drop((mirroring, healing));
    pipeline.clickhouse().block_on(gateway.stop());
    writeln!(std::io::stderr(), "{}", followed?.text())?;
    Ok(DONE)
}

/// Asks Prometheus, where it is configured.
fn asking(
    settings: &Settings,
    log: Arc<dyn RawLog>,
    threads: &ClickHouse,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    settings.prometheus.as_ref().map(|prometheus| sli::start(prometheus, log, threads)).transpose()
}

fn start(
    settings: &Settings,
    hooks: &GatewaySettings,
    log: Arc<dyn RawLog>,
    threads: &ClickHouse,
    pulls: Arc<Pulls>,
) -> anyhow::Result<Gateway> {
    let definition = settings.definitions.hash();
    let pages = Pages {
        metrics: Arc::new(move |stats| telemetry::gateway::text(stats, &definition, &pulls)),
        metrics_type: MEDIA_TYPE,
    };
    let gateway = threads.block_on(Gateway::start(hooks, log, pages)).with_context(|| {
        format!("gateway.listen: {} cannot be listened on: set another address", hooks.listen)
    })?;
    writeln!(std::io::stderr(), "hooks are answered at http://{}/v1/hooks/…", gateway.address())?;
    Ok(gateway)
}
