//! `check`: tries everything that the configuration names, and says what is wrong and how to mend it, a line each.

mod backfill;
mod brokers;
mod catalog;
mod folder;
mod gateway;
mod mirror;
mod prometheus;
mod registry;
mod stage;
mod warehouse;

use crate::cli;
use crate::config::Settings;
use crate::failure::{DONE, FAILED};
use crate::import::now;
use crate::output::{Align, Cell, Format, Table};
use kafka::connection::Refusal;
use std::io::Write;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As it must be.
    Ok,
    /// It works, and may not for long, or not for everything.
    Warning,
    /// It does not work.
    Problem,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub mark: Mark,
    /// What was tried.
    pub what: String,
    /// How it is.
    pub says: String,
    /// How to mend it.
    pub remedy: Option<String>,
}

/// What was found, in the order in which it was tried.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// It is as it must be.
    pub fn ok(&mut self, what: impl Into<String>, says: impl Into<String>) {
        self.0.push(Finding { mark: Mark::Ok, what: what.into(), says: says.into(), remedy: None });
    }
    /// It works, and may not for long, or not for everything.
    pub fn warning(&mut self, what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) {
        self.push(Mark::Warning, what.into(), says.into(), remedy.into());
    }
    /// It does not work.
    pub fn problem(&mut self, what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) {
        self.push(Mark::Problem, what.into(), says.into(), remedy.into());
    }
    /// The brokers refuse it.
    pub fn refused(&mut self, what: impl Into<String>, refusal: Refusal) {
        self.problem(what, refusal.what, refusal.remedy);
    }
    fn push(&mut self, mark: Mark, what: String, says: String, remedy: String) {
        // Both may hold what others said; a finding is one line.
        let line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.0.push(Finding { mark, what, says: line(says), remedy: Some(line(remedy)) });
    }

    /// How many there are of a kind.
    pub fn count(&self, mark: Mark) -> usize {
        self.0.iter().filter(|finding| finding.mark == mark).count()
    }

    fn write(&self, format: Format, out: &mut impl Write) -> std::io::Result<()> {
        if format == Format::Table {
            for Finding { mark, what, says, remedy } in &self.0 {
                let remedy = remedy.as_ref().map_or_else(String::new, |remedy| format!(" → {remedy}"));
                writeln!(out, "{:<7}  {what}: {says}{remedy}", mark.as_str())?;
            }
            let (warnings, problems) = (self.count(Mark::Warning), self.count(Mark::Problem));
            return writeln!(out, "{problems} problems, {warnings} warnings");
        }
        let mut table = Table::new(&["status", "what", "says", "remedy"].map(|name| (name, Align::Left)));
        for finding in &self.0 {
            table.row(vec![
                Cell::text(finding.mark.as_str()),
                Cell::text(finding.what.as_str()),
                Cell::text(finding.says.as_str()),
                Cell::optional(finding.remedy.as_deref()),
            ]);
        }
        table.write(format, out)
    }
}

/// Checks, and says what it found. Exit code 1 when something does not work.
///
/// # Errors
/// Exit code 2 for an unknown stage; what stdout says.
pub fn run(
    command: &cli::Check,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let stages = crate::kafka_run::stages(&command.stages)?;
    let mut findings = Findings::default();
    for name in settings.mappings.names() {
        findings.ok(format!("source {name}"), "its mapping compiles");
    }
    let published = match &settings.kafka {
        Some(brokers) => {
            registry::check(brokers, &stages, &mut findings);
            brokers::check(brokers, settings, &stages, &mut findings)
        }
        None => {
            findings.ok("brokers", "none are configured: the run is embedded");
            None
        }
    };
    gateway::check(settings, &mut findings);
    prometheus::check(settings, now(), &mut findings);
    mirror::check(settings, &mut findings);
    backfill::check(settings, &mut findings);
    catalog::check(settings, published.as_ref(), &mut findings);
    let loads = settings.kafka.is_none() || stages.contains(&kafka::Stage::Load);
    match &settings.clickhouse {
        Some(server) if loads => warehouse::check_server(server, &mut findings)?,
        Some(_) => {}
        None if loads => folder::check(settings, &mut findings)?,
        None => {}
    }
    findings.write(format, out)?;
    Ok(if findings.count(Mark::Problem) > 0 { FAILED } else { DONE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_remedy() {
        let mut findings = Findings::default();
        findings.ok("brokers", "1 answers");
        findings.problem("topic a", "it is\n  missing", "make it");
        let mut out = Vec::new();
        findings.write(Format::Table, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ok       brokers: 1 answers\nproblem  topic a: it is missing → make it\n1 problems, 0 warnings\n"
        );
        let mut out = Vec::new();
        findings.write(Format::Json, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json[1]["status"], "problem");
        assert_eq!(json[0]["remedy"], serde_json::Value::Null);
    }
}
