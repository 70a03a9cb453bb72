//! What can be typed. Every command has one example in its help.

use crate::discover::CodeOwnersFile;
use crate::import::flags::FlagFile;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

/// DORA metrics from delivery events, as they happen.
#[derive(Debug, Parser)]
#[command(
    name = "streamgauge",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Example:\n  streamgauge import git . && streamgauge report\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong use or input, 3 the answer is no."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Configuration file (TOML); without one a data folder keeps what it was made with, at first the defaults
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Catalog of services, teams and aliases (TOML)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub catalog: Option<PathBuf>,
    /// Folder that holds everything the embedded commands keep [default: streamgauge-data]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// How results are written: table, json, csv or markdown (for `sql`: any of ClickHouse's formats)
    #[arg(long, global = true, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Log more (twice: debug; three times: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log errors only, and show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import two real histories (Argo CD and Vector) and print their DORA metrics
    #[command(after_help = "Example:\n  streamgauge demo --once")]
    Demo {
        /// Print and end, instead of keeping the SQL endpoint open until Ctrl-C
        #[arg(long)]
        once: bool,
    },
    /// Import history: a git repository, or a file of events
    #[command(subcommand)]
    Import(Import),
    /// Ask a vendor's API for history, as raw records in the shape of its webhooks; the same command again goes on
    #[command(
        after_help = "Example:\n  GITHUB_TOKEN=… streamgauge backfill github --since 180d --only acme/checkout\n\n\
                      Exit code 1 when something was refused; the rest was told."
    )]
    Backfill(Backfill),
    /// Show what a source makes of one payload: canonical events as JSON lines
    #[command(
        after_help = "Example:\n  streamgauge normalize --source github --header 'X-GitHub-Event: push' push.json"
    )]
    Normalize(Normalize),
    /// Show the metrics of a scope, with sample sizes and bands
    #[command(after_help = "Example:\n  streamgauge report --scope service:argo-cd --window 90d")]
    Report(Report),
    /// Show what counted for a number, what did not, and by which rule
    #[command(after_help = "Example:\n  streamgauge explain deployment tag:v2.9.0\n  \
                      streamgauge explain --scope service:vector --metric change_fail_rate --as-of 2024-03-01")]
    Explain(Explain),
    /// Ask ClickHouse, in SQL
    #[command(
        after_help = "Example:\n  streamgauge sql 'SELECT service, count() FROM deployments GROUP BY service' --format JSONEachRow"
    )]
    Sql {
        /// The query, or `-` to read it from stdin
        query: String,
    },
    /// Check, apply or show who owns what
    #[command(subcommand)]
    Catalog(Catalog),
    /// Propose what the catalog could say and does not yet, as a diff to accept
    #[command(
        after_help = "Example:\n  streamgauge discover --catalog catalog.toml --backstage . | git apply\n\n\
                      Lines that begin with `# decide:` are for a person: nothing is guessed. Without --catalog it adds to \
                      the catalog that counts."
    )]
    Discover(Discover),
    /// Correct what a vendor says of a deployment or an incident; can be undone
    #[command(
        after_help = "Example:\n  streamgauge correct deployment tag:v2.9.0 --failed false --reason 'the rollback was a drill'"
    )]
    Correct(Correct),
    /// Write a deterministic organisation's raw vendor events as NDJSON
    #[command(
        after_help = "Example:\n  streamgauge generate --services 50 --days 90 | streamgauge import events -"
    )]
    Generate(Generate),
    /// Run the pipeline until Ctrl-C or SIGTERM: on Kafka where brokers are configured, else embedded and durable
    #[command(after_help = "Example:\n  tail -F events.ndjson | streamgauge run\n  \
                      streamgauge run --config streamgauge.toml --stage ingest --stage correlate")]
    Run(Run),
    /// Take webhooks and CloudEvents until Ctrl-C or SIGTERM: on Kafka in front of its topics, else with the embedded pipeline
    #[command(
        after_help = "Example:\n  GITHUB_SECRET=… STREAMGAUGE__GATEWAY__HOOKS__GITHUB__SECRET_ENV=GITHUB_SECRET streamgauge serve\n\n\
                      A vendor posts to /v1/hooks/NAME, CloudEvents go to /v1/events; 202 means that it is stored."
    )]
    Serve,
    /// Fetch the repositories that the configuration names, and tell their new commits, until Ctrl-C or SIGTERM
    #[command(after_help = "Example:\n  streamgauge mirror --config streamgauge.toml --once\n\n\
                      `serve` and the embedded `run` do the same beside everything else.")]
    Mirror(Mirror),
    /// Make the topics that Kafka needs, or show how they stand
    #[command(after_help = "Examples:\n  streamgauge topics --config streamgauge.toml --dry-run\n  \
                      streamgauge topics --config streamgauge.toml --acls dora --stage load")]
    Topics(TopicsCommand),
    /// Compute another generation from the raw records, beside the one that is read; list, promote or drop generations
    #[command(
        after_help = "Examples:\n  streamgauge replay --config next.toml --once && streamgauge compare --config next.toml\n  \
                      streamgauge replay promote --config next.toml\n  streamgauge replay drop 1 --config next.toml\n\n\
                      next.toml is the configuration with what shall change, and `generation` raised by one."
    )]
    Replay(Replay),
    /// Show the windows that two generations do not agree on, and why
    #[command(after_help = "Example:\n  streamgauge compare --config next.toml --scope service:checkout\n\n\
                      Exit code 3 when any differs.")]
    Compare(Compare),
    /// List, show or replay rejected records
    #[command(subcommand)]
    Dlq(Dlq),
    /// Try everything that the configuration names, and say what is wrong and how to mend it
    #[command(after_help = "Example:\n  streamgauge check --config streamgauge.toml\n\n\
                      Exit code 1 when something does not work.")]
    Check(Check),
    /// Make the tables of ClickHouse or bring them up to date, or print the SQL for it
    #[command(after_help = "Example:\n  streamgauge migrate --config streamgauge.toml --dry-run")]
    Migrate(Migrate),
    /// Write the completion script of a shell
    #[command(
        after_help = "Example:\n  streamgauge completions bash > ~/.local/share/bash-completion/completions/streamgauge"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page (roff), or all pages into a folder
    #[command(after_help = "Example:\n  streamgauge man | man -l -")]
    Man {
        /// Write one page per command into this folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        out: Option<PathBuf>,
    },
}

