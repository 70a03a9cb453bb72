//! What holds over the life and death of a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use streamgauge_embedded_clickhouse::{Engine, EngineError, QueryOptions, Server};

use crate::fixture;

/// The child's task; a test run without it does nothing.
const TASK: &str = "STREAMGAUGE_TEST_TASK";
const FOLDER: &str = "STREAMGAUGE_TEST_FOLDER";

fn child(task: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::the_child_does_its_task", "--nocapture"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads what the child prints up to the line that ends with `last`.
fn wait_for(child: &mut Child, last: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with(last)), "the child ended before {last}");
}

fn output(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_child_does_its_task() {
    let Ok(task) = std::env::var(TASK) else { return };
    let folder = std::env::var(FOLDER).unwrap();
    let options = QueryOptions::default();
    let engine = match Engine::open(folder.as_ref()) {
        Ok(engine) => engine,
        Err(error) => return println!("refused: {error}"),
    };
    let create = "CREATE TABLE IF NOT EXISTS kept (n UInt64) ENGINE = MergeTree ORDER BY n";
    engine.query(create, "TSV", &options).unwrap();
    if task == "insert" {
        for n in 0.. {
            engine.query(&format!("INSERT INTO kept VALUES ({n})"), "TSV", &options).unwrap();
            println!("acknowledged {n}");
        }
    }
    let count = engine.query("SELECT count(), max(n) + 1 FROM kept", "TSV", &options).unwrap();
    println!("\ncount {}", String::from_utf8(count).unwrap().trim());
    if task == "exit" {
        // A handle is alive while the process ends in an orderly way.
        std::mem::forget(engine);
        std::process::exit(7);
    }
    engine.close();
}

#[test]
fn an_acknowledged_insert_outlives_kill_9_and_a_second_opener_is_refused() {
    if fixture().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut writer = child("insert", folder.path());
    wait_for(&mut writer, "acknowledged 40");
    let (_, refused) = output(child("read", folder.path()));
    let expected = format!("is in use by process {}", writer.id());
    assert!(refused.contains("refused: ") && refused.contains(&expected), "{refused}");
    // SIGKILL: nothing in the process gets to run.
    writer.kill().unwrap();
    writer.wait().unwrap();
    let (code, text) = output(child("read", folder.path()));
    assert_eq!(code, Some(0), "{text}");
    let counts = text.split("\ncount ").nth(1).unwrap_or_else(|| panic!("{text}"));
    let (count, next) = counts.lines().next().unwrap().split_once('\t').unwrap();
    assert_eq!(count, next, "every insert once, none missing");
    assert!(count.parse::<u64>().unwrap() >= 41, "{text}");
}

#[test]
fn a_process_may_exit_while_its_engine_is_open() {
    if fixture().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = output(child("exit", folder.path()));
    assert_eq!(code, Some(7), "{text}");
}

#[test]
fn a_stopped_server_leaves_the_engine_open() {
    let Some(f) = fixture() else { return };
    f.runtime.block_on(async {
        let server = Server::start(f.engine.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.address();
        let taken = Server::start(f.engine.clone(), address).await.unwrap_err().to_string();
        assert!(taken.starts_with(&format!("cannot listen on {address}: ")), "{taken}");
        server.stop().await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    });
    assert_eq!(f.engine.query("SELECT 1", "TSV", &QueryOptions::default()).unwrap(), b"1\n");
}

#[test]
fn a_folder_that_the_engine_would_read_as_a_pattern_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Engine::open(&folder.path().join("a{b}")).unwrap_err();
    assert!(matches!(error, EngineError::UnsupportedPath { .. }), "{error}");
}

#[test]
fn one_process_has_one_engine() {
    let Some(f) = fixture() else { return };
    let again = Engine::open(f.engine.data_dir()).err().unwrap();
    assert!(matches!(again, EngineError::InUse { .. }), "{again}");
    let other = tempfile::tempdir().unwrap();
    let other = Engine::open(other.path()).err().unwrap();
    assert!(matches!(other, EngineError::AlreadyOpen { .. }), "{other}");
}
