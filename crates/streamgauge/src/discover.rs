//! `discover`: what the catalog could say and does not yet, as a diff to accept. What is proposed is
//! [`catalog::discover`]'s; here evidence is fetched and the answer written.

use crate::ask::Asked;
use crate::cli;
use crate::config::Settings;
use crate::failure::{DONE, wrong};
use crate::kafka_run::catalog_reader;
use crate::output::{Align, Cell, Format, Table};
use crate::ownership::{Ownership, read_catalog};
use anyhow::Context;
use catalog::discover::{
    Claim, Deployer, Described, Discovery, Evidence, Renamed, Seen, SeenEnvironment, TeamSaid, discover,
};
use catalog::{Rename, backstage, codeowners};
use kafka::catalog::Follower;
use kafka::outside::Catalogs;
use model::event::EnvironmentTier;
use model::{Environment, RepoName, ServiceName, TeamName, Text, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where proposals are for when neither a file nor a folder names a catalog.
const DEFAULT_FILE: &str = "catalog.toml";

/// A CODEOWNERS file and the repository that it is of.
#[derive(Debug, Clone)]
pub struct CodeOwnersFile {
    repo: RepoName,
    path: PathBuf,
}

impl FromStr for CodeOwnersFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((repo, path)) if repo.contains('/') && !path.is_empty() => {
                Ok(Self { repo: RepoName::new(repo), path: PathBuf::from(path) })
            }
            _ => Err("write REPO=FILE, as in github.com/acme/shop=shop/.github/CODEOWNERS".to_owned()),
        }
    }
}

/// `discover`. `named` is the catalog's file that the command line names.
///
/// # Errors
/// Exit code 2 for files that cannot be read, and where there is no catalog; what ClickHouse and the brokers say.
pub fn run(
    command: &cli::Discover,
    named: Option<&Path>,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    // A file is only read: proposing must not take it over.
    let asked = Asked::open(&Settings { catalog: None, ..settings.clone() })?;
    let ownership = base(named, settings, &asked)?;
    let catalog = read_catalog(&ownership.file, &ownership.text, &settings.definitions)?;
    let mut evidence = warehouse_evidence(&asked)?;
    for path in &command.backstage {
        described(path, &mut evidence)?;
    }
    for CodeOwnersFile { repo, path } in &command.codeowners {
        let file = path.display().to_string();
        let owners = codeowners::read(&text_of(path)?);
        for line in &owners.skipped {
            tracing::warn!(file, line = line.line, reason = line.reason, "passed over");
        }
        let one = |entry| Described { file: file.clone(), entry, is_place: true };
        evidence.described.extend(owners.entries(repo).into_iter().map(one));
    }
    let found = discover(&ownership.text, &catalog, &evidence);
    if found.proposals.is_empty() {
        writeln!(std::io::stderr(), "nothing to propose: {} says all that was found", ownership.file)?;
    }
    // What is proposed must be a catalog before anybody is asked to accept it.
    read_catalog(&ownership.file, &found.change.text(), &settings.definitions)
        .context("the proposals do not fit the catalog")?;
    write_out(&found, &ownership.file, format, out)?;
    if command.write && !found.change.is_empty() {
        accept(&ownership, &found)?;
    }
    Ok(DONE)
}

/// The catalog that is added to: the file that the command line names, else the one that counts, as `run` finds it: on Kafka
/// what was published, else the configuration's file, else what the folder keeps.
fn base(named: Option<&Path>, settings: &Settings, asked: &Asked) -> anyhow::Result<Ownership> {
    if let Some(file) = named {
        return of_file(file);
    }
    if let Some(published) = published(settings)? {
        return Ok(published);
    }
    if let Some(file) = &settings.catalog {
        return of_file(file);
    }
    match asked {
        Asked::Own(pipeline) => {
            let mut stored = pipeline.ownership().clone();
            if stored.file.is_empty() {
                stored.file = DEFAULT_FILE.to_owned();
            }
            Ok(stored)
        }
        Asked::Other(_) => Err(wrong(
            "which catalog is meant? The process that owns the data folder keeps it (name the file, as in --catalog \
             catalog.toml)",
        )),
        Asked::Server(_) => {
            let none = if settings.kafka.is_some() { "none is published, and " } else { "" };
            Err(wrong(format!(
                "there is no catalog: {none}the configuration names none (name the file that is added to, new or not, as in \
                 --catalog catalog.toml)"
            )))
        }
    }
}

