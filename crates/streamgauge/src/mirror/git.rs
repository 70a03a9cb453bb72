//! Running git: what it may take, and what proves us, told by its environment and never on its command line.

use crate::config::mirror::Group;
use crate::durable::pause;
use crate::failure::wrong;
use anyhow::{Context, bail};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one fetch may take; anything else is over in a moment.
pub const FETCH_WITHIN: Duration = Duration::from_secs(30 * 60);
/// How long reading and marking may take.
const READ_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Bytes of one mirror, beyond which its fetch is given up. Where the server can, contents of files are left out.
pub const MAX_BYTES: u64 = 16 << 30;
/// Bytes of an answer of git's that are read: the ids of 2,000,000 commits.
const MAX_ANSWER_BYTES: u64 = 2_000_000 * 41;
/// Bytes of what git says of a failure.
const MAX_COMPLAINT_BYTES: u64 = 16 << 10;
/// How often a running git is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often the bytes of a mirror are counted while it grows.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Git, with what proves us to the servers of one group.
pub struct Git {
    /// Settings of git's own, as `git -c` takes them.
    settings: Vec<(String, String)>,
    stop: Arc<AtomicBool>,
}

impl Git {
    /// Reads the group's files.
    ///
    /// # Errors
    /// Exit code 2: a file that cannot be read, or holds no header.
    pub fn new(group: &Group, address: &str, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let mut settings = vec![
            setting("core.hooksPath", "/dev/null"),
            setting("fetch.unpackLimit", "1"),
            setting("gc.autoDetach", "false"),
            setting("http.lowSpeedLimit", "1000"),
            setting("http.lowSpeedTime", "60"),
            setting("remote.origin.url", address),
        ];
        let server = server(address);
        if let (Some(file), Some(server)) = (&group.ca_file, &server) {
            settings.push(setting(&format!("http.{server}/.sslCAInfo"), &file.display().to_string()));
        }
        if let (Some(file), Some(server)) = (&group.authorization_file, &server) {
            let text = std::fs::read_to_string(file)
                .map_err(|error| wrong(format!("authorization_file {}: {error}", file.display())))?;
            let value = text.trim();
            if value.is_empty() || value.chars().any(char::is_control) {
                return Err(wrong(format!(
                    "authorization_file {}: one line is expected, as in Basic … or Bearer …",
                    file.display()
                )));
            }
            settings
                .push(setting(&format!("http.{server}/.extraHeader"), &format!("Authorization: {value}")));
            // The header must not follow to wherever the server points.
            settings.push(setting(&format!("http.{server}/.followRedirects"), "false"));
        }
        Ok(Self { settings, stop })
    }

    /// Runs git in a mirror's folder and gives what it printed.
    ///
    /// # Errors
    /// It is not there, says that it failed, takes too long, or was told to stop.
    pub fn run(&self, folder: &Path, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        self.run_within(READ_WITHIN, Some(folder), arguments, input, u64::MAX)
    }

    /// Fetches, until the folder is too large.
    ///
    /// # Errors
    /// As [`Git::run`]; more than [`MAX_BYTES`].
    pub fn fetch(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
        self.run_within(FETCH_WITHIN, Some(folder), arguments, "", MAX_BYTES).map(|_| ())
    }

    /// Asks the server of a repository for its branches; nothing is fetched. Gives how many there are.
    ///
    /// # Errors
    /// As [`Git::run`].
    pub fn branches(&self, address: &str, within: Duration) -> anyhow::Result<usize> {
        // By its address: a remote of this name may be set up where the process was started.
        let arguments = ["ls-remote", "--quiet", "--heads", address];
        let list = self.run_within(within, None, &arguments, "", u64::MAX)?;
        Ok(list.lines().count())
    }

