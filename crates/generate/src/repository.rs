//! A repository as it lives: pull requests are opened, checked, reviewed, merged; what is merged is rolled out.
//!
//! Time moves by a queue of actions. What an action tells goes out at once, with the times at which it will
//! have happened; only what depends on the state of the repository then becomes an action of its own.

use crate::github::{Account, Closed, Commit, Pull, Run, Webhook, ZERO};
use crate::organisation::{Organisation, Repository, Service};
use crate::random::Random;
use crate::rollout::{Environment, Remedy, Rollout, Version};
use model::raw::{Origin, RawRecord};
use model::{Span, Text, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pull requests that a service gets on a working day, in thousandths.
const PULLS_PER_WORKDAY: u64 = 1_750;
/// Of a thousand pull requests, those that are rolled out by themselves; the others go with a later one.
const ROLLED_OUT_AT_ONCE: u64 = 800;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Why a pull request is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Work.
    Feature,
    /// A repair of what was just rolled out.
    Hotfix,
    /// A revert of this commit.
    Revert(String),
}

/// What waits for its time.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// A pull request is opened.
    Open(usize, Purpose),
    /// A pull request is merged, or closed without a merge.
    Merge(Box<Merge>),
    /// A version is rolled out.
    Deploy(Box<Rollout>),
}

/// A pull request that is ready.
#[derive(Debug, Clone)]
pub(crate) struct Merge {
    slot: usize,
    purpose: Purpose,
    pull: Pull,
    commits: Vec<Commit>,
}

/// A service as it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    /// What ran in production, the present version last; the latest few.
    pub(crate) versions: Vec<Version>,
    /// The furthest position on the default branch that production has seen.
    pub(crate) position: u64,
    pub(crate) releases: u64,
    flags: u64,
}

/// A repository's life.
#[derive(Debug, Clone)]
pub(crate) struct Simulation {
    organisation: Arc<Organisation>,
    repository: Repository,
    pub(crate) webhook: Webhook,
    pub(crate) random: Random,
    pub(crate) services: Vec<Running>,
    head: String,
    position: u64,
    pulls: u64,
    runs: u64,
    count: u64,
    queue: BTreeMap<(Timestamp, u64), Action>,
    told: BTreeMap<(Timestamp, u64), RawRecord>,
}

