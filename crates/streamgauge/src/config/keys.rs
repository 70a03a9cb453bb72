//! The keys that the configuration knows: for messages, and for the JSON Schema that editors read.

use gateway::verify::stated::{ALGORITHMS, ENCODINGS};
use model::definitions::{FirstDeployment, LeadTimeStart, Profile, RestoredAt};
use model::event::{AuthorKind, Severity};

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list of these words.
    WordList(&'static [&'static str]),
    /// A list of texts.
    List,
    /// A length of time such as `4h`.
    Span,
    /// True or false.
    Bool,
    /// A whole number.
    Number,
}

/// One key: its dotted name (`*` stands for any name), what it holds, its default, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The dotted name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The default, as it would be written.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

const fn words<const N: usize>(words: &'static [&'static str; N]) -> Kind {
    Kind::Words(words)
}

const PROFILES: [&str; 2] = [Profile::Streamgauge.as_str(), Profile::Devlake.as_str()];
const STARTS: [&str; 4] = [
    LeadTimeStart::Commit.as_str(),
    LeadTimeStart::Authored.as_str(),
    LeadTimeStart::PrOpened.as_str(),
    LeadTimeStart::PrMerged.as_str(),
];
const FIRSTS: [&str; 3] =
    [FirstDeployment::Head.as_str(), FirstDeployment::None.as_str(), FirstDeployment::All.as_str()];
const AUTHORS: [&str; 2] = [AuthorKind::Human.as_str(), AuthorKind::Bot.as_str()];
const SEVERITIES: [&str; 5] = [
    Severity::Sev1.as_str(),
    Severity::Sev2.as_str(),
    Severity::Sev3.as_str(),
    Severity::Sev4.as_str(),
    Severity::Sev5.as_str(),
];
const ENDS: [&str; 2] = [RestoredAt::Resolved.as_str(), RestoredAt::Mitigated.as_str()];

