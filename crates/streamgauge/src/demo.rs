//! `demo`: two real histories, their numbers, and what to try next.

use crate::bundle::{CATALOG, HISTORIES};
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::DONE;
use crate::import::{Batcher, progress};
use crate::output::Format;
use crate::ownership::Ownership;
use crate::{clickhouse, report, run};
use model::metric::Window;
use std::io::Write;

/// The file name under which the bundled catalog is kept.
const CATALOG_NAME: &str = "demo-catalog.toml";

/// Imports the bundled histories, prints the table, and answers SQL until it is ended (`once`: ends).
///
/// # Errors
/// As [`Pipeline::open`].
pub fn run(
    once: bool,
    settings: &Settings,
    quiet: bool,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let listen = if once { clickhouse::ANY_PORT } else { settings.listen };
    let mut pipeline = Pipeline::open(settings, listen)?;
    let there = pipeline.ownership().clone();
    // A catalog that somebody gave is theirs; the demo's only fills the void.
    if there.text.is_empty() {
        pipeline.apply(Ownership { file: CATALOG_NAME.to_owned(), text: CATALOG.to_owned(), ..there })?;
    }
    for history in HISTORIES {
        let bar = progress(quiet, history.repo, Some(history.records));
        let mut batcher = Batcher::new(&mut pipeline, bar);
        history.read(&mut batcher)?;
        let summary = batcher.finish()?;
        tracing::info!(repo = history.repo, summary = summary.text(), "imported");
    }
    let clickhouse = pipeline.clickhouse();
    let scopes = report::scopes(clickhouse, &[])?;
    report::write(clickhouse, settings, &scopes, &[Window::Days30, Window::Days90], None, format, out)?;
    if format == Format::Table {
        let data = settings.data.display();
        writeln!(out, "Every tag of argoproj/argo-cd and vectordotdev/vector counts as a deployment.")?;
        writeln!(out, "The data lies in {data}. Try next:")?;
        for line in [
            "streamgauge report --scope service:argo-cd --window 90d --as-of 2024-06-30",
            "streamgauge explain --scope service:vector --metric change_fail_rate --window 90d",
            "streamgauge explain deployment tag:v2.9.0",
            "streamgauge sql 'SELECT service, count() AS deployments, countIf(failed) AS failed FROM deployments GROUP BY service'",
            "streamgauge import git .",
        ] {
            writeln!(out, "  {line}")?;
        }
    }
    out.flush()?;
    if !once {
        let stop = run::stop_signal(pipeline.clickhouse());
        writeln!(std::io::stderr(), "SQL is answered at {} until Ctrl-C", pipeline.clickhouse().url())?;
        run::wait_for(&stop);
    }
    Ok(DONE)
}