impl Simulation {
    /// The repository of that number, before its first day.
    pub(crate) fn new(
        organisation: &Arc<Organisation>,
        number: usize,
        repository: &Repository,
        seed: u64,
    ) -> Self {
        let number = number as u64 + 1;
        Self {
            organisation: Arc::clone(organisation),
            webhook: Webhook { id: 500_000 + number, name: repository.name.clone() },
            random: Random::new(seed, number),
            services: vec![Running::default(); repository.services.len()],
            repository: repository.clone(),
            head: ZERO.to_owned(),
            position: 0,
            pulls: 0,
            runs: 0,
            count: number * 1_000_000_000,
            queue: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Lives through the day that starts at `start`, and hands over what was received before its end, in order.
    pub(crate) fn day(&mut self, start: Timestamp) -> Vec<RawRecord> {
        let end = start.plus(Span::from_seconds(DAY));
        if self.position == 0 {
            self.begin(start);
        }
        for slot in 0..self.repository.services.len() {
            self.plan(slot, start);
        }
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 < end) {
            let ((at, _), action) = entry.remove_entry();
            match action {
                Action::Open(slot, purpose) => self.open(at, slot, purpose),
                Action::Merge(merge) => self.merge(at, *merge),
                Action::Deploy(rollout) => self.deploy(at, *rollout),
            }
        }
        let later = self.told.split_off(&(end, 0));
        std::mem::replace(&mut self.told, later).into_values().collect()
    }

    /// The service of a slot of this repository.
    pub(crate) fn service(&self, slot: usize) -> Option<&Service> {
        self.repository.services.get(slot).and_then(|at| self.organisation.services.get(*at))
    }

    /// The next number of this repository: its ids never meet another's.
    pub(crate) fn id(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Puts an action into the queue.
    pub(crate) fn schedule(&mut self, at: Timestamp, action: Action) {
        let id = self.id();
        self.queue.insert((at, id), action);
    }

    /// When a record of something that happens now will have reached us: within seconds, at times much later.
    pub(crate) fn arrival(&mut self, at: Timestamp) -> Timestamp {
        let millis = self.random.seconds(400, 4_000);
        let late = if self.random.chance(30) { self.random.wait(60, 1_200) } else { 0 };
        Timestamp::from_micros(at.micros() + 1_000 * (millis + 1_000 * late))
    }

    /// Tells a record, received at that time.
    pub(crate) fn tell(
        &mut self,
        source: &str,
        headers: &[(&str, &str)],
        body: &Value,
        received_at: Timestamp,
    ) {
        let mut all = vec![(Text::new("content-type"), "application/json".to_owned())];
        all.extend(headers.iter().map(|(name, value)| (Text::new(name), (*value).to_owned())));
        let record = RawRecord {
            source: Text::new(source),
            headers: all,
            body: body.to_string().into_bytes(),
            received_at,
            origin: Origin::default(),
        };
        let id = self.id();
        self.told.insert((received_at, id), record);
    }

    /// Tells a GitHub delivery; one in two hundred is delivered again.
    pub(crate) fn deliver(&mut self, event: &str, body: &Value, at: Timestamp) {
        let delivery = self.random.uuid();
        let headers = [("x-github-event", event), ("x-github-delivery", delivery.as_str())];
        let received_at = self.arrival(at);
        self.tell("github", &headers, body, received_at);
        if self.random.chance(5) {
            let again = received_at.plus(Span::from_seconds(self.random.wait(30, HOUR)));
            self.tell("github", &headers, body, again);
        }
    }

    /// Somebody of the team that owns a service.
    pub(crate) fn somebody(&mut self, slot: usize) -> Account {
        let team = self.service(slot).map(|service| service.team).unwrap_or_default();
        let people = self.organisation.teams.get(team).map_or(1, |team| team.people);
        Account::Person(team as u64 * 100 + self.random.below(people))
    }

    /// The first commit of all.
    fn begin(&mut self, at: Timestamp) {
        let at = at.plus(Span::from_seconds(60));
        let author = self.somebody(0);
        let commit = Commit {
            sha: self.random.hex(40),
            at: at.minus(Span::from_seconds(20)),
            message: "Initial commit".to_owned(),
            author,
            paths: vec!["README.md".to_owned()],
        };
        self.advance(vec![commit], at, author);
    }

    /// Moves the default branch.
    fn advance(&mut self, commits: Vec<Commit>, at: Timestamp, by: Account) {
        let body = self.webhook.push("main", &self.head, &commits, at, by);
        if let Some(last) = commits.into_iter().next_back() {
            self.head = last.sha;
            self.position += 1;
        }
        self.deliver("push", &body, at);
    }

    /// Plans a service's day: many pull requests on some days, hardly any on a weekend.
    fn plan(&mut self, slot: usize, start: Timestamp) {
        // 1970-01-01 was a Thursday.
        let weekend = (start.seconds().div_euclid(DAY) + 3).rem_euclid(7) >= 5;
        let pace = match (weekend, self.random.below(100)) {
            (true, _) => PULLS_PER_WORKDAY / 8,
            (false, 0..6) => PULLS_PER_WORKDAY * 3,
            (false, 6..12) => PULLS_PER_WORKDAY / 5,
            (false, _) => PULLS_PER_WORKDAY,
        };
        let halves = (pace / 2 / 1_000, pace / 2 % 1_000);
        let pulls =
            2 * halves.0 + u64::from(self.random.chance(halves.1)) + u64::from(self.random.chance(halves.1));
        let team = self.service(slot).map(|service| service.team).unwrap_or_default();
        let offset = self.organisation.teams.get(team).map_or(0, |team| team.offset_hours);
        for _ in 0..pulls {
            let at = start
                .plus(Span::from_seconds(self.random.seconds((8 - offset) * HOUR, (18 - offset) * HOUR)));
            self.schedule(at, Action::Open(slot, Purpose::Feature));
        }
        if self.random.chance(15) {
            let at = start.plus(Span::from_seconds(self.random.seconds(0, DAY - 1)));
            let end = at.plus(Span::from_seconds(self.random.wait(600, 8 * HOUR)));
            self.incident(slot, at, end, None);
        }
        if self.random.chance(50) {
            self.switch_flag(slot, start);
        }
    }

    fn switch_flag(&mut self, slot: usize, start: Timestamp) {
        let at = start.plus(Span::from_seconds(self.random.seconds(7 * HOUR, 20 * HOUR)));
        let seen = self.arrival(at);
        let id = format!("flag-{}", self.id());
        let Some(running) = self.services.get_mut(slot) else { return };
        running.flags += 1;
        let (number, on) = (running.flags.div_ceil(2), running.flags % 2 == 1);
        let Some(service) = self.service(slot) else { return };
        let body = crate::canonical::flag_change(&id, service, number, on, at, seen);
        self.tell("canonical", &[], &body, seen);
    }

    /// Pushes a branch, opens a pull request, and tells its way to the merge.
    fn open(&mut self, pushed_at: Timestamp, slot: usize, purpose: Purpose) {
        let at = pushed_at.plus(Span::from_seconds(self.random.seconds(15, 90)));
        self.pulls += 1;
        let number = self.pulls;
        let urgent = purpose != Purpose::Feature;
        let bot = !urgent && self.random.chance(80);
        let author = if bot { Account::Renovate } else { self.somebody(slot) };
        let (title, branch) = match &purpose {
            Purpose::Hotfix => {
                (format!("Mend what the last rollout broke, part {number}"), format!("hotfix/{number}"))
            }
            Purpose::Revert(_) => (format!("Revert \"Change {number}\""), format!("revert-{number}")),
            Purpose::Feature if bot => {
                (format!("Update dependency {number}"), format!("renovate/dependency-{number}"))
            }
            Purpose::Feature => {
                let what =
                    self.random.one_of(&["Add", "Speed up", "Simplify", "Extend", "Rename", "Document"]);
                let thing =
                    self.random.one_of(&["the cache", "retries", "the API", "validation", "the form"]);
                (format!("{what} {thing} ({number})"), format!("feature/{number}"))
            }
        };
        let mut commits = self.commits(pushed_at, slot, &purpose, author, &title);
        let Some(head) = commits.last().map(|commit| commit.sha.clone()) else { return };
        let push = self.webhook.push(&branch, ZERO, &commits, pushed_at, author);
        self.deliver("push", &push, pushed_at);
        let labels = if purpose == Purpose::Hotfix { vec!["hotfix"] } else { Vec::new() };
        let base = self.head.clone();
        let count = commits.len();
        let mut pull =
            Pull { number, title, author, branch, head, base, opened_at: at, labels, commits: count };
        let opened = self.webhook.pull_request("opened", &pull, None, at, author);
        self.deliver("pull_request", &opened, at);
        let checked = self.check(&pull.head, &pull.branch, "pull_request", at, author);
        let approved = self.review(at, slot, urgent, &mut pull, &mut commits);
        let idle = if urgent { self.random.wait(30, 600) } else { self.random.wait(120, 6 * HOUR) };
        let at = approved.max(checked).plus(Span::from_seconds(idle));
        self.schedule(at, Action::Merge(Box::new(Merge { slot, purpose, pull, commits })));
    }

    /// The commits of a new pull request, the last of them just before it is opened.
    fn commits(
        &mut self,
        at: Timestamp,
        slot: usize,
        purpose: &Purpose,
        by: Account,
        title: &str,
    ) -> Vec<Commit> {
        let feature = *purpose == Purpose::Feature;
        let count: i64 =
            if feature && by != Account::Renovate { self.random.one_of(&[1, 1, 2, 3]) } else { 1 };
        let work = if feature { self.random.wait(900, 40 * HOUR) } else { self.random.wait(120, 1_200) };
        (0..count)
            .map(|nth| {
                let before = work - work * nth / count;
                let message = match purpose {
                    Purpose::Revert(sha) => format!("{title}\n\nThis reverts commit {sha}."),
                    _ if count == 1 => title.to_owned(),
                    _ => format!("{title}, step {}", nth + 1),
                };
                self.commit(at.minus(Span::from_seconds(before)), slot, message, by)
            })
            .collect()
    }

    fn commit(&mut self, at: Timestamp, slot: usize, message: String, author: Account) -> Commit {
        let folder =
            self.service(slot).and_then(|service| service.path.as_ref().map(|path| format!("{path}/")));
        let folder = folder.unwrap_or_default();
        let mut paths = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let file =
                self.random.one_of(&["api", "cache", "client", "handler", "model", "retry", "store", "view"]);
            paths.push(format!("{folder}src/{file}.rs"));
        }
        paths.sort_unstable();
        paths.dedup();
        Commit { sha: self.random.hex(40), at, message, author, paths }
    }

    /// Tells the reviews, and the commit that one of them asked for. Returns when the pull request was approved.
    fn review(
        &mut self,
        opened_at: Timestamp,
        slot: usize,
        urgent: bool,
        pull: &mut Pull,
        commits: &mut Vec<Commit>,
    ) -> Timestamp {
        let pickup = if urgent { self.random.wait(60, 900) } else { self.random.wait(300, 20 * HOUR) };
        let mut at = opened_at.plus(Span::from_seconds(pickup));
        if !urgent && self.random.chance(250) {
            let state = if self.random.chance(600) { "changes_requested" } else { "commented" };
            self.tell_review(state, pull, slot, at);
            at = at.plus(Span::from_seconds(self.random.wait(600, 8 * HOUR)));
            let author = pull.author;
            let commit =
                self.commit(at.minus(Span::from_seconds(60)), slot, "Follow the review".to_owned(), author);
            let push = self.webhook.push(&pull.branch, &pull.head, std::slice::from_ref(&commit), at, author);
            self.deliver("push", &push, at);
            pull.head.clone_from(&commit.sha);
            pull.commits += 1;
            commits.push(commit);
            let body = self.webhook.pull_request("synchronize", pull, None, at, author);
            self.deliver("pull_request", &body, at);
            self.check(&pull.head, &pull.branch, "pull_request", at, author);
            at = at.plus(Span::from_seconds(self.random.wait(300, 4 * HOUR)));
        }
        self.tell_review("approved", pull, slot, at);
        at
    }

    fn tell_review(&mut self, state: &str, pull: &Pull, slot: usize, at: Timestamp) {
        let (id, by) = (self.id(), self.somebody(slot));
        let body = self.webhook.review(id, pull, state, at, by);
        self.deliver("pull_request_review", &body, at);
    }

    /// Tells a workflow's runs on a commit; a failed one is run again. Returns when the last one ended.
    fn check(
        &mut self,
        sha: &str,
        branch: &str,
        event: &'static str,
        at: Timestamp,
        actor: Account,
    ) -> Timestamp {
        let (id, created_at) = (self.id(), at.plus(Span::from_seconds(2)));
        self.runs += 1;
        let mut run = Run {
            id,
            attempt: 1,
            number: self.runs,
            workflow: "ci",
            event,
            sha,
            branch,
            created_at,
            started_at: created_at,
            actor,
        };
        loop {
            let requested = self.webhook.workflow_run(&run, None, run.started_at);
            self.deliver("workflow_run", &requested, run.started_at);
            let ended = run.started_at.plus(Span::from_seconds(self.random.wait(180, 2_400)));
            let passed = run.attempt == 3 || !self.random.chance(80);
            let conclusion = if passed { "success" } else { "failure" };
            let completed = self.webhook.workflow_run(&run, Some(conclusion), ended);
            self.deliver("workflow_run", &completed, ended);
            if passed {
                return ended;
            }
            run.attempt += 1;
            run.started_at = ended.plus(Span::from_seconds(self.random.wait(120, HOUR)));
        }
    }

    /// Merges a pull request and has the result checked and rolled out; a few are closed instead.
    fn merge(&mut self, at: Timestamp, merge: Merge) {
        let Merge { slot, purpose, pull, commits } = merge;
        let by = if pull.author == Account::Renovate { self.somebody(slot) } else { pull.author };
        if purpose == Purpose::Feature && self.random.chance(40) {
            let body =
                self.webhook.pull_request("closed", &pull, Some(Closed { at, merge_sha: None }), at, by);
            return self.deliver("pull_request", &body, at);
        }
        let commits = self.merged(at, slot, &purpose, &pull, commits, by);
        self.advance(commits, at, by);
        let (sha, position) = (self.head.clone(), self.position);
        let closed =
            self.webhook.pull_request("closed", &pull, Some(Closed { at, merge_sha: Some(&sha) }), at, by);
        self.deliver("pull_request", &closed, at);
        let checked = self.check(&sha, "main", "push", at, by);
        if purpose != Purpose::Feature || self.random.chance(ROLLED_OUT_AT_ONCE) {
            let reference = if purpose == Purpose::Hotfix { pull.branch } else { "main".to_owned() };
            let version = self.version(slot, &sha, position, checked);
            let rollout = Rollout {
                slot,
                version,
                environment: Environment::Staging,
                reference,
                remedy: (purpose == Purpose::Hotfix).then_some(Remedy::Hotfix),
                attempt: 1,
                by,
            };
            let at = checked.plus(Span::from_seconds(self.random.seconds(20, 90)));
            self.schedule(at, Action::Deploy(Box::new(rollout)));
        }
    }

    /// What a merge brings to the default branch, oldest first.
    fn merged(
        &mut self,
        at: Timestamp,
        slot: usize,
        purpose: &Purpose,
        pull: &Pull,
        mut commits: Vec<Commit>,
        by: Account,
    ) -> Vec<Commit> {
        if self.repository.squashes {
            let mut message = format!("{} (#{})", pull.title, pull.number);
            if let Purpose::Revert(sha) = purpose {
                message.push_str(&format!("\n\nThis reverts commit {sha}."));
            }
            let squashed = self.commit(at, slot, message, pull.author);
            return vec![squashed];
        }
        let message =
            format!("Merge pull request #{} from acme/{}\n\n{}", pull.number, pull.branch, pull.title);
        let mut merge = self.commit(at, slot, message, by);
        merge.paths.clear();
        commits.push(merge);
        commits
    }
}
