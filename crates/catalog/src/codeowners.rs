//! `CODEOWNERS` of GitHub and GitLab: which team owns which paths. Persons are not read.
//!
//! Sources: GitHub, "About code owners"; GitLab, "Code Owners syntax and error handling". The last rule that
//! matches a path counts.

use crate::entry::{CatalogEntry, ServiceEntry};
use crate::glob::PathGlob;
use model::{RepoName, ServiceName, TeamName};
use std::collections::BTreeMap;

/// A file of code owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeOwners {
    /// The rules in the order of the file.
    pub rules: Vec<CodeOwnersRule>,
    /// Lines that were not understood, and why.
    pub skipped: Vec<SkippedLine>,
}

/// One line: these paths belong to these teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeOwnersRule {
    /// The line, from 1.
    pub line: usize,
    /// The pattern as it is written.
    pub pattern: String,
    /// What the pattern matches.
    pub glob: PathGlob,
    /// The teams, in order; empty when only persons or nobody is named.
    pub teams: Vec<TeamName>,
}

/// A line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedLine {
    /// The line, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Reads a file. Of owners only `@org/team` is kept, as `team`: `@user` may be a person, and an address is one.
pub fn read(text: &str) -> CodeOwners {
    let mut owners = CodeOwners::default();
    let mut section_teams: Vec<TeamName> = Vec::new();
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text.trim())) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(rest) = section(text) {
            section_teams = teams(rest.split_whitespace());
            continue;
        }
        let mut words = words(text).into_iter();
        let Some(pattern) = words.next() else { continue };
        let named: Vec<String> = words.take_while(|word| !word.starts_with('#')).collect();
        match glob(&pattern) {
            Ok(glob) => {
                let named_teams = teams(named.iter().map(String::as_str));
                let teams = if named.is_empty() { section_teams.clone() } else { named_teams };
                owners.rules.push(CodeOwnersRule { line, pattern, glob, teams });
            }
            Err(error) => owners.skipped.push(SkippedLine { line, reason: error.message() }),
        }
    }
    owners
}

impl CodeOwners {
    /// The teams of a path: those of the last rule that matches.
    pub fn teams_of(&self, path: &str) -> &[TeamName] {
        let rule = self.rules.iter().rev().find(|rule| rule.glob.matches(path));
        rule.map_or(&[], |rule| rule.teams.as_slice())
    }

    /// What it proposes for the catalog: a service for each folder with a team, called like the folder; where no
    /// folder has one, the repository as one service of the team that owns everything. [`crate::to_toml`] prints
    /// them.
    pub fn entries(&self, repo: &RepoName) -> Vec<CatalogEntry> {
        // The last rule for the same folder counts, as it does for a path.
        let mut folders: BTreeMap<Vec<&str>, (&CodeOwnersRule, &TeamName)> = BTreeMap::new();
        for rule in &self.rules {
            let Some(folder) = folder(&rule.glob) else { continue };
            match rule.teams.first() {
                Some(team) => _ = folders.insert(folder, (rule, team)),
                None => _ = folders.remove(&folder),
            }
        }
        let mut services: Vec<ServiceEntry> = Vec::new();
        for (folder, (rule, team)) in &folders {
            let last = folder.last().copied().unwrap_or_default();
            let shared = folders.keys().filter(|other| other.last().copied() == Some(last)).count() > 1;
            let name = if shared { folder.join("-") } else { last.to_owned() };
            services.push(ServiceEntry {
                name: ServiceName::from(name),
                repositories: vec![(repo.clone(), vec![rule.glob.clone()])],
                team: Some((*team).clone()),
                ..ServiceEntry::default()
            });
        }
        if services.is_empty() {
            let everything = self.rules.iter().rev().find(|rule| matches!(rule.glob.as_str(), "**" | "**/*"));
            services.extend(everything.and_then(|rule| rule.teams.first()).map(|team| ServiceEntry {
                name: ServiceName::new(repo.as_str().rsplit('/').next().unwrap_or_default()),
                repositories: vec![(repo.clone(), Vec::new())],
                team: Some(team.clone()),
                ..ServiceEntry::default()
            }));
        }
        services.into_iter().map(CatalogEntry::Service).collect()
    }
}

/// The owners after a section's head `[name]`, `^[name]` or `[name][2]`; `None` for any other line.
fn section(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('^').unwrap_or(line).strip_prefix('[')?;
    let rest = rest.split_once(']')?.1;
    match rest.strip_prefix('[') {
        Some(count) => count.split_once(']').map(|(_, rest)| rest),
        None => Some(rest),
    }
}

/// Words between blanks; a blank after a backslash belongs to the word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            letter if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn teams<'a>(owners: impl Iterator<Item = &'a str>) -> Vec<TeamName> {
    let mut teams = Vec::new();
    for owner in owners {
        let name = owner.strip_prefix('@').and_then(|owner| owner.rsplit_once('/')).map(|(_, team)| team);
        if let Some(team) = name.filter(|team| !team.is_empty()).map(TeamName::new)
            && !teams.contains(&team)
        {
            teams.push(team);
        }
    }
    teams
}

/// A pattern in the manner of gitignore: one without a slash inside matches at any depth.
fn glob(pattern: &str) -> Result<PathGlob, crate::GlobError> {
    let anchored = pattern.trim_end_matches('/').contains('/');
    let body = pattern.trim_start_matches('/');
    let body = if body.is_empty() || body == "*" { "**" } else { body };
    let below = if body.ends_with('/') { "**" } else { "" };
    let depth = if anchored || body.starts_with("**") { "" } else { "**/" };
    PathGlob::new(&format!("{depth}{body}{below}"))
}

/// The folder that a glob is about, where it is one folder at one place.
fn folder(glob: &PathGlob) -> Option<Vec<&str>> {
    let segments: Vec<&str> = glob.as_str().split('/').filter(|part| !part.is_empty()).collect();
    let (last, front) = segments.split_last()?;
    let folder = if matches!(*last, "**" | "*") { front } else { segments.as_slice() };
    // A name with a dot is a file's, as far as a pattern tells.
    let plain = folder.iter().all(|part| !part.contains(['*', '?', '.']));
    (plain && !folder.is_empty()).then(|| folder.to_vec())
}
