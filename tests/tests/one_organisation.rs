//! One organisation as its tools tell of it: the same tables in whatever order and however often they are told, and the
//! numbers that were worked out by hand.
//!
//! Payloads are those that the sources' own tests keep, with times, commits and names of the story put in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod vendors;
mod webhooks_alone;

use catalog::Catalog;
use model::definitions::Definitions;
use model::raw::{Origin, RawRecord};
use model::{Text, Timestamp};
use oracle::{CatalogModel, Service, Settings};
use serde_json::{Value, json};
use sources::{Outcome, SourceSettings};
use std::path::Path;
use std::sync::Arc;
use streamgauge_tests::story::{Told, holds, run_with};
use streamgauge_tests::{NOW, Tables, twin};
use topology::Topology;

const CHECKOUT: &str = "github.com/acme/checkout";
const SHOP: &str = "gitlab.example.com/acme/retail/shop";
/// The page, which the alert and the ticket are other records of.
const PAGE: &str = "pagerduty:Q2PIV1DXQ7RCVX";
/// Deployments of Argo CD are known by the moment in which they began.
const FIRST: &str = "argocd:argocd/checkout:2025-12-29T09:00:00Z";
const SECOND: &str = "argocd:argocd/checkout:2025-12-29T10:05:02Z";

fn sha(of: char) -> String {
    String::from(of).repeat(40)
}

fn digest(of: char) -> String {
    format!("sha256:{}", String::from(of).repeat(64))
}

fn at(clock: &str) -> String {
    format!("2025-12-29T{clock}Z")
}

fn millis(clock: &str) -> i64 {
    Timestamp::parse(&at(clock)).unwrap().micros() / 1_000
}

/// A delivery: which source reads it, its headers, its body, when it was received.
#[derive(Clone)]
struct Delivery {
    source: &'static str,
    headers: Vec<(String, String)>,
    body: Value,
    received: String,
}

impl Delivery {
    fn new(source: &'static str, headers: &[(&str, &str)], body: Value, received: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { source, headers, body, received: at(received) }
    }

    /// A payload of the sources' tests, with some values changed.
    fn kept(name: &str, changes: &[(&str, Value)], received: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sources/tests/payloads");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        let (headers, mut body) = match whole.get("headers") {
            Some(headers) => (headers.clone(), whole["body"].clone()),
            None => (json!({}), whole),
        };
        for (place, value) in changes {
            *body.pointer_mut(place).unwrap_or_else(|| panic!("{name} has no {place}")) = value.clone();
        }
        let source = ["alertmanager", "argocd", "ghcr", "gitlab", "jenkins", "jira", "kubernetes"]
            .into_iter()
            .chain(["launchdarkly", "pagerduty", "terraform"])
            .find(|source| name.split('/').next() == Some(*source))
            .unwrap();
        let header = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap().to_owned());
        let headers = headers.as_object().unwrap().iter().map(header).collect();
        Self { source, headers, body, received: at(received) }
    }

    fn record(&self, minutes_later: i64) -> RawRecord {
        let received = Timestamp::parse(&self.received).unwrap();
        RawRecord {
            source: Text::new(self.source),
            headers: self.headers.iter().map(|(name, value)| (Text::new(name), value.clone())).collect(),
            body: self.body.to_string().into_bytes(),
            received_at: received.plus(model::Span::from_minutes(minutes_later)),
            origin: Origin::default(),
        }
    }
}

fn github_push(repo: &str, before: char, commits: &[(char, &str)], received: &str) -> Delivery {
    let one = |(of, clock): &(char, &str)| {
        json!({"id": sha(*of), "message": "Work", "timestamp": at(clock), "author": {"name": "Jane Roe", "username": "jroe"},
            "added": [], "modified": ["src/lib.rs"], "removed": []})
    };
    let commits: Vec<Value> = commits.iter().map(one).collect();
    let head = commits.last().unwrap().clone();
    let pushed = Timestamp::parse(&at(received)).unwrap().seconds();
    let body = json!({
        "ref": "refs/heads/main", "before": sha(before), "after": head["id"], "forced": false, "commits": commits,
        "head_commit": head, "repository": {"id": 1, "full_name": repo, "html_url": format!("https://github.com/{repo}"),
            "default_branch": "main", "pushed_at": pushed},
        "pusher": {"name": "jroe"}, "sender": {"login": "jroe", "type": "User"},
    });
    Delivery::new("github", &[("x-github-event", "push")], body, received)
}

