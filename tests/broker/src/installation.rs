//! What a broker needs to run: a Java that is new enough, and Kafka's jars.

use crate::{VERSION, maven};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The oldest Java that Kafka 4 starts on.
const OLDEST_JAVA: u32 = 17;

/// Java and Kafka, both there.
#[derive(Debug, Clone)]
pub struct Installation {
    java: PathBuf,
    jars: PathBuf,
}

/// Whether brokers can be started here, without fetching anything.
///
/// # Errors
/// A sentence that names what is missing and how to mend it.
pub fn available() -> Result<(), String> {
    if !cfg!(unix) {
        return Err("brokers for tests are started on Unix only".to_owned());
    }
    java().map_err(|error| format!("{error:#}"))?;
    if maven::fetched().is_some() || maven::is_installed() { Ok(()) } else { Err(maven::missing()) }
}

/// Fetches Kafka unless it is there; `say` hears of the progress. Returns the folder of the jars.
///
/// # Errors
/// Maven is missing or cannot reach Maven Central, or the cache cannot be written.
pub fn fetch(say: &dyn Fn(&str)) -> Result<PathBuf> {
    maven::fetch(say)
}

impl Installation {
    /// Finds both, and fetches Kafka when it has to.
    pub fn find() -> Result<Self> {
        ensure!(cfg!(unix), "brokers for tests are started on Unix only");
        Ok(Self { java: java()?, jars: maven::fetch(&|text| eprintln!("{text}"))? })
    }

    /// A Java with Kafka's jars, which still needs a main class and is asked nothing.
    pub fn java(&self, heap_mb: u32) -> Command {
        let mut command = Command::new(&self.java);
        command.args(self.java_arguments(heap_mb)).stdin(Stdio::null());
        command
    }

    /// Runs a main class whose arguments hold secrets: Java reads them from a file, so that no list of processes
    /// shows them.
    pub fn java_reading(&self, file: &std::path::Path) -> Command {
        let mut command = Command::new(&self.java);
        command.arg(format!("@{}", file.display())).stdin(Stdio::null());
        command
    }

    /// What a Java of Kafka is started with. Without the optimising compiler it is up in half the time.
    pub fn java_arguments(&self, heap_mb: u32) -> Vec<String> {
        let jars = self.jars.join("*").display().to_string();
        let heap = format!("-Xmx{heap_mb}m");
        [heap.as_str(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &jars].map(str::to_owned).into()
    }
}

/// `$JAVA_HOME`'s Java, or else the one on the path.
fn java() -> Result<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = home
        .as_ref()
        .map_or_else(|| PathBuf::from("java"), |home| PathBuf::from(home).join("bin").join("java"));
    let mend = format!(
        "Apache Kafka {VERSION} needs Java {OLDEST_JAVA} or newer (`apt-get install openjdk-{OLDEST_JAVA}-jre-headless`, \
         `brew install openjdk`, or adoptium.net; JAVA_HOME, when set, wins over the path)"
    );
    let output = Command::new(&program).arg("-version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if home.is_some() => anyhow!("JAVA_HOME has no bin/java: {mend}"),
        std::io::ErrorKind::NotFound => anyhow!("Java is not installed: {mend}"),
        _ => anyhow!("cannot start `{}`: {error}; {mend}", program.display()),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let major = major_version(&said).with_context(|| {
        format!("`{} -version` does not say a version of Java ({}); {mend}", program.display(), said.trim())
    })?;
    if major < OLDEST_JAVA {
        bail!("`{}` is Java {major}: {mend}", program.display());
    }
    Ok(program)
}

/// The first number of `openjdk version "17.0.15" 2025-04-15`; Java 8 called itself 1.8.
fn major_version(said: &str) -> Option<u32> {
    let version = said.split_once("version \"")?.1;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_read_as_every_vendor_writes_it() {
        let examples = [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("java version \"1.8.0_202\"", Some(8)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("Picked up JAVA_TOOL_OPTIONS: -Da=b\nopenjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ];
        for (said, major) in examples {
            assert_eq!(major_version(said), major, "{said}");
        }
    }
}
