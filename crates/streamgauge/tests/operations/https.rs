//! ClickHouse behind TLS: whom we believe, what we show, and what is said when one of both does not do.

use crate::support::tls::Terminator;
use crate::support::{make_topics, records, send, wait_for};
use crate::{Place, bench};
use std::path::Path;
use test_broker::Security;

const LOAD: [&str; 3] = ["check", "--stage", "load"];

fn authority(folder: &Path) -> Security {
    Security::create(folder, &["loader".to_owned()]).unwrap()
}

/// `[clickhouse.ssl]` with these files.
fn ssl(ca: Option<&Path>, client: Option<(&Path, &Path)>) -> String {
    let mut text = "[clickhouse.ssl]\n".to_owned();
    if let Some(ca) = ca {
        text += &format!("ca_file = {ca:?}\n");
    }
    if let Some((certificate, key)) = client {
        text += &format!("certificate_file = {certificate:?}\nkey_file = {key:?}\n");
    }
    text
}

#[test]
fn rows_are_loaded_over_https_and_whoever_is_not_trusted_is_named() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "overtls");
    bench.database("overtls");
    make_topics(&place.settings, 1);
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (authority(&folder.path().join("ours")), authority(&folder.path().join("others")));
    let (server, loader, stranger) =
        (ours.admin().unwrap(), ours.user("loader").unwrap(), others.user("loader").unwrap());
    let (plain, strict) = (
        Terminator::start(&bench.runtime, bench.url(), &server, None),
        Terminator::start(&bench.runtime, bench.url(), &server, Some(&ours)),
    );
    let trusted = ours.ca();
    let configure = |url: &str, ssl: &str| place.configure(url, ssl);
    let problem = |says: &str| place.expect(1, &LOAD, &["problem  ClickHouse: https://", says]);

    configure(&plain.url("127.0.0.1"), &ssl(Some(&trusted), None));
    place.expect(0, &LOAD, &["ok       ClickHouse: https://127.0.0.1:", "ok       loading: "]);
    configure(&strict.url("127.0.0.1"), &ssl(Some(&trusted), Some((&loader.certificate(), &loader.key()))));
    place.expect(0, &LOAD, &["ok       loading: "]);

    // Neither the system's authorities nor other ones signed it.
    let unknown = "→ set clickhouse.ssl.ca_file to the certificate (PEM) of the authority that signed";
    configure(&plain.url("127.0.0.1"), "");
    problem(unknown);
    configure(&plain.url("127.0.0.1"), &ssl(Some(&others.ca()), None));
    problem(unknown);
    let (code, text) = place.run(&["migrate"]);
    assert!(
        code == 1 && text.contains("cannot be made") && text.contains("set clickhouse.ssl.ca_file"),
        "{text}"
    );
    let (code, text) = place.run(&["run", "--stage", "load"]);
    assert!(code == 1 && text.contains("set clickhouse.ssl.ca_file"), "{text}");
    configure(&plain.url("127.0.0.2"), &ssl(Some(&trusted), None));
    problem("→ use a name that the server's certificate bears");
    configure(&strict.url("127.0.0.1"), &ssl(Some(&trusted), None));
    problem("→ set clickhouse.ssl.certificate_file and clickhouse.ssl.key_file");
    let strange = ssl(Some(&trusted), Some((&stranger.certificate(), &stranger.key())));
    configure(&strict.url("127.0.0.1"), &strange);
    problem("→ use a certificate in clickhouse.ssl.certificate_file whose authority the server knows");
    configure(&bench.url().replace("http://", "https://"), &ssl(Some(&trusted), None));
    problem("→ nobody speaks TLS there");
}

#[test]
fn files_that_cannot_be_used_are_wrong_input() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "tlsfiles");
    let expect = |url: &str, more: &str, says: &str| {
        place.configure(url, more);
        place.expect(2, &LOAD, &[says]);
    };
    place.configure("https://h:8443", "[clickhouse.ssl]\nca_file = \"none.pem\"");
    place.expect(1, &LOAD, &["problem  clickhouse.ssl: none.pem: "]);
    expect("https://h:8443", "[clickhouse.ssl]\nkey_file = \"k.pem\"", "belong together: set both or none");
    expect(
        "http://h:8123",
        "[clickhouse.ssl]\nca_file = \"c.pem\"",
        "is not https://, so that clickhouse.ssl says nothing",
    );
    expect("ftp://h", "", "does not begin with http:// or https://");
}

#[test]
fn a_running_loader_says_that_the_certificate_is_no_longer_believed_and_goes_on_when_it_is() {
    let Some(bench) = bench() else { return };
    let mut place = Place::new(&bench, "tlsrun");
    place.settings.instance = "tlsrun".to_owned();
    let _ = bench.database("tlsrun");
    make_topics(&place.settings, 1);
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (authority(&folder.path().join("ours")), authority(&folder.path().join("others")));
    let tls = https::Tls { ca_file: Some(ours.ca()), client: None };
    let https = https::Https::new(&tls).unwrap();
    let wrong = Terminator::start(&bench.runtime, bench.url(), &others.admin().unwrap(), None);
    let plan = |url: &str| {
        let client = warehouse::client_over(&https, url).with_database("tlsrun");
        bench.plan(&place.settings, &kafka::Stage::ALL, &client)
    };
    send(&place.settings, &records(2));
    let refused = kafka::Running::start(&plan(&wrong.url("127.0.0.1"))).unwrap();
    crate::support::wait_until_failing(
        &refused,
        kafka::Stage::Load,
        "set clickhouse.ssl.ca_file to the certificate (PEM) of the authority that signed the server's",
    );
    drop(refused);
    let right = Terminator::start(&bench.runtime, bench.url(), &ours.admin().unwrap(), None);
    let _running = kafka::Running::start(&plan(&right.url("localhost"))).unwrap();
    wait_for("rows over HTTPS", || match bench.ask("tlsrun", "SELECT count() FROM events").parse::<u64>() {
        Ok(rows) if rows > 0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