/// GitHub's own word of a rollout; Argo CD's counts.
fn github_deployment(id: u64, of: char, began: &str, ended: &str) -> Delivery {
    let body = json!({
        "action": "created",
        "deployment_status": {"id": id + 1, "state": "success", "environment": "production", "created_at": at(ended),
            "updated_at": at(ended), "creator": {"login": "deployer[bot]", "type": "Bot"}},
        "deployment": {"id": id, "sha": sha(of), "ref": "main", "task": "deploy", "environment": "production",
            "production_environment": true, "created_at": at(began), "updated_at": at(ended),
            "creator": {"login": "deployer[bot]", "type": "Bot"}},
        "repository": {"id": 1, "full_name": "acme/checkout", "html_url": "https://github.com/acme/checkout"},
        "sender": {"login": "deployer[bot]", "type": "Bot"},
    });
    Delivery::new("github", &[("x-github-event", "deployment_status")], body, ended)
}

fn image(of: char, built: &str) -> Delivery {
    let version = "/registry_package/package_version";
    let changes = [
        (format!("{version}/version"), json!(digest(of))),
        (format!("{version}/name"), json!(digest(of))),
        (format!("{version}/created_at"), json!(at(built))),
        (format!("{version}/updated_at"), json!(at(built))),
        (format!("{version}/container_metadata/labels/revision"), json!(sha(of))),
        (format!("{version}/container_metadata/manifest/digest"), json!(digest(of))),
        (format!("{version}/container_metadata/tag/digest"), json!(digest(of))),
        (format!("{version}/container_metadata/tag/name"), json!(format!("build-{of}"))),
        (format!("{version}/package_url"), json!(format!("ghcr.io/acme/checkout:build-{of}"))),
    ];
    let changes: Vec<(&str, Value)> =
        changes.iter().map(|(place, value)| (place.as_str(), value.clone())).collect();
    Delivery::kept("ghcr/published_with_revision_label", &changes, built)
}

fn synced(of: char, began: &str, ended: &str) -> Delivery {
    let image = format!("ghcr.io/acme/checkout:build-{of}@{}", digest(of));
    let changes = [
        ("/status/summary/images/0", json!(image)),
        ("/status/history/0/deployStartedAt", json!(at(began))),
        ("/status/history/0/deployedAt", json!(at(ended))),
        ("/status/operationState/startedAt", json!(at(began))),
        ("/status/operationState/finishedAt", json!(at(ended))),
    ];
    Delivery::kept("argocd/synced", &changes, ended)
}

/// Kubernetes' own word of a rollout.
fn rolled_out(of: char, revision: &str, ended: &str) -> Delivery {
    let changes = [
        ("/metadata/annotations/deployment.kubernetes.io~1revision", json!(revision)),
        ("/spec/template/spec/containers/1/image", json!(format!("ghcr.io/acme/checkout:build-{of}"))),
        ("/status/conditions/1/lastUpdateTime", json!(at(ended))),
    ];
    Delivery::kept("kubernetes/deployment_complete", &changes, ended)
}

fn alert(name: &str, service: &str, fingerprint: &str, began: &str, ended: Option<&str>) -> Delivery {
    let labels = json!({"alertname": name, "service": service, "severity": "critical", "env": "prod"});
    let received = ended.unwrap_or(began);
    let body = json!({
        "version": "4", "groupKey": format!("{{}}:{{alertname=\"{name}\"}}"), "truncatedAlerts": 0, "receiver": "streamgauge",
        "status": if ended.is_some() { "resolved" } else { "firing" },
        "groupLabels": {"alertname": name}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://a.example",
        "alerts": [{"status": if ended.is_some() { "resolved" } else { "firing" }, "labels": labels, "annotations": {},
            "startsAt": at(began), "endsAt": ended.map_or("0001-01-01T00:00:00Z".to_owned(), at),
            "generatorURL": "http://p.example", "fingerprint": fingerprint}],
    });
    Delivery::new("alertmanager", &[], body, received)
}

