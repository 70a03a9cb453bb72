//! What `/metrics` shows: the counters of this process's stages, read when somebody asks.

use super::exposition::{Exposition, Kind, Metric};
use super::process;
use kafka::{Snapshot, Stage, StageStats};
use std::sync::Arc;

/// The stages of this process, and what is said of the process itself.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The stages' counters.
    pub stages: Vec<Arc<StageStats>>,
    /// The hash of the definitions.
    pub definition: String,
}

type Counted = [(Stage, Snapshot)];

/// All metrics as text.
pub fn text(watched: &Watched) -> String {
    let counted: Vec<(Stage, Snapshot)> =
        watched.stages.iter().map(|stats| (stats.stage, stats.snapshot())).collect();
    let mut out = Exposition::default();
    process(&mut out, &watched.definition);
    standing(&mut out, &counted);
    records(&mut out, &counted);
    transactions(&mut out, &counted);
    state(&mut out, &counted);
    load(&mut out, &counted);
    out.into_text()
}

/// What is said of the process itself.
pub(super) fn process(out: &mut Exposition, definition: &str) {
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("definition", definition)];
    out.metric(
        "streamgauge_build_info",
        Kind::Gauge,
        "Always 1; the version, and the hash of the definitions.",
    )
    .sample(&labels, 1);
    if let Some(bytes) = process::resident_bytes() {
        out.metric(
            "streamgauge_process_resident_memory_bytes",
            Kind::Gauge,
            "Memory that the process holds.",
        )
        .sample(&[], bytes);
    }
    out.metric("streamgauge_process_start_time_seconds", Kind::Gauge, "When the process began, since 1970.")
        .sample(&[], process::started_s());
}

/// A sample for each stage.
fn each(metric: &mut Metric<'_>, counted: &Counted, value: impl Fn(&Snapshot) -> u64) {
    for (stage, snapshot) in counted {
        metric.sample(&[("stage", stage.as_str())], value(snapshot));
    }
}

fn standing(out: &mut Exposition, counted: &Counted) {
    let help = "1 when the stage runs with all its tasks restored, a known lag, and gets on.";
    each(&mut out.metric("streamgauge_stage_ready", Kind::Gauge, help), counted, |snapshot| {
        u64::from(snapshot.unready().is_none())
    });
    let help = "How often the stage failed and was started again.";
    each(&mut out.metric("streamgauge_stage_restarts_total", Kind::Counter, help), counted, |s| s.restarts);
    let help = "Tasks (of ingest and load: partitions) that this process is to hold.";
    each(&mut out.metric("streamgauge_tasks", Kind::Gauge, help), counted, |s| s.tasks);
    let help = "Those of them that are restored.";
    each(&mut out.metric("streamgauge_tasks_restored", Kind::Gauge, help), counted, |s| s.tasks_restored);

    let help = "Records that wait in the partitions of this process; no sample while that is not known.";
    let mut metric = out.metric("streamgauge_lag_records", Kind::Gauge, help);
    for (stage, snapshot) in counted.iter().filter(|(_, snapshot)| snapshot.lag >= 0) {
        metric.sample(&[("stage", stage.as_str())], snapshot.lag);
    }
    let help = "Records that wait, by partition.";
    let mut metric = out.metric("streamgauge_partition_lag_records", Kind::Gauge, help);
    for (stage, snapshot) in counted {
        for ((topic, partition), lag) in &snapshot.partition_lag {
            if let Some(lag) = lag {
                let partition = partition.to_string();
                let labels = [("stage", stage.as_str()), ("topic", topic), ("partition", &partition)];
                metric.sample(&labels, lag);
            }
        }
    }
    let help = "The offset of the newest catalog; -1: none was published.";
    let mut metric = out.metric("streamgauge_catalog_offset", Kind::Gauge, help);
    for (stage, snapshot) in counted {
        if let Some(offset) = snapshot.catalog {
            metric.sample(&[("stage", stage.as_str())], offset);
        }
    }
}

