//! The catalog's text, read into what it declares, each name with its place. What names mean together is
//! [`crate::check`]'s.

use crate::dated::ALWAYS;
use crate::diagnostic::Diagnostic;
use crate::document::{Findings, Placed, Table, entries, parse, text_of};
use crate::duration;
use crate::environment::EnvironmentRule;
use crate::glob::PathGlob;
use crate::rename::Rename;
use crate::target::Target;
use model::event::EnvironmentTier;
use model::metric::Metric;
use model::{Calendar, RepoName, Span, Text, Timestamp};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const ROOT: &[&str] = &["organisation", "teams", "groups", "services", "environments", "targets", "renames"];
const ORGANISATION: &[&str] = &["name"];
const TEAM: &[&str] = &["name", "group", "valid_from"];
const GROUP: &[&str] = &["name", "parent"];
const SERVICE: &[&str] = &[
    "name",
    "repositories",
    "aliases",
    "team",
    "teams",
    "tags",
    "criticality",
    "dependencies",
    "succeeds",
    "failure_evidence_suffices",
    "incident_source",
    "failure_window",
    "deployments_from",
    "environments",
];
const REPOSITORY: &[&str] = &["name", "paths", "valid_from"];
const DATED_NAME: &[&str] = &["name", "valid_from"];
const ENVIRONMENT: &[&str] = &["match", "tier"];
const RENAME: &[&str] = &["from", "to", "at"];

/// Every table with its keys; an item of a list is `[]`. Keys of `tags`, `environments` of a service and the
/// criticalities of `targets` are free.
pub(crate) const TABLES: &[(&str, &[&str])] = &[
    ("", ROOT),
    ("organisation", ORGANISATION),
    ("teams[]", TEAM),
    ("groups[]", GROUP),
    ("services[]", SERVICE),
    ("services[].repositories[]", REPOSITORY),
    ("services[].aliases[]", DATED_NAME),
    ("services[].teams[]", DATED_NAME),
    ("environments[]", ENVIRONMENT),
    ("renames[]", RENAME),
];

/// A catalog as declared.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub organisation: Option<Text>,
    pub teams: Vec<Team>,
    pub groups: Vec<Group>,
    pub services: Vec<Service>,
    pub environments: Vec<EnvironmentRule>,
    pub targets: BTreeMap<Text, BTreeMap<Metric, Target>>,
    pub renames: Vec<Placed<Rename>>,
}

#[derive(Debug)]
pub(crate) struct Team {
    pub name: Placed<Text>,
    pub group: Option<Placed<Text>>,
    pub from: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub name: Placed<Text>,
    pub parent: Option<Placed<Text>>,
}

/// A name that holds from a time on.
#[derive(Debug)]
pub(crate) struct DatedName {
    pub name: Placed<Text>,
    pub from: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Repository {
    pub name: Placed<RepoName>,
    /// Empty: the whole repository.
    pub paths: Vec<PathGlob>,
    pub from: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub name: Placed<Text>,
    pub repositories: Vec<Repository>,
    pub aliases: Vec<DatedName>,
    pub teams: Vec<DatedName>,
    pub tags: BTreeMap<Text, Text>,
    pub criticality: Option<Placed<Text>>,
    pub dependencies: Vec<Placed<Text>>,
    pub succeeds: Vec<Placed<Text>>,
    pub failure_evidence_suffices: Option<bool>,
    pub incident_source: Option<bool>,
    pub failure_window: Option<Span>,
    pub deployments_from: Option<Vec<Text>>,
    pub environments: Vec<EnvironmentRule>,
}

/// Reads a text. Days begin in the zone.
pub(crate) fn read(file: &str, text: &str, zone: &str) -> Result<Declared, Vec<Diagnostic>> {
    let mut findings = Findings::new(file, text);
    let Some(document) = parse(&mut findings, text) else {
        return findings.finish(Declared::default());
    };
    let calendar = Calendar::named(zone).unwrap_or_else(|| {
        let remedy = "set reporting.timezone in the configuration to an IANA zone, as in \"Europe/Berlin\"";
        findings.add(
            0,
            format!("unknown time zone \"{zone}\": days in the catalog have no beginning"),
            remedy,
        );
        Calendar::utc()
    });
    let mut reader = Reader { findings, calendar };
    let declared = reader.catalog(document.get_ref());
    reader.findings.finish(declared)
}

struct Reader<'a> {
    findings: Findings<'a>,
    calendar: Calendar,
}

