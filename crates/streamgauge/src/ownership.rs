//! `catalog`: who owns what. The folder keeps the catalog that counts; repositories whose git history was imported
//! and that it does not claim are added to it.

use crate::cli;
use crate::clickhouse::ANY_PORT;
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::{DONE, WRONG, wrong};
use crate::import::now;
use crate::log::EventLog;
use crate::output::{Align, Cell, Format, Table};
use catalog::Catalog;
use model::{Definitions, RepoName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// The catalog that counts, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The file that it was read from.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Repositories whose git history was imported.
    pub histories: BTreeSet<String>,
}

impl Ownership {
    /// What a folder keeps.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn stored(log: &EventLog) -> anyhow::Result<Self> {
        Ok(log.meta("ownership")?.unwrap_or_default())
    }

    /// With the text of a file, where one is given.
    ///
    /// # Errors
    /// Exit code 2 when the file cannot be read.
    pub fn with_file(&self, file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(self.clone()) };
        let name = file.display().to_string();
        let text =
            std::fs::read_to_string(file).map_err(|error| wrong(format!("catalog {name}: {error}")))?;
        Ok(Self { file: name, text, histories: self.histories.clone() })
    }

    /// With another repository's history.
    #[must_use]
    pub fn with_history(&self, repo: &RepoName) -> Self {
        let mut with = self.clone();
        with.histories.insert(repo.as_str().to_owned());
        with
    }

    /// The catalog that it means.
    ///
    /// # Errors
    /// Exit code 2: the first mistake, and how many there are.
    pub fn catalog(&self, definitions: &Definitions) -> anyhow::Result<Catalog> {
        let own = read_catalog(&self.file, &self.text, definitions)?;
        let claimed = own.repositories();
        let mut text = self.text.clone();
        for repo in self.histories.iter().filter(|repo| !claimed.iter().any(|name| name.as_str() == *repo)) {
            let name = toml::Value::from(repo.as_str());
            let _ = write!(
                text,
                "\n[[services]]\nname = {name}\nrepositories = [{name}]\nfailure_evidence_suffices = true\n"
            );
        }
        read_catalog(&self.file, &text, definitions)
    }
}

/// Reads a catalog.
///
/// # Errors
/// Exit code 2: the first mistake with its place and remedy, and how many more there are.
pub fn read_catalog(file: &str, text: &str, definitions: &Definitions) -> anyhow::Result<Catalog> {
    Catalog::from_toml(file, text, definitions).map_err(|mistakes| {
        let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
        match mistakes.len() {
            0 | 1 => wrong(first),
            count => {
                wrong(format!("{first}; {} more mistakes (see `streamgauge catalog lint {file}`)", count - 1))
            }
        }
    })
}

/// `catalog`.
///
/// # Errors
/// Exit code 2 for files that cannot be read; as [`Pipeline::apply`].
pub fn run(
    command: &cli::Catalog,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    match command {
        cli::Catalog::Lint { file } => lint(file, settings, format, out),
        cli::Catalog::Apply { file } => {
            if let Some(brokers) = &settings.kafka {
                let ownership = Ownership::default().with_file(Some(file))?;
                let catalog = ownership.catalog(&settings.definitions)?;
                crate::kafka_run::apply_catalog(brokers, &ownership.file, &ownership.text)?;
                return counts(file, &catalog, out);
            }
            let settings = Settings { catalog: Some(file.clone()), ..settings.clone() };
            let mut pipeline = Pipeline::open(&settings, ANY_PORT)?;
            pipeline.settle()?;
            let catalog = pipeline.ownership().catalog(&settings.definitions)?;
            counts(file, &catalog, out)
        }
        cli::Catalog::Show => show(settings, format, out),
    }
}

fn counts(file: &Path, catalog: &Catalog, out: &mut impl Write) -> anyhow::Result<u8> {
    let (services, teams) = (catalog.services().len(), catalog.teams().len());
    writeln!(
        out,
        "{}: {services} services and {teams} teams now count; facts and windows follow it",
        file.display()
    )?;
    Ok(DONE)
}

fn lint(file: &Path, settings: &Settings, format: Format, out: &mut impl Write) -> anyhow::Result<u8> {
    let name = file.display().to_string();
    let ownership = Ownership::default().with_file(Some(file))?;
    let mistakes = match Catalog::from_toml(&name, &ownership.text, &settings.definitions) {
        Ok(catalog) => {
            if format == Format::Table {
                let (services, teams) = (catalog.services().len(), catalog.teams().len());
                writeln!(out, "{name}: no mistakes; {services} services, {teams} teams")?;
                return Ok(DONE);
            }
            Vec::new()
        }
        Err(mistakes) => mistakes,
    };
    let code = if mistakes.is_empty() { DONE } else { WRONG };
    if format == Format::Table {
        for mistake in mistakes {
            writeln!(out, "{mistake}")?;
        }
        return Ok(code);
    }
    let columns = [("file", Align::Left), ("line", Align::Right), ("column", Align::Right)];
    let mut table =
        Table::new(&[&columns[..], &[("message", Align::Left), ("remedy", Align::Left)]].concat());
    for mistake in mistakes {
        table.row(vec![
            Cell::text(mistake.file),
            Cell::count(mistake.line as u64),
            Cell::count(mistake.column as u64),
            Cell::text(mistake.message),
            Cell::text(mistake.remedy),
        ]);
    }
    table.write(format, out)?;
    Ok(code)
}

fn show(settings: &Settings, format: Format, out: &mut impl Write) -> anyhow::Result<u8> {
    let catalog = match &settings.catalog {
        Some(_) => {
            Ownership::default().with_file(settings.catalog.as_deref())?.catalog(&settings.definitions)?
        }
        None => {
            let pipeline = Pipeline::open(settings, ANY_PORT)?;
            pipeline.ownership().catalog(&settings.definitions)?
        }
    };
    let names = ["service", "team", "groups", "repositories", "aliases", "tags", "criticality"];
    let mut table = Table::new(&names.map(|name| (name, Align::Left)));
    let at = now();
    for service in catalog.services() {
        let config = catalog.service(&service);
        let team = catalog.team(&service, at);
        let groups: Vec<String> = team
            .as_ref()
            .map(|team| catalog.groups(team, at).iter().map(ToString::to_string).collect())
            .unwrap_or_default();
        let repositories: Vec<String> = config.repositories.iter().map(ToString::to_string).collect();
        let aliases: Vec<String> = catalog.aliases(&service).iter().map(ToString::to_string).collect();
        let tags: Vec<String> = config.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let list = |list: Vec<String>| {
            if list.is_empty() {
                Cell::new("–", json!([]))
            } else {
                Cell::new(list.join(", "), json!(list))
            }
        };
        table.row(vec![
            Cell::text(service.as_str()),
            Cell::optional(team.as_ref().map(model::TeamName::as_str)),
            list(groups),
            list(repositories),
            list(aliases),
            Cell::new(tags.join(", "), json!(config.tags)),
            Cell::optional(config.criticality.as_ref().map(model::Text::as_str)),
        ]);
    }
    table.write(format, out)?;
    Ok(DONE)
}
