//! `cargo xtask sim`: runs seeds, or every mutant until it is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;
use streamgauge_sim::{Mutant, run};

/// Seeds within which a mutant must be caught.
const CAUGHT_WITHIN: u64 = 1_000;

const USAGE: &str = "usage: sim [--seeds N] [--seed S] [--trace] [--mutants] [--mutant NAME]";

struct Args {
    seeds: u64,
    first: u64,
    trace: bool,
    mutants: Vec<Mutant>,
}

fn args() -> Result<Args, String> {
    let (mut seeds, mut first, mut trace, mut mutants) = (None, None, false, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} takes a value\n{USAGE}"));
        let number = |text: String| text.parse().map_err(|_| format!("{text:?} is no number\n{USAGE}"));
        match word.as_str() {
            "--seeds" => seeds = Some(number(value()?)?),
            "--seed" => first = Some(number(value()?)?),
            "--trace" => trace = true,
            "--mutants" => mutants = Mutant::ALL.to_vec(),
            "--mutant" => {
                let name = value()?;
                let found = Mutant::ALL.iter().find(|mutant| mutant.name() == name);
                mutants.push(*found.ok_or_else(|| format!("there is no mutant {name:?}"))?);
            }
            _ => return Err(format!("unknown: {word}\n{USAGE}")),
        }
    }
    // One seed that is named is one run.
    let seeds = seeds.unwrap_or(match (first, mutants.is_empty()) {
        (Some(_), true) => 1,
        (None, true) => 100,
        (_, false) => CAUGHT_WITHIN,
    });
    Ok(Args { seeds, first: first.unwrap_or(0), trace, mutants })
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    // A panic of a stage is what a run may find, and is told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    if args.mutants.is_empty() { seeds(&args) } else { mutants(&args) }
}

fn seeds(args: &Args) -> ExitCode {
    let started = Instant::now();
    let mut coverage: BTreeMap<String, u64> = BTreeMap::new();
    let mut failed = 0_u64;
    for seed in args.first..args.first + args.seeds {
        let run = run(seed, None, args.trace);
        run.lines.iter().for_each(|line| println!("{line}"));
        if let Some(wrong) = &run.wrong {
            failed += 1;
            println!("seed {seed} FAILED: {wrong}");
        }
        if args.seeds == 1 {
            println!("seed {seed}: trace {:016x}", run.hash);
        }
        for (what, count) in run.coverage {
            *coverage.entry(what).or_default() += count;
        }
    }
    for (what, count) in coverage {
        println!("{count:>9}  {what}");
    }
    let took = started.elapsed().as_secs_f64();
    let (green, rate) = (args.seeds - failed, args.seeds as f64 / took);
    println!("{green} of {} seeds green in {took:.1} s ({rate:.1} a second)", args.seeds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn mutants(args: &Args) -> ExitCode {
    let mut missed = 0;
    for mutant in &args.mutants {
        let caught = (args.first..args.first + args.seeds)
            .find_map(|seed| Some((seed, run(seed, Some(*mutant), false).wrong?)));
        match caught {
            Some((seed, wrong)) => {
                println!("{} caught by seed {seed}", mutant.name());
                println!("    {}", wrong.lines().next().unwrap_or_default());
            }
            None => {
                missed += 1;
                println!("{} NOT caught by {} seeds", mutant.name(), args.seeds);
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
