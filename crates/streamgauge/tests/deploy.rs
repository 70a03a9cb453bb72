//! What stands in `deploy` is held against the program: its keys, its SQL, its YAML.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn text(name: &str) -> String {
    let path = deploy().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with_yaml<T>(name: &str, read: impl FnOnce(&Yaml<'_>) -> T) -> T {
    let text = text(name);
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(documents.len(), 1, "{name}");
    read(&documents[0])
}

fn texts<'a>(yaml: &'a Yaml<'_>, found: &mut Vec<&'a str>) {
    if let Some(text) = yaml.as_str() {
        found.push(text);
    }
    yaml.as_vec().into_iter().flatten().for_each(|item| texts(item, found));
    yaml.as_mapping().into_iter().flatten().for_each(|(_, item)| texts(item, found));
}

/// Every file that compose.yaml mounts is there, and everything but Grafana stays inside.
#[test]
fn compose_names_files_that_are_there_and_opens_one_port_on_this_machine_only() {
    let secrets = text("secrets/make.sh");
    with_yaml("compose.yaml", |compose| {
        let mut all = Vec::new();
        texts(compose, &mut all);
        for mounted in all.iter().filter_map(|text| text.strip_prefix("./")) {
            let path = mounted.split(':').next().unwrap();
            match path.strip_prefix("secrets/") {
                Some(name) => assert!(secrets.contains(name), "make.sh does not make {name}"),
                None => assert!(deploy().join(path).exists(), "{path} is not there"),
            }
        }
        let mut published = Vec::new();
        for (name, service) in compose["services"].as_mapping().unwrap() {
            let ports = service.as_mapping_get("ports").and_then(Yaml::as_vec);
            for port in ports.into_iter().flatten() {
                published.push((name.as_str().unwrap().to_owned(), port.as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(published, [("grafana".to_owned(), "127.0.0.1:3000:3000".to_owned())]);
    });
}

#[test]
fn every_other_yaml_is_one_document_that_points_to_what_is_there() {
    with_yaml("grafana/provisioning/datasources/clickhouse.yaml", |yaml| {
        let source = &yaml["datasources"][0];
        let users = text("clickhouse/users.d/streamgauge.xml");
        let user = source["jsonData"]["username"].as_str().unwrap();
        assert!(users.contains(&format!("<{user}>")), "{user} is no user");
        assert_eq!(source["uid"].as_str(), Some("streamgauge"));
    });
    with_yaml("grafana/provisioning/dashboards/streamgauge.yaml", |yaml| {
        let path = yaml["providers"][0]["options"]["path"].as_str().unwrap();
        assert!(text("compose.yaml").contains(&format!("./grafana/dashboards:{path}:ro")), "{path}");
    });
}

/// The SQL of the dashboard, with what Grafana puts in the place of macros and variables.
fn queries(scope: &str) -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text("grafana/dashboards/streamgauge.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panels = panels.map(|panel| {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(panel["datasource"]["uid"], "streamgauge", "{title}");
        (title.to_owned(), panel["targets"][0]["rawSql"].as_str().unwrap().to_owned())
    });
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let of_variables = variables
        .filter(|variable| variable["type"] == "query")
        .map(|variable| ("variable".to_owned(), variable["query"].as_str().unwrap().to_owned()));
    let put_in = |sql: String| {
        let sql = sql
            .replace("${scope:sqlstring}", &format!("'{scope}'"))
            .replace("${window:sqlstring}", "'30d'")
            .replace("$__fromTime", "toDateTime(1600000000)")
            .replace("$__toTime", "toDateTime(2100000000)");
        assert!(!sql.contains('$'), "a macro that this test does not know: {sql}");
        sql
    };
    of_panels.chain(of_variables).map(|(title, sql)| (title, put_in(sql))).collect()
}

#[test]
fn every_query_of_the_dashboard_runs_on_the_views_and_finds_what_is_there() {
    if embedded_clickhouse::locate().is_err() {
        eprintln!("passed over: the ClickHouse engine is not there (cargo xtask setup)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ok = |arguments: &[&str], input: &str| {
        let (code, out, error) = common::run_with(folder.path(), arguments, input.as_bytes());
        assert_eq!(code, 0, "{arguments:?}: {error}");
        out
    };
    let organisation = ["generate", "--services", "6", "--teams", "2", "--days", "40"];
    let catalog = ok(&[&organisation[..], &["--print-catalog"]].concat(), "");
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    ok(&["-q", "--catalog", "catalog.toml", "import", "events", "-"], &ok(&organisation, ""));
    let mut empty = BTreeSet::new();
    for scope in ["org:acme", "group:retail", "team:money", "service:cart", "repo:github.com/acme/cart"] {
        // The engine is opened for each: of other scopes only what finds their deployments in another way.
        for (title, sql) in queries(scope)
            .into_iter()
            .filter(|(_, sql)| scope.starts_with("org:") || sql.contains("FROM deployments"))
        {
            if ok(&["sql", &sql, "--format", "JSONEachRow"], "").is_empty() {
                empty.insert(format!("{title}: {scope}"));
            }
        }
    }
    // What is there does not lack anything that a signal names.
    empty.retain(|what| !what.starts_with("What the data lacks"));
    assert!(empty.is_empty(), "nothing was found for {empty:?}");
}
