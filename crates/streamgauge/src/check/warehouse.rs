//! ClickHouse: whether it answers, whom it takes us for, its clock and disks, and the tables.

use super::Findings;
use super::brokers::count;
use crate::clickhouse::ClickHouse;
use crate::config::connections::ClickHouseServer;
use ::warehouse::{Client, Database, Error, Generations, Target, pending, probe};
use model::Timestamp;

/// How far the clocks may lie apart, in seconds.
const CLOCK_APART_S: f64 = 5.0;
/// Below this share of free room a disk is nearly full, and below the other it soon is.
const NEARLY_FULL: f64 = 0.05;
const SOON_FULL: f64 = 0.10;
/// Differences of tables that are shown one by one.
const SHOWN: usize = 8;
/// ClickHouse's codes: <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>.
const READ_ONLY: [u32; 3] = [164, 242, 291];
const REFUSED_USER: [u32; 4] = [192, 193, 194, 516];
const DENIED: u32 = 497;
const DISK_FULL: u32 = 243;

/// Checks a server or a cluster.
///
/// # Errors
/// When no thread can be started.
pub fn check_server(server: &ClickHouseServer, findings: &mut Findings) -> anyhow::Result<()> {
    let clickhouse = ClickHouse::served(server.url.clone())?;
    let (bare, inside) = match (server.bare_client(), server.client()) {
        (Ok(bare), Ok(inside)) => (bare, inside),
        (Err(error), _) | (_, Err(error)) => {
            findings.problem(
                "clickhouse.ssl",
                error.to_string(),
                "name a file in PEM that this user may read",
            );
            return Ok(());
        }
    };
    let at =
        Warehouse { place: &server.url, bare, inside, database: &server.database, target: &server.target };
    clickhouse.block_on(async {
        check(&at, findings).await;
        generation(&at, server, findings).await;
    });
    Ok(())
}

/// Which generation is read, and whether it is the configuration's.
async fn generation(at: &Warehouse<'_>, server: &ClickHouseServer, findings: &mut Findings) {
    // What keeps it from being asked was said before.
    let Ok(live) = Generations::new(&at.bare, &server.base, &server.target).live().await else { return };
    if server.base.of(live) == server.database {
        findings.ok("generation", format!("the views of {} show {live}, which this computes", server.base));
    } else {
        findings.warning(
            "generation",
            format!("the views of {} show {live}; this computes into {}", server.base, server.database),
            "once it has caught up, `streamgauge replay promote` makes the views show it",
        );
    }
}

/// Checks the engine of a data folder, where it answers.
pub fn check_engine(clickhouse: &ClickHouse, findings: &mut Findings) {
    let database = Database::default();
    let at = Warehouse {
        place: clickhouse.url(),
        bare: ::warehouse::client(clickhouse.url()),
        inside: clickhouse.client(),
        database: &database,
        target: &Target::Embedded,
    };
    clickhouse.block_on(check(&at, findings));
}

struct Warehouse<'a> {
    place: &'a str,
    bare: Client,
    inside: Client,
    database: &'a Database,
    target: &'a Target,
}

async fn check(at: &Warehouse<'_>, findings: &mut Findings) {
    let asked = crate::import::now();
    let server = match probe::server(&at.bare).await {
        Ok(server) => server,
        Err(error) => {
            let (says, remedy) = explain(&error);
            findings.problem("ClickHouse", format!("{}: {says}", at.place), remedy);
            return;
        }
    };
    let answered = crate::import::now();
    findings.ok(
        "ClickHouse",
        format!("{} answers, version {}, as user {}", at.place, server.version, server.user),
    );
    if !server.is_recent() {
        let (year, month) = probe::MINIMUM_VERSION;
        findings.problem(
            "ClickHouse version",
            format!("{} is older than {year}.{month}, which the views need", server.version),
            "upgrade the server",
        );
    }
    clock(asked, answered, server.now_us, findings);
    disks(at, findings).await;
    if server.readonly != 0 {
        findings.problem(
            "ClickHouse user",
            format!("{} may only read (readonly = {})", server.user, server.readonly),
            "use a user who may insert: `streamgauge migrate --grants USER` prints the SQL for one",
        );
        return;
    }
    tables(at, findings).await;
}

fn clock(asked: Timestamp, answered: Timestamp, theirs_us: i64, findings: &mut Findings) {
    // Somewhere between the question and its answer.
    let ours_us = asked.micros() + (answered.micros() - asked.micros()) / 2;
    let apart = (theirs_us - ours_us) as f64 / 1e6;
    let says = format!(
        "ClickHouse's is {:.1} s {} this machine's",
        apart.abs(),
        if apart < 0.0 { "behind" } else { "ahead of" }
    );
    if apart.abs() > CLOCK_APART_S {
        findings.warning(
            "clock",
            says,
            "let both keep the time (NTP): windows end by it, and events ahead of it are refused",
        );
    } else {
        findings.ok("clock", says);
    }
}