/// Where history comes from.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// A git repository's history: commits, and tags as deployments
    #[command(after_help = "Example:\n  streamgauge import git ~/src/checkout --tags 'v*'")]
    Git(ImportGit),
    /// Events as NDJSON: canonical events, or raw records with `source`, `headers`, `body`, `received_at`
    #[command(after_help = "Example:\n  streamgauge import events deliveries.ndjson.gz")]
    Events {
        /// Files (.gz and .zst too), or `-` for stdin
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
}

/// `import git`.
#[derive(Debug, Args)]
pub struct ImportGit {
    /// Local clones
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub paths: Vec<PathBuf>,
    /// Which tags are deployments [default: all]
    #[arg(long, value_name = "GLOB")]
    pub tags: Option<String>,
    /// Read the paths that each commit touches, even where the catalog has no paths for the repository
    #[arg(long = "paths")]
    pub with_paths: bool,
    /// The repository's name, as in github.com/acme/checkout [default: from the remote `origin`]
    #[arg(long, value_name = "NAME")]
    pub repo: Option<String>,
    /// A file of flags (flagd's) whose history is read, with its environment [default: production]; may be repeated
    #[arg(long, value_name = "FILE=ENVIRONMENT")]
    pub flags: Vec<FlagFile>,
}

/// `backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// Whose history: github, gitlab, jira or pagerduty
    pub vendor: String,
    /// How far back, as in 180d
    #[arg(long, value_name = "SPAN")]
    pub since: String,
    /// Where the API answers, of a self-hosted service or of an organisation [default: the vendor's own address]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// The file that holds the token [default: the variable GITHUB_TOKEN and the like]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// A repository (GitHub: or a hook, acme/shop/hooks/7), project or service; may be repeated [default: the catalog's, or all]
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Begin anew, whatever was asked for before
    #[arg(long)]
    pub again: bool,
}

/// `normalize`.
#[derive(Debug, Args)]
pub struct Normalize {
    /// The source that reads it: github, pagerduty, alertmanager, cdevents, git, canonical
    #[arg(long)]
    pub source: String,
    /// A header, as in 'X-GitHub-Event: push'; may be given again
    #[arg(long = "header", value_name = "K: V")]
    pub headers: Vec<String>,
    /// The input holds one payload per line
    #[arg(long)]
    pub ndjson: bool,
    /// When it was received (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub received_at: Option<String>,
    /// The payload's file, or `-` for stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// What the metrics are about, as in service:checkout, team:payments, org:acme; may be given again
    /// [default: every service]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// The rolling window: 24h, 7d, 30d or 90d
    #[arg(long, default_value = "30d")]
    pub window: String,
    /// The day (its end counts) or the time of the window's end [default: the last day with data]
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<String>,
}