impl Reader<'_> {
    fn catalog(&mut self, document: &DeTable<'_>) -> Declared {
        let root = Table::new(&mut self.findings, "", ROOT, document, 0);
        let organisation = self.table("organisation", ORGANISATION, root.get("organisation"));
        Declared {
            organisation: organisation
                .and_then(|table| table.required(&mut self.findings, "name").map(|name| name.value)),
            teams: self.tables("teams", TEAM, &root, "teams", Self::team),
            groups: self.tables("groups", GROUP, &root, "groups", Self::group),
            services: self.tables("services", SERVICE, &root, "services", Self::service),
            environments: self.tables("environments", ENVIRONMENT, &root, "environments", Self::environment),
            targets: self.targets(&root),
            renames: self.tables("renames", RENAME, &root, "renames", Self::rename),
        }
    }

    /// A value that must be a table.
    fn table<'t>(
        &mut self,
        what: &'static str,
        known: &[&str],
        value: Option<&'t Spanned<DeValue<'t>>>,
    ) -> Option<Table<'t>> {
        let value = value?;
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.findings.add(
                at,
                format!("[{what}] is no table"),
                format!("its keys are: {}", known.join(", ")),
            );
            return None;
        };
        Some(Table::new(&mut self.findings, what, known, table, at))
    }

    /// A list of tables, each read by the same function.
    fn tables<'t, T>(
        &mut self,
        what: &'static str,
        known: &[&str],
        parent: &Table<'t>,
        key: &str,
        read: impl Fn(&mut Self, &Table<'t>) -> Option<T>,
    ) -> Vec<T> {
        let items = parent.list(key).into_iter();
        items
            .filter_map(|item| self.table(what, known, Some(item)).and_then(|table| read(self, &table)))
            .collect()
    }

    /// `valid_from`; absent is always. A bad one is reported, and then it does not matter.
    fn valid_from(&mut self, table: &Table<'_>) -> Timestamp {
        table.time(&mut self.findings, "valid_from", &self.calendar).map_or(ALWAYS, |time| time.value)
    }

    fn team(&mut self, table: &Table<'_>) -> Option<Team> {
        let name = table.required(&mut self.findings, "name");
        let group = table.text(&mut self.findings, "group");
        Some(Team { from: self.valid_from(table), name: name?, group })
    }

    fn group(&mut self, table: &Table<'_>) -> Option<Group> {
        let name = table.required(&mut self.findings, "name");
        let parent = table.text(&mut self.findings, "parent");
        Some(Group { name: name?, parent })
    }

    fn service(&mut self, table: &Table<'_>) -> Option<Service> {
        let name = table.required(&mut self.findings, "name");
        let mut teams = self.dated_names("services.teams", table, "teams");
        teams.extend(self.dated_names("services.team", table, "team"));
        let criticality = table.text(&mut self.findings, "criticality");
        let deployments_from = table.get("deployments_from").map(|_| {
            let sources = table.texts(&mut self.findings, "deployments_from");
            let mut sources: Vec<Text> = sources.into_iter().map(|source| source.value).collect();
            sources.sort();
            sources.dedup();
            sources
        });
        let service = Service {
            name: name.clone().unwrap_or(Placed { value: Text::default(), at: table.at }),
            repositories: self.repositories(table),
            aliases: self.dated_names("services.aliases", table, "aliases"),
            teams,
            tags: self.tags(table),
            criticality,
            dependencies: table.texts(&mut self.findings, "dependencies"),
            succeeds: table.texts(&mut self.findings, "succeeds"),
            failure_evidence_suffices: table.flag(&mut self.findings, "failure_evidence_suffices"),
            incident_source: table.flag(&mut self.findings, "incident_source"),
            failure_window: self.duration(table, "failure_window"),
            deployments_from,
            environments: self.own_environments(table),
        };
        name.map(|_| service)
    }

    /// Names, each alone or as a table with `valid_from`.
    fn dated_names(&mut self, what: &'static str, table: &Table<'_>, key: &str) -> Vec<DatedName> {
        let mut names = Vec::new();
        for item in table.list(key) {
            if item.get_ref().is_table() {
                let Some(table) = self.table(what, DATED_NAME, Some(item)) else { continue };
                let from = self.valid_from(&table);
                let name = table.required(&mut self.findings, "name");
                names.extend(name.map(|name| DatedName { name, from }));
            } else {
                let name = text_of(&mut self.findings, key, item);
                names.extend(name.map(|name| DatedName { name, from: ALWAYS }));
            }
        }
        names
    }

    fn repositories(&mut self, table: &Table<'_>) -> Vec<Repository> {
        let mut repositories = Vec::new();
        for item in table.list("repositories") {
            if item.get_ref().is_table() {
                let table = self.table("services.repositories", REPOSITORY, Some(item));
                let Some(table) = table else { continue };
                let from = self.valid_from(&table);
                let paths = self.paths(&table);
                let name = table.required(&mut self.findings, "name").and_then(|name| self.repo(&name));
                repositories.extend(name.map(|name| Repository { name, paths, from }));
            } else {
                let name =
                    text_of(&mut self.findings, "repositories", item).and_then(|name| self.repo(&name));
                repositories.extend(name.map(|name| Repository { name, paths: Vec::new(), from: ALWAYS }));
            }
        }
        repositories
    }

    /// A repository's name: not its address, not a pattern.
    fn repo(&mut self, name: &Placed<Text>) -> Option<Placed<RepoName>> {
        let text = name.value.as_str();
        let odd =
            text.contains("://") || text.starts_with("git@") || text.ends_with(".git") || text.ends_with('/');
        if odd || text.contains(|letter: char| letter.is_whitespace() || "*?".contains(letter)) {
            let message = format!("\"{text}\" is no repository's name");
            self.findings.add(name.at, message, "write host/owner/name, as in \"github.com/acme/cart\"");
            return None;
        }
        Some(Placed { value: RepoName::new(text), at: name.at })
    }

    fn paths(&mut self, table: &Table<'_>) -> Vec<PathGlob> {
        let mut paths = Vec::new();
        for path in table.texts(&mut self.findings, "paths") {
            match PathGlob::new(path.value.as_str()) {
                Ok(glob) => paths.push(glob),
                Err(error) => {
                    self.findings.add(
                        path.at,
                        format!("bad path \"{}\": {}", path.value, error.message()),
                        error.remedy(),
                    );
                }
            }
        }
        paths
    }

    fn tags(&mut self, table: &Table<'_>) -> BTreeMap<Text, Text> {
        let mut tags = BTreeMap::new();
        for (key, value) in table.entries(&mut self.findings, "tags") {
            if key.value.as_str().is_empty() || key.value.as_str().contains('=') {
                let message = format!("\"{}\" is no key of a tag", key.value);
                self.findings.add(
                    key.at,
                    message,
                    "tags are written tag:key=value: a key has no equals sign",
                );
            }
            let value = text_of(&mut self.findings, key.value.as_str(), value);
            tags.extend(value.map(|value| (key.value, value.value)));
        }
        tags
    }

    fn duration(&mut self, table: &Table<'_>, key: &str) -> Option<Span> {
        let text = table.text(&mut self.findings, key)?;
        let span = duration::parse(text.value.as_str());
        if span.is_none() {
            let message = format!("\"{}\" is no duration", text.value);
            self.findings.add(
                text.at,
                message,
                "write numbers with units, as in \"4h\", \"30m\" or \"1d12h\"",
            );
        }
        span
    }

    fn own_environments(&mut self, table: &Table<'_>) -> Vec<EnvironmentRule> {
        let mut rules = Vec::new();
        for (pattern, tier) in table.entries(&mut self.findings, "environments") {
            let tier = text_of(&mut self.findings, "environments", tier).and_then(|tier| self.tier(&tier));
            rules.extend(tier.map(|tier| EnvironmentRule { pattern: pattern.value, tier }));
        }
        rules
    }

    fn environment(&mut self, table: &Table<'_>) -> Option<EnvironmentRule> {
        let pattern = table.required(&mut self.findings, "match");
        let tier = table.required(&mut self.findings, "tier").and_then(|tier| self.tier(&tier));
        Some(EnvironmentRule { pattern: pattern?.value, tier: tier? })
    }

    fn tier(&mut self, word: &Placed<Text>) -> Option<EnvironmentTier> {
        let tier = EnvironmentTier::from_word(word.value.as_str());
        if tier.is_none() {
            let known: Vec<&str> = EnvironmentTier::ALL.iter().map(|tier| tier.as_str()).collect();
            let message = format!("\"{}\" is no tier", word.value);
            self.findings.add(word.at, message, format!("tiers are: {}", known.join(", ")));
        }
        tier
    }

    fn targets(&mut self, root: &Table<'_>) -> BTreeMap<Text, BTreeMap<Metric, Target>> {
        let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.as_str()).collect();
        let mut targets = BTreeMap::new();
        for (criticality, value) in root.entries(&mut self.findings, "targets") {
            let Some(table) = value.get_ref().as_table() else {
                let remedy = "write [targets.critical], and below it change_lead_time = \"1d\"";
                self.findings.add(
                    criticality.at,
                    format!("\"targets.{}\" is no table", criticality.value),
                    remedy,
                );
                continue;
            };
            Table::new(&mut self.findings, "targets", &known, table, value.span().start);
            let mut limits = BTreeMap::new();
            for (name, value) in entries(table) {
                let Some(metric) = Metric::from_word(name.value.as_str()) else { continue };
                let text = match value.get_ref() {
                    DeValue::String(text) => text.to_string(),
                    DeValue::Integer(number) => number.to_string(),
                    DeValue::Float(number) => number.to_string(),
                    _ => String::new(),
                };
                match Target::parse(metric, &text) {
                    Ok(target) => _ = limits.insert(metric, target),
                    Err(remedy) => {
                        self.findings.add(value.span().start, format!("no target for {metric}"), remedy)
                    }
                }
            }
            targets.insert(criticality.value, limits);
        }
        targets
    }

    fn rename(&mut self, table: &Table<'_>) -> Option<Placed<Rename>> {
        let from = table.required(&mut self.findings, "from").and_then(|name| self.repo(&name));
        let to = table.required(&mut self.findings, "to").and_then(|name| self.repo(&name));
        if table.get("at").is_none() {
            self.findings.add(
                table.at,
                "[renames] without \"at\"",
                "add when it was renamed, as in at = \"2026-01-31\"",
            );
        }
        let at = table.time(&mut self.findings, "at", &self.calendar)?.value;
        let (from, to) = (from?, to?);
        Some(Placed { at: from.at, value: Rename { from: from.value, at, to: to.value } })
    }
}
