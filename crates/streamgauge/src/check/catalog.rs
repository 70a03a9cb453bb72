//! The catalog's file, and whether it is the one that counts.

use super::Findings;
use super::brokers::count;
use crate::config::Settings;
use ::catalog::Catalog;
use kafka::catalog::Revision;

/// Checks the file; `published` is the catalog on the brokers.
pub fn check(settings: &Settings, published: Option<&Revision>, findings: &mut Findings) {
    let Some(path) = &settings.catalog else {
        match published {
            Some(revision) if revision.offset >= 0 => {
                findings.ok("catalog", format!("the published one counts (from {})", revision.file));
            }
            Some(_) => findings.warning(
                "catalog",
                "none is published, and none is configured: every repository is a service of its own, unowned",
                "`streamgauge catalog apply FILE`",
            ),
            None => findings.ok("catalog", "none is configured: every repository is a service of its own, unowned"),
        }
        return;
    };
    let file = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            findings.problem(format!("catalog {file}"), error.to_string(), "correct `catalog`, or --catalog");
            return;
        }
    };
    match Catalog::from_toml(&file, &text, &settings.definitions) {
        Ok(catalog) => {
            let (services, teams) = (catalog.services().len(), catalog.teams().len());
            let says = format!("no mistakes; {}, {}", count(services, "service"), count(teams, "team"));
            findings.ok(format!("catalog {file}"), says);
        }
        Err(mistakes) => {
            for mistake in mistakes {
                let at = format!("catalog {}:{}:{}", mistake.file, mistake.line, mistake.column);
                findings.problem(at, mistake.message, mistake.remedy);
            }
            return;
        }
    }
    let apply = format!("`streamgauge catalog apply {file}` makes it the one that counts");
    match published {
        Some(revision) if revision.offset < 0 => {
            findings.warning("catalog", "none is published yet: the first run publishes this one", apply);
        }
        Some(revision) if *revision.text != *text => {
            findings.warning(
                "catalog",
                format!("the one that counts (from {}) differs from {file}", revision.file),
                apply,
            );
        }
        Some(_) => findings.ok("catalog", format!("{file} is the one that counts")),
        None => {}
    }
}
