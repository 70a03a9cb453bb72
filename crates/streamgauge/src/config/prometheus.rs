//! `prometheus`: which service level objectives are asked for, and where.

use super::connections::{HttpsFile, tls};
use super::file::Origins;
use https::Tls;
use model::{Span, Text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most objectives.
const MAX_OBJECTIVES: usize = 500;

/// `[prometheus]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusFile {
    url: Option<String>,
    authorization_file: Option<String>,
    ssl: HttpsFile,
    slos: BTreeMap<String, ObjectiveFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ObjectiveFile {
    service: Option<String>,
    good: Option<String>,
    total: Option<String>,
    every: Option<String>,
}

/// The server that is asked, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// The file that holds the `Authorization` that it wants, if any.
    pub authorization_file: Option<PathBuf>,
    /// Of an `https://` address.
    pub tls: Tls,
    /// By name.
    pub objectives: BTreeMap<Text, Objective>,
}

/// A service level objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    /// Whose it is.
    pub service: String,
    /// The expression that counts good events.
    pub good: String,
    /// The expression that counts all.
    pub total: String,
    /// The time between two samples, and of one.
    pub every: Span,
}

/// Reads `[prometheus]`.
///
/// # Errors
/// Exit code 2: values that are missing or not allowed, with their places.
pub fn prometheus(at: &Origins, file: PrometheusFile) -> anyhow::Result<Option<Prometheus>> {
    let Some(url) = file.url.filter(|url| !url.trim().is_empty()) else {
        if file.slos.is_empty() {
            return Ok(None);
        }
        return Err(at.error("prometheus.slos", "nobody is asked for them: set prometheus.url"));
    };
    let (url, tls) =
        (url.trim_end_matches('/').to_owned(), tls(at, "prometheus", &url, file.ssl)?.unwrap_or_default());
    if file.slos.len() > MAX_OBJECTIVES {
        return Err(
            at.error("prometheus.slos", format!("{} are more than {MAX_OBJECTIVES}", file.slos.len()))
        );
    }
    let objective = |(name, objective): (String, ObjectiveFile)| {
        let key = format!("prometheus.slos.{name}");
        let stated = |leaf: &str, value: Option<String>| {
            let missing = || at.error(&key, format!("`{leaf}` is missing"));
            value.filter(|value| !value.trim().is_empty()).ok_or_else(missing)
        };
        let every = match objective.every {
            None => Span::from_minutes(5),
            Some(text) => super::span(at, &format!("{key}.every"), &text)?,
        };
        if every < Span::from_minutes(1) || every > Span::from_hours(24) {
            return Err(at.error(&format!("{key}.every"), "it lies between 1m and 24h"));
        }
        let objective = Objective {
            service: stated("service", objective.service)?,
            good: stated("good", objective.good)?,
            total: stated("total", objective.total)?,
            every,
        };
        Ok((Text::new(name), objective))
    };
    let objectives = file.slos.into_iter().map(objective).collect::<anyhow::Result<_>>()?;
    let authorization_file = file.authorization_file.map(PathBuf::from);
    Ok(Some(Prometheus { url, authorization_file, tls, objectives }))
}
