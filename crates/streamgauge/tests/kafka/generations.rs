//! Another generation, built beside the one that is read, compared, promoted, and the old one dropped.

use crate::organisation::Organisation;
use crate::stage::{Stage, shared};
use generate::Options;
use std::time::Duration;

/// What decides a number and is another in the second generation.
const DEFINITIONS: &str = "failure_window = \"24h\"\nlead_time.start = \"pr_opened\"\n";

#[test]
fn another_generation_is_built_beside_the_one_that_is_read_compared_promoted_and_the_old_one_dropped() {
    let Some(shared) = shared() else { return };
    let organisation = Organisation::new(4, 20);
    let mut stage = Stage::new(&shared, &organisation, "generations", 2);
    let next = stage.other_config("next", &format!("generation = 2\npartitions = 3\n{DEFINITIONS}"));
    let expected = organisation.embedded_with(DEFINITIONS, "twin");
    assert_ne!(expected, organisation.expected, "the change changes something");
    let expect = |stage: &Stage<'_>, arguments: &[&str], code: i32, says: &str| {
        let told = stage.command_with(&next, "next").args(arguments).output().unwrap();
        let text = String::from_utf8([told.stdout, told.stderr].concat()).unwrap();
        assert_eq!(told.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
        text
    };

    stage.start("live", &[]);
    let (half, rest) = organisation.records.split_at(organisation.records.len() / 2);
    stage.send(half);
    expect(&stage, &["replay", "promote"], 1, "build it with `streamgauge replay`");
    // Killed while it builds: the same command goes on.
    stage.start_with(&next, "builder", &["replay", "--once"]);
    std::thread::sleep(Duration::from_secs(4));
    stage.kill("builder");
    // While it is built, what is read goes on.
    stage.send(rest);
    expect(&stage, &["replay", "--once"], 0, "generation 2 is computed");
    stage.expect_equal();
    expect(&stage, &["compare", "--with", "2"], 2, "cannot be compared with itself");
    let metric = ["compare", "--metric", "change_lead_time"];
    let compared = expect(&stage, &metric, 3, "changes.lead_time_s differs in");
    let definition = "definition failure_window_s: \"14400\" in generation 1, \"86400\" in generation 2";
    assert!(compared.contains(definition), "{compared}");
    expect(&stage, &["compare", "--metric", "time_in_ci"], 0, "agree on every window");

    expect(&stage, &["check"], 0, "the views of generations show 1; this computes into generations_g2");
    let promoted = "the views show generation 2 now, and showed 1 before";
    expect(&stage, &["replay", "promote"], 0, promoted);
    stage.expect_tables(&expected);
    let listed = expect(&stage, &["replay", "list"], 0, "generations_g2");
    assert!(listed.lines().any(|line| line.contains("generations_g2") && line.contains("yes")), "{listed}");
    let rate = ["report", "--window", "90d", "--format", "json"];
    expect(&stage, &rate, 0, "change_fail_rate");
    expect(&stage, &["replay", "drop", "2"], 2, "is the one that is read");
    expect(&stage, &["replay", "drop", "1"], 1, "stop the processes that run generation 1");
    stage.expect_tables(&expected);
    stage.stop("live");
    expect(&stage, &["replay", "drop", "1"], 0, "generation 1 is gone");
    expect(&stage, &["replay", "drop", "1"], 0, "generation 1 is gone");
    stage.expect_tables(&expected);

    // From now on the new configuration runs, and what comes in reaches those who read.
    stage.start_with(&next, "live", &["run"]);
    let more: Vec<_> =
        generate::generate(&Options { services: 1, days: 1, seed: 7, ..Options::default() }).collect();
    let before = stage.ask("SELECT count() FROM events");
    stage.send(&more);
    stage.expect_until("more events are there", || stage.ask("SELECT count() FROM events") != before);
    stage.stop("live");
}
