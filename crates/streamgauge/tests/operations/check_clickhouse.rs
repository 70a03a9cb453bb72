use crate::support::door::{Door, Way};
use crate::{Bench, Place, bench};

const AUTHENTICATION: &str = "HTTP/1.1 403 Forbidden\r\nX-ClickHouse-Exception-Code: 516\r\nConnection: close\r\n\r\n\
    Code: 516. DB::Exception: dora: Authentication failed: password is incorrect, or there is no user with such name. \
    (AUTHENTICATION_FAILED) (version 25.3.2.39 (official build))";
const GATEWAY: &str =
    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 15\r\nConnection: close\r\n\r\n502 Bad Gateway";

/// A place whose ClickHouse is reached through a door; `--stage load` asks the brokers little.
fn behind_a_door(bench: &Bench, name: &'static str) -> (Place, Door) {
    let place = Place::new(bench, name);
    let door = Door::open(bench.url());
    bench.database(name);
    crate::support::make_topics(&place.settings, 1);
    place.configure(&door.url(), "");
    (place, door)
}

#[test]
fn a_clickhouse_that_cannot_be_used_is_told_in_words() {
    let Some(bench) = bench() else { return };
    let (place, mut door) = behind_a_door(&bench, "doors");
    let check = ["check", "--stage", "load"];
    door.set(Way::Instead("free_space", "intDiv(total_space, 2)"));
    let says =
        ["ok       ClickHouse: http://127.0.0.1:", "ok       clock: ", "ok       disks: default: ", "(50 %)"];
    place.expect(0, &check, &says);
    let cases = [
        (
            Way::Instead("version()", "'23.10.1.1'"),
            1,
            "problem  ClickHouse version: 23.10.1.1 is older than 24.8",
        ),
        (
            Way::Instead("getSetting('readonly')", "2"),
            1,
            "may only read (readonly = 2) → use a user who may insert",
        ),
        (
            Way::Instead("now64(6)", "(now64(6) - toIntervalSecond(90))"),
            0,
            "s behind this machine's → let both keep the time",
        ),
        (
            Way::Instead("free_space", "toUInt64(total_space * 0.02)"),
            1,
            "free (2 %), nearly full → make room",
        ),
        (Way::Instead("free_space", "toUInt64(total_space * 0.08)"), 0, "warning  disk: default: "),
        (
            Way::Answer(AUTHENTICATION),
            1,
            "(AUTHENTICATION_FAILED) (version 25.3.2.39 (official build)) → correct clickhouse.user and its password",
        ),
        (Way::Answer(GATEWAY), 1, "502 Bad Gateway → is clickhouse.url ClickHouse's HTTP port"),
    ];
    for (way, code, says) in cases {
        door.set(way);
        place.expect(code, &check, &[says]);
    }
    door.shut();
    place.expect(1, &check, &["Connection refused", "→ start ClickHouse there, or correct clickhouse.url"]);
    let (code, text) = place.run(&["migrate"]);
    assert!(code == 1 && text.contains("cannot be made"), "{text}");
}

#[test]
fn a_table_that_somebody_altered_is_named() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "altered");
    bench.database("altered");
    crate::support::make_topics(&place.settings, 1);
    bench.ask("altered", "ALTER TABLE scans_rows MODIFY COLUMN finding LowCardinality(String)");
    bench.ask("altered", "ALTER TABLE teams_rows ADD COLUMN budget UInt64");
    let says = [
        "problem  table altered.scans_rows: its column finding is LowCardinality(String), not String → somebody altered it",
        "warning  table altered.teams_rows: it has a column budget that no migration made",
    ];
    place.expect(1, &["check", "--stage", "load"], &says);
    bench.ask("altered", "ALTER TABLE definitions_rows DROP COLUMN value");
    place.expect(1, &["check", "--stage", "load"], &["problem  loading: "]);
}

#[test]
fn a_data_folder_is_checked_where_nothing_else_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    if embedded_clickhouse::locate().is_err() {
        eprintln!("skipped: no ClickHouse engine");
        return;
    }
    let run = |arguments: &[&str]| crate::common::run(folder.path(), arguments);
    let (code, out, _) = run(&["--data", "none", "check"]);
    assert!(
        code == 0 && out.contains("ok       data folder none: there is none yet: it will be made"),
        "{out}"
    );
    assert!(!folder.path().join("none").exists());
    std::fs::create_dir(folder.path().join("thesis")).unwrap();
    std::fs::write(folder.path().join("thesis/chapter.txt"), "").unwrap();
    let (code, out, _) = run(&["--data", "thesis", "check"]);
    assert!(code == 1 && out.contains("it holds chapter.txt"), "{out}");
    let (code, _, error) = run(&["--data", "used", "migrate"]);
    assert_eq!(code, 0, "{error}");
    let (code, out, _) = run(&["--data", "used", "check"]);
    assert!(
        code == 0 && out.contains("ok       tables in streamgauge: as the migrations made them"),
        "{out}"
    );
}
