//! `replay`: another generation is computed from the raw records beside the one that is read, promoted, or dropped.
//!
//! Building one is a run of all stages under names of its own: any process with the same configuration that is
//! started with `run` helps. Neither the generation that is read nor those who read it notice anything of it before
//! `replay promote`, which moves all views at one moment.

use crate::background::Background;
use crate::cli;
use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::config::connections::ClickHouseServer;
use crate::durable::pause;
use crate::failure::{DONE, wrong};
use crate::import::now;
use crate::kafka_run;
use crate::output::{Align, Cell, Format, Table};
use crate::topics::make_missing;
use anyhow::Context;
use kafka::admin::Admin;
use kafka::generation::{inputs, shortened, waiting};
use kafka::raw::RawSender;
use kafka::{KafkaSettings, Stage, Topics};
use model::raw::{Origin, RawRecord};
use model::{Generation, Text};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use warehouse::compare::{Comparison, Selection, compare};
use warehouse::{Client, Generations};

/// How often it is looked how far a generation is.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So few records that wait for a stage are what comes in while it is looked.
const FEW: u64 = 1_000;
/// For so long only few may wait before a generation has caught up with an input that does not rest.
const FEW_FOR: Duration = Duration::from_secs(30);
/// Generations that are behind by more are not promoted without being asked twice.
const FAR_BEHIND: u64 = 10_000;
/// Topics that a message names.
const NAMED: usize = 3;

/// Builds, lists, promotes or drops.
///
/// # Errors
/// Exit code 2 for wrong use; brokers or a ClickHouse that do not answer or refuse.
pub fn run(
    command: &cli::Replay,
    settings: &Settings,
    quiet: bool,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let place = Place::open(settings)?;
    match &command.action {
        None => place.build(command, settings, quiet),
        Some(cli::ReplayAction::List) => place.list(format, out),
        Some(cli::ReplayAction::Promote { behind }) => place.promote(*behind, out),
        Some(cli::ReplayAction::Drop { generation }) => {
            place.drop(Generation::new(generation.get()).unwrap_or_default(), out)
        }
    }
}

/// The brokers and the ClickHouse of a configuration.
pub struct Place<'a> {
    brokers: &'a KafkaSettings,
    server: &'a ClickHouseServer,
    clickhouse: ClickHouse,
    client: Client,
}

impl<'a> Place<'a> {
    /// Finds them; asks nobody yet.
    ///
    /// # Errors
    /// Exit code 2 where one of them is not configured.
    pub fn open(settings: &'a Settings) -> anyhow::Result<Self> {
        let (Some(brokers), Some(server)) = (&settings.kafka, &settings.clickhouse) else {
            return Err(wrong(
                "generations need kafka.brokers and clickhouse.url; in a data folder a changed definition is computed anew \
                 by the next command",
            ));
        };
        let clickhouse = ClickHouse::served(server.url.clone())?;
        let client = server.bare_client().context("clickhouse.ssl")?;
        Ok(Self { brokers, server, clickhouse, client })
    }

    /// The configuration's generation.
    pub fn generation(&self) -> Generation {
        self.brokers.topics.generation
    }

    /// The generation that the views show.
    ///
    /// # Errors
    /// What ClickHouse says.
    pub fn live(&self) -> anyhow::Result<Generation> {
        Ok(self.clickhouse.block_on(self.generations().live())?)
    }

    /// What an old generation and a new one do not agree on.
    ///
    /// # Errors
    /// What ClickHouse says.
    pub fn compared(
        &self,
        old: Generation,
        new: Generation,
        selection: &Selection,
    ) -> anyhow::Result<Comparison> {
        let (old, new) = (self.server.base.of(old), self.server.base.of(new));
        Ok(self.clickhouse.block_on(compare(&self.client, &old, &new, &self.server.target, selection))?)
    }