/// A file, which may be one that is yet to be made.
fn of_file(file: &Path) -> anyhow::Result<Ownership> {
    if !file.exists() {
        return Ok(Ownership { file: file.display().to_string(), ..Ownership::default() });
    }
    Ownership::default().with_file(Some(file))
}

/// The catalog that was published on Kafka, under the name of the configuration's file where that says the same: it may
/// have been published from elsewhere.
fn published(settings: &Settings) -> anyhow::Result<Option<Ownership>> {
    let Some(brokers) = &settings.kafka else { return Ok(None) };
    let newest = Follower::start(brokers, catalog_reader(settings))
        .with_context(|| {
            format!(
                "topic {}, where the catalog lies (--catalog FILE does without it)",
                brokers.topics.catalog
            )
        })?
        .newest();
    if newest.offset < 0 {
        return Ok(None);
    }
    let mut file = newest.file;
    if let Some(path) = &settings.catalog {
        let configured = path.display().to_string();
        if std::fs::read_to_string(path).is_ok_and(|text| *text == *newest.text) {
            file = configured;
        } else {
            writeln!(
                std::io::stderr(),
                "{configured} differs from the catalog that counts, which is added to (--catalog {configured} adds to the file)"
            )?;
        }
    }
    Ok(Some(Ownership { file, text: newest.text.to_string(), ..Ownership::default() }))
}

fn write_out(found: &Discovery, file: &str, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    if format == Format::Table {
        let here = std::env::current_dir().unwrap_or_default();
        let path = Path::new(file);
        let path = path.strip_prefix(&here).unwrap_or(path);
        let path = path.strip_prefix("/").or_else(|_| path.strip_prefix("./")).unwrap_or(path);
        write!(out, "{}", found.change.diff(&path.display().to_string()))?;
        return Ok(());
    }
    let mut table = Table::new(&["kind", "value", "evidence"].map(|name| (name, Align::Left)));
    for one in &found.proposals {
        table.row(vec![
            Cell::text(one.kind.as_str()),
            Cell::text(one.value.as_str()),
            Cell::text(one.evidence.as_str()),
        ]);
    }
    table.write(format, out)?;
    Ok(())
}

/// Writes the file, if it still says what the proposals were made for.
fn accept(ownership: &Ownership, found: &Discovery) -> anyhow::Result<()> {
    let path = Path::new(&ownership.file);
    let there = if path.exists() { text_of(path)? } else { String::new() };
    if there != ownership.text {
        return Err(wrong(format!(
            "{} is not the catalog that counts (name the file that is meant, as in --catalog {})",
            ownership.file, ownership.file
        )));
    }
    // Beside it first: a catalog is never half written.
    let new = path.with_extension("toml.new");
    std::fs::write(&new, found.change.text()).with_context(|| new.display().to_string())?;
    std::fs::rename(&new, path).with_context(|| ownership.file.clone())?;
    writeln!(
        std::io::stderr(),
        "{}: written; `streamgauge catalog apply {}` makes it count",
        ownership.file,
        ownership.file
    )?;
    Ok(())
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| wrong(format!("{}: {error}", path.display())))
}

/// The entries of a file, or of every `catalog-info.yaml` below a folder.
fn described(path: &Path, evidence: &mut Evidence) -> anyhow::Result<()> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| path.display().to_string())?;
            // A link may lead back to where it lies.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let name = entry.file_name();
            let wanted = name == "catalog-info.yaml" || name == "catalog-info.yml" || entry.path().is_dir();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if wanted && !is_link && !is_hidden {
                paths.push(entry.path());
            }
        }
        paths.sort();
        return paths.iter().try_for_each(|path| described(path, evidence));
    }
    let file = path.display().to_string();
    let entries = backstage::read(&file, &text_of(path)?).map_err(|mistake| wrong(mistake.to_string()))?;
    let one = |entry| Described { file: file.clone(), entry, is_place: false };
    evidence.described.extend(entries.into_iter().map(one));
    Ok(())
}

/// How often, since when (microseconds) and by whom.
#[derive(Deserialize)]
struct SeenRow {
    count: u64,
    since: i64,
    sources: Vec<Text>,
}

impl From<SeenRow> for Seen {
    fn from(row: SeenRow) -> Self {
        Self {
            count: row.count,
            since: Timestamp::from_micros(row.since),
            sources: row.sources.into_iter().collect(),
        }
    }
}

#[derive(Deserialize)]
struct ClaimRow {
    reason: Text,
    claim: Option<Text>,
    event_type: Text,
    #[serde(flatten)]
    seen: SeenRow,
}

#[derive(Deserialize)]
struct DeployerRow {
    service: ServiceName,
    repos: Vec<RepoName>,
    failure_source: bool,
    #[serde(flatten)]
    seen: SeenRow,
}