fn page(state: &str, occurred: &str) -> Delivery {
    let changes =
        [("/event/occurred_at", json!(at(occurred))), ("/event/data/created_at", json!(at("10:21:00")))];
    Delivery::kept(&format!("pagerduty/{state}"), &changes, occurred)
}

fn ticket(name: &str, clock: &str, more: &[(&str, Value)]) -> Delivery {
    let mut changes = vec![
        ("/timestamp", json!(millis(clock))),
        ("/issue/fields/created", json!("2025-12-29T10:30:00.000+0000")),
        ("/issue/fields/updated", json!(format!("2025-12-29T{clock}.000+0000"))),
        ("/issue/fields/description", json!("See https://acme.pagerduty.com/incidents/Q2PIV1DXQ7RCVX")),
    ];
    changes.extend(more.iter().cloned());
    let mut delivery = Delivery::kept(name, &changes, clock);
    delivery.body["issue"]["id"] = json!("10417");
    delivery
}

fn flag(key: &str, clock: &str) -> Delivery {
    let resource = format!("proj/default:env/production:flag/{key}");
    let mut delivery = Delivery::kept(
        "launchdarkly/turned_on",
        &[
            ("/date", json!(millis(clock))),
            ("/accesses/0/resource", json!(resource)),
            ("/_id", json!(format!("ld-{key}"))),
        ],
        clock,
    );
    delivery.body["currentVersion"]["key"] = json!(key);
    delivery.body["previousVersion"]["key"] = json!(key);
    delivery
}

/// A person says that the alert is a record of the page: neither payload names the other.
fn correction() -> Delivery {
    let alert = format!("alertmanager:1a30ba71cca2921f:{}", at("10:20:00"));
    let body = json!({
        "id": "correction-1", "type": "correction", "occurred_at": at("12:00:00"), "observed_at": at("12:00:00"),
        "source": "streamgauge", "correction": {"target": "incident", "target_id": alert, "set": {"duplicate_of": PAGE},
            "reason": "the alert paged us"},
    });
    Delivery::new("canonical", &[], body, "12:00:00")
}

/// A tag, and a tool of the organisation's own that knows nothing but a version.
fn cart() -> Vec<Delivery> {
    let commit = json!({"id": sha('7'), "message": "Release", "timestamp": at("11:00:00"),
        "author": {"name": "Jane Roe"}, "added": [], "modified": ["a"], "removed": []});
    let tag = json!({
        "ref": "refs/tags/v2.0.0", "before": sha('0'), "after": sha('7'), "forced": false, "commits": [],
        "head_commit": commit, "repository": {"id": 2, "full_name": "acme/cart", "html_url": "https://github.com/acme/cart",
            "default_branch": "main", "pushed_at": millis("11:10:00") / 1_000},
        "pusher": {"name": "jroe"}, "sender": {"login": "jroe", "type": "User"},
    });
    let deployed = json!({
        "id": "shipit:9", "type": "deployment", "occurred_at": at("11:30:00"), "observed_at": at("11:30:00"),
        "source": "shipit", "service": "cart", "deployment": {"deployment_id": "shipit:9", "environment": "production",
            "version": "2.0.0", "state": "succeeded", "started_at": at("11:29:00"), "finished_at": at("11:30:00")},
    });
    vec![
        Delivery::new("github", &[("x-github-event", "push")], tag, "11:10:00"),
        Delivery::new("canonical", &[], deployed, "11:30:00"),
    ]
}