    fn generations(&self) -> Generations<'_> {
        Generations::new(&self.client, &self.server.base, &self.server.target)
    }

    /// The brokers, with the names of another generation.
    fn brokers_of(&self, generation: Generation) -> KafkaSettings {
        let mut brokers = self.brokers.clone();
        brokers.topics = Topics::of(brokers.topics.prefix(), generation);
        brokers
    }

    fn build(&self, command: &cli::Replay, settings: &Settings, quiet: bool) -> anyhow::Result<u8> {
        let generation = self.generation();
        if generation == self.live()? {
            let known = self.clickhouse.block_on(self.generations().known())?;
            let next = known.iter().map(|known| known.generation.number()).max().unwrap_or(1) + 1;
            return Err(wrong(format!(
                "generation {generation} is the one that is read (`streamgauge run` runs it): set generation = {next} beside \
                 what shall change"
            )));
        }
        let lost = shortened(self.brokers)?;
        if !lost.is_empty() && !command.partial && !command.archive {
            let named: Vec<String> = lost
                .iter()
                .take(NAMED)
                .map(|lost| format!("{} begins at offset {}", lost.topic, lost.begins_at))
                .collect();
            let more = lost.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Err(wrong(format!(
                "older raw records are gone ({}{more}): the generation would lack what they tell; --archive reads the \
                 archived events, too, --partial does without",
                named.join(", ")
            )));
        }
        self.make_topics(command.replication, settings)?;
        if command.archive {
            let count = self.read_archive()?;
            tell(format_args!("{count} archived events are read beside the raw records"));
        }
        let arrived = Arc::new(AtomicBool::new(false));
        let watch = watch(self.brokers.clone(), quiet, arrived.clone())?;
        let once = command.once;
        let ended = kafka_run::run_until(Stage::ALL.to_vec(), settings, self.brokers, || {
            once && arrived.load(Ordering::Relaxed)
        });
        drop(watch);
        let code = ended?;
        if arrived.load(Ordering::Relaxed) {
            tell(format_args!(
                "generation {generation} is computed: `streamgauge compare` shows what differs, `streamgauge replay promote` \
                 makes the views show it"
            ));
        } else {
            tell(format_args!("generation {generation} is not computed yet: the same command goes on"));
        }
        Ok(code)
    }

    /// Makes what is missing of the generation's own topics.
    fn make_topics(&self, replication: Option<i32>, settings: &Settings) -> anyhow::Result<()> {
        let topics = &self.brokers.topics;
        let own: Vec<String> = topics.owned().collect();
        let mut specs = topics.specs(settings.partitions, []);
        specs.retain(|spec| own.contains(&spec.name));
        let admin = Admin::new(self.brokers)?;
        let standing = admin.standing(&specs)?;
        make_missing(&admin, &specs, &standing, replication)
    }

    /// Sends the events that the views show to the topic that this generation alone reads. Those that the raw records
    /// still tell count once, by the one law; given again, all of them are sent again.
    fn read_archive(&self) -> anyhow::Result<u64> {
        let mut brokers = self.brokers.clone();
        brokers.topics = brokers.topics.as_archive();
        let sender = RawSender::new(&brokers)?;
        let query = format!("SELECT body FROM {}.events", self.server.base);
        let mut count = 0;
        self.clickhouse.block_on(async {
            let mut bodies = self.client.query(&query).fetch::<String>()?;
            while let Some(body) = bodies.next().await? {
                let (headers, origin) = (Vec::new(), Origin::default());
                let source = Text::new("canonical");
                sender.send(&RawRecord {
                    source,
                    headers,
                    body: body.into_bytes(),
                    received_at: now(),
                    origin,
                })?;
                count += 1;
            }
            anyhow::Ok(())
        })?;
        sender.finish()?;
        Ok(count)
    }

    fn list(&self, format: Format, out: &mut impl Write) -> anyhow::Result<u8> {
        let columns = [
            ("generation", Align::Right),
            ("database", Align::Left),
            ("definition", Align::Left),
            ("is read", Align::Left),
            ("waiting", Align::Right),
        ];
        let mut table = Table::new(&columns);
        for known in self.clickhouse.block_on(self.generations().known())? {
            let brokers = self.brokers_of(known.generation);
            // One whose topics are gone does not wait for anything.
            let waits = if inputs(&brokers, Stage::Correlate)?.is_empty() {
                Cell::none()
            } else {
                Cell::count(waiting(&brokers)?.iter().map(|(_, count)| count).sum())
            };
            table.row(vec![
                Cell::count(u64::from(known.generation.number())),
                Cell::text(known.database.as_str()),
                Cell::optional(known.definition),
                Cell::new(if known.live { "yes" } else { "no" }, known.live),
                waits,
            ]);
        }
        table.write(format, out)?;
        Ok(DONE)
    }

    fn promote(&self, behind: bool, out: &mut impl Write) -> anyhow::Result<u8> {
        let generation = self.generation();
        if !behind
            && let Some((stage, count)) =
                waiting(self.brokers)?.into_iter().find(|(_, count)| *count > FAR_BEHIND)
        {
            return Err(wrong(format!(
                "generation {generation} is behind: {count} records wait for {stage}; let `streamgauge replay` catch up, or \
                 promote it all the same with --behind"
            )));
        }
        let promotion = self.clickhouse.block_on(self.generations().promote(generation))?;
        if promotion.before == promotion.now {
            writeln!(out, "the views show generation {generation} already")?;
        } else {
            let before = promotion.before;
            writeln!(
                out,
                "the views show generation {generation} now, and showed {before} before\n\
                 next: give this configuration to every process, and `streamgauge replay drop {before}` once none runs \
                 generation {before}; until then it can be promoted back"
            )?;
        }
        Ok(DONE)
    }

    fn drop(&self, generation: Generation, out: &mut impl Write) -> anyhow::Result<u8> {
        let live = self.live()?;
        if generation == live {
            return Err(wrong(format!(
                "generation {generation} is the one that is read: promote another one first"
            )));
        }
        // First the brokers: they say whether somebody still runs it.
        let brokers = self.brokers_of(generation);
        Admin::new(&brokers)?.delete_generation()?;
        self.clickhouse.block_on(self.generations().drop(generation))?;
        writeln!(out, "generation {generation} is gone; the raw records and the catalog are untouched")?;
        Ok(DONE)
    }
}

