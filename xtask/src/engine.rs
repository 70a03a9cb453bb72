//! Fetches the ClickHouse engine (libchdb) from npm, checks it against `engine.toml`, and keeps it in the
//! user's cache, where the embedded engine looks for it.

use crate::process::{note, program, run, typed};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha512};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIBRARY: &str = "libchdb.so";
/// Names a library that is there already; the embedded engine then looks nowhere else.
const OWN_LIBRARY: &str = "STREAMGAUGE_LIBCHDB";

/// What is pinned for this platform.
struct Pin {
    version: String,
    package: String,
    integrity: String,
    download_mb: i64,
    library_bytes: u64,
}

/// Puts the engine in its place, unless it is there already. Returns where it lies.
pub fn fetch() -> Result<PathBuf> {
    if let Some(path) = own_library() {
        ensure!(path.is_file(), "{OWN_LIBRARY} names {}, which is no file", path.display());
        note(&format!("ClickHouse engine: {} ({OWN_LIBRARY})", path.display()));
        return Ok(path);
    }
    let pin = pinned()?;
    let folder = cache_folder()?.join("streamgauge").join("chdb").join(&pin.version);
    let library = folder.join(LIBRARY);
    if library.metadata().is_ok_and(|file| file.len() == pin.library_bytes) {
        note(&format!("ClickHouse engine {} is at {}", pin.version, library.display()));
        return Ok(library);
    }
    // Beside the destination, so that the last step is a rename: a half engine is never seen.
    let work = WorkFolder::create(&folder)?;
    let package = format!("{}@{}", pin.package, pin.version);
    note(&format!("fetching the ClickHouse engine {} ({} MB) with npm, once", pin.version, pin.download_mb));
    let archive = npm_pack(&package, &work.0)?;
    note("checking the archive against xtask/engine.toml");
    let found = integrity(&archive)?;
    ensure!(
        found == pin.integrity,
        "{package} is not what xtask/engine.toml pins, and was thrown away\n  pinned: {}\n  found:  {found}",
        pin.integrity
    );
    note("unpacking (560 MB)");
    let member = format!("package/{LIBRARY}");
    let mut tar = program("tar");
    tar.arg("-xzmf").arg(&archive).arg("-C").arg(&work.0).arg(&member);
    run(&mut tar).context("the archive cannot be unpacked (is the disk full? is tar installed?)")?;
    std::fs::rename(work.0.join(member), &library)
        .with_context(|| format!("cannot put the engine at {}", library.display()))?;
    note(&format!("ClickHouse engine {} is at {}", pin.version, library.display()));
    Ok(library)
}

/// Whether there is an engine for this platform at all.
pub fn is_available() -> bool {
    own_library().is_some() || table().is_ok_and(|table| table.contains_key(&platform()))
}

fn own_library() -> Option<PathBuf> {
    std::env::var_os(OWN_LIBRARY).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn table() -> Result<toml::Table> {
    include_str!("../engine.toml").parse().context("xtask/engine.toml")
}

fn pinned() -> Result<Pin> {
    let (table, platform) = (table()?, platform());
    let row = table.get(&platform).and_then(toml::Value::as_table).with_context(|| {
        format!(
            "no ClickHouse engine is pinned for {platform}: xtask/engine.toml says how to add one, or set \
             {OWN_LIBRARY} to a libchdb that you have"
        )
    })?;
    let text = |table: &toml::Table, key: &str| {
        let value = table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        value.with_context(|| format!("xtask/engine.toml: {key} is missing for {platform}"))
    };
    let number = |key: &str| {
        let value = row.get(key).and_then(toml::Value::as_integer);
        value.with_context(|| format!("xtask/engine.toml: {key} is missing for {platform}"))
    };
    Ok(Pin {
        version: text(&table, "version")?,
        package: text(row, "package")?,
        integrity: text(row, "integrity")?,
        download_mb: number("download_mb")?,
        library_bytes: u64::try_from(number("library_bytes")?).context("xtask/engine.toml: library_bytes")?,
    })
}

/// `$XDG_CACHE_HOME`, which counts only when absolute, else `~/.cache`.
fn cache_folder() -> Result<PathBuf> {
    let stated = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    stated.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set: no place to keep the engine")
}

fn npm_pack(package: &str, folder: &Path) -> Result<PathBuf> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = program(npm);
    command.args(["pack", package, "--loglevel=error", "--pack-destination"]).arg(folder);
    command.stdout(Stdio::null());
    if let Err(error) = wait_visibly(&mut command) {
        let missing = error.downcast_ref::<std::io::Error>();
        if missing.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            bail!(
                "npm is not installed; it fetches the ClickHouse engine (any npm from 8 on, from nodejs.org or your system's packages)"
            );
        }
        return Err(
            error.context(format!("npm could not fetch {package} (is the package registry reachable?)"))
        );
    }
    let mut entries = std::fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    entries.find(|path| path.extension().is_some_and(|extension| extension == "tgz")).with_context(|| {
        format!("npm said that it packed {package}, but left no archive in {}", folder.display())
    })
}

/// Runs a command that takes a while and says nothing itself, with the seconds that have passed on a terminal.
fn wait_visibly(command: &mut Command) -> Result<()> {
    let started = Instant::now();
    let mut child = command.spawn().map_err(anyhow::Error::from)?;
    let terminal = std::io::stderr().is_terminal();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if terminal {
            eprint!("\r  {} s", started.elapsed().as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    if terminal {
        eprint!("\r          \r");
    }
    ensure!(status.success(), "`{}` failed ({status})", typed(command));
    Ok(())
}

/// npm's integrity of a file: `sha512-` and the digest in base64.
fn integrity(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = Sha512::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        match buffer.get(..read) {
            Some([]) | None => break,
            Some(bytes) => hash.update(bytes),
        }
    }
    Ok(format!("sha512-{}", base64(&hash.finalize())))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS.get(bits >> (18 - 6 * at) & 63).copied().unwrap_or(b'=');
            text.push(char::from(if at <= chunk.len() { digit } else { b'=' }));
        }
    }
    text
}

/// A folder of this run alone, which is gone at its end, whatever that is.
struct WorkFolder(PathBuf);

impl WorkFolder {
    fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(format!(".fetch-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            note(&format!("could not remove {}: {error}", self.0.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (plain, encoded) in examples {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn every_pinned_engine_is_pinned_by_content() {
        let table = table().unwrap();
        for (platform, row) in table.iter().filter(|(key, _)| *key != "version") {
            let integrity = row["integrity"].as_str().unwrap();
            assert!(integrity.starts_with("sha512-") && integrity.len() == 95, "{platform}: {integrity}");
        }
    }
    #[test]
    fn the_version_fetched_is_the_version_that_the_embedded_engine_looks_for() {
        let engine = include_str!("../../crates/embedded-clickhouse/src/lib.rs");
        let version = table().unwrap()["version"].as_str().unwrap().to_owned();
        assert!(engine.contains(&format!("CHDB_VERSION: &str = \"{version}\"")));
    }
}