/// The GitLab project's push and deployment, and the Jenkins job that did it.
fn shop() -> Vec<Delivery> {
    let clone = json!("https://gitlab.example.com/acme/retail/shop.git");
    let jenkins = [
        ("/build/scm/url", clone),
        ("/build/scm/commit", json!(sha('c'))),
        ("/build/timestamp", json!(millis("09:14:00"))),
    ];
    vec![
        Delivery::kept("gitlab/push.branch", &[], "09:10:00"),
        Delivery::kept("gitlab/deployment.success", &[], "09:14:10"),
        Delivery::kept("jenkins/deploy.by_path", &jenkins, "09:14:20"),
        // Six hours after the deployment, and ten minutes after a flag was changed.
        flag("basket", "15:10:00"),
        alert("Baskets", "shop", "2b30ba71cca2921f", "15:20:00", None),
        alert("Baskets", "shop", "2b30ba71cca2921f", "15:20:00", Some("15:50:00")),
    ]
}

/// What the tools told, in the order of time.
fn deliveries() -> Vec<Delivery> {
    let mut all = vec![
        github_push("acme/checkout", '0', &[('1', "08:00:20")], "08:05:00"),
        image('1', "08:50:00"),
        synced('1', "09:00:00", "09:00:20"),
        github_deployment(100, '1', "09:00:00", "09:00:40"),
        rolled_out('1', "6", "09:00:50"),
        github_push("acme/checkout", '1', &[('2', "09:10:19"), ('3', "09:45:19")], "09:50:00"),
        image('3', "10:00:00"),
        Delivery::kept("terraform/applied", &[], "10:05:04"),
        synced('3', "10:05:02", "10:05:19"),
        github_deployment(200, '3', "10:05:00", "10:05:50"),
        rolled_out('3', "7", "10:06:11"),
        flag("new-cart", "10:12:00"),
        alert("Errors", "checkout", "1a30ba71cca2921f", "10:20:00", None),
        page("triggered", "10:21:00"),
        ticket("jira/incident_of_a_page", "10:30:00", &[]),
        alert("Errors", "checkout", "1a30ba71cca2921f", "10:20:00", Some("10:50:00")),
        page("resolved", "10:55:00"),
        ticket(
            "jira/incident_resolved",
            "11:05:00",
            &[("/issue/fields/resolutiondate", json!("2025-12-29T11:05:00.000+0000"))],
        ),
        correction(),
    ];
    all.extend(shop());
    all.extend(cart());
    all
}

