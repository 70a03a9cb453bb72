//! The configuration: one TOML file and the environment, read once into validated types.
//!
//! `STREAMGAUGE__LEAD_TIME__START=authored` sets `lead_time.start` and wins over the file. Unknown keys are
//! errors that name the nearest known one; every message names the file and line or the variable.

pub mod backfill;
pub mod connections;
mod file;
pub mod gateway;
pub mod keys;
pub mod known;
pub mod mirror;
pub mod prometheus;
pub mod sources;
mod verify;

use crate::failure::wrong;
use anyhow::Context;
use connections::ClickHouseServer;
use file::{File, Origins};
use model::definitions::{FirstDeployment, LeadTimeStart, Profile, RestoredAt};
use model::event::{AuthorKind, Severity};
use model::{Calendar, Definitions, Generation, Span, Text};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The report year whose bands are shown unless the configuration says another: 2025's report has none.
const DEFAULT_BANDS: u16 = 2024;

/// Everything that can be configured, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What decides a number.
    pub definitions: Definitions,
    /// Whether a file was given, or a variable that decides a number: else a data folder's own definitions hold.
    pub stated: bool,
    /// `listen`: where `demo` and `run` answer SQL; a loopback address, for there are no users.
    pub listen: SocketAddr,
    /// `data`: where the embedded commands keep everything.
    pub data: PathBuf,
    /// `catalog`: the catalog's file.
    pub catalog: Option<PathBuf>,
    /// `partitions`: how many partitions the embedded run uses.
    pub partitions: u32,
    /// `reporting.bands`: the report year whose bands are shown; `None`: none.
    pub bands: Option<u16>,
    /// `log.format`.
    pub log_format: LogFormat,
    /// `telemetry.listen`: where metrics and health are answered; `None`: nowhere.
    pub telemetry: Option<SocketAddr>,
    /// `telemetry.otlp_endpoint`: the collector that gets spans; `None`: nothing is traced.
    pub collector: Option<String>,
    /// `sources`: those that are added to the built-in ones.
    pub mappings: ::sources::Mappings,
    /// `gateway`: which hooks there are.
    pub gateway: gateway::GatewayConfig,
    /// `prometheus`: which objectives are asked for; `None`: none.
    pub prometheus: Option<prometheus::Prometheus>,
    /// `backfill`: how vendors' histories are asked for, by vendor.
    pub backfills: BTreeMap<String, backfill::Backfill>,
    /// `git`: which repositories are mirrored; `None`: none.
    pub mirrors: Option<mirror::Mirrors>,
    /// `kafka`: how the brokers are reached; `None`: everything is embedded.
    pub kafka: Option<kafka::KafkaSettings>,
    /// `clickhouse`: the server that is loaded; `None`: the engine in process.
    pub clickhouse: Option<ClickHouseServer>,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// Reads the file (if any) and the environment.
    ///
    /// # Errors
    /// Exit code 2: a file that cannot be read, TOML that is none, unknown keys, values that are not allowed.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("configuration {}: {error}", path.display())))?,
        };
        let mut settings =
            Self::read(&path.unwrap_or(Path::new("")).display().to_string(), &text, environment)?;
        settings.stated |= path.is_some();
        // A catalog named in a file lies beside that file, wherever the command was started.
        if let (Some(folder), Some(catalog)) = (path.and_then(Path::parent), &settings.catalog) {
            settings.catalog = Some(folder.join(catalog));
        }
        Ok(settings)
    }

    /// Reads a file's text and an environment.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn read(name: &str, text: &str, environment: BTreeMap<String, String>) -> anyhow::Result<Self> {
        let environment: BTreeMap<_, _> =
            environment.into_iter().filter(|(key, _)| key.starts_with(file::PREFIX)).collect();
        let origins = Origins::of(name, text, &environment)?;
        let source = config::Environment::with_prefix("STREAMGAUGE")
            .prefix_separator("__")
            .separator("__")
            .source(Some(environment.into_iter().collect()));
        let merged = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml))
            .add_source(source)
            .build()
            .context("configuration")?;
        let file: File =
            merged.try_deserialize().map_err(|error| wrong(format!("configuration {name}: {error}")))?;
        Self::validated(file, &origins, Path::new(name).parent().unwrap_or(Path::new("")))
    }

    fn validated(file: File, at: &Origins, folder: &Path) -> anyhow::Result<Self> {
        let profile =
            word(at, "profile", file.profile, Profile::from_word, Profile::ALL, Profile::Streamgauge)?;
        let mut definitions = match profile {
            Profile::Streamgauge => Definitions::default(),
            Profile::Devlake => Definitions::devlake(),
        };
        let d = &mut definitions;
        d.lead_time_start = word(
            at,
            "lead_time.start",
            file.lead_time.start,
            LeadTimeStart::from_word,
            LeadTimeStart::ALL,
            d.lead_time_start,
        )?;
        d.first_deployment = word(
            at,
            "lead_time.first_deployment",
            file.lead_time.first_deployment,
            FirstDeployment::from_word,
            FirstDeployment::ALL,
            d.first_deployment,
        )?;
        d.lead_time_exclude = file
            .lead_time
            .exclude
            .map_or_else(Vec::new, |list| list.0)
            .into_iter()
            .map(|name| {
                word(
                    at,
                    "lead_time.exclude",
                    Some(name),
                    AuthorKind::from_word,
                    AuthorKind::ALL,
                    AuthorKind::Bot,
                )
            })
            .collect::<anyhow::Result<_>>()?;
        match file.failure_window.as_deref() {
            Some("unbounded") => d.failure_window = None,
            other => {
                let window = other.map(|text| span(at, "failure_window", text)).transpose()?;
                d.failure_window = window.or(d.failure_window);
            }
        }
        let length = |key, text: &Option<String>, default| {
            text.as_deref().map_or(Ok(default), |text| span(at, key, text))
        };
        d.remediation_window = length("remediation_window", &file.remediation_window, d.remediation_window)?;
        d.merge_within = length("rollout.merge_within", &file.rollout.merge_within, d.merge_within)?;
        d.max_future = length("max_future", &file.max_future, d.max_future)?;
        d.min_severity = word(
            at,
            "incident.min_severity",
            file.incident.min_severity,
            Severity::from_word,
            Severity::ALL,
            d.min_severity,
        )?;
        d.restored_at = word(
            at,
            "incident.restored_at",
            file.incident.restored_at,
            RestoredAt::from_word,
            RestoredAt::ALL,
            d.restored_at,
        )?;
        d.blame_dependencies = file.blame_dependencies.unwrap_or(d.blame_dependencies);
        d.failure_evidence_suffices = file.failure_evidence_suffices.unwrap_or(d.failure_evidence_suffices);
        d.timezone = timezone(at, file.reporting.timezone)?;
        d.organisation = organisation(at, file.organisation.name, &d.organisation)?;
        d.label_scopes = label_scopes(file.scopes.labels);
        // What the embedded run can do of these is one thing each; another word must not be taken in silence.
        choice(at, "privacy.people", file.privacy.people, &[("drop", ())])?;
        choice(at, "retain", file.retain, &[("all", ())])?;
        let bands = bands(at, file.reporting.bands.as_deref())?;
        let added = sources::sources(at, folder, file.sources)?;
        let mappings = added.mappings;
        let generation = generation(at, file.generation)?;
        let kafka = connections::kafka(at, file.kafka, &mappings, generation)?;
        if kafka.is_none() && !generation.is_first() {
            return Err(at.error(
                "generation",
                "generations are for the run on Kafka (kafka.brokers is not set): a data folder is computed anew at once",
            ));
        }
        Ok(Self {
            definitions,
            stated: at.decides(),
            data: PathBuf::from(file.data.unwrap_or_else(|| "streamgauge-data".to_owned())),
            catalog: file.catalog.map(PathBuf::from),
            partitions: match file.partitions.unwrap_or(1) {
                count @ 1..=1024 => count,
                other => return Err(at.error("partitions", format!("{other} is not between 1 and 1024"))),
            },
            bands,
            gateway: gateway::gateway(at, file.gateway, &mappings, &added.verified)?,
            prometheus: prometheus::prometheus(at, file.prometheus)?,
            backfills: backfill::backfills(at, file.backfill)?,
            mirrors: mirror::mirrors(at, file.git)?,
            kafka,
            mappings,
            clickhouse: connections::clickhouse(at, file.clickhouse, generation)?,
            listen: listen(at, file.listen.as_deref())?,
            telemetry: telemetry(at, file.telemetry.listen.as_deref())?,
            collector: collector(at, file.telemetry.otlp_endpoint)?,
            log_format: choice(
                at,
                "log.format",
                file.log.format,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
        })
    }
}