async fn disks(at: &Warehouse<'_>, findings: &mut Findings) {
    let disks = match probe::disks(&at.bare).await {
        Ok(disks) => disks,
        Err(error) => {
            let (says, remedy) = explain(&error);
            findings.warning("disks", format!("system.disks cannot be read: {says}"), remedy);
            return;
        }
    };
    let mut roomy = Vec::new();
    for disk in disks.iter().filter(|disk| disk.total > 0) {
        let share = disk.free as f64 / disk.total as f64;
        let says = format!(
            "{}: {:.1} GiB free ({:.0} %)",
            disk.name,
            disk.free as f64 / (1_u64 << 30) as f64,
            share * 100.0
        );
        let remedy = "make room, or add a disk: a full one refuses inserts, and loading waits";
        if share < NEARLY_FULL {
            findings.problem("disk", format!("{says}, nearly full"), remedy);
        } else if share < SOON_FULL {
            findings.warning("disk", says, remedy);
        } else {
            roomy.push(says);
        }
    }
    if !roomy.is_empty() {
        findings.ok("disks", roomy.join(", "));
    }
}

async fn tables(at: &Warehouse<'_>, findings: &mut Findings) {
    let what = format!("tables in {}", at.database);
    match pending(&at.bare, at.database).await {
        Ok(pending) if pending.is_empty() => {}
        Ok(pending) => {
            let names: Vec<&str> = pending.iter().map(|(_, name)| *name).collect();
            let says = format!("{} did not run: {}", count(pending.len(), "migration"), names.join(", "));
            findings.problem(what, says, "`streamgauge migrate` runs them, as a user who may make tables");
            return;
        }
        Err(error) => {
            let (says, remedy) = explain(&error);
            findings.problem(what, says, remedy);
            return;
        }
    }
    match probe::differences(&at.bare, at.database, at.target).await {
        Ok(found) if found.is_empty() => findings.ok(what.as_str(), "as the migrations made them"),
        Ok(found) => {
            let remedy =
                "somebody altered it: bring it back, or load into a new database (clickhouse.database)";
            for difference in found.iter().take(SHOWN) {
                let object = format!("table {}.{}", at.database, difference.object);
                if difference.breaks {
                    findings.problem(object, difference.what.as_str(), remedy);
                } else {
                    findings.warning(object, difference.what.as_str(), remedy);
                }
            }
            if found.len() > SHOWN {
                findings.problem(what.as_str(), format!("{} more differences", found.len() - SHOWN), remedy);
            }
        }
        Err(error) => {
            let (says, remedy) = explain(&error);
            findings.problem(what.as_str(), says, remedy);
        }
    }
    match probe::read_your_writes(&at.inside, crate::import::now()).await {
        Ok(true) => findings.ok("loading", "a row that was acknowledged is read at once"),
        Ok(false) => findings.problem(
            "loading",
            "a row that was acknowledged is not read at once",
            "is the address one of several servers without replication between them? set clickhouse.cluster, or name one",
        ),
        Err(error) => {
            let (says, remedy) = explain(&error);
            findings.problem("loading", says, remedy);
        }
    }
}

/// What is wrong with ClickHouse, and how to mend it.
fn explain(error: &Error) -> (String, String) {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    // The innermost says what happened.
    while let Some(inner) = cause {
        said = inner.to_string();
        cause = inner.source();
    }
    let said = said.strip_prefix("bad response: ").unwrap_or(&said).to_owned();
    if matches!(error, Error::Newer { .. } | Error::Changed { .. }) {
        let (says, remedy) = said.split_once("): ").or(said.split_once(": ")).unwrap_or((&said, ""));
        return (says.to_owned(), remedy.to_owned());
    }
    let lower = said.to_lowercase();
    if let Some(remedy) = https::remedy(&said, "clickhouse.ssl") {
        return (said, remedy);
    }
    let code = code(&said);
    let remedy = match code {
        Some(code) if REFUSED_USER.contains(&code) => "correct clickhouse.user and its password",
        Some(DENIED) => "`streamgauge migrate --grants USER` prints the SQL that allows it",
        Some(code) if READ_ONLY.contains(&code) => "use a user and a server that may write",
        Some(DISK_FULL) => "make room on its disks",
        _ if lower.contains("refused") => "start ClickHouse there, or correct clickhouse.url",
        _ if lower.contains("lookup") || lower.contains("resolve") => {
            "correct clickhouse.url, or the name service of this machine"
        }
        _ => "is clickhouse.url ClickHouse's HTTP port (8123), and what does its log say?",
    };
    (said, remedy.to_owned())
}

/// The code in an answer such as `Code: 516. DB::Exception: …`.
fn code(answer: &str) -> Option<u32> {
    let (_, rest) = answer.split_once("Code: ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}