/// Looks how far a generation is, beside the run; says so in `arrived` once it has caught up.
fn watch(brokers: KafkaSettings, quiet: bool, arrived: Arc<AtomicBool>) -> std::io::Result<Background> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    Background::start("replay", stop, move || {
        let mut progress = Progress::default();
        while !told.load(Ordering::Relaxed) {
            match waiting(&brokers) {
                Ok(waits) => {
                    if progress.arrives(&waits, Instant::now()) {
                        arrived.store(true, Ordering::Relaxed);
                    }
                    if !quiet {
                        say(&waits);
                    }
                }
                // What is wrong with the brokers is said by the stages.
                Err(error) => tracing::debug!("how far the replay is: {error:#}"),
            }
            pause(LOOK_EVERY, &told);
        }
    })
}

fn say(waits: &[(Stage, u64)]) {
    let waits: Vec<String> = waits.iter().map(|(stage, count)| format!("{stage} {count}")).collect();
    tell(format_args!("records that wait: {}", waits.join(", ")));
}

fn tell(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// When a generation has caught up.
#[derive(Debug, Default)]
struct Progress {
    /// Since when nothing has waited at all.
    rests: Option<Instant>,
    /// Since when only few have waited for each stage, and for none fewer than ever before.
    few: Option<Instant>,
    /// The fewest that waited for each stage meanwhile.
    fewest: BTreeMap<Stage, u64>,
}

impl Progress {
    /// Whether it has, by what waits now: nothing, twice; or for a while only what just came in. Twice, because
    /// corrections of late data are written up to [`LOOK_EVERY`] after their cause was read.
    fn arrives(&mut self, waits: &[(Stage, u64)], now: Instant) -> bool {
        let all = |most: u64| waits.iter().all(|(_, count)| *count <= most);
        self.rests = all(0).then(|| self.rests.unwrap_or(now));
        if !all(FEW) {
            (self.few, self.fewest) = (None, BTreeMap::new());
        } else if self.are_fewer(waits) {
            // A small backlog that shrinks is worked on, however slowly.
            self.few = Some(now);
        }
        let since = |start: Option<Instant>, length| start.is_some_and(|start| now - start >= length);
        since(self.rests, LOOK_EVERY) || since(self.few, FEW_FOR)
    }

    /// Whether fewer wait for a stage than at any look since only few do.
    fn are_fewer(&mut self, waits: &[(Stage, u64)]) -> bool {
        let mut fewer = false;
        for (stage, count) in waits {
            let least = self.fewest.entry(*stage).or_insert(u64::MAX);
            fewer |= count < least;
            *least = (*least).min(*count);
        }
        fewer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_has_caught_up_when_nothing_waits_twice_or_few_for_a_while() {
        let start = Instant::now();
        let at = |progress: &mut Progress, seconds, count| {
            progress
                .arrives(&[(Stage::Ingest, count), (Stage::Load, 0)], start + Duration::from_secs(seconds))
        };
        let mut rests = Progress::default();
        assert!(!at(&mut rests, 0, 5_000));
        assert!(!at(&mut rests, 5, 0));
        assert!(at(&mut rests, 10, 0));
        let mut busy = Progress::default();
        assert!(!at(&mut busy, 0, 0));
        assert!(!at(&mut busy, 5, 7));
        assert!(!at(&mut busy, 20, 1_001), "a backlog begins anew");
        assert!(!at(&mut busy, 25, 9));
        assert!(!at(&mut busy, 50, 9));
        assert!(at(&mut busy, 55, 9));
        let mut slow = Progress::default();
        assert!(
            (0..40).all(|look| !at(&mut slow, look * 5, 900 - look)),
            "a backlog that shrinks is not over"
        );
    }
}
