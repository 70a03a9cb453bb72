//! `kafka` and `clickhouse`: where they are and how they are talked to. Secrets come from the environment or from
//! files, and are shown nowhere.

use super::file::{List, Origins};
use crate::failure::wrong;
use https::{Error as TlsError, Https, Tls};
use kafka::registry::RegistrySettings;
use kafka::wire::Format;
use kafka::{KafkaSettings, Topics};
use model::Generation;
use serde::Deserialize;
use sources::Mappings;
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
    standby: bool,
    local_checkpoints: bool,
    static_membership: bool,
    protocol: Option<String>,
    sasl: SaslFile,
    ssl: SslFile,
    topics: BTreeMap<String, List>,
    format: Option<String>,
    registry: RegistryFile,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RegistryFile {
    url: Option<String>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
    ssl: HttpsFile,
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
    ssl: HttpsFile,
}

/// Who proves a server over HTTPS, and what proves us to it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpsFile {
    ca_file: Option<String>,
    certificate_file: Option<String>,
    key_file: Option<String>,
}

/// A ClickHouse server or cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ClickHouseServer {
    /// Where it answers over HTTP(S).
    pub url: String,
    /// The database that everybody reads: its views show the generation that is live.
    pub base: Database,
    /// The database that is loaded: that of the configuration's generation.
    pub database: Database,
    /// What stands behind the address.
    pub target: Target,
    user: Option<String>,
    password: Option<String>,
    /// Of an `https://` address.
    tls: Option<Tls>,
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
    ///
    /// # Errors
    /// A file of `clickhouse.ssl` that cannot be used.
    pub fn bare_client(&self) -> Result<Client, TlsError> {
        let mut client = match &self.tls {
            Some(tls) => warehouse::client_over(&Https::new(tls)?, &self.url),
            None => warehouse::client(&self.url),
        };
        if let Some(user) = &self.user {
            client = client.with_user(user);
        }
        if let Some(password) = &self.password {
            client = client.with_password(password);
        }
        Ok(client)
    }
    /// A client of the database.
    ///
    /// # Errors
    /// As [`Self::bare_client`].
    pub fn client(&self) -> Result<Client, TlsError> {
        Ok(self.bare_client()?.with_database(self.database.as_str()))
    }
}

/// Reads `[kafka]`.
pub fn kafka(
    at: &Origins,
    file: KafkaFile,
    mappings: &Mappings,
    generation: Generation,
) -> anyhow::Result<Option<KafkaSettings>> {
    let Some(brokers) = file.brokers.filter(|brokers| !brokers.trim().is_empty()) else { return Ok(None) };
    let prefix = file.prefix.unwrap_or_else(|| "streamgauge.".to_owned());
    if prefix.is_empty() || !prefix.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(at.error(
            "kafka.prefix",
            format!("{prefix:?} cannot begin a topic's name (letters, digits, . _ -)"),
        ));
    }
    let is_named = file.instance.is_some();
    let mut settings = KafkaSettings::new(brokers, &prefix, file.instance.unwrap_or_else(instance));
    settings.topics = Topics::of(&prefix, generation);
    (settings.is_named, settings.standby) = (is_named, file.standby);
    // What a standby follows lies in the same copies.
    settings.local_checkpoints = file.local_checkpoints || file.standby;
    settings.static_membership = file.static_membership;
    if settings.static_membership && !is_named {
        let what = "a static member needs a name that stays: set kafka.instance, another for each process";
        return Err(at.error("kafka.static_membership", what));
    }
    for (source, topics) in file.topics {
        super::sources::known(at, &format!("kafka.topics.{source}"), &source, mappings)?;
        settings.mapped.extend(topics.0.into_iter().map(|topic| (topic, source.clone())));
    }
    settings.registry = registry(at, file.registry)?;
    let formats = [("single-object", Format::SingleObject), ("confluent", Format::Confluent)];
    settings.format = super::choice(at, "kafka.format", file.format, &formats)?;
    if settings.format == Format::Confluent && settings.registry.is_none() {
        return Err(at.error(
            "kafka.format",
            "confluent needs the schema registry: set kafka.registry.url".to_owned(),
        ));
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

/// Reads `[kafka.registry]`.
fn registry(at: &Origins, file: RegistryFile) -> anyhow::Result<Option<RegistrySettings>> {
    let Some(url) = file.url.filter(|url| !url.trim().is_empty()) else { return Ok(None) };
    let tls = tls(at, "kafka.registry", &url, file.ssl)?.unwrap_or_default();
    let password = secret(at, "kafka.registry.password", file.password, file.password_file)?;
    let user = match (file.user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            let both = "kafka.registry.user and its password belong together: set both or none".to_owned();
            return Err(at.error("kafka.registry.user", both));
        }
    };
    Ok(Some(RegistrySettings { url, user, tls }))
}

/// Reads `[clickhouse]`.
pub fn clickhouse(
    at: &Origins,
    file: ClickHouseFile,
    generation: Generation,
) -> anyhow::Result<Option<ClickHouseServer>> {
    let Some(url) = file.url.filter(|url| !url.trim().is_empty()) else { return Ok(None) };
    let tls = tls(at, "clickhouse", &url, file.ssl)?;
    let base = match file.database {
        None => Database::default(),
        Some(name) => Database::new(&name).map_err(|error| at.error("clickhouse.database", error))?,
    };
    let target = match file.cluster {
        None => Target::Server,
        Some(name) => Target::cluster(&name).map_err(|error| at.error("clickhouse.cluster", error))?,
    };
    let password = secret(at, "clickhouse.password", file.password, file.password_file)?;
    let database = base.of(generation);
    Ok(Some(ClickHouseServer { url, base, database, target, user: file.user, password, tls }))
}

/// How the address `{section}.url` is connected to; `None`: without TLS.
pub(super) fn tls(at: &Origins, section: &str, url: &str, file: HttpsFile) -> anyhow::Result<Option<Tls>> {
    let keys = format!("{section}.ssl");
    let client = match (file.certificate_file, file.key_file) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => {
            let both =
                format!("{keys}.certificate_file and {keys}.key_file belong together: set both or none");
            return Err(at.error(&keys, both));
        }
    };
    let tls = Tls { ca_file: file.ca_file.map(Into::into), client };
    if url.starts_with("https://") {
        return Ok(Some(tls));
    }
    let key = format!("{section}.url");
    if !url.starts_with("http://") {
        return Err(at.error(&key, format!("{url:?} does not begin with http:// or https://")));
    }
    if tls != Tls::default() {
        return Err(
            at.error(&key, format!("{url:?} is not https://, so that {keys} says nothing: set one of both"))
        );
    }
    Ok(None)
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