#[derive(Deserialize)]
struct EnvironmentRow {
    service: ServiceName,
    environment: Environment,
    tier: String,
    #[serde(flatten)]
    seen: SeenRow,
}

#[derive(Deserialize)]
struct RenameRow {
    from: RepoName,
    to: RepoName,
    source: Text,
    at: i64,
}

#[derive(Deserialize)]
struct TeamRow {
    service: Text,
    team: TeamName,
    #[serde(flatten)]
    seen: SeenRow,
}

const CLAIMS: &str = "SELECT reason, claim, event_type, count() AS count,
    toUnixTimestamp64Micro(min(occurred_at)) AS since, arraySort(groupUniqArray(source)) AS sources
FROM parked_events GROUP BY reason, claim, event_type ORDER BY ALL";
const DEPLOYERS: &str =
    "SELECT service, arraySort(groupUniqArrayIf(assumeNotNull(repo), isNotNull(repo))) AS repos,
    toBool(service IN (SELECT service FROM services WHERE failure_source)) AS failure_source, count() AS count,
    toUnixTimestamp64Micro(min(started_at)) AS since, arraySort(groupUniqArray(source)) AS sources
FROM deployments GROUP BY service ORDER BY service";
const ENVIRONMENTS: &str = "SELECT service, environment, tier, count() AS count,
    toUnixTimestamp64Micro(min(started_at)) AS since, arraySort(groupUniqArray(source)) AS sources
FROM deployments GROUP BY service, environment, tier ORDER BY ALL";
const TEAMS: &str = "SELECT JSONExtractString(body, 'ownership', 'service') AS service,
    JSONExtractString(body, 'ownership', 'team') AS team, count() AS count,
    toUnixTimestamp64Micro(min(occurred_at)) AS since, arraySort(groupUniqArray(source)) AS sources
FROM events WHERE type = 'ownership' GROUP BY ALL HAVING team != '' ORDER BY ALL";

const RENAMES: &str = "SELECT JSONExtractString(body, 'repository', 'from') AS from, assumeNotNull(repo) AS to, source,
    toUnixTimestamp64Micro(occurred_at) AS at
FROM events WHERE type = 'repository' AND JSONExtractString(body, 'repository', 'action') IN ('renamed', 'transferred')
    AND from != '' AND isNotNull(repo) AND from != to GROUP BY ALL ORDER BY ALL";

fn warehouse_evidence(asked: &Asked) -> anyhow::Result<Evidence> {
    let claims = rows::<ClaimRow>(asked, CLAIMS)?.into_iter().map(|row| Claim {
        reason: row.reason,
        claim: row.claim,
        event_type: row.event_type,
        seen: row.seen.into(),
    });
    let deployers = rows::<DeployerRow>(asked, DEPLOYERS)?.into_iter().map(|row| Deployer {
        service: row.service,
        repos: row.repos.into_iter().collect(),
        failure_evidence_suffices: row.failure_source,
        seen: row.seen.into(),
    });
    let environments = rows::<EnvironmentRow>(asked, ENVIRONMENTS)?.into_iter().map(|row| SeenEnvironment {
        service: row.service,
        environment: row.environment,
        tier: EnvironmentTier::from_word(&row.tier).unwrap_or(EnvironmentTier::Other),
        seen: row.seen.into(),
    });
    let teams = rows::<TeamRow>(asked, TEAMS)?.into_iter().map(|row| TeamSaid {
        service: row.service,
        team: row.team,
        seen: row.seen.into(),
    });
    let renames = rows::<RenameRow>(asked, RENAMES)?.into_iter().map(|row| Renamed {
        rename: Rename { from: row.from, at: Timestamp::from_micros(row.at), to: row.to },
        source: row.source,
    });
    Ok(Evidence {
        renames: renames.collect(),
        claims: claims.collect(),
        deployers: deployers.collect(),
        environments: environments.collect(),
        teams: teams.collect(),
        described: Vec::new(),
    })
}

fn rows<T: DeserializeOwned>(asked: &Asked, query: &str) -> anyhow::Result<Vec<T>> {
    let clickhouse = asked.clickhouse();
    let query = format!("{query} SETTINGS output_format_json_quote_64bit_integers = 0");
    let mut bytes = clickhouse.reader().raw(&query, "JSONEachRow")?;
    let mut text = Vec::new();
    while let Some(chunk) = clickhouse.block_on(bytes.next())? {
        text.extend_from_slice(&chunk);
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).context("an answer of ClickHouse")).collect()
}
