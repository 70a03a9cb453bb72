//! The shape of the configuration file, and where in it (or in the environment) each key was set.

use super::{keys, known};
use crate::failure::wrong;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Variables with this prefix are configuration.
pub const PREFIX: &str = "STREAMGAUGE__";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub profile: Option<String>,
    pub data: Option<String>,
    pub catalog: Option<String>,
    pub listen: Option<String>,
    pub partitions: Option<u32>,
    pub generation: Option<u32>,
    pub failure_window: Option<String>,
    pub remediation_window: Option<String>,
    pub max_future: Option<String>,
    pub blame_dependencies: Option<bool>,
    pub failure_evidence_suffices: Option<bool>,
    pub retain: Option<String>,
    pub lead_time: LeadTime,
    pub rollout: Rollout,
    pub incident: Incident,
    pub reporting: Reporting,
    pub scopes: Scopes,
    pub organisation: Organisation,
    pub privacy: Privacy,
    pub log: Log,
    pub telemetry: Telemetry,
    pub sources: BTreeMap<String, super::sources::SourceFile>,
    pub gateway: super::gateway::GatewayFile,
    pub backfill: BTreeMap<String, super::backfill::BackfillFile>,
    pub git: super::mirror::GitFile,
    pub prometheus: super::prometheus::PrometheusFile,
    pub kafka: super::connections::KafkaFile,
    pub clickhouse: super::connections::ClickHouseFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeadTime {
    pub start: Option<String>,
    pub first_deployment: Option<String>,
    pub exclude: Option<List>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    pub merge_within: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Incident {
    pub min_severity: Option<String>,
    pub restored_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reporting {
    pub timezone: Option<String>,
    pub bands: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scopes {
    pub labels: BTreeMap<String, List>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Organisation {
    pub name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    pub people: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    pub listen: Option<String>,
    pub otlp_endpoint: Option<String>,
}

/// A list of texts; in a variable, separated by commas.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Many(Vec<String>),
            One(String),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Many(list) => list,
            Either::One(text) => {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
            }
        }))
    }
}

/// Where each key was set.
#[derive(Debug, Default)]
pub struct Origins {
    places: BTreeMap<String, String>,
}

impl Origins {
    /// Finds every key of a file's text and of the environment.
    ///
    /// # Errors
    /// Exit code 2: text that is not TOML, and keys that are not known.
    pub fn of(name: &str, text: &str, environment: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut origins = Self::default();
        let table = DeTable::parse(text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| place(text, span.start));
            wrong(format!("configuration {name}{place}: {}", error.message()))
        })?;
        origins.walk(name, text, "", table.get_ref())?;
        for variable in environment.keys() {
            let key = variable.strip_prefix(PREFIX).unwrap_or_default().to_lowercase().replace("__", ".");
            check(&key, variable)?;
            origins.places.insert(key, variable.clone());
        }
        Ok(origins)
    }

    fn walk(&mut self, name: &str, text: &str, above: &str, table: &DeTable<'_>) -> anyhow::Result<()> {
        for (key, value) in table {
            let dotted = if above.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{above}.{}", key.get_ref())
            };
            let place = format!("configuration {name}{}", place(text, key.span().start));
            check(&dotted, &place)?;
            self.places.insert(dotted.clone(), place);
            if let DeValue::Table(inner) = value.get_ref() {
                self.walk(name, text, &dotted, inner)?;
            }
        }
        Ok(())
    }

    /// Whether any key was set that decides a number.
    pub fn decides(&self) -> bool {
        const NEUTRAL: [&str; 5] = ["catalog", "data", "listen", "log.format", "reporting.bands"];
        let decides = |key: &String| {
            if ["backfill.", "clickhouse.", "gateway.", "git.", "kafka.", "prometheus.", "telemetry."]
                .iter()
                .any(|start| key.starts_with(start))
            {
                return false;
            }
            let leaf = keys::KEYS.iter().any(|known| known.name == key) || key.starts_with("scopes.labels.");
            leaf && !NEUTRAL.contains(&key.as_str())
        };
        self.places.keys().any(decides)
    }

    /// Whether a key was set, or one below it.
    #[cfg(test)]
    pub fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Whether a key was set that this one of the list stands for.
    #[cfg(test)]
    pub fn has_like(&self, key: &str) -> bool {
        self.places
            .keys()
            .any(|set| set.split('.').count() == key.split('.').count() && known::covers(key, set))
    }

    /// An error about a key's value.
    pub fn error(&self, key: &str, what: impl std::fmt::Display) -> anyhow::Error {
        let place = self.places.get(key).map_or("configuration", String::as_str);
        wrong(format!("{place}: `{key}`: {what}"))
    }
}

fn check(key: &str, place: &str) -> anyhow::Result<()> {
    if known::is_known(key) {
        return Ok(());
    }
    let hint = match known::nearest(key) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        None => " (schemas/config/streamgauge.schema.json lists every key)".to_owned(),
    };
    Err(wrong(format!("{place}: unknown key `{key}`{hint}")))
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(":{line}:{column}")
}