fn organisation() -> CatalogModel {
    let service = |name: &str, repositories: &[&str], aliases: &[&str], from: &[&str]| Service {
        name: name.to_owned(),
        repositories: repositories.iter().map(|repo| ((*repo).to_owned(), Vec::new())).collect(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        incident_source: true,
        deployments_from: (!from.is_empty())
            .then(|| from.iter().map(|source| (*source).to_owned()).collect()),
        ..Service::default()
    };
    CatalogModel {
        services: vec![
            service(
                "checkout",
                &[CHECKOUT],
                &["argocd:checkout", "k8s:checkout", "pagerduty:PF9KMXH", "jira:checkout", "flag:new-cart"],
                &["argocd"],
            ),
            service("shop", &[SHOP], &["jenkins:ops/deploy-shop-prod", "flag:basket"], &["gitlab"]),
            service("cart", &["github.com/acme/cart"], &[], &["shipit"]),
            service("network", &[], &["terraform:acme-org/network-prod"], &["terraform"]),
        ],
        ..CatalogModel::default()
    }
}

fn events(deliveries: &[Delivery]) -> Vec<Value> {
    let told = |delivery: &Delivery| match sources::read(&delivery.record(0), &SourceSettings::default()) {
        Outcome::Emit(events) => events.iter().map(model::json::to_value).collect::<Vec<_>>(),
        other => panic!("{}: {other:?}: {}", delivery.source, delivery.body),
    };
    deliveries.iter().flat_map(told).collect()
}

fn told() -> Told {
    run_with(&events(&deliveries()), &organisation(), &Settings::default())
}

#[test]
fn a_rollout_that_three_tools_report_counts_once_by_the_catalog_s_rule() {
    let told = told();
    let of_checkout: Vec<&str> =
        told.keys("deployments").into_iter().filter(|key| key.contains("checkout")).collect();
    assert_eq!(of_checkout.len(), 2, "{of_checkout:#?}");
    let day = "2025-12-30T00:00:00Z";
    holds(
        told.step("service:checkout", "deployment_frequency", "7d", day),
        json!({"value": 2, "samples": 2}),
    );
    holds(told.step("service:shop", "deployment_frequency", "7d", day), json!({"value": 1}));
    holds(told.step("service:network", "deployment_frequency", "7d", day), json!({"value": 1}));
    holds(told.step("org:default", "deployment_frequency", "7d", day), json!({"value": 5}));
    // A controller set off both syncs.
    holds(told.step("service:checkout", "automated_rate", "7d", day), json!({"value": 1, "samples": 2}));
}

#[test]
fn an_image_s_digest_leads_to_its_commit_and_so_to_the_lead_times() {
    let told = told();
    holds(told.deployment(FIRST), json!({"commit_sha": sha('1'), "changes": 1}));
    holds(told.deployment(SECOND), json!({"commit_sha": sha('3'), "changes": 2}));
    // 08:00:20 to 09:00:20; 09:10:19 and 09:45:19 to 10:05:19.
    let lead = |of: char| told.changes("checkout")[sha(of).as_str()]["lead_time_s"].clone();
    assert_eq!([lead('1'), lead('2'), lead('3')], [json!(3_600), json!(3_300), json!(1_200)]);
    let step = told.step("service:checkout", "change_lead_time", "7d", "2025-12-30T00:00:00Z");
    holds(step, json!({"value": 3_300, "p90": 3_600, "mean": 2_700, "samples": 3}));
    // Terraform's runs name no commit.
    holds(told.deployment("terraform:run-FwnENkvDnrpyFC7M"), json!({"changes": null}));
}

#[test]
fn a_version_leads_to_its_tag_and_so_to_the_commit() {
    let told = told();
    holds(told.deployment("shipit:9"), json!({"version": "2.0.0", "commit_sha": sha('7'), "changes": 1}));
    // 11:00:00 to 11:30:00.
    assert_eq!(told.changes("cart")[sha('7').as_str()]["lead_time_s"], 1_800);
}

#[test]
fn an_alert_a_page_and_a_ticket_are_one_incident_which_blames_the_rollout_before_it() {
    let told = told();
    let of_checkout: Vec<&str> =
        told.keys("incidents").into_iter().filter(|id| !id.contains("2b30")).collect();
    assert_eq!(of_checkout, [PAGE]);
    // The last word of the three: the ticket's.
    let incident = json!({
        "service": "checkout", "status": "resolved", "resolved_at": at("11:05:00"), "deployment_id": SECOND,
        "failure_evidence": "temporal",
    });
    holds(told.incident(PAGE), incident);
    holds(told.deployment(FIRST), json!({"failed": false}));
    // 10:05:19 to 11:05:00.
    let failed = json!({"failed": true, "failure_evidence": "temporal", "recovered_at": at("11:05:00"), "recovery_s": 3_581});
    holds(told.deployment(SECOND), failed);
    let day = "2025-12-30T00:00:00Z";
    let rate = told.step("service:checkout", "change_fail_rate", "7d", day);
    holds(rate, json!({"value": 0.5, "samples": 2, "confirmed": 0, "inferred": 1}));
    holds(told.step("service:checkout", "recovery_time", "7d", day), json!({"value": 3_581, "samples": 1}));
    // Detected as its last record says: 10:30 to 11:05.
    holds(told.step("service:checkout", "time_to_restore", "7d", day), json!({"value": 2_100, "samples": 1}));
}

#[test]
fn a_flag_s_change_near_an_incident_that_blames_no_deployment_is_a_possible_cause() {
    let told = told();
    let incident = format!("alertmanager:2b30ba71cca2921f:{}", at("15:20:00"));
    holds(told.incident(&incident), json!({"service": "shop", "deployment_id": null, "status": "resolved"}));
    let signals = signals(&deliveries(), &organisation_toml(""));
    let near: Vec<&(String, String)> =
        signals.iter().filter(|(signal, _)| signal == "flag_change_near_incident").collect();
    assert_eq!(near, [&("flag_change_near_incident".to_owned(), incident)]);
}

/// The catalog as people write it, and some more of it.
fn organisation_toml(more: &str) -> String {
    let mut toml = String::new();
    for service in organisation().services {
        toml += &format!(
            "[[services]]\nname = {:?}\naliases = {:?}\nincident_source = true\ndeployments_from = {:?}\nrepositories = {:?}\n",
            service.name,
            service.aliases,
            service.deployments_from.unwrap(),
            service.repositories.iter().map(|(repo, _)| repo).collect::<Vec<_>>(),
        );
    }
    toml + more
}

/// The tables that deliveries leave, each received so many minutes later.
fn tables(records: &[RawRecord], toml: &str, partitions: u32) -> Tables {
    let definitions = Definitions::default();
    let catalog = Arc::new(Catalog::from_toml("catalog.toml", toml, &definitions).unwrap());
    let mut topology = Topology::new(definitions, catalog, partitions);
    for record in records {
        let processed = topology.process(record);
        assert!(processed.emitted > 0, "{}: {processed:?}", record.source);
    }
    topology.settle(true);
    topology.punctuate(NOW);
    let mut tables = Tables::default();
    tables.load(&topology.commit());
    tables
}

fn signals(deliveries: &[Delivery], toml: &str) -> Vec<(String, String)> {
    let records: Vec<RawRecord> = deliveries.iter().map(|delivery| delivery.record(0)).collect();
    let signal = |row: &model::fact::Row| match row {
        model::fact::Row::DataQuality(row) => Some((row.signal.to_string(), row.subject.to_string())),
        _ => None,
    };
    tables(&records, toml, 3).rows.values().filter_map(signal).collect()
}

/// A permutation that its number makes again.
fn shuffled(mut records: Vec<RawRecord>, seed: u64) -> Vec<RawRecord> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for last in (1..records.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = usize::try_from(state % (last as u64 + 1)).unwrap();
        records.swap(last, other);
    }
    records
}

