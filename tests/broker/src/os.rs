//! What differs between operating systems: signals, process groups, files that only their owner reads.

use anyhow::{Context, Result, ensure};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Keeps a terminal's Ctrl-C from a child: its parent decides when it ends.
#[cfg(unix)]
pub fn in_own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
pub fn in_own_group(_: &mut Command) {}

/// Sends a signal (`TERM`, `KILL`, `STOP`, `CONT`) to a process.
///
/// By the shell's own `kill`: a slim image lacks the program, and a system call would be `unsafe`.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let output = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &process.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("cannot start `sh`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot send SIG{name} to process {process}: {}", said.trim());
    Ok(())
}

/// Whether a process lives and its command line has this word: process numbers are used again.
pub fn runs(process: u32, word: &str) -> bool {
    // A process that has ended and that nobody waited for has an empty command line.
    let text = std::fs::read(format!("/proc/{process}/cmdline")).or_else(|_| {
        let mut ps = Command::new("ps");
        ps.args(["-ww", "-o", "args=", "-p", &process.to_string()]).stdin(Stdio::null());
        ps.output().map(|output| output.stdout)
    });
    text.is_ok_and(|text| String::from_utf8_lossy(&text).contains(word))
}

/// Writes a file that only its owner can read; what was there goes.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    // Made anew: an older file keeps the permissions that it had.
    let _ = std::fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a folder that only its owner can enter.
pub fn make_private_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("cannot make the folder {}", path.display()))
}

/// 192 random bits in hexadecimal.
pub fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 24];
    let read =
        File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    read.context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
