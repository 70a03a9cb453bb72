//! Local checkpoints: a restart reads what came after them, and one that is damaged, old, or cannot be written costs a
//! restore of everything, and nothing else.

use crate::alone::Alone;
use crate::common::prometheus::Exposed;
use crate::common::run::{PATIENCE, Run};
use generate::{Options, catalog_toml, generate};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 2;
/// Tasks of both stages with state.
const TASKS: f64 = 4.0;

fn options() -> Options {
    Options { services: 6, teams: 2, days: 8, ..Options::default() }
}

fn copies(alone: &Alone) -> PathBuf {
    alone.path().join("streamgauge-data.checkpoints")
}

fn entries(metrics: &Exposed) -> f64 {
    metrics.sum("streamgauge_state_entries", &[])
}

/// How many tasks were restored from a copy, how many from everything, and the records that this read.
fn restores(metrics: &Exposed) -> (f64, f64, f64) {
    let restores = |from| metrics.sum("streamgauge_restores_total", &[("from", from)]);
    (restores("copy"), restores("changelog"), metrics.sum("streamgauge_restore_records_total", &[]))
}

/// A run that has told an organisation; it was stopped. How many entries its state has.
fn told(alone: &Alone) -> f64 {
    let run = alone.start();
    let sent = alone.send(generate(&options()));
    let entries = entries(&run.wait_until_loaded(PATIENCE, sent));
    run.stop();
    assert!(entries > 1_000.0, "{entries} entries are too few to tell a tail from everything");
    entries
}

