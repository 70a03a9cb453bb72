//! `sources`: those that are added to the built-in ones, each by a mapping. Programs are compiled here, once.

use super::file::Origins;
use super::verify::{VerifyConfig, VerifyFile, verify};
use ::sources::{Mapped, Mappings};
use mapping::{Mistake, PRESETS, Program, preset};
use model::Calendar;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Most sources that may be added.
const MAX_SOURCES: usize = 200;

/// `[sources.NAME]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceFile {
    map: Option<String>,
    map_file: Option<String>,
    #[serde(rename = "use")]
    preset: Option<String>,
    time_zone: Option<String>,
    verify: Option<VerifyFile>,
}

/// The sources that the configuration adds.
#[derive(Debug, Default)]
pub struct AddedSources {
    /// What reads their records.
    pub mappings: Mappings,
    /// How whoever sends them is proved, by source, where that is stated.
    pub verified: BTreeMap<String, VerifyConfig>,
}

/// Compiles the programs of `[sources]`.
///
/// # Errors
/// Exit code 2: names that are taken or no names, unknown presets and zones, files that cannot be read, mistakes in a
/// program with line and column, and in how its records are proved.
pub fn sources(
    at: &Origins,
    folder: &Path,
    file: BTreeMap<String, SourceFile>,
) -> anyhow::Result<AddedSources> {
    if file.len() > MAX_SOURCES {
        return Err(at.error("sources", format!("{} are more than {MAX_SOURCES}", file.len())));
    }
    let (mut mapped, mut verified) = (BTreeMap::new(), BTreeMap::new());
    for (name, mut source) in file {
        let key = format!("sources.{name}");
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(letters) {
            return Err(at.error(&key, "a source's name is a part of its topic's (a-z, 0-9, _ and -)"));
        }
        if ::sources::source(&name).is_some() {
            return Err(at.error(&key, "this source is built in; give yours another name"));
        }
        if let Some(zone) = source.time_zone.as_deref().filter(|zone| Calendar::named(zone).is_none()) {
            let what =
                format!("{zone:?} is not a time zone of the IANA database (as in Europe/Berlin, or UTC)");
            return Err(at.error(&format!("{key}.time_zone"), what));
        }
        let program = program(at, folder, &name, &source)?;
        if let Some(file) = source.verify.take() {
            verified.insert(name.clone(), verify(at, format!("{key}.verify"), file)?);
        }
        mapped.insert(name, Mapped { program, time_zone: source.time_zone });
    }
    Ok(AddedSources { mappings: Mappings::new(mapped), verified })
}

fn program(at: &Origins, folder: &Path, name: &str, source: &SourceFile) -> anyhow::Result<Program> {
    let key = |leaf: &str| format!("sources.{name}.{leaf}");
    match (&source.map, &source.map_file, &source.preset) {
        (Some(code), None, None) => Program::compile(code).map_err(|mistake| at.error(&key("map"), mistake)),
        (None, Some(file), None) => {
            let path = folder.join(file);
            let code = std::fs::read_to_string(&path)
                .map_err(|error| at.error(&key("map_file"), format!("{}: {error}", path.display())))?;
            Program::compile(&code).map_err(|Mistake { line, column, what }| {
                at.error(&key("map_file"), format!("{}:{line}:{column}: {what}", path.display()))
            })
        }
        (None, None, chosen) => {
            let known = || PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
            let (leaf, what) = match chosen {
                Some(word) => (
                    key("use"),
                    format!("no mapping called {word:?} comes with Streamgauge; there are {}", known()),
                ),
                None => {
                    (format!("sources.{name}"), format!("set map or map_file, or use to one of {}", known()))
                }
            };
            let found = preset(chosen.as_deref().unwrap_or(name)).ok_or_else(|| at.error(&leaf, what))?;
            Program::compile(found.code).map_err(|mistake| at.error(&leaf, mistake))
        }
        _ => Err(at.error(&format!("sources.{name}"), "set one of map, map_file and use")),
    }
}

/// Whether a source that a key names is there.
///
/// # Errors
/// It is not: those that are.
pub fn known(at: &Origins, key: &str, name: &str, mappings: &Mappings) -> anyhow::Result<()> {
    if mappings.knows(name) {
        return Ok(());
    }
    let known = mappings.all_names().collect::<Vec<_>>().join(", ");
    Err(at.error(key, format!("no source is called {name:?}; there are {known}")))
}
