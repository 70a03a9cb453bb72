//! `cargo xtask kafka up|down`: the broker of `tests/broker`, for developers, beside whatever else they run.

use crate::process::{note, target_folder};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use test_broker::{Cluster, Detached, Settings, VERSION};

/// Where brokers are looked for when nobody says where.
const USUAL_PORTS: [u16; 3] = [9092, 9093, 9094];
/// Who a secure broker knows beside the administrator: the name that `streamgauge` would have in production.
const USER: &str = "streamgauge";

/// Starts or stops the developer's broker.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.split_first() {
        Some((&"up", options)) => match settings(options) {
            Ok(settings) => up(&settings),
            Err(error) => Ok(wrong(&format!("{error:#}"))),
        },
        Some((&"down", [])) => down(),
        _ => Ok(wrong("it is `kafka up` or `kafka down`")),
    }
}

/// Fetches Kafka when there is what it runs on; when not, a notice says what is missing, and that is no failure.
pub fn fetch() -> Result<()> {
    if let Err(why) = test_broker::available() {
        note(&format!("skipped: tests of the Kafka broker, because {why}"));
        return Ok(());
    }
    let jars = test_broker::fetch(&note)?;
    note(&format!("Apache Kafka {VERSION} is at {}", jars.display()));
    Ok(())
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("xtask kafka: {what}\nusage: cargo xtask kafka up [--brokers 1|3] [--secure] | kafka down");
    ExitCode::from(2)
}

fn settings(options: &[&str]) -> Result<Settings> {
    let (mut brokers, mut secure) = (1, false);
    let mut options = options.iter();
    while let Some(&option) = options.next() {
        match (option, option.split_once('=')) {
            ("--secure", _) => secure = true,
            ("--brokers", _) => brokers = count(options.next().copied())?,
            (_, Some(("--brokers", value))) => brokers = count(Some(value))?,
            _ => bail!("kafka up takes no {option:?}"),
        }
    }
    let settings = if secure { Settings::secure(brokers, &[USER]) } else { Settings::plain(brokers) };
    Ok(Settings { preferred_ports: USUAL_PORTS.into(), ..settings })
}

fn count(value: Option<&str>) -> Result<u32> {
    let number = value.and_then(|value| value.parse().ok()).filter(|brokers| matches!(brokers, 1 | 3));
    number.with_context(|| format!("--brokers is 1 or 3, not {}", value.unwrap_or("nothing")))
}

fn folder() -> PathBuf {
    target_folder().join("kafka")
}

fn up(settings: &Settings) -> Result<ExitCode> {
    let folder = folder();
    let _alone = lock(&folder)?;
    if let Some(running) = Detached::find(&folder)? {
        let (started, alive) = running.nodes();
        note(&format!(
            "Kafka is already running ({alive} of {started} brokers) at {}; its log and settings are in {}; \
             `cargo xtask kafka down` stops it",
            running.bootstrap(),
            folder.display()
        ));
        print_saved(&folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    if folder.exists() {
        note("removing what a broker that no longer runs left behind");
        remove(&folder)?;
    }
    test_broker::available().map_err(anyhow::Error::msg)?;
    test_broker::fetch(&note)?;
    note(&format!("starting {} broker(s)", settings.brokers));
    let cluster = Cluster::start(&folder, settings)?;
    let text = configuration(&cluster)?;
    std::fs::write(folder.join(CONFIGURATION), &text)
        .context("cannot write the broker's configuration lines")?;
    cluster.detach()?;
    print!("{text}");
    note("`cargo xtask kafka down` stops it and removes its data");
    Ok(ExitCode::SUCCESS)
}

fn down() -> Result<ExitCode> {
    let folder = folder();
    let _alone = lock(&folder)?;
    match Detached::find(&folder)? {
        Some(running) => {
            let bootstrap = running.bootstrap().to_owned();
            running.stop()?;
            note(&format!("stopped Kafka at {bootstrap}"));
        }
        None => note("Kafka is not running"),
    }
    if folder.exists() {
        remove(&folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What to put into a `streamgauge` configuration, as printed by `up`; kept for the next `up`.
const CONFIGURATION: &str = "streamgauge.toml";

/// The bootstrap line, for any client, and a configuration. Secrets stay in their files.
fn configuration(cluster: &Cluster) -> Result<String> {
    let bootstrap = cluster.bootstrap();
    let mut text = format!("# bootstrap.servers={bootstrap}\n[kafka]\nbrokers = {bootstrap:?}\n");
    if let Some(security) = cluster.security() {
        let user = security.user(USER)?;
        let admin = security.admin()?;
        text += &format!(
            "protocol = \"sasl_ssl\"\n\n[kafka.sasl]\nmechanism = \"scram-sha-512\"\nusername = {:?}\n\
             password_file = {:?}\n\n[kafka.ssl]\nca_file = {:?}\n\n\
             # {} may do nothing until it is allowed (`streamgauge topics --acls {}` says what it needs); {} may do\n\
             # everything, with password_file = {:?}\n\
             # With certificates instead of passwords: kafka.brokers = {:?}, kafka.protocol = \"ssl\",\n\
             # kafka.ssl.certificate_file = {:?},\n# kafka.ssl.key_file = {:?}\n",
            user.name(),
            user.password_file(),
            security.ca(),
            user.name(),
            user.name(),
            admin.name(),
            admin.password_file(),
            cluster.bootstrap_for_certificates().unwrap_or_default(),
            user.certificate(),
            user.key(),
        );
    }
    Ok(text)
}

fn print_saved(folder: &Path) -> Result<()> {
    let path = folder.join(CONFIGURATION);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    print!("{text}");
    Ok(())
}

/// Beside the folder, which comes and goes; two `up` at once must not both start one.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.with_extension("lock");
    std::fs::create_dir_all(target_folder())?;
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    ensure!(file.try_lock().is_ok(), "another `cargo xtask kafka` is at work");
    Ok(file)
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
