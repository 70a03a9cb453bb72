//! What a generated history promises: determinism, order, and records that every source can read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use catalog::{Catalog, Owner};
use model::event::{DeploymentState, EventBody};
use model::raw::RawRecord;
use model::{Definitions, DeliveryEvent, Span};
use sources::{Outcome, SourceSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use streamgauge_generate::{Options, catalog_toml, generate};

fn small() -> Options {
    Options { services: 20, teams: 4, days: 28, ..Options::default() }
}

static SMALL: LazyLock<Vec<RawRecord>> = LazyLock::new(|| generate(&small()).collect());
static SMALL_EVENTS: LazyLock<Vec<DeliveryEvent>> = LazyLock::new(|| events(SMALL.iter().cloned()));

fn events(records: impl Iterator<Item = RawRecord>) -> Vec<DeliveryEvent> {
    let settings = SourceSettings::default();
    let read = |record| match sources::read(&record, &settings) {
        Outcome::Emit(events) => events,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&record.body)),
    };
    records.flat_map(read).collect()
}

#[test]
fn the_same_options_give_the_same_bytes_and_another_seed_gives_others() {
    assert!(generate(&small()).eq(SMALL.iter().cloned()));
    let other = Options { seed: 2, ..small() };
    let bodies: BTreeSet<&Vec<u8>> = SMALL.iter().map(|record| &record.body).collect();
    let shared = generate(&other).filter(|record| bodies.contains(&record.body)).count();
    assert_eq!(shared, 0);
}

#[test]
fn more_days_only_add_records_at_the_end() {
    let longer = Options { days: 35, ..small() };
    assert!(generate(&longer).zip(SMALL.iter()).all(|(longer, shorter)| longer == *shorter));
    assert!(generate(&longer).count() > SMALL.len());
}

#[test]
fn records_come_in_the_order_in_which_they_were_received_within_the_days_asked_for() {
    let (options, records) = (small(), &*SMALL);
    assert!(records.is_sorted_by_key(|record| record.received_at));
    assert!(records.iter().zip(1..).all(|(record, offset)| record.origin.offset == offset));
    assert!(records.first().unwrap().received_at >= options.start);
    let end = options.start.plus(Span::from_days(28));
    assert!(records.last().unwrap().received_at < end);
}

#[test]
fn every_record_is_read_by_its_source_and_none_is_dropped_or_rejected() {
    let found = &*SMALL_EVENTS;
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for event in found {
        *types.entry(event.body.type_name()).or_default() += 1;
        assert!(event.observed_at >= event.occurred_at, "{event:?}");
    }
    let told: Vec<&str> = types.keys().copied().collect();
    let expected = [
        "artifact",
        "commit",
        "correction",
        "deployment",
        "flag_change",
        "incident",
        "pipeline_run",
        "pull_request",
        "push",
        "review",
    ];
    assert_eq!(told, expected, "{types:?}");
}

#[test]
fn some_events_arrive_before_earlier_ones_and_some_twice() {
    let found = &*SMALL_EVENTS;
    let overtaken = found
        .windows(2)
        .filter(|pair| pair[1].occurred_at < pair[0].occurred_at.minus(Span::from_minutes(1)));
    assert!(overtaken.count() > 100);
    let ids: BTreeSet<_> = found.iter().map(|event| (&event.source, &event.id)).collect();
    let twice = found.len() - ids.len();
    assert!(twice > 20 && twice < found.len() / 50, "{twice} of {}", found.len());
}

#[test]
fn a_service_has_about_one_production_deployment_and_three_commits_a_day() {
    let options = Options { services: 30, teams: 8, days: 42, ..Options::default() };
    let found = events(generate(&options));
    let mut deployed = BTreeSet::new();
    let mut commits = BTreeSet::new();
    for event in &found {
        match &event.body {
            EventBody::Deployment(deployment)
                if deployment.state == DeploymentState::Succeeded
                    && deployment.environment.as_str() == "production" =>
            {
                deployed.insert(deployment.deployment_id.clone());
            }
            EventBody::Commit(commit) => {
                commits.insert(commit.sha.clone());
            }
            _ => {}
        }
    }
    let service_days = 30 * 42;
    let tenths = |count: usize| count * 10 / service_days;
    assert!((8..=12).contains(&tenths(deployed.len())), "{} deployments", deployed.len());
    assert!((25..=45).contains(&tenths(commits.len())), "{} commits", commits.len());
}

#[test]
fn the_default_branch_is_one_chain_and_only_its_commits_are_deployed() {
    let found = &*SMALL_EVENTS;
    let mut pushes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for event in found {
        if let EventBody::Push(push) = &event.body
            && push.default_branch == Some(true)
        {
            pushes.entry(event.repo.clone().unwrap()).or_default().insert(push.before.clone(), push);
        }
    }
    let mut on_main: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (repo, pushes) in &pushes {
        let mut head = None;
        let mut seen = 0;
        while let Some(push) = pushes.get(&head) {
            assert_eq!(push.commits.last(), Some(&push.after));
            on_main.entry(repo.clone()).or_default().extend(push.commits.iter().cloned());
            head = Some(push.after.clone());
            seen += 1;
        }
        // A push that is late at the end of the history leaves a gap, and what comes after it.
        assert!(seen + 3 >= pushes.len(), "{repo}: {seen} of {} pushes form a chain", pushes.len());
    }
    let mut deployed = 0;
    for event in found {
        let EventBody::Deployment(deployment) = &event.body else { continue };
        let (Some(repo), Some(sha)) = (&event.repo, &deployment.sha) else { continue };
        deployed += 1;
        assert!(on_main[repo].contains(sha), "{repo}: {sha} is deployed and not on the default branch");
    }
    assert!(deployed > 500, "{deployed}");
}

#[test]
fn a_record_weighs_about_a_kilobyte() {
    let mean = SMALL.iter().map(|record| record.body.len()).sum::<usize>() / SMALL.len();
    assert!((900..=2_200).contains(&mean), "{mean} bytes");
}

#[test]
fn an_organisation_without_services_or_days_tells_nothing() {
    assert_eq!(generate(&Options { services: 0, ..Options::default() }).count(), 0);
    assert_eq!(generate(&Options { days: 0, ..Options::default() }).count(), 0);
    assert!(generate(&Options { services: 1, teams: 0, days: 3, ..Options::default() }).count() > 0);
}

#[test]
fn the_catalog_that_goes_with_the_events_knows_the_owner_of_every_one() {
    let catalog =
        Catalog::from_toml("generated.toml", &catalog_toml(&small()), &Definitions::default()).unwrap();
    assert_eq!((catalog.services().len(), catalog.teams().len()), (20, 4));
    for event in &*SMALL_EVENTS {
        let at = event.occurred_at;
        let services = match catalog.owner(event.repo.as_ref(), event.service.as_ref(), at) {
            Owner::Service(service) => vec![service],
            // What happens in a repository is of all its services; what is rolled out or hurts is of one.
            Owner::Ambiguous { services, .. }
                if !matches!(event.body, EventBody::Deployment(_) | EventBody::Incident(_)) =>
            {
                services
            }
            other => panic!("{other:?}: {event:?}"),
        };
        for service in services {
            let config = catalog.service(&service);
            assert!(config.known && config.incident_sources, "{service}: {event:?}");
            if let EventBody::Deployment(_) = event.body {
                assert!(config.deployments_from.as_ref().unwrap().contains(&event.source), "{event:?}");
            }
            assert!(catalog.team(&service, at).is_some());
        }
    }
}
