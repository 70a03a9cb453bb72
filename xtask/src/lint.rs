//! Everything that reads the code without running it.

use crate::process::{self, cargo, note};
use anyhow::Result;
use std::process::{Command, ExitCode};

/// Runs every check, also after one has failed, and names those that did.
pub fn run() -> Result<ExitCode> {
    let mut failed = Vec::new();
    let mut check = |name: &'static str, mut command: Command| {
        note(name);
        if let Err(error) = process::run(&mut command) {
            note(&format!("{error:#}"));
            failed.push(name);
        }
    };
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !installed(command) {
            anyhow::bail!("{component} is not installed: `rustup component add {component}`");
        }
    }
    check("rustfmt", cargo(&["fmt", "--all", "--", "--check"]));
    check("clippy", cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]));
    let mut rustdoc = cargo(&["doc", "--workspace", "--no-deps"]);
    rustdoc.env("RUSTDOCFLAGS", "--deny warnings");
    check("rustdoc", rustdoc);
    if installed("deny") {
        check("cargo-deny", cargo(&["deny", "check"]));
    } else {
        note(
            "skipped: licences and advisories, because cargo-deny is not installed (`cargo install cargo-deny`)",
        );
    }
    if failed.is_empty() {
        note("lint: clean");
        return Ok(ExitCode::SUCCESS);
    }
    note(&format!("lint: failed: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

fn installed(subcommand: &str) -> bool {
    process::succeeds(&mut cargo(&[subcommand, "--version"]))
}
