//! The plan as additions to the catalog's text.

use super::edit::Change;
use super::evidence::Renamed;
use super::rules::Plan;
use super::{Discovery, Proposal, ProposalKind};
use crate::entry::{CatalogEntry, GroupEntry, TeamEntry, list, quoted};
use crate::rename::Rename;
use model::{ServiceName, Text};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use toml::de::{DeTable, DeValue};

/// Writes what is planned: additions to declared services where they stand, everything else after the end.
pub(crate) fn write(text: &str, mut plan: Plan<'_>) -> Discovery {
    let mut out = Writer { text, proposals: Vec::new(), insertions: Vec::new(), tail: String::new() };
    // What is named is declared.
    let named: BTreeSet<Text> = plan
        .teams
        .values()
        .chain(plan.groups.values())
        .filter_map(|(group, _)| group.clone())
        .filter(|group| !plan.catalog.declared_groups().contains(group))
        .collect();
    for group in named {
        plan.groups.entry(group).or_insert((None, "teams or groups are in it".to_owned()));
    }
    let document = DeTable::parse(text).ok();
    let places = document.as_ref().map(|document| document.get_ref());
    for (service, aliases) in std::mem::take(&mut plan.aliases) {
        let place = places.and_then(|document| service_in(document, &service));
        if !out.aliases(&service, place, &aliases) {
            for (alias, because) in aliases {
                let what = format!("{because}: add it to the aliases of {service} by hand");
                plan.questions.insert(alias.as_str().to_owned(), what);
            }
        }
    }
    for (service, (team, because)) in std::mem::take(&mut plan.owners) {
        let place = places.and_then(|document| service_in(document, &service));
        let line = format!("team = {}\n", quoted(team.as_str()));
        match place.and_then(|place| after_name(text, place)) {
            Some(at) => {
                out.insertions.push((at, format!("{}{line}", comment("because", &because))));
                out.propose(ProposalKind::Owner, format!("{service}: {team}"), because);
            }
            None => {
                let what = format!("{}, {because}: add it by hand", quoted(team.as_str()));
                plan.questions.insert(format!("team of {service}"), what);
            }
        }
    }
    blocks(&mut out, &mut plan);
    renames(&mut out, std::mem::take(&mut plan.renames));
    for (about, what) in plan.questions {
        out.question(&about, what);
    }
    Discovery { change: Change::new(text, out.insertions, &out.tail), proposals: out.proposals }
}

/// Everything that is an entry of its own.
fn blocks(out: &mut Writer<'_>, plan: &mut Plan<'_>) {
    for (name, (parent, because)) in std::mem::take(&mut plan.groups) {
        let entry = CatalogEntry::Group(GroupEntry { name: name.clone(), parent });
        out.block(ProposalKind::Group, name.as_str(), &[because], &entry.to_string());
    }
    for (name, (group, because)) in std::mem::take(&mut plan.teams) {
        let entry = CatalogEntry::Team(TeamEntry { name: name.clone(), group });
        out.block(ProposalKind::Team, name.as_str(), &[because], &entry.to_string());
    }
    let mut declared: BTreeSet<ServiceName> = plan.catalog.services().into_iter().collect();
    declared.extend(plan.services.keys().cloned());
    for (name, mut new) in std::mem::take(&mut plan.services) {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            new.entry.dependencies.into_iter().partition(|name| declared.contains(name));
        new.entry.dependencies = here;
        new.entry.aliases.sort();
        new.notes
            .extend(elsewhere.iter().map(|name| format!("it depends on {name}, which no entry declares")));
        let mut entry = new.entry.to_string();
        if new.failure_evidence_suffices {
            let name = format!("name = {}\n", quoted(name.as_str()));
            entry = entry.replacen(&name, &format!("{name}failure_evidence_suffices = true\n"), 1);
        }
        let notes: String = new.notes.iter().map(|note| comment("decide:", note)).collect();
        out.block(ProposalKind::Service, name.as_str(), &new.because, &format!("{notes}{entry}"));
    }
    for one in std::mem::take(&mut plan.environments) {
        match one.tier {
            Some(tier) => {
                let entry =
                    format!("[[environments]]\nmatch = {}\ntier = \"{tier}\"\n", quoted(&one.pattern));
                let value = format!("{}: {tier}", one.pattern);
                out.block(ProposalKind::Environment, &value, &[one.because], &entry);
            }
            None => {
                let what = format!("{}: which tier is it?", one.because);
                plan.questions.insert(format!("environment {}", quoted(&one.pattern)), what);
            }
        }
    }
}

/// A dated alias for each rename.
fn renames(out: &mut Writer<'_>, renames: Vec<Renamed>) {
    for Renamed { rename: Rename { from, at, to }, source } in renames {
        let entry = format!(
            "[[renames]]\nfrom = {}\nto = {}\nat = \"{at}\"\n",
            quoted(from.as_str()),
            quoted(to.as_str())
        );
        let because = format!("{source} told that {from} is {to} since");
        out.block(ProposalKind::Rename, &format!("{from}: {to}"), &[because], &entry);
    }
}

