//! An organisation that does the same every day: for measurements of what a service and day costs.

use crate::github::{Account, Commit, Deployment, Webhook};
use crate::organisation::Organisation;
use crate::random::Random;
use crate::{Options, numbered};
use model::raw::{Origin, RawRecord};
use model::{Span, Text, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// Commits that a push brings.
const COMMITS: i64 = 3;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// Over so much of the day the services spread.
const SPREAD_S: u64 = 9 * 3_600;

/// A service in its repository.
struct Service {
    webhook: Webhook,
    path: String,
    /// When its day begins, within the day.
    offset: Span,
    random: Random,
    head: String,
    count: u64,
}

/// The records of an organisation in which every service, on every day, is pushed three commits and deployed once to
/// production, by GitHub: a `push`, a `deployment`, and its `deployment_status`. In the order of `received_at`; each
/// day is made when it is asked for. [`crate::steady_catalog_toml`] says who owns what.
pub fn steady(options: &Options) -> impl Iterator<Item = RawRecord> + Send + use<> {
    let organisation = Arc::new(Organisation::steady(options));
    let mut services: Vec<Service> = organisation
        .repositories
        .iter()
        .zip(1..)
        .map(|(repository, number)| Service::new(&repository.name, number, options.seed))
        .collect();
    let start = options.start;
    let days = (0..options.days).map(move |day| start.plus(Span::from_days(i64::from(day))));
    numbered(days.flat_map(move |day| {
        let mut records: Vec<RawRecord> = services.iter_mut().flat_map(|service| service.day(day)).collect();
        records.sort_by_key(|record| record.received_at);
        records
    }))
}

impl Service {
    fn new(repository: &str, number: u64, seed: u64) -> Self {
        let mut random = Random::new(seed, number);
        let offset = i64::try_from(random.below(SPREAD_S)).unwrap_or(0);
        Self {
            webhook: Webhook { id: 500_000 + number, name: repository.to_owned() },
            path: "src/lib.rs".to_owned(),
            offset: Span::from_seconds(8 * HOUR + offset),
            // The repository is older than what is told: its first push is no new branch.
            head: random.hex(40),
            random,
            count: number * 1_000_000_000,
        }
    }

    fn id(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn day(&mut self, day: Timestamp) -> [RawRecord; 3] {
        let pushed_at = day.plus(self.offset);
        let after = |seconds| pushed_at.plus(Span::from_seconds(seconds));
        let by = Account::Person(self.random.below(200));
        let commits: Vec<Commit> = (0..COMMITS)
            .map(|nth| Commit {
                sha: self.random.hex(40),
                at: pushed_at.minus(Span::from_seconds((COMMITS - nth) * 20 * MINUTE)),
                message: format!("Step {}", nth + 1),
                author: by,
                paths: vec![self.path.clone()],
            })
            .collect();
        let push = self.webhook.push("main", &self.head, &commits, pushed_at, by);
        if let Some(last) = commits.into_iter().next_back() {
            self.head = last.sha;
        }
        let (id, run_id, status) = (self.id(), self.id(), self.id());
        let (created_at, finished_at) = (after(10 * MINUTE), after(15 * MINUTE));
        let deployment = Deployment {
            id,
            sha: &self.head,
            reference: "main",
            environment: "production",
            created_at,
            run_id,
            event: "push",
            actor: by,
        };
        let created = self.webhook.deployment(&deployment);
        let finished = self.webhook.deployment_status(&deployment, status, "success", finished_at);
        [
            self.record("push", &push, pushed_at),
            self.record("deployment", &created, created_at),
            self.record("deployment_status", &finished, finished_at),
        ]
    }

    fn record(&mut self, event: &str, body: &Value, at: Timestamp) -> RawRecord {
        let header = |name: &str, value: String| (Text::new(name), value);
        RawRecord {
            source: Text::new("github"),
            headers: vec![
                header("content-type", "application/json".to_owned()),
                header("x-github-event", event.to_owned()),
                header("x-github-delivery", self.random.uuid()),
            ],
            body: body.to_string().into_bytes(),
            received_at: at.plus(Span::from_seconds(1)),
            origin: Origin::default(),
        }
    }
}