#[test]
fn every_delivery_three_times_in_any_order_leaves_the_tables_of_the_story_told_once() {
    let toml = organisation_toml("");
    let deliveries = deliveries();
    let once: Vec<RawRecord> = deliveries.iter().map(|delivery| delivery.record(0)).collect();
    let expected = tables(&once, &toml, 1);
    assert!(expected.rows.len() > 100, "{}", expected.rows.len());
    let thrice: Vec<RawRecord> =
        once.iter().flat_map(|record| [record.clone(), record.clone(), record.clone()]).collect();
    for seed in 1..=20 {
        for partitions in [1, 3, 12] {
            let found = tables(&shuffled(thrice.clone(), seed), &toml, partitions);
            assert!(found == expected, "seed {seed}, {partitions} partitions");
        }
    }
}

/// The story in which the first push came while the repository had another name, and GitHub's word of the rename.
fn renamed() -> Vec<Delivery> {
    let mut renamed = deliveries();
    renamed[0] = github_push("acme/till", '0', &[('1', "08:00:20")], "08:05:00");
    let body = json!({
        "action": "renamed", "changes": {"repository": {"name": {"from": "till"}}},
        "repository": {"id": 1, "name": "checkout", "full_name": "acme/checkout", "html_url": "https://github.com/acme/checkout",
            "updated_at": at("08:30:00"), "owner": {"login": "acme", "type": "Organization"}},
        "sender": {"login": "jroe", "type": "User"},
    });
    renamed.push(Delivery::new("github", &[("x-github-event", "repository")], body, "08:30:00"));
    renamed
}

fn records(deliveries: &[Delivery]) -> Vec<RawRecord> {
    deliveries.iter().map(|delivery| delivery.record(0)).collect()
}

/// The signals of the repository that was renamed: what they say, and what to do.
fn renamed_signals(tables: &Tables) -> Vec<(String, String)> {
    let signal = |row: &model::fact::Row| match row {
        model::fact::Row::DataQuality(row) if row.signal.as_str() == "renamed_repository" => {
            Some((row.detail.clone(), row.remedy.clone()))
        }
        _ => None,
    };
    tables.rows.values().filter_map(signal).collect()
}

