//! `docs/sources.md`, made of the table of sources.

use model::metric::Metric;
use std::fmt::Write;
use streamgauge_sources::{FEEDS, Facts, SHARED_DROP, SOURCES};

const HEAD: &str = "\
# Sources

Written by `cargo xtask docs` from what each file in `crates/sources/src` says of itself; a test fails when it is stale.

A source is a name and the function that reads what its vendor sends. By webhook a delivery goes to
`https://<gateway>/v1/hooks/<source>`; on Kafka it lies in `raw.<source>`. The same file is read by
`streamgauge normalize --source <source> payload.json`, which shows what becomes of it.

Every record ends as events, dropped under a word that is counted, or rejected to the dead letters. An event whose time
lies more than `max_future` ahead of its receipt is rejected. A time without a zone is rejected unless the vendor
documents the zone or the source's `default_time_zone` states it. Of people only `human` or `bot` is kept.
";

/// Types of events feed metrics; a payload must also say what a metric needs.
const NEEDS: &str = "\
A ● says that its events have a part in the metric where they say what it needs: of a deployment its commit, digest or
image for the lead time, what set it off or who for the automated rate, its steps for the canary success rate; of an
incident a stated start for the time to detect.
";

/// The page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    overview(&mut out);
    types(&mut out);
    out.push_str("\n## Each source\n\n");
    writeln!(
        out,
        "In a word, `*` stands for a word of the vendor's own. Any source may drop as `{SHARED_DROP}` what lists nothing."
    )
    .unwrap();
    for source in SOURCES {
        section(&mut out, source.name, source.facts);
    }
    out
}

fn overview(out: &mut String) {
    write!(out, "\n## What each gives to which metric\n\n{NEEDS}\n| source |").unwrap();
    for metric in Metric::ALL {
        write!(out, " {} |", metric.as_str().replace('_', " ")).unwrap();
    }
    out.push_str("\n|---|");
    out.push_str(&":-:|".repeat(Metric::ALL.len()));
    for source in SOURCES {
        write!(out, "\n| [{0}](#{0}) |", source.name).unwrap();
        for metric in Metric::ALL {
            out.push_str(if source.facts.feeds(*metric) { " ● |" } else { "  |" });
        }
    }
    out.push('\n');
}

fn types(out: &mut String) {
    out.push_str("\n## What each type of event is for\n\n| event | metrics | its part |\n|---|---|---|");
    for feed in FEEDS {
        let metrics: Vec<String> =
            feed.metrics.iter().map(|metric| format!("`{}`", metric.as_str())).collect();
        let metrics = if metrics.is_empty() { "–".to_owned() } else { metrics.join(", ") };
        write!(out, "\n| `{}` | {metrics} | {} |", feed.event, feed.part).unwrap();
    }
    out.push('\n');
}

fn section(out: &mut String, name: &str, facts: &Facts) {
    let words = |text: &str| match text.split_whitespace().map(|word| format!("`{word}`")).collect::<Vec<_>>()
    {
        words if words.is_empty() => "nothing".to_owned(),
        words => words.join(", "),
    };
    writeln!(out, "\n### {name}\n\n{}.\n", facts.description).unwrap();
    writeln!(out, "- Tells: {}.", words(facts.emits)).unwrap();
    writeln!(out, "- Drops: {}.", words(facts.drops)).unwrap();
    writeln!(out, "- Times: {}", facts.times).unwrap();
    writeln!(
        out,
        "- Seen: {}",
        facts.seen.unwrap_or("No live payload seen: written from the documentation.")
    )
    .unwrap();
    writeln!(out, "- To know: {}", facts.limits.join(" ")).unwrap();
    out.push_str("\nSet up:\n\n");
    for (index, step) in facts.set_up.iter().enumerate() {
        writeln!(out, "{}. {step}", index + 1).unwrap();
    }
}
