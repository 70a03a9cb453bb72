//! Running other programs, from the project's root, without stdin.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;

/// Set by build machines.
pub const CI: &str = "CI";

/// The folder of the workspace.
pub fn project_root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo builds to.
pub fn target_folder() -> PathBuf {
    project_root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A folder there, made where it is missing.
pub fn folder_of(name: &str) -> Result<PathBuf> {
    let folder = target_folder().join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

/// Progress, for people: on stderr, so that stdout is only results.
pub fn note(text: &str) {
    eprintln!("xtask: {text}");
}

/// A program, started in the project's root, that is never asked anything.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(project_root()).stdin(Stdio::null());
    command
}

/// The cargo that started this program. What it compiles for Kafka finds OpenSSL, or builds it.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    let (subcommand, rest) = args.split_at(args.len().min(1));
    command.args(subcommand);
    if matches!(subcommand, ["build" | "clippy" | "doc" | "run" | "test"]) && !has_openssl() {
        command.args(["--features", "kafka/openssl-vendored"]);
    }
    command.args(rest);
    command
}

/// Whether OpenSSL's headers are installed, or where they are is said.
fn has_openssl() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let found = std::env::var_os("OPENSSL_DIR").is_some()
            || succeeds(program("pkg-config").args(["--exists", "openssl"]))
            || succeeds(program(&compiler).args(["-E", "-include", "openssl/ssl.h", "-x", "c", "/dev/null"]));
        if !found {
            note(
                "OpenSSL's headers are not installed: it is built along, which takes some minutes more, once",
            );
        }
        found
    })
}

/// `cargo test` of one test binary. Of the whole workspace, as a plain run of the tests is: a package alone resolves
/// the features of its dependencies otherwise, and most of them would be built once more.
pub fn cargo_test(name: &str, release: bool) -> Command {
    let mut command = cargo(&["test", "--workspace", "--test", name]);
    command.args(release.then_some("--release"));
    command
}

/// How a command would be typed.
pub fn typed(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end; anything but success is an error that says how to repeat it.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", typed(command)))?;
    succeeded(command, status)
}

/// Whether a command, which says nothing, can be started and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    run(command.stdout(Stdio::null()).stderr(Stdio::null())).is_ok()
}

/// Runs a command while something else is done, which stops it when it fails.
pub fn beside<T>(command: &mut Command, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", typed(command)))?;
    let done = work();
    if done.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().with_context(|| format!("lost `{}`", typed(command)))?;
    let done = done?;
    succeeded(command, status)?;
    Ok(done)
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", typed(command));
    }
    Ok(())
}

/// Becomes another program: signals and the exit code are then its own. Returns only when it cannot start.
#[cfg(unix)]
pub fn replace_with(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", typed(command)))
}

/// Runs another program to its end and takes over its exit code.
#[cfg(not(unix))]
pub fn replace_with(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start `{}`", typed(command)))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