/// Starts again with the same state; says how it was restored, and stops. Nobody else writes: so what was restored from a
/// copy was restored ahead.
fn again(alone: &Alone, wanted: f64) -> (f64, f64, f64) {
    let run = alone.start();
    run.wait_for_readiness(200, "aggregate: ready");
    let metrics = run.metrics();
    assert_eq!(entries(&metrics), wanted, "the state that was stopped");
    let log = std::fs::read_to_string(&run.log).unwrap();
    run.stop();
    let (from_copy, from_changelog, records) = restores(&metrics);
    assert_eq!(log.matches(r#""ahead":true"#).count() as f64, from_copy, "{log}");
    (from_copy, from_changelog, records)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn copy_folder(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_restart_after_a_clean_stop_reads_only_the_tail_of_its_changelogs() {
    let Some(alone) = Alone::new(PARTITIONS, &catalog_toml(&options())).map(Alone::keeping) else { return };
    let wanted = told(&alone);
    let (from_copy, from_changelog, records) = again(&alone, wanted);
    assert_eq!((from_copy, from_changelog), (TASKS, 0.0));
    // Of each the checkpoint is read, and a transaction of dimensions may follow it.
    assert!(records <= 5.0 * TASKS, "{records} records of {wanted} entries were read");
    // Without the copies: everything.
    std::fs::remove_dir_all(copies(&alone)).unwrap();
    let (from_copy, from_changelog, records) = again(&alone, wanted);
    assert_eq!((from_copy, from_changelog), (0.0, TASKS));
    assert!(records >= wanted, "{records} records of {wanted} entries");
    // That made them anew.
    assert_eq!(again(&alone, wanted).0, TASKS);
}

#[test]
fn a_copy_that_was_put_back_is_brought_up_by_the_tail_and_a_damaged_one_is_made_anew() {
    let Some(alone) = Alone::new(PARTITIONS, &catalog_toml(&options())).map(Alone::keeping) else { return };
    let before = told(&alone);
    let backup = alone.path().join("backup");
    copy_folder(&copies(&alone), &backup);
    let run = alone.start();
    let more = generate(&Options { days: 10, seed: 7, ..options() });
    let sent = alone.send(more);
    let wanted = entries(&run.wait_until_loaded(PATIENCE, sent));
    run.stop();
    assert!(wanted > before);
    std::fs::remove_dir_all(copies(&alone)).unwrap();
    copy_folder(&backup, &copies(&alone));
    let (from_copy, from_changelog, records) = again(&alone, wanted);
    assert_eq!((from_copy, from_changelog), (TASKS, 0.0), "an older copy and a longer tail");
    assert!(records > 10.0 * TASKS, "{records} records are no tail");

    for file in files(&copies(&alone)) {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.iter_mut().step_by(200).for_each(|byte| *byte ^= 0x55);
        std::fs::write(&file, bytes).unwrap();
    }
    let (from_copy, from_changelog, _) = again(&alone, wanted);
    assert_eq!((from_copy, from_changelog), (0.0, TASKS), "a damaged copy");
    assert_eq!(again(&alone, wanted).0, TASKS, "it was made anew");
}

#[test]
fn a_disk_that_is_full_or_cannot_be_written_leaves_the_run_as_it_would_be_without() {
    let Some(alone) = Alone::new(PARTITIONS, &catalog_toml(&options())).map(Alone::keeping) else { return };
    // A file where the folder would be.
    std::fs::write(copies(&alone), "").unwrap();
    let wanted = told(&alone);
    let (from_copy, from_changelog, _) = again(&alone, wanted);
    assert_eq!((from_copy, from_changelog), (0.0, TASKS));
    std::fs::remove_file(copies(&alone)).unwrap();

    let Some(_small) = SmallDisk::mount(&copies(&alone)) else {
        eprintln!("skipped: a full disk: no file system can be mounted here");
        return;
    };
    let run = alone.start();
    let sent = alone.send(generate(&Options { days: 12, seed: 9, ..options() }));
    let metrics = run.wait_until_loaded(PATIENCE, sent);
    assert!(metrics.sum("streamgauge_transactions_failed_total", &[]) == 0.0, "a full disk fails no task");
    let log = run.stop();
    let is_said =
        ["written no further", "there are no local checkpoints"].iter().any(|said| log.contains(said));
    assert!(is_said, "nothing says that the disk is full:\n{log}");
    let run = alone.start();
    run.wait_for_readiness(200, "aggregate: ready");
    assert_eq!(entries(&run.metrics()), entries(&metrics));
    run.stop();
}

/// A file system of a few pages, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=600k", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Removes the copies.
pub fn forget(alone: &Alone) {
    let _ = std::fs::remove_dir_all(copies(alone));
}

/// Two processes of the stages with state, each with a folder of its own.
pub struct Pair {
    pub one: Run,
    pub other: Run,
}

/// Starts one after the other; both are ready.
pub fn pair(alone: &Alone, settings: [&[(&str, &str)]; 2]) -> Pair {
    let [one, other] = [("one", settings[0]), ("other", settings[1])].map(|(name, settings)| {
        let run = stateful(alone, name, settings);
        run.wait_for_readiness(200, "aggregate: ready");
        run
    });
    // The other's coming has moved partitions.
    one.wait_for_readiness(200, "aggregate: ready");
    Pair { one, other }
}

fn stateful(alone: &Alone, name: &str, settings: &[(&str, &str)]) -> Run {
    let folder = alone.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let stages = ["--stage", "correlate", "--stage", "aggregate"];
    Run::start_with(&folder, &alone.cluster.bootstrap(), &stages, settings)
}

fn tasks(run: &Run) -> f64 {
    run.metrics().sum("streamgauge_tasks", &[])
}

/// How a process took over what another one had.
pub struct TakenOver {
    pub ready_s: f64,
    pub entries: f64,
    pub from_copy: f64,
    pub from_changelog: f64,
    pub records: f64,
}

/// The one of the pair stops; the other, which followed, takes over. `settled`: how long its standby gets before that.
pub fn take_over(pair: Pair, all: f64, settled: Duration) -> TakenOver {
    let Pair { one, other } = pair;
    std::thread::sleep(settled);
    let before = restores(&other.metrics());
    assert!(tasks(&one) > 0.0 && tasks(&other) < all, "both have some");
    one.stop();
    let deadline = Instant::now() + PATIENCE;
    let mut since = None;
    loop {
        if since.is_none() && tasks(&other) > all / 2.0 {
            since = Some(Instant::now());
        }
        if let Some(since) = since
            && other.is_ready()
            && tasks(&other) == all
        {
            let metrics = other.metrics();
            let after = restores(&metrics);
            let taken = TakenOver {
                ready_s: Instant::now().duration_since(since).as_secs_f64(),
                entries: entries(&metrics),
                from_copy: after.0 - before.0,
                from_changelog: after.1 - before.1,
                records: after.2 - before.2,
            };
            other.stop();
            return taken;
        }
        assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(&other.log).unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_standby_takes_tasks_over_by_the_tail_of_their_changelogs() {
    let Some(alone) = Alone::new(3, &catalog_toml(&options())) else { return };
    let wanted = told(&alone);
    let standby: &[(&str, &str)] = &[("STREAMGAUGE__KAFKA__STANDBY", "true")];
    let taken = take_over(pair(&alone, [&[], standby]), 6.0, Duration::from_secs(5));
    assert_eq!((taken.entries, taken.from_changelog), (wanted, 0.0));
    assert!(taken.from_copy >= 2.0, "{} tasks came from a copy", taken.from_copy);
    assert!(taken.records < 60.0, "{} records of {wanted} entries were read", taken.records);
}

#[test]
fn a_named_process_that_restarts_moves_no_partition_and_one_name_has_one_process() {
    let Some(alone) = Alone::new(3, &catalog_toml(&options())) else { return };
    let named =
        |name| [("STREAMGAUGE__KAFKA__INSTANCE", name), ("STREAMGAUGE__KAFKA__STATIC_MEMBERSHIP", "true")];
    let Pair { one, other } = pair(&alone, [&named("one"), &named("other")]);
    let moves =
        |run: &Run| std::fs::read_to_string(&run.log).unwrap().matches("\"message\":\"assigned\"").count();
    let (before, held) = (moves(&other), (tasks(&one), tasks(&other)));
    assert!(before > 0 && held.0 > 0.0 && held.1 > 0.0, "{before} moves, {held:?}");
    one.stop();
    let one = stateful(&alone, "one", &named("one"));
    one.wait_for_readiness(200, "aggregate: ready");
    assert_eq!((moves(&other), (tasks(&one), tasks(&other))), (before, held));
    // Longer than a session: nobody was put out meanwhile.
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!((moves(&other), (tasks(&one), tasks(&other))), (before, held));

    let twin = stateful(&alone, "twin", &named("one"));
    one.wait_for_readiness(503, "another process runs as kafka.instance");
    twin.stop();
    one.wait_for_readiness(200, "aggregate: ready");
    assert_eq!(moves(&other), before, "the others hear nothing of it");
}