/// A word out of a fixed list; the first pair of the list is the default.
fn choice<T: Copy>(at: &Origins, key: &str, text: Option<String>, words: &[(&str, T)]) -> anyhow::Result<T> {
    let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let found = match &text {
        None => words.first(),
        Some(text) => words.iter().find(|(word, _)| word == text),
    };
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| at.error(key, format!("{:?} is not one of {}", text.unwrap_or_default(), known())))
}

fn word<T: Copy + std::fmt::Display>(
    at: &Origins,
    key: &str,
    text: Option<String>,
    read: impl Fn(&str) -> Option<T>,
    all: &[T],
    default: T,
) -> anyhow::Result<T> {
    let Some(text) = text else { return Ok(default) };
    read(&text).ok_or_else(|| {
        let known = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        at.error(key, format!("{text:?} is not one of {known}"))
    })
}

fn span(at: &Origins, key: &str, text: &str) -> anyhow::Result<Span> {
    parse_span(text)
        .ok_or_else(|| at.error(key, format!("{text:?} is not a length of time (as in 30m, 4h, 7d)")))
}

/// Reads a length of time such as `4h`, `90m` or `1d12h`.
pub fn parse_span(text: &str) -> Option<Span> {
    let mut seconds = 0_i64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit = tail.chars().next()?;
        let length = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(length)?)?;
        rest = tail.strip_prefix(unit)?.trim_start();
    }
    // A century is beyond every window, and far from overflowing microseconds.
    (seconds <= 36_525 * 86_400).then(|| Span::from_seconds(seconds))
}