#[test]
fn a_renamed_repository_keeps_its_history_though_the_catalog_knows_only_its_old_name() {
    let told = records(&renamed());
    let old = organisation_toml("").replace("acme/checkout\"", "acme/till\"");
    assert!(old.contains("github.com/acme/till") && !old.contains(CHECKOUT));
    let expected = tables(&told, &old, 1);
    let of = |tables: &Tables| twin::of_engine(tables);
    // As if the repository had always had its new name, in the catalog and for GitHub.
    let always = of(&tables(&records(&deliveries()), &organisation_toml(""), 1));
    assert_eq!(twin::differences(&of(&expected), &always, 20), Vec::<String>::new());

    // Whenever the rename is told, and to however many tasks.
    for seed in 1..=20 {
        for partitions in [1, 3, 12] {
            let found = tables(&shuffled(told.clone(), seed), &old, partitions);
            assert!(found == expected, "seed {seed}, {partitions} partitions");
        }
    }

    let [(detail, remedy)] = <[_; 1]>::try_from(renamed_signals(&expected)).unwrap();
    assert!(detail.contains("github.com/acme/till") && detail.contains(CHECKOUT), "{detail}");
    let lines = [
        "write \"github.com/acme/checkout\" in place of \"github.com/acme/till\"",
        "[[renames]] from = \"github.com/acme/till\", to = \"github.com/acme/checkout\", at = \"2025-12-29T08:30:00Z\"",
    ];
    assert!(lines.iter().all(|line| remedy.contains(line)), "{remedy}");

    // Not told of the rename, the new name is another repository, and its commits are nobody's.
    let untold = of(&tables(&told[..told.len() - 1], &old, 3));
    assert!(!twin::differences(&untold, &always, 20).is_empty());
}

#[test]
fn a_catalog_that_was_brought_up_to_date_says_the_same_as_the_rename_that_was_told() {
    let told = records(&renamed());
    let rename = "[[renames]]\nfrom = \"github.com/acme/till\"\nto = \"github.com/acme/checkout\"\n\
                  at = \"2025-12-29T08:30:00Z\"\n";
    let of = |records: &[RawRecord], toml: &str| tables(records, toml, 3);
    let expected = of(&records(&deliveries()), &organisation_toml(""));
    let same = |found: &Tables| {
        let found = twin::differences(&twin::of_engine(found), &twin::of_engine(&expected), 20);
        assert_eq!(found, Vec::<String>::new());
    };
    // The new name alone: the event says what the old one was.
    let new = of(&told, &organisation_toml(""));
    same(&new);
    assert_eq!(renamed_signals(&new), []);
    // The alias alone, as for a rename that nobody told; and both.
    let untold = &told[..told.len() - 1];
    same(&of(untold, &organisation_toml(rename)));
    same(&of(&told, &organisation_toml(rename)));
    // The old name, with the alias.
    let old = organisation_toml(rename).replace(
        "repositories = [\"github.com/acme/checkout\"]",
        "repositories = [\"github.com/acme/till\"]",
    );
    let found = of(untold, &old);
    same(&found);
    assert_eq!(renamed_signals(&found), [], "no rename was told");
    // Nobody knows of the rename: what was pushed under the old name is another repository's.
    assert_ne!(twin::of_engine(&of(untold, &organisation_toml(""))), twin::of_engine(&expected));
}

