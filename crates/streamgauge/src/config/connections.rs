//! `kafka` and `clickhouse`: where they are and how they are talked to. Secrets come from the environment or from
//! files, and are shown nowhere.

use super::file::{List, Origins};
use crate::failure::wrong;
use ::sources::{Mappings, SourceSettings};
use kafka::KafkaSettings;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use warehouse::{Client, Database, Target};

/// `[kafka]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaFile {
    brokers: Option<String>,
    prefix: Option<String>,
    instance: Option<String>,
    protocol: Option<String>,
    sasl: SaslFile,
    ssl: SslFile,
    topics: BTreeMap<String, List>,
    properties: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SaslFile {
    mechanism: Option<String>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SslFile {
    ca_file: Option<String>,
    certificate_file: Option<String>,
    key_file: Option<String>,
    key_password_file: Option<String>,
}

/// `[clickhouse]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClickHouseFile {
    url: Option<String>,
    database: Option<String>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
    cluster: Option<String>,
}

/// A ClickHouse server or cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ClickHouseServer {
    /// Where it answers over HTTP(S).
    pub url: String,
    /// The database.
    pub database: Database,
    /// What stands behind the address.
    pub target: Target,
    user: Option<String>,
    password: Option<String>,
}

impl fmt::Debug for ClickHouseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseServer")
            .field("url", &self.url)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl ClickHouseServer {
    /// A client whose database is not set, as migrations need it.
    pub fn bare_client(&self) -> Client {
        let mut client = warehouse::client(&self.url);
        if let Some(user) = &self.user {
            client = client.with_user(user);
        }
        if let Some(password) = &self.password {
            client = client.with_password(password);
        }
        client
    }
    /// A client of the database.
    pub fn client(&self) -> Client {
        self.bare_client().with_database(self.database.as_str())
    }
}

/// Reads `[kafka]`.
pub fn kafka(at: &Origins, file: KafkaFile, mappings: &Mappings) -> anyhow::Result<Option<KafkaSettings>> {
    let Some(brokers) = file.brokers.filter(|brokers| !brokers.trim().is_empty()) else { return Ok(None) };
    let prefix = file.prefix.unwrap_or_else(|| "streamgauge.".to_owned());
    if prefix.is_empty() || !prefix.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(at.error(
            "kafka.prefix",
            format!("{prefix:?} cannot begin a topic's name (letters, digits, . _ -)"),
        ));
    }
    let mut settings = KafkaSettings::new(brokers, &prefix, file.instance.unwrap_or_else(instance));
    for (source, topics) in file.topics {
        let sources = SourceSettings { mappings: mappings.clone(), ..SourceSettings::default() };
        if !sources.knows(&source) {
            let known = sources.names();
            let key = format!("kafka.topics.{source}");
            return Err(
                at.error(&key, format!("no source is called {source:?}; there are {}", known.join(", ")))
            );
        }
        settings.mapped.extend(topics.0.into_iter().map(|topic| (topic, source.clone())));
    }
    let properties = &mut settings.properties;
    properties.extend(file.properties.into_iter().map(|(key, value)| (key.replace('_', "."), value)));
    let protocol = super::choice(
        at,
        "kafka.protocol",
        file.protocol,
        &[
            ("plaintext", "plaintext"),
            ("ssl", "ssl"),
            ("sasl_plaintext", "sasl_plaintext"),
            ("sasl_ssl", "sasl_ssl"),
        ],
    )?;
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            properties.insert(key.to_owned(), value);
        }
    };
    set("security.protocol", Some(protocol.to_owned()));
    set("ssl.ca.location", file.ssl.ca_file);
    set("ssl.certificate.location", file.ssl.certificate_file);
    set("ssl.key.location", file.ssl.key_file);
    set("ssl.key.password", secret(at, "kafka.ssl.key_password", None, file.ssl.key_password_file)?);
    if protocol.starts_with("sasl") {
        let mechanism = super::choice(
            at,
            "kafka.sasl.mechanism",
            file.sasl.mechanism,
            &[
                ("scram-sha-512", "SCRAM-SHA-512"),
                ("scram-sha-256", "SCRAM-SHA-256"),
                ("plain", "PLAIN"),
                ("oauthbearer", "OAUTHBEARER"),
            ],
        )?;
        set("sasl.mechanism", Some(mechanism.to_owned()));
        let password = secret(at, "kafka.sasl.password", file.sasl.password, file.sasl.password_file)?;
        if mechanism != "OAUTHBEARER" && (file.sasl.username.is_none() || password.is_none()) {
            return Err(at.error(
                "kafka.protocol",
                format!(
                    "{protocol} with {mechanism} needs kafka.sasl.username, and its password in \
                     STREAMGAUGE__KAFKA__SASL__PASSWORD or in the file kafka.sasl.password_file"
                ),
            ));
        }
        set("sasl.username", file.sasl.username);
        set("sasl.password", password);
    }
    Ok(Some(settings))
}

/// Reads `[clickhouse]`.
pub fn clickhouse(at: &Origins, file: ClickHouseFile) -> anyhow::Result<Option<ClickHouseServer>> {
    let Some(url) = file.url.filter(|url| !url.trim().is_empty()) else { return Ok(None) };
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(at.error("clickhouse.url", format!("{url:?} does not begin with http:// or https://")));
    }
    let database = match file.database {
        None => Database::default(),
        Some(name) => Database::new(&name).map_err(|error| at.error("clickhouse.database", error))?,
    };
    let target = match file.cluster {
        None => Target::Server,
        Some(name) => Target::cluster(&name).map_err(|error| at.error("clickhouse.cluster", error))?,
    };
    let password = secret(at, "clickhouse.password", file.password, file.password_file)?;
    Ok(Some(ClickHouseServer { url, database, target, user: file.user, password }))
}

/// A secret: as it stands, or what a file holds without the line break at its end.
fn secret(
    at: &Origins,
    key: &str,
    stated: Option<String>,
    file: Option<String>,
) -> anyhow::Result<Option<String>> {
    match (stated, file) {
        (Some(_), Some(_)) => Err(at.error(key, format!("{key} and {key}_file are both set: keep one"))),
        (Some(secret), None) => Ok(Some(secret)),
        (None, Some(file)) => std::fs::read_to_string(&file)
            .map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            .map_err(|error| wrong(format!("{key}_file: {file}: {error}"))),
        (None, None) => Ok(None),
    }
}

/// A name for this process: that of the machine, and the process's number.
fn instance() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned())
    });
    format!("{}-{}", host.unwrap_or_else(|| "host".to_owned()), std::process::id())
}