fn records(out: &mut Exposition, counted: &Counted) {
    let help = "Records read and committed, by what became of them: emitted, dropped or rejected, and why.";
    let mut metric = out.metric("streamgauge_records_in_total", Kind::Counter, help);
    for (stage, snapshot) in counted {
        let stage = ("stage", stage.as_str());
        // A series that begins at 0 shows its first increase.
        if !snapshot.outcomes.contains_key("emitted") {
            metric.sample(&[stage, ("outcome", "emitted"), ("reason", "")], 0);
        }
        for (name, records) in &snapshot.outcomes {
            let (outcome, reason) = name.split_once(':').unwrap_or((name, ""));
            metric.sample(&[stage, ("outcome", outcome), ("reason", reason)], records);
        }
    }
    let help = "Records written and committed, by the kind of topic that they went to; a record may hold several rows.";
    let mut metric = out.metric("streamgauge_records_out_total", Kind::Counter, help);
    for (stage, snapshot) in counted.iter().filter(|(stage, _)| *stage != Stage::Load) {
        for (topic, records) in snapshot.written.by_kind() {
            if records > 0 || topics(*stage).contains(&topic) {
                metric.sample(&[("stage", stage.as_str()), ("topic", topic)], records);
            }
        }
    }
    let help = "Records sent to the dead letters, by reason.";
    let mut metric = out.metric("streamgauge_dead_letters_total", Kind::Counter, help);
    for (stage, snapshot) in counted {
        for (name, records) in &snapshot.outcomes {
            if let Some(reason) = name.strip_prefix("rejected:") {
                metric.sample(&[("stage", stage.as_str()), ("reason", reason)], records);
            }
        }
    }
}

/// The topics that a stage writes to.
fn topics(stage: Stage) -> &'static [&'static str] {
    match stage {
        Stage::Ingest => &["events", "dlq"],
        Stage::Correlate => &["facts", "contributions", "messages", "changelog", "dlq"],
        Stage::Aggregate => &["metrics", "changelog", "dlq"],
        Stage::Load => &[],
    }
}

fn transactions(out: &mut Exposition, counted: &Counted) {
    let help = "How long committed transactions took; of load: inserts with the commit of their offsets.";
    let mut metric = out.metric("streamgauge_transaction_seconds", Kind::Histogram, help);
    for (stage, snapshot) in counted {
        metric.histogram(&[("stage", stage.as_str())], &snapshot.transaction_seconds);
    }
    let help = "Transactions that failed; their records are read again.";
    each(&mut out.metric("streamgauge_transactions_failed_total", Kind::Counter, help), counted, |s| {
        s.failures
    });
}