/// A delivery was lost; a mirror of the repository tells what it would have told.
#[test]
fn by_webhooks_alone_a_lost_push_is_an_unknown_head_and_with_a_mirror_nothing_differs() {
    let toml = organisation_toml("");
    let lost: Vec<Delivery> =
        deliveries().into_iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, one)| one).collect();
    let unknown = |deliveries: &[Delivery]| {
        let found = signals(deliveries, &toml);
        found
            .into_iter()
            .filter(|(signal, _)| signal == "unknown_head")
            .map(|(_, subject)| subject)
            .collect::<Vec<_>>()
    };
    let of = |deliveries: &[Delivery]| {
        unknown(deliveries).into_iter().filter(|subject| subject.contains("argocd")).count()
    };
    assert_eq!(of(&deliveries()), 0);
    assert_eq!(of(&lost), 1, "{:?}", unknown(&lost));
    let commit = |of: char, parent: char, clock: &str| {
        let seconds = millis(clock) / 1_000;
        let body = json!({"type": "commit", "sha": sha(of), "parents": [sha(parent)], "authored_at": seconds,
            "committed_at": seconds, "author_kind": "human"});
        Delivery::new("git", &[("repo", CHECKOUT)], body, "13:00:00")
    };
    let mirror = [commit('1', '0', "08:00:20"), commit('2', '1', "09:10:19"), commit('3', '2', "09:45:19")];
    let facts = |deliveries: &[Delivery]| {
        let records: Vec<RawRecord> = deliveries.iter().map(|one| one.record(0)).collect();
        let rows = tables(&records, &toml, 3).rows;
        let told = rows.into_iter().filter_map(|(key, row)| match row {
            model::fact::Row::Change(row) => Some((format!("{key:?}"), format!("{:?}", row.lead_time_s))),
            model::fact::Row::Deployment(row) => Some((format!("{key:?}"), format!("{:?}", row.changes))),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    let with = |deliveries: &[Delivery]| deliveries.iter().cloned().chain(mirror.clone()).collect::<Vec<_>>();
    let expected = facts(&deliveries());
    assert_eq!(facts(&with(&lost)), expected, "the mirror heals what was lost");
    assert_eq!(facts(&with(&deliveries())), expected, "by both the same");
    assert_ne!(facts(&lost), expected);
}

/// Whether a vendor's API can tell what a delivery told. GitHub's packages cannot be asked for.
fn can_be_backfilled(record: &RawRecord) -> bool {
    ["github", "gitlab", "jira", "pagerduty"].contains(&record.source.as_str())
}

/// What a mirror of the repository tells.
fn mirror() -> Vec<RawRecord> {
    let commit = |of: char, parents: &[char], clock: &str| {
        let seconds = millis(clock) / 1_000;
        let parents: Vec<String> = parents.iter().map(|parent| sha(*parent)).collect();
        let body = json!({"type": "commit", "sha": sha(of), "parents": parents, "authored_at": seconds,
            "committed_at": seconds, "author_kind": "human", "dirs": ["src/lib.rs"]});
        Delivery::new("git", &[("repo", CHECKOUT)], body, "13:00:00").record(0)
    };
    vec![commit('1', &[], "08:00:20"), commit('2', &['1'], "09:10:19"), commit('3', &['2'], "09:45:19")]
}

#[test]
fn by_backfill_by_both_and_with_a_mirror_the_tables_are_the_same() {
    let toml = organisation_toml("");
    let webhooks: Vec<RawRecord> = deliveries().iter().map(|delivery| delivery.record(0)).collect();
    let others = webhooks.iter().filter(|record| !can_be_backfilled(record)).cloned();
    let backfill: Vec<RawRecord> = others.chain(vendors::backfilled()).collect();
    let both: Vec<RawRecord> = webhooks.iter().cloned().chain(vendors::backfilled()).collect();
    let all: Vec<RawRecord> = both.iter().cloned().chain(mirror()).collect();
    let of = |records: &[RawRecord]| twin::of_engine(&tables(records, &toml, 3));
    let expected = of(&both);
    let differences = |records: &[RawRecord]| twin::differences(&of(records), &expected, 20);
    let none: Vec<String> = Vec::new();
    assert_eq!(differences(&backfill), none, "by backfill (engine) and by both (oracle)");
    assert_eq!(differences(&all), none, "with a mirror (engine) and by both (oracle)");
    for seed in 1..=5 {
        assert_eq!(differences(&shuffled(all.clone(), seed)), none, "seed {seed}");
    }
    // What webhooks alone do not tell is `webhooks_alone`.
    // Half of the webhooks were lost: the backfill heals them.
    for lost in 0..2 {
        let half =
            webhooks.iter().enumerate().filter(|(at, record)| at % 2 == lost || !can_be_backfilled(record));
        let healed: Vec<RawRecord> =
            half.map(|(_, record)| record.clone()).chain(vendors::backfilled()).collect();
        assert_eq!(differences(&healed), none, "half {lost} of the webhooks");
    }
}