/// Every key, sorted.
pub const KEYS: &[Key] = &[
    key(
        "backfill.*.every",
        Kind::Span,
        "",
        "How often serve asks github, gitlab, jira or pagerduty for what was lost (1m to 24h) [default: never].",
    ),
    key(
        "backfill.*.only",
        Kind::List,
        "",
        "Repositories or projects (github: also hooks, acme/shop/hooks/7), projects (jira) or services (pagerduty).",
    ),
    key(
        "backfill.*.ssl.ca_file",
        Kind::Text,
        "",
        "Certificates of the authorities that an https:// server is proved by (PEM) [default: the system's].",
    ),
    key("backfill.*.ssl.certificate_file", Kind::Text, "", "The client's certificate (PEM)."),
    key("backfill.*.ssl.key_file", Kind::Text, "", "The client's private key (PEM, not encrypted)."),
    key(
        "backfill.*.token_file",
        Kind::Text,
        "",
        "The file that holds the token [default: the variable GITHUB_TOKEN and the like].",
    ),
    key("backfill.*.url", Kind::Text, "", "Where the API answers [default: the vendor's own address]."),
    key(
        "blame_dependencies",
        Kind::Bool,
        "false",
        "Whether an incident also blames the most recent deployment of each direct dependency.",
    ),
    key("catalog", Kind::Text, "", "The catalog's file, relative to this one."),
    key(
        "clickhouse.cluster",
        Kind::Text,
        "",
        "The cluster's name in the servers' configuration, where there is one.",
    ),
    key("clickhouse.database", Kind::Text, "streamgauge", "The database that holds the tables."),
    key(
        "clickhouse.password",
        Kind::Text,
        "",
        "The user's password; better in the environment, or in a file.",
    ),
    key("clickhouse.password_file", Kind::Text, "", "The file that holds the user's password."),
    key(
        "clickhouse.ssl.ca_file",
        Kind::Text,
        "",
        "Certificates of the authorities that an https:// server is proved by (PEM) [default: the system's].",
    ),
    key("clickhouse.ssl.certificate_file", Kind::Text, "", "The client's certificate (PEM)."),
    key("clickhouse.ssl.key_file", Kind::Text, "", "The client's private key (PEM, not encrypted)."),
    key(
        "clickhouse.url",
        Kind::Text,
        "",
        "Where ClickHouse answers over HTTP(S), as in https://clickhouse:8443; without it the engine in process is used.",
    ),
    key("clickhouse.user", Kind::Text, "", "The user who loads."),
    key("data", Kind::Text, "streamgauge-data", "The folder in which the embedded commands keep everything."),
    key(
        "failure_evidence_suffices",
        Kind::Bool,
        "false",
        "Whether rollbacks, reverts and hotfixes are enough to see failures, for services whose catalog entry is silent.",
    ),
    key(
        "failure_window",
        Kind::Span,
        "4h",
        "How long after a deployment an incident may start to be blamed on it; or unbounded.",
    ),
    key(
        "gateway.events.scheme",
        Kind::Text,
        "",
        "How whoever sends CloudEvents to /v1/events is proved: bearer, basic, standard_webhooks or url_token.",
    ),
    key(
        "gateway.events.secret_env",
        Kind::List,
        "",
        "Variables that hold the secrets of whoever sends CloudEvents.",
    ),
    key(
        "gateway.events.secret_files",
        Kind::List,
        "",
        "Files that hold the secrets of whoever sends CloudEvents.",
    ),
    key(
        "gateway.hooks.*.scheme",
        Kind::Text,
        "",
        "How a delivery is proved, where it is not the way of the source's vendor: bearer, basic, standard_webhooks, \
         url_token, gitlab_token, rootly.",
    ),
    key(
        "gateway.hooks.*.secret_env",
        Kind::List,
        "",
        "Variables that hold the hook's secrets; each is as good as the others, so that one can be changed without a gap.",
    ),
    key("gateway.hooks.*.secret_files", Kind::List, "", "Files that hold the hook's secrets."),
    key(
        "gateway.hooks.*.source",
        Kind::Text,
        "",
        "The source that reads the deliveries to /v1/hooks/NAME [default: the hook's name].",
    ),
    key("gateway.hooks.*.topics", Kind::List, "", "Of scheme sns: the ARNs of the topics that may send."),
    key(
        "gateway.listen",
        Kind::Text,
        "127.0.0.1:8080",
        "Where serve answers; TLS is the business of a proxy before it.",
    ),
    key(
        "gateway.max_connections",
        Kind::Number,
        "16384",
        "Most connections at once; more are closed. The process needs as many open files.",
    ),
    key(
        "gateway.rate",
        Kind::Number,
        "10000",
        "Most deliveries a second of one hook; more are answered 429.",
    ),
    key(
        "generation",
        Kind::Number,
        "1",
        "On Kafka: the generation that this configuration computes; `replay` builds one beside that which is read.",
    ),
    key("incident.min_severity", words(&SEVERITIES), "sev3", "The least severity that blames a deployment."),
    key("incident.restored_at", words(&ENDS), "resolved", "Which end of an incident is the recovery."),
    key(
        "kafka.brokers",
        Kind::Text,
        "",
        "Where the brokers are, as in kafka-1:9092,kafka-2:9092; without it run is embedded.",
    ),
    key(
        "kafka.format",
        words(&["single-object", "confluent"]),
        "single-object",
        "How events, facts and metrics are written: Avro's single-object encoding, or with their schema's number in the registry.",
    ),
    key(
        "kafka.instance",
        Kind::Text,
        "",
        "The name of this process, stable over restarts, another for each process: with it a restart moves no partitions \
         [default: host name and process id].",
    ),
    key(
        "kafka.local_checkpoints",
        Kind::Bool,
        "false",
        "Whether copies of the tasks' changelogs are kept beside the data folder, so that a restart reads their tails.",
    ),
    key(
        "kafka.prefix",
        Kind::Text,
        "streamgauge.",
        "What the names of topics, groups and transactional ids begin with.",
    ),
    key(
        "kafka.properties.*",
        Kind::Text,
        "",
        "Any other property of librdkafka, its dots written as underscores.",
    ),
    key(
        "kafka.protocol",
        words(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        "plaintext",
        "How the brokers are talked to.",
    ),
    key(
        "kafka.registry.password",
        Kind::Text,
        "",
        "The user's password; better in the environment, or in a file.",
    ),
    key("kafka.registry.password_file", Kind::Text, "", "The file that holds the user's password."),
    key(
        "kafka.registry.ssl.ca_file",
        Kind::Text,
        "",
        "Certificates of the authorities that an https:// registry is proved by (PEM) [default: the system's].",
    ),
    key("kafka.registry.ssl.certificate_file", Kind::Text, "", "The client's certificate (PEM)."),
    key("kafka.registry.ssl.key_file", Kind::Text, "", "The client's private key (PEM, not encrypted)."),
    key(
        "kafka.registry.url",
        Kind::Text,
        "",
        "The schema registry, as in https://registry:8081; records that its clients wrote are read by it.",
    ),
    key("kafka.registry.user", Kind::Text, "", "The user of the registry."),
    key(
        "kafka.sasl.mechanism",
        words(&["scram-sha-512", "scram-sha-256", "plain", "oauthbearer"]),
        "scram-sha-512",
        "How the user is proved.",
    ),
    key(
        "kafka.sasl.password",
        Kind::Text,
        "",
        "The user's password; better in the environment, or in a file.",
    ),
    key("kafka.sasl.password_file", Kind::Text, "", "The file that holds the user's password."),
    key("kafka.sasl.username", Kind::Text, "", "The user."),
    key(
        "kafka.ssl.ca_file",
        Kind::Text,
        "",
        "Certificates of the authorities that the brokers are proved by (PEM).",
    ),
    key("kafka.ssl.certificate_file", Kind::Text, "", "The client's certificate (PEM)."),
    key("kafka.ssl.key_file", Kind::Text, "", "The client's private key (PEM)."),
    key("kafka.ssl.key_password_file", Kind::Text, "", "The file that holds the private key's password."),
    key(
        "kafka.standby",
        Kind::Bool,
        "false",
        "Whether this process follows the state of tasks that run elsewhere, so that it can take them over at once.",
    ),
    key(
        "kafka.static_membership",
        Kind::Bool,
        "false",
        "Whether a process of this instance that comes back within 10 s keeps its partitions, so that none moves.",
    ),
    key("kafka.topics.*", Kind::List, "", "A source's topics, where they are not called raw.<source>."),
    key(
        "lead_time.exclude",
        Kind::WordList(&AUTHORS),
        "",
        "Authors left out of the lead time, never out of the facts.",
    ),
    key(
        "lead_time.first_deployment",
        words(&FIRSTS),
        "head",
        "What the first deployment of a service ships.",
    ),
    key("lead_time.start", words(&STARTS), "commit", "What a lead time starts from."),
    key(
        "listen",
        Kind::Text,
        "127.0.0.1:8123",
        "Where demo and run answer SQL: ClickHouse's HTTP interface, on a loopback address.",
    ),
    key("log.format", words(&["text", "json"]), "text", "How logs are written to stderr."),
    key("max_future", Kind::Span, "10m", "How far an event may lie ahead of when it was observed."),
    key("organisation.name", Kind::Text, "default", "The organisation's name, as in the scope org:acme."),
    key(
        "partitions",
        Kind::Number,
        "1",
        "How many partitions the embedded run uses, and how many the topics are made with (1 to 1024).",
    ),
    key(
        "privacy.people",
        words(&["drop"]),
        "drop",
        "What becomes of names and e-mail addresses before anything is stored.",
    ),
    key("profile", words(&PROFILES), "streamgauge", "A set of definitions known by name."),
    key(
        "remediation_window",
        Kind::Span,
        "7d",
        "How long after a deployment a rollback, revert or hotfix counts against it.",
    ),
    key(
        "git.folder",
        Kind::Text,
        "",
        "Where mirrors lie [default: mirror in the data folder; on Kafka a folder beside it].",
    ),
    key(
        "git.mirror.*.authorization_file",
        Kind::Text,
        "",
        "The file that holds the header Authorization that servers over HTTPS want, as in Basic …",
    ),
    key(
        "git.mirror.*.ca_file",
        Kind::Text,
        "",
        "Certificates of the authorities that https:// servers are proved by (PEM) [default: git's own choice].",
    ),
    key("git.mirror.*.every", Kind::Span, "", "The time between two fetches (1m to 24h) [default: 10m]."),
    key(
        "git.mirror.*.repositories",
        Kind::List,
        "",
        "Addresses of repositories whose commits serve, run and mirror tell; NAME=ADDRESS gives one another name.",
    ),
    key(
        "prometheus.authorization_file",
        Kind::Text,
        "",
        "The file that holds the header Authorization that Prometheus wants, as in Bearer …",
    ),
    key(
        "prometheus.slos.*.every",
        Kind::Span,
        "",
        "The time between two samples of an objective, and of one (1m to 24h) [default: 5m].",
    ),
    key("prometheus.slos.*.good", Kind::Text, "", "The expression that counts an objective's good events."),
    key("prometheus.slos.*.service", Kind::Text, "", "The service whose objective it is."),
    key("prometheus.slos.*.total", Kind::Text, "", "The expression that counts all events."),
    key(
        "prometheus.ssl.ca_file",
        Kind::Text,
        "",
        "Certificates of the authorities that an https:// server is proved by (PEM) [default: the system's].",
    ),
    key("prometheus.ssl.certificate_file", Kind::Text, "", "The client's certificate (PEM)."),
    key("prometheus.ssl.key_file", Kind::Text, "", "The client's private key (PEM, not encrypted)."),
    key(
        "prometheus.url",
        Kind::Text,
        "",
        "Where Prometheus (or what speaks its query API) answers, as in http://prometheus:9090; serve asks it for samples.",
    ),
    key("reporting.bands", Kind::Text, "2024", "The year of the DORA report whose bands are shown, or none."),
    key("reporting.timezone", Kind::Text, "UTC", "The IANA time zone whose days are counted."),
    key("retain", words(&["all"]), "all", "What is kept."),
    key(
        "rollout.merge_within",
        Kind::Span,
        "30m",
        "How soon deployments of one version to other targets belong to one rollout.",
    ),
    key("scopes.labels.*", Kind::List, "", "A deployment label that makes scopes, with its allowed values."),
    key(
        "sources.*.map",
        Kind::Text,
        "",
        "A source of that name: a jq program that makes canonical events of its records.",
    ),
    key("sources.*.map_file", Kind::Text, "", "The file of such a program; relative to this one."),
    key(
        "sources.*.time_zone",
        Kind::Text,
        "",
        "The IANA zone of times that come without one; else such times are rejected.",
    ),
    key(
        "sources.*.use",
        Kind::Text,
        "",
        "A program that comes with Streamgauge [default, where no program is given: the source's name].",
    ),
    key(
        "sources.*.verify.algorithm",
        words(&ALGORITHMS),
        "",
        "How the signature of the source's deliveries is made [default: hmac-sha256]; token: the header shows the secret.",
    ),
    key("sources.*.verify.encoding", words(&ENCODINGS), "", "How the signature is written [default: hex]."),
    key(
        "sources.*.verify.header",
        Kind::Text,
        "",
        "The header that holds the signature. The hook /v1/hooks/NAME is there without asking for one.",
    ),
    key(
        "sources.*.verify.prefix",
        Kind::Text,
        "",
        "What stands before the signature in its header, as in sha256=; of several in one header each is looked at.",
    ),
    key(
        "sources.*.verify.secret_env",
        Kind::List,
        "",
        "Variables that hold the secrets; each is as good as the others, so that one can be changed without a gap.",
    ),
    key("sources.*.verify.secret_files", Kind::List, "", "Files that hold the secrets."),
    key(
        "sources.*.verify.signed",
        Kind::Text,
        "",
        "What is signed, as in {timestamp}.{body}; {header:NAME} is another header [default: {body}].",
    ),
    key(
        "sources.*.verify.timestamp_header",
        Kind::Text,
        "",
        "The header that holds the signed time, which must be near to now.",
    ),
    key(
        "sources.*.verify.timestamp_prefix",
        Kind::Text,
        "",
        "What stands before the signed time, as in t=; without timestamp_header, in the signature's header.",
    ),
    key(
        "telemetry.listen",
        Kind::Text,
        "127.0.0.1:9464",
        "Where run on Kafka answers /metrics, /healthz and /readyz; or none.",
    ),
    key(
        "telemetry.otlp_endpoint",
        Kind::Text,
        "",
        "The OpenTelemetry collector that gets spans of records with a sampled traceparent, as in http://localhost:4318.",
    ),
];
