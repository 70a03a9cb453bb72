//! `cargo xtask chaos`: the faults of the test binary `chaos` of `streamgauge`, which keeps what each run came to.

use crate::measure::commit;
use crate::process::{cargo_test, folder_of, run as run_command};
use crate::{engine, kafka, locked};
use anyhow::{Context, Result, bail};
use std::process::ExitCode;

/// What the tests are told, by the option that says it; whether it takes a value.
const OPTIONS: [(&str, &str, bool); 5] = [
    ("--full", "STREAMGAUGE_CHAOS_FULL", false),
    ("--again", "STREAMGAUGE_CHAOS_AGAIN", false),
    ("--fault", "STREAMGAUGE_CHAOS_FAULT", true),
    ("--seed", "STREAMGAUGE_CHAOS_SEED", true),
    ("--minutes", "STREAMGAUGE_CHAOS_MINUTES", true),
];
const TEST: &str = "whatever_breaks_nothing_is_lost_and_nothing_is_double";
const WRITTEN: [&str; 2] = ["docs/chaos.md", "docs/chaos.ndjson"];

/// Plays the selection, or with `--full` every fault as often as it has not been played yet.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let told = told(args)?;
    engine::fetch()?;
    kafka::fetch()?;
    let folder = folder_of("chaos")?;
    let mut command = cargo_test("chaos", false);
    command.args(locked()).args(["--", "--nocapture", TEST]);
    command.envs(told).env("STREAMGAUGE_CHAOS_FOLDER", folder).env("STREAMGAUGE_COMMIT", commit(&WRITTEN)?);
    run_command(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// The variables of the options.
fn told(args: &[String]) -> Result<Vec<(&'static str, String)>> {
    let mut told = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let Some((_, variable, takes)) = OPTIONS.iter().find(|(option, ..)| option == word) else {
            bail!("{word:?} is none of {}", OPTIONS.map(|(option, ..)| option).join(", "));
        };
        let value = match takes {
            true => words.next().with_context(|| format!("{word} takes a value"))?.clone(),
            false => "1".to_owned(),
        };
        if matches!(word.as_str(), "--seed" | "--minutes") && value.parse::<u64>().is_err() {
            bail!("{word} takes a number, not {value:?}");
        }
        told.push((*variable, value));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_variables_and_others_are_refused() {
        let given = |words: &[&str]| told(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let full = given(&["--full", "--fault", "killed", "--seed", "7"]).unwrap();
        let expected = [
            ("STREAMGAUGE_CHAOS_FULL", "1".to_owned()),
            ("STREAMGAUGE_CHAOS_FAULT", "killed".to_owned()),
            ("STREAMGAUGE_CHAOS_SEED", "7".to_owned()),
        ];
        assert_eq!(full, expected);
        assert!(
            given(&["--ful"]).is_err() && given(&["--seed"]).is_err() && given(&["--seed", "x"]).is_err()
        );
    }
}