struct Writer<'t> {
    text: &'t str,
    proposals: Vec<Proposal>,
    insertions: Vec<(usize, String)>,
    tail: String,
}

impl Writer<'_> {
    fn propose(&mut self, kind: ProposalKind, value: impl Into<String>, evidence: String) {
        self.proposals.push(Proposal { kind, value: value.into(), evidence });
    }

    fn block(&mut self, kind: ProposalKind, value: &str, because: &[String], entry: &str) {
        let because: Vec<&str> = because.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        self.gap();
        self.tail.extend(because.iter().map(|text| comment("because", text)));
        self.tail.push_str(entry);
        self.propose(kind, value, because.join("; "));
    }

    fn gap(&mut self) {
        if !self.text.is_empty() || !self.tail.is_empty() {
            self.tail.push('\n');
        }
    }

    /// One question is asked once: the text keeps it until somebody takes it away.
    fn question(&mut self, about: &str, what: String) {
        let head = comment("decide:", &format!("{about}: "));
        let head = head.trim_end();
        if self.text.lines().any(|line| line.starts_with(head)) {
            return;
        }
        self.gap();
        self.tail.push_str(&comment("decide:", &format!("{about}: {what}")));
        self.propose(ProposalKind::Decide, about, what);
    }

    /// Adds aliases where a service has them, or below its name; false where the text is written in another way.
    fn aliases(
        &mut self,
        service: &ServiceName,
        place: Option<&DeTable<'_>>,
        new: &[(Text, String)],
    ) -> bool {
        let Some(place) = place else { return false };
        let because: String = new.iter().map(|(_, because)| comment("because", because)).collect();
        let items = new.iter().map(|(alias, _)| quoted(alias.as_str())).collect::<Vec<_>>().join(", ");
        match place.iter().find(|(key, _)| key.get_ref() == "aliases") {
            None => {
                let Some(at) = after_name(self.text, place) else { return false };
                let list = list(new.iter().map(|(alias, _)| alias.as_str()));
                self.insertions.push((at, format!("{because}aliases = {list}\n")));
            }
            Some((key, value)) => {
                let (start, end) = (value.span().start, value.span().end);
                let head = self.text.get(..key.span().start).unwrap_or_default();
                let line = head.rfind('\n').map_or(0, |at| at + 1);
                if !head.get(line..).unwrap_or_default().trim().is_empty() {
                    return false;
                }
                let additions = match value.get_ref() {
                    DeValue::String(_) => vec![(start, "[".to_owned()), (end, format!(", {items}]"))],
                    DeValue::Array(array) if self.text.get(start..=start) == Some("[") => {
                        match array.iter().last() {
                            // An alias that is a table of its own has a header, which this is not.
                            Some(item)
                                if item.get_ref().is_table()
                                    && self.text.get(item.span().start..=item.span().start) != Some("{") =>
                            {
                                return false;
                            }
                            Some(item) => vec![(item.span().end, format!(", {items}"))],
                            None => vec![(start + 1, items)],
                        }
                    }
                    _ => return false,
                };
                self.insertions.push((line, because));
                self.insertions.extend(additions);
            }
        }
        for (alias, because) in new {
            self.propose(ProposalKind::Alias, format!("{service}: {alias}"), because.clone());
        }
        true
    }
}

/// A service's table.
fn service_in<'t>(document: &'t DeTable<'t>, service: &ServiceName) -> Option<&'t DeTable<'t>> {
    let services = document.iter().find(|(key, _)| key.get_ref() == "services")?.1.get_ref().as_array()?;
    services.iter().filter_map(|item| item.get_ref().as_table()).find(|table| {
        let name = table.iter().find(|(key, _)| key.get_ref() == "name");
        name.and_then(|(_, value)| value.get_ref().as_str()) == Some(service.as_str())
    })
}

/// Where a line can come after that of the name; `None` where the name has no line of its own.
fn after_name(text: &str, table: &DeTable<'_>) -> Option<usize> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == "name")?;
    let before = text.get(..key.span().start)?;
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(value.span().end..)?;
    let end = rest.find('\n');
    let after = rest.get(..end.unwrap_or(rest.len()))?.trim();
    let alone = before.get(line..)?.trim().is_empty() && (after.is_empty() || after.starts_with('#'));
    alone.then(|| end.map_or(text.len(), |end| value.span().end + end + 1))
}

/// A line of comment. What events say must not end it.
fn comment(word: &str, text: &str) -> String {
    let mut line = String::new();
    // Writing to a text cannot fail.
    _ = writeln!(line, "# {word} {}", text.replace(|letter: char| letter.is_control(), " "));
    line
}