/// What `explain` explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A deployment.
    Deployment,
    /// A commit.
    Commit,
    /// An incident.
    Incident,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// What is explained
    #[arg(requires = "id", required_unless_present = "scope")]
    pub subject: Option<Subject>,
    /// Its id
    pub id: Option<String>,
    /// Explain a metric of this scope
    #[arg(long, requires = "metric", conflicts_with = "subject")]
    pub scope: Option<String>,
    /// The metric
    #[arg(long, requires = "scope")]
    pub metric: Option<String>,
    /// The rolling window: 24h, 7d, 30d or 90d
    #[arg(long, default_value = "30d")]
    pub window: String,
    /// The end of the window [default: the last day with data]
    #[arg(long, value_name = "TIME", requires = "scope")]
    pub as_of: Option<String>,
}

/// `catalog`.
#[derive(Debug, Subcommand)]
pub enum Catalog {
    /// Name every mistake in a catalog, with file, line and remedy
    #[command(after_help = "Example:\n  streamgauge catalog lint catalog.toml")]
    Lint {
        /// The catalog's file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Make a catalog the one that counts; facts and windows follow
    #[command(after_help = "Example:\n  streamgauge catalog apply catalog.toml")]
    Apply {
        /// The catalog's file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show services with their owners, repositories and tags
    #[command(after_help = "Example:\n  streamgauge catalog show --format json")]
    Show,
}

/// `discover`.
#[derive(Debug, Args)]
pub struct Discover {
    /// A file of Backstage, or a folder with catalog-info.yaml files below it; may be given again
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub backstage: Vec<PathBuf>,
    /// A CODEOWNERS file and its repository, as in github.com/acme/shop=shop/CODEOWNERS; may be given again
    #[arg(long, value_name = "REPO=FILE")]
    pub codeowners: Vec<CodeOwnersFile>,
    /// Write the catalog's file too
    #[arg(long)]
    pub write: bool,
}

/// What a correction corrects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// A deployment.
    Deployment,
    /// An incident.
    Incident,
}

/// `correct`.
#[derive(Debug, Args)]
pub struct Correct {
    /// What is corrected
    pub target: Target,
    /// Its id
    pub id: String,
    /// Why; kept with the correction
    #[arg(long)]
    pub reason: String,
    /// The service, where the id is not unique
    #[arg(long)]
    pub service: Option<String>,
    /// Deployment: whether it failed
    #[arg(long, value_name = "BOOL")]
    pub failed: Option<bool>,
    /// Deployment: short for --failed false
    #[arg(long, conflicts_with = "failed")]
    pub not_failed: bool,
    /// Deployment: its tier: production, staging, testing, development or other
    #[arg(long)]
    pub tier: Option<String>,
    /// Deployment: whether it was cancelled
    #[arg(long, value_name = "BOOL")]
    pub cancelled: Option<bool>,
    /// Incident: its cause: change, flag, capacity, dependency, security, external or unknown
    #[arg(long)]
    pub cause: Option<String>,
    /// Incident: its severity, sev1 (worst) to sev5
    #[arg(long)]
    pub severity: Option<String>,
    /// Incident: the deployment that caused it
    #[arg(long, value_name = "ID")]
    pub deployment_id: Option<String>,
    /// Incident: the incident that this is another record of
    #[arg(long, value_name = "ID")]
    pub duplicate_of: Option<String>,
    /// Take an earlier correction away
    #[arg(long, value_name = "CORRECTION")]
    pub undo: Option<String>,
}

/// `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// How many services
    #[arg(long, default_value_t = 10)]
    pub services: u32,
    /// How many teams
    #[arg(long, default_value_t = 3)]
    pub teams: u32,
    /// How many days of history
    #[arg(long, default_value_t = 90)]
    pub days: u32,
    /// The same seed gives the same events
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Records per second [default: as fast as they are taken]
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub rate: Option<f64>,
    /// Write the organisation's catalog instead of its events
    #[arg(long)]
    pub print_catalog: bool,
    /// Produce the records to their topics, where brokers are configured, instead of writing them
    #[arg(long, conflicts_with = "print_catalog")]
    pub to_kafka: bool,
}

/// Reads a number above zero.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above 0 is expected".to_owned()),
    }
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Follow this file of NDJSON (canonical events or raw records) instead of stdin
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// On Kafka: run this stage only: ingest, correlate, aggregate or load; may be given again
    #[arg(long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
}

/// `mirror`.
#[derive(Debug, Args)]
pub struct Mirror {
    /// Fetch each repository once and end; exit code 1 when one could not be fetched
    #[arg(long)]
    pub once: bool,
}

