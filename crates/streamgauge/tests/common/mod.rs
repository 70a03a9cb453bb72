//! Running the program in a folder of its own.

#[allow(dead_code)]
pub mod prometheus;

use assert_cmd::Command;
use std::path::Path;

/// The program, with nothing of the caller's environment that could change it.
pub fn streamgauge(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("streamgauge").unwrap();
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

/// Runs it; gives exit code, stdout and stderr.
pub fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run_with(folder, arguments, b"")
}

/// Runs it with an input.
pub fn run_with(folder: &Path, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let output = streamgauge(folder).args(arguments).write_stdin(input).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