fn generation(at: &Origins, number: Option<u32>) -> anyhow::Result<Generation> {
    Generation::new(number.unwrap_or(1)).ok_or_else(|| at.error("generation", "0 is none: they count from 1"))
}

fn timezone(at: &Origins, name: Option<String>) -> anyhow::Result<String> {
    let name = name.unwrap_or_else(|| "UTC".to_owned());
    match Calendar::named(&name) {
        Some(_) => Ok(name),
        None => Err(at.error(
            "reporting.timezone",
            format!("{name:?} is not a time zone of the IANA database (as in Europe/Berlin, or UTC)"),
        )),
    }
}

fn organisation(at: &Origins, name: Option<String>, default: &str) -> anyhow::Result<String> {
    match name {
        None => Ok(default.to_owned()),
        Some(name) if name.trim().is_empty() => Err(at.error("organisation.name", "the name is empty")),
        Some(name) => Ok(name),
    }
}

fn bands(at: &Origins, year: Option<&str>) -> anyhow::Result<Option<u16>> {
    let known: Vec<u16> = windows::bands::BUNDLED.iter().map(|(year, _)| *year).collect();
    match year {
        None => Ok(Some(DEFAULT_BANDS)),
        Some("none") => Ok(None),
        Some(text) => match text.parse::<u16>() {
            Ok(year) if known.contains(&year) => Ok(Some(year)),
            _ => {
                let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(at.error(
                    "reporting.bands",
                    format!("there are no bands of {text} (known: {known}, or none)"),
                ))
            }
        },
    }
}

fn listen(at: &Origins, text: Option<&str>) -> anyhow::Result<SocketAddr> {
    let text = text.unwrap_or("127.0.0.1:8123");
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err(at.error(
            "listen",
            format!("{text} is not a loopback address (as in 127.0.0.1:8123): the SQL endpoint has no users"),
        )),
        Err(_) => {
            Err(at.error("listen", format!("{text:?} is not an address with a port, as in 127.0.0.1:8123")))
        }
    }
}

/// Any address: what is shown there names topics and counts, and nothing can be changed.
fn telemetry(at: &Origins, text: Option<&str>) -> anyhow::Result<Option<SocketAddr>> {
    match text.unwrap_or("127.0.0.1:9464") {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let what = format!("{text:?} is not an address with a port, as in 127.0.0.1:9464, and not none");
            at.error("telemetry.listen", what)
        }),
    }
}

fn collector(at: &Origins, text: Option<String>) -> anyhow::Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    if text.starts_with("http://") && text.parse::<axum::http::Uri>().is_ok() {
        return Ok(Some(text));
    }
    let what =
        format!("{text:?} is not as in http://localhost:4318; TLS is the business of a collector nearby");
    Err(at.error("telemetry.otlp_endpoint", what))
}

fn label_scopes(labels: BTreeMap<String, file::List>) -> BTreeMap<Text, Vec<Text>> {
    labels
        .into_iter()
        .map(|(key, values)| {
            let mut values: Vec<Text> = values.0.into_iter().map(Text::from).collect();
            values.sort();
            values.dedup();
            (Text::from(key), values)
        })
        .collect()
}

#[cfg(test)]
mod tests;