    fn command(&self, folder: Option<&Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        if let Some(folder) = folder {
            command.arg("--git-dir").arg(folder);
        }
        command.args(arguments);
        // Whoever started us may be inside a repository, or debugging: what git would then trace holds the header.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let traces = name.starts_with("GIT_TRACE") || name.starts_with("GIT_CURL");
            let points =
                ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"];
            if traces || points.contains(&name.as_str()) {
                command.env_remove(name);
            }
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command.env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh").env("GIT_NO_LAZY_FETCH", "1");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10");
        }
        command.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (number, (key, value)) in self.settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run_within(
        &self,
        within: Duration,
        folder: Option<&Path>,
        arguments: &[&str],
        input: &str,
        most_bytes: u64,
    ) -> anyhow::Result<String> {
        let what = arguments.first().copied().unwrap_or_default();
        let mut child = self.command(folder, arguments).spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => wrong("git is not there: install it, or mirror nothing"),
            _ => anyhow::Error::new(error).context("git cannot be started"),
        })?;
        let out = read_beside(child.stdout.take(), MAX_ANSWER_BYTES);
        let complaint = read_beside(child.stderr.take(), MAX_COMPLAINT_BYTES);
        if let Some(mut stdin) = child.stdin.take() {
            use std::io::Write;
            // It may have ended before it read all: then it says why.
            let _ = stdin.write_all(input.as_bytes());
        }
        let ended = self.wait(&mut child, within, folder, most_bytes);
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let (out, complaint) = (out.join().unwrap_or_default(), complaint.join().unwrap_or_default());
        let status = ended.with_context(|| format!("git {what}"))?;
        if !status.success() {
            let said = String::from_utf8_lossy(&complaint);
            let said = said.trim().lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
            bail!("git {what}: {}", if said.is_empty() { status.to_string() } else { said });
        }
        if out.len() as u64 >= MAX_ANSWER_BYTES {
            bail!(
                "git {what}: there are more than 2,000,000 new commits: import a clone with `import git` first"
            );
        }
        String::from_utf8(out).with_context(|| format!("git {what}: its answer is no text"))
    }

    fn wait(
        &self,
        child: &mut Child,
        within: Duration,
        folder: Option<&Path>,
        most_bytes: u64,
    ) -> anyhow::Result<std::process::ExitStatus> {
        let began = Instant::now();
        let mut counted = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!("stopped");
            }
            if began.elapsed() > within {
                match within.as_secs() {
                    seconds @ ..120 => bail!("it was not done in {seconds} s"),
                    seconds => bail!("it was not done in {} min", seconds / 60),
                }
            }
            if let Some(folder) = folder.filter(|_| most_bytes < u64::MAX && counted.elapsed() > COUNT_EVERY)
            {
                counted = Instant::now();
                let bytes = size(folder);
                if bytes > most_bytes {
                    bail!("the mirror has more than {} GiB", most_bytes >> 30);
                }
            }
            pause(LOOK_EVERY, &self.stop);
        }
    }
}

impl std::fmt::Debug for Git {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values hold what proves us.
        f.debug_struct("Git").finish_non_exhaustive()
    }
}

fn setting(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// `https://host` of an address over HTTP(S): credentials are for that server alone.
fn server(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    matches!(scheme, "http" | "https").then(|| format!("{scheme}://{host}"))
}

/// Reads a pipe on a thread of its own: git would wait for whoever does not read.
fn read_beside(pipe: Option<impl Read + Send + 'static>, most: u64) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return Vec::new() };
        let mut read = Vec::new();
        let _ = (&mut pipe).take(most).read_to_end(&mut read);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        read
    })
}

/// Bytes of a folder's files.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    #[test]
    fn what_proves_us_is_for_its_server_alone_and_in_no_argument_and_no_debug_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Basic aHVudGVyMg==\n").unwrap();
        let every = Span::from_minutes(10);
        let authorization_file = Some(file.path().to_owned());
        let group = Group { remotes: Vec::new(), authorization_file, ca_file: None, every };
        let git = |address: &str| Git::new(&group, address, Arc::default()).unwrap();
        let over_https = git("https://me@git.example:8443/acme/a");
        let wanted =
            setting("http.https://git.example:8443/.extraHeader", "Authorization: Basic aHVudGVyMg==");
        assert!(over_https.settings.contains(&wanted));
        let command = over_https.command(Some(Path::new("m.git")), &["fetch"]);
        assert!(command.get_args().all(|argument| !argument.to_string_lossy().contains("aHVudGVyMg")));
        assert!(!format!("{over_https:?}").contains("aHVudGVyMg"));
        let over_ssh = git("git@git.example:acme/a");
        assert!(over_ssh.settings.iter().all(|(_, value)| !value.contains("aHVudGVyMg")));
    }
}