fn state(out: &mut Exposition, counted: &Counted) {
    let stateful: Vec<(Stage, Snapshot)> = counted
        .iter()
        .filter(|(stage, _)| matches!(stage, Stage::Correlate | Stage::Aggregate))
        .cloned()
        .collect();
    let help = "Entries of the state of this process's tasks.";
    each(&mut out.metric("streamgauge_state_entries", Kind::Gauge, help), &stateful, |s| s.state.entries);
    let help = "Bytes of the state's keys and values, as its changelog has them.";
    each(&mut out.metric("streamgauge_state_bytes", Kind::Gauge, help), &stateful, |s| s.state.bytes);
    let help = "Panes that changed and whose corrections are not written yet: a range of rows each.";
    each(&mut out.metric("streamgauge_owed_ranges", Kind::Gauge, help), &stateful, |s| s.state.owed);
    let help = "Changelog records read by restores.";
    each(&mut out.metric("streamgauge_restore_records_total", Kind::Counter, help), &stateful, |s| {
        s.restored_records
    });
    let help = "Time from the assignment of tasks until all of them were restored.";
    let mut metric = out.metric("streamgauge_restore_seconds_total", Kind::Counter, help);
    for (stage, snapshot) in &stateful {
        metric.sample(&[("stage", stage.as_str())], snapshot.restore_time.as_secs_f64());
    }
    let help = "Finished restores, by what they were made from: a local copy and the changelog's tail, or all of it.";
    let mut metric = out.metric("streamgauge_restores_total", Kind::Counter, help);
    for (stage, snapshot) in &stateful {
        let stage = ("stage", stage.as_str());
        metric.sample(&[stage, ("from", "copy")], snapshot.restored_from_copy);
        metric.sample(&[stage, ("from", "changelog")], snapshot.restored_from_changelog);
    }
    let help = "Local checkpoints that were discarded, by why.";
    let mut metric = out.metric("streamgauge_local_checkpoints_discarded_total", Kind::Counter, help);
    for (stage, snapshot) in &stateful {
        for (reason, count) in &snapshot.discarded {
            metric.sample(&[("stage", stage.as_str()), ("reason", reason)], count);
        }
    }
    let help = "Local checkpoints that are written no further, until their tasks are restored again.";
    each(
        &mut out.metric("streamgauge_local_checkpoints_given_up_total", Kind::Counter, help),
        &stateful,
        |s| s.given_up,
    );
    let help = "For how long the restore that is under way has taken; 0: none is.";
    let mut metric = out.metric("streamgauge_restore_running_seconds", Kind::Gauge, help);
    for (stage, snapshot) in &stateful {
        metric.sample(&[("stage", stage.as_str())], snapshot.restoring_for.as_secs_f64());
    }
}

fn load(out: &mut Exposition, counted: &Counted) {
    let Some((_, snapshot)) = counted.iter().find(|(stage, _)| *stage == Stage::Load) else { return };
    let loaded = &snapshot.loaded;
    out.metric(
        "streamgauge_load_batches_total",
        Kind::Counter,
        "Batches whose inserts were all acknowledged.",
    )
    .sample(&[], snapshot.transactions);
    let mut metric = out.metric("streamgauge_load_rows_total", Kind::Counter, "Rows acknowledged, by table.");
    for (table, rows) in &loaded.rows {
        metric.sample(&[("table", table)], rows);
    }
    out.metric("streamgauge_load_inserts_total", Kind::Counter, "Inserts acknowledged.")
        .sample(&[], loaded.inserts);
    out.metric("streamgauge_load_retries_total", Kind::Counter, "Inserts that failed and were sent again.")
        .sample(&[], loaded.retries);
    let help =
        "From when an event happened (occurred) or reached us (observed) until ClickHouse acknowledged it.";
    let mut metric = out.metric("streamgauge_event_delay_seconds", Kind::Histogram, help);
    metric.histogram(&[("since", "occurred")], &loaded.delays.occurred);
    metric.histogram(&[("since", "observed")], &loaded.delays.observed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The names of all metrics, with those that their samples have.
    fn names() -> BTreeSet<String> {
        let stages = Stage::ALL.map(|stage| Arc::new(StageStats::new(stage))).to_vec();
        let text = text(&Watched { stages, definition: "d".to_owned() });
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        types
            .flat_map(|(name, kind)| {
                let suffixes: &[&str] =
                    if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
            })
            .collect()
    }

    #[test]
    fn every_metric_that_an_alert_of_deploy_looks_at_is_shown() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus/streamgauge.rules.yaml");
        let rules = std::fs::read_to_string(path).unwrap();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words = rules.split(|letter| !is_part(letter));
        let used: BTreeSet<String> =
            words.filter(|word| word.starts_with("streamgauge_")).map(str::to_owned).collect();
        let shown = names();
        let unknown: Vec<&String> = used.difference(&shown).collect();
        assert!(unknown.is_empty(), "the program shows no {unknown:?}");
        for needed in ["lag_records", "stage_ready", "dead_letters_total", "restore_running_seconds"] {
            assert!(used.contains(&format!("streamgauge_{needed}")), "no alert looks at {needed}");
        }
    }
}