/// `topics`.
#[derive(Debug, Args)]
pub struct TopicsCommand {
    /// Make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many brokers keep each record [default: 3, or as many as there are]
    #[arg(long, value_name = "COUNT")]
    pub replication: Option<i32>,
    /// Show the rights on the brokers that USER needs to run the stages, as arguments of kafka-acls.sh; ask nobody
    #[arg(long, value_name = "USER", conflicts_with_all = ["dry_run", "replication"])]
    pub acls: Option<String>,
    /// With --acls: of this stage only; may be given again
    #[arg(long = "stage", value_name = "STAGE", requires = "acls")]
    pub stages: Vec<String>,
    /// With --acls: what an operator's commands need (topics, check, catalog apply, discover, generate, dlq) instead
    #[arg(long, requires = "acls", conflicts_with = "stages")]
    pub operator: bool,
    /// With --acls: what `serve` needs instead, which only writes raw records
    #[arg(long, requires = "acls", conflicts_with_all = ["stages", "operator"])]
    pub gateway: bool,
}

/// `replay`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Replay {
    /// What else than computing is to be done
    #[command(subcommand)]
    pub action: Option<ReplayAction>,
    /// End once everything is computed and loaded, instead of keeping up until Ctrl-C
    #[arg(long)]
    pub once: bool,
    /// Compute from what is left of the raw records where older ones are gone
    #[arg(long, conflicts_with = "archive")]
    pub partial: bool,
    /// Read the archived events of the generation that is read, too: what raw records that are gone had told
    #[arg(long)]
    pub archive: bool,
    /// How many brokers keep each record [default: 3, or as many as there are]
    #[arg(long, value_name = "COUNT")]
    pub replication: Option<i32>,
}

/// What is done with a generation.
#[derive(Debug, Subcommand)]
pub enum ReplayAction {
    /// List the generations, which is read, and how far each is behind
    List,
    /// Make the views show the configuration's generation, from one moment on
    Promote {
        /// Although many records wait for it
        #[arg(long)]
        behind: bool,
    },
    /// Delete a generation's topics, groups and tables; its processes must have ended, and nobody may read it
    Drop {
        /// Which
        generation: std::num::NonZeroU32,
    },
}

/// `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// The generation that the configuration's is compared with [default: the one that is read]
    #[arg(long, value_name = "GENERATION")]
    pub with: Option<std::num::NonZeroU32>,
    /// Of this scope only
    #[arg(long)]
    pub scope: Option<String>,
    /// Of this metric only
    #[arg(long)]
    pub metric: Option<String>,
    /// Of this window only: 24h, 7d, 30d or 90d
    #[arg(long)]
    pub window: Option<String>,
    /// At most so many rows
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub limit: usize,
}

/// `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Print the SQL of every migration, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the SQL for three users with least rights, USER who loads, USER_reader and USER_migrator; run nothing
    #[arg(long, value_name = "USER", conflicts_with = "dry_run")]
    pub grants: Option<String>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// On Kafka: check what this stage needs only: ingest, correlate, aggregate or load; may be given again
    #[arg(long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
}

/// `dlq`.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List dead letters, the newest last
    #[command(after_help = "Example:\n  streamgauge dlq list --reason unknown_event --since 2d")]
    List(DlqList),
    /// Show a dead letter whole: its reason, where its record lies, its headers and its body
    #[command(after_help = "Example:\n  streamgauge dlq show 0:17")]
    Show {
        /// The letter, as `dlq list` shows it: PARTITION:OFFSET (of a data folder: the first digits of its key)
        id: String,
    },
    /// Give records to the pipeline again, once their source or what was wrong with them is mended
    #[command(after_help = "Example:\n  streamgauge dlq replay --reason unknown_event --dry-run\n\n\
                      A record that is replayed twice counts once. Exit code 1 when one cannot be replayed.")]
    Replay(DlqReplay),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct DlqFilter {
    /// With this reason, as in malformed or skew
    #[arg(long)]
    pub reason: Option<String>,
    /// Refused by this source, as in github
    #[arg(long)]
    pub source: Option<String>,
    /// That came from this topic (of a data folder: this file)
    #[arg(long)]
    pub topic: Option<String>,
    /// Since this time (RFC 3339), or for so long (as in 2d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

/// `dlq list`.
#[derive(Debug, Args)]
pub struct DlqList {
    /// Which
    #[command(flatten)]
    pub filter: DlqFilter,
    /// At most so many, the newest
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub limit: usize,
}

/// `dlq replay`.
#[derive(Debug, Args)]
pub struct DlqReplay {
    /// These letters, as `dlq list` shows them
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Which
    #[command(flatten)]
    pub filter: DlqFilter,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// At most so many, the oldest
    #[arg(long, value_name = "COUNT", conflicts_with = "ids")]
    pub limit: Option<usize>,
    /// Send nothing, and say what would be sent
    #[arg(long)]
    pub dry_run: bool,
}
