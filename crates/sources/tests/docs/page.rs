//! `docs/sources.md`, made of the table of sources.

use crate::common::seeds::{DELIVERIES, answered};
use mapping::{PRESETS, Preset};
use model::metric::Metric;
use std::collections::BTreeSet;
use std::fmt::Write;
use streamgauge_sources::history::HISTORIES;
use streamgauge_sources::{FEEDS, Facts, Outcome, SHARED_DROP, SOURCES};

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

const PRESETS_HEAD: &str = "
## Sources by configuration

`[sources.NAME]` adds a source: a jq program (`map`, `map_file`) makes canonical events of its records; `use` takes one of
these, as does a NAME that is one of them. `[sources.NAME.verify]` says how whoever sends them is proved, and opens
`/v1/hooks/NAME`; else `[gateway.hooks.NAME]` names a scheme. Headers that a program reads: `Service`, `Environment`, `Repo`,
`Sha`, `Cluster`; others do not get into a topic.
";

const HISTORY_HEAD: &str = "
## History from the vendors' APIs

`streamgauge backfill VENDOR --since 180d` asks for these, as records in the shape of the webhooks, with the same ids and times
wherever the API tells them: webhooks and history together leave the tables of either. `[backfill.VENDOR]` with `every` has
`serve` ask again and again for what was lost. The token comes from a file or from the variable.

What was lost is counted where the vendor itself says it: of a hook of GitHub's each attempt that failed is an event
`lost_delivery`, and `data_quality` has a row `lost_deliveries` for each hook that lost any: how many, from when to when, of
which repositories, and how many were told later. Of GitLab, Jira and PagerDuty things are asked for, not deliveries: what they
tell was mostly told by webhooks, too, with other ids or times here and there, and nothing in it says which of it a webhook
had lost. There losses are healed and not counted.

| vendor | what is asked for | by name | token | it may read | to know |
|---|---|---|---|---|---|
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
    out.push_str(HISTORY_HEAD);
    for history in HISTORIES {
        writeln!(
            out,
            "| {} | {} | each {} | `{}` | {} | {} |",
            history.name,
            history.asks,
            history.thing,
            history.token_variable,
            history.rights,
            history.limits.join(" ")
        )
        .unwrap();
    }
    out.push_str(PRESETS_HEAD);
    for preset in PRESETS {
        preset_section(&mut out, preset);
    }
    out
}

/// What the head of a program says, and what its payloads become.
fn preset_section(out: &mut String, preset: &Preset) {
    let head = preset.code.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    let head = head.collect::<Vec<_>>();
    let mut paragraphs = head.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    writeln!(out, "\n#### {}\n\n{}\n", preset.name, paragraphs.next().unwrap()).unwrap();
    let (mut told, mut drops) = (BTreeSet::new(), BTreeSet::new());
    for seed in DELIVERIES.iter().filter(|seed| seed.source == preset.name) {
        match answered(&seed.source, &seed.headers, &seed.body) {
            Outcome::Emit(events) => {
                told.extend(events.iter().map(|event| event.body.type_name().to_owned()))
            }
            Outcome::Drop(word) => {
                drops.insert(word.to_string());
            }
            Outcome::Reject(_) => {}
        }
    }
    let words =
        |words: BTreeSet<String>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    writeln!(out, "- Tells: {}.", words(told)).unwrap();
    if !drops.is_empty() {
        writeln!(out, "- Drops: {}.", words(drops)).unwrap();
    }
    paragraphs.for_each(|paragraph| writeln!(out, "- {paragraph}").unwrap());
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
