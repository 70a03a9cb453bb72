//! Apache Kafka's jars: fetched with Maven, once, and kept in the user's cache.

use crate::VERSION;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The broker, its command line tools, and what makes them write a log. Kafka's own distribution brings the last one;
/// the version is that of its `log4j-core`.
const ARTIFACTS: [(&str, &str, &str); 3] = [
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.kafka", "kafka-tools", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
];
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// How many jars these are with everything that they need, and their bytes. A folder that differs is not used.
const JARS: usize = 93;
const BYTES: u64 = 56_042_566;

/// `$XDG_CACHE_HOME`, which counts only when absolute, else `~/.cache`.
fn cache_folder() -> Result<PathBuf> {
    let stated = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache =
        stated.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set: no place to keep Kafka")?;
    Ok(cache.join("streamgauge").join("kafka"))
}

/// The folder of the jars, when all of them are there.
pub fn fetched() -> Option<PathBuf> {
    cache_folder().ok().map(|cache| cache.join(VERSION)).filter(|folder| is_whole(folder))
}

/// Whether Maven is there to fetch them.
pub fn is_installed() -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program()).is_file())
}

/// What to do when it is not.
pub fn missing() -> String {
    format!(
        "Maven is not installed; it fetches Apache Kafka {VERSION} once (`apt-get install maven`, \
         `brew install maven`, or maven.apache.org)"
    )
}

/// Fetches the jars unless they are there; processes that do so at the same time wait for the first.
pub fn fetch(say: &dyn Fn(&str)) -> Result<PathBuf> {
    let cache = cache_folder()?;
    let folder = cache.join(VERSION);
    if is_whole(&folder) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make the folder {}", cache.display()))?;
    let _alone = lock(&cache.join("lock"), say)?;
    if is_whole(&folder) {
        return Ok(folder);
    }
    ensure!(is_installed(), missing());
    say(&format!("fetching Apache Kafka {VERSION} ({} MB) with Maven, once", BYTES / 1_000_000));
    // Beside the destination, so that the last step is a rename: a half Kafka is never seen.
    let work = WorkFolder::create(cache.join(format!(".fetch-{}", std::process::id())))?;
    let jars = work.0.join("jars");
    copy_dependencies(&work.0, &jars)?;
    let (count, bytes) = size(&jars).context("Maven said that it copied the jars, but left none")?;
    ensure!(
        is_whole(&jars),
        "Apache Kafka {VERSION} is {JARS} jars of {BYTES} bytes, but Maven brought {count} of {bytes} and they were \
         thrown away (does a mirror in Maven's settings answer for Maven Central?)"
    );
    if folder.exists() {
        say(&format!("{} was not whole and is replaced", folder.display()));
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::rename(&jars, &folder).with_context(|| format!("cannot put Kafka at {}", folder.display()))?;
    Ok(folder)
}

/// Held until the file is closed, at the latest by the end of the process.
fn lock(path: &Path, say: &dyn Fn(&str)) -> Result<File> {
    let cannot = || format!("cannot lock {}", path.display());
    let file = File::create(path).with_context(cannot)?;
    if file.try_lock().is_err() {
        say("waiting for another process that fetches Apache Kafka");
        file.lock().with_context(cannot)?;
    }
    Ok(file)
}

fn copy_dependencies(work: &Path, jars: &Path) -> Result<()> {
    let project = work.join("pom.xml");
    std::fs::write(&project, pom()).with_context(|| format!("cannot write {}", project.display()))?;
    let mut maven = Command::new(program());
    // A broken download is an error, not a warning.
    maven.args(["--batch-mode", "--quiet", "--strict-checksums", "--file"]).arg(&project);
    maven.args([COPY, "-DincludeScope=runtime"]).arg(format!("-DoutputDirectory={}", jars.display()));
    let output = maven.stdin(Stdio::null()).output().context("cannot start Maven (`mvn`)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).take(3).collect();
        bail!(
            "Maven could not fetch Apache Kafka {VERSION} (is Maven Central, or a mirror of it, reachable?)\n  {}",
            errors.join("\n  ")
        );
    }
    Ok(())
}

fn pom() -> String {
    let dependency = |(group, artifact, version): &(&str, &str, &str)| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>streamgauge</groupId><artifactId>test-broker</artifactId><version>1</version>\n  \
         <dependencies>\n{}  </dependencies>\n</project>\n",
        ARTIFACTS.iter().map(dependency).collect::<String>()
    )
}

fn program() -> &'static str {
    if cfg!(windows) { "mvn.cmd" } else { "mvn" }
}

fn is_whole(folder: &Path) -> bool {
    size(folder).is_some_and(|size| size == (JARS, BYTES))
}

fn size(folder: &Path) -> Option<(usize, u64)> {
    let lengths = std::fs::read_dir(folder).ok()?.map(|entry| entry?.metadata().map(|file| file.len()));
    let lengths: Vec<u64> = lengths.collect::<std::io::Result<_>>().ok()?;
    Some((lengths.len(), lengths.iter().sum()))
}

/// A folder of this run alone, which is gone at its end, whatever that is.
struct WorkFolder(PathBuf);

impl WorkFolder {
    fn create(path: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}
