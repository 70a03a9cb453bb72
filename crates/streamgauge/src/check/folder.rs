//! The data folder of the embedded engine: whether it can be used, and what is in it.

use super::{Findings, warehouse};
use crate::clickhouse::{ANY_PORT, ClickHouse};
use crate::config::Settings;
use crate::folder::{Access, DataFolder};
use axum::Router;
use std::path::Path;

/// Checks the folder and its engine. Nothing is made that was not there.
///
/// # Errors
/// When no thread can be started.
pub fn check(settings: &Settings, findings: &mut Findings) -> anyhow::Result<()> {
    let what = format!("data folder {}", settings.data.display());
    if let Err(error) = embedded_clickhouse::locate() {
        findings.problem("engine", error.to_string(), "`cargo xtask setup` fetches it");
        return Ok(());
    }
    if !settings.data.exists() {
        let above =
            settings.data.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.exists());
        let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match is_writable(above) {
            Ok(()) => findings.ok(what, "there is none yet: it will be made"),
            Err(error) => findings.problem(
                what,
                format!("there is none, and none can be made in {}: {error}", above.display()),
                "let this user write there, or give another folder with --data",
            ),
        }
        return Ok(());
    }
    match DataFolder::access(&settings.data, false) {
        Ok(Access::Served(server)) => {
            findings.ok(what, format!("in use by process {}, which answers at {}", server.pid, server.url));
            warehouse::check_engine(&ClickHouse::served(server.url)?, findings);
        }
        Ok(Access::Owned(folder)) => {
            if let Err(error) = is_writable(folder.path()) {
                findings.problem(what, format!("it cannot be written: {error}"), "let this user write there");
                return Ok(());
            }
            findings.ok(what, "it can be used");
            if !folder.path().join("clickhouse").exists() {
                return Ok(());
            }
            match ClickHouse::opened(folder.path(), ANY_PORT, Router::new()) {
                Ok(clickhouse) => warehouse::check_engine(&clickhouse, findings),
                Err(error) => findings.problem(
                    "engine",
                    format!("{error:#}"),
                    "remove the folder's `clickhouse`: the next run computes its tables anew from the log",
                ),
            }
        }
        Err(error) => {
            // It names its remedy in brackets.
            let text = format!("{error:#}");
            let text = text.strip_prefix(&format!("{what} ")).unwrap_or(&text);
            let (says, remedy) = text.rsplit_once(" (").unwrap_or((text, "give another folder with --data"));
            findings.problem(what, says, remedy.trim_end_matches(')'));
        }
    }
    Ok(())
}

fn is_writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".streamgauge-check-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}
