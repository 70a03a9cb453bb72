//! `backfill`: whose history is asked for, where, of what, by which token, and how often `serve` asks for what was lost.

use super::connections::{HttpsFile, tls};
use super::file::{List, Origins};
use crate::failure::wrong;
use https::Tls;
use model::Span;
use serde::Deserialize;
use sources::history::{HISTORIES, History, history};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most names of one vendor.
const MAX_NAMES: usize = 1_000;

/// `[backfill.VENDOR]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackfillFile {
    url: Option<String>,
    token_file: Option<String>,
    only: List,
    every: Option<String>,
    ssl: HttpsFile,
}

/// How a vendor's history is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backfill {
    /// Where its API answers, where that is stated.
    pub url: Option<String>,
    /// The file that holds the token; else the vendor's variable does.
    pub token_file: Option<PathBuf>,
    /// Repositories, projects or services, by the vendor's own names.
    pub only: Vec<String>,
    /// How often `serve` asks for what was lost; `None`: never.
    pub every: Option<Span>,
    /// Of an `https://` address.
    pub tls: Tls,
}

/// Reads `[backfill]`, by vendor.
///
/// # Errors
/// Exit code 2: a vendor without a history, and values that are not allowed, with their places.
pub fn backfills(
    at: &Origins,
    file: BTreeMap<String, BackfillFile>,
) -> anyhow::Result<BTreeMap<String, Backfill>> {
    let one = |(vendor, file): (String, BackfillFile)| {
        let section = format!("backfill.{vendor}");
        let history = of(&vendor).map_err(|error| at.error(&section, error))?;
        let every = file.every.map(|text| super::span(at, &format!("{section}.every"), &text)).transpose()?;
        if every.is_some_and(|every| every < Span::from_minutes(1) || every > Span::from_hours(24)) {
            return Err(at.error(&format!("{section}.every"), "it lies between 1m and 24h"));
        }
        let only = file.only.0;
        if only.len() > MAX_NAMES {
            return Err(
                at.error(&format!("{section}.only"), format!("{} are more than {MAX_NAMES}", only.len()))
            );
        }
        if every.is_some() && only.is_empty() && history.needs_names {
            let what = format!("name each {}", history.thing);
            return Err(at.error(&format!("{section}.only"), what));
        }
        if every.is_some() && file.url.is_none() && history.url.is_none() {
            return Err(at.error(&section, "set its url, as in https://acme.atlassian.net"));
        }
        let address = file.url.as_deref().or(history.url).unwrap_or("https://");
        let tls = tls(at, &section, address, file.ssl)?.unwrap_or_default();
        let token_file = file.token_file.map(PathBuf::from);
        Ok((vendor, Backfill { url: file.url, token_file, only, every, tls }))
    };
    file.into_iter().map(one).collect()
}

/// The history of a vendor.
///
/// # Errors
/// Exit code 2: there is none; those that are.
pub fn of(vendor: &str) -> anyhow::Result<&'static History> {
    history(vendor).ok_or_else(|| {
        let known = HISTORIES.iter().map(|history| history.name).collect::<Vec<_>>().join(", ");
        wrong(format!("{vendor:?} has no history that can be asked for; there are {known}"))
    })
}

/// The token: what a file holds, else what the vendor's variable does.
///
/// # Errors
/// Exit code 2: neither is there, or what is there is none.
pub fn token(file: Option<&Path>, variable: &str) -> anyhow::Result<String> {
    let (place, text) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| wrong(format!("token_file {}: {error}", file.display())))?;
            (file.display().to_string(), text)
        }
        None => {
            let text = std::env::var(variable).map_err(|_| {
                wrong(format!("there is no token: set {variable}, or give --token-file FILE"))
            })?;
            (variable.to_owned(), text)
        }
    };
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(format!("{place} holds no token: one word on one line is expected")));
    }
    Ok(token.to_owned())
}
