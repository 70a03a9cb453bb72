//! `gateway`: which hooks there are, and who may send to them. Secrets come from the environment or from files, are read
//! when the gateway starts or is checked, and are shown nowhere.

use super::file::{List, Origins};
use super::verify::VerifyConfig;
use crate::failure::wrong;
use gateway::limits::{CONNECTIONS, HOOKS, RATE_PER_S, SECRETS};
use gateway::secret::Secret;
use gateway::verify::{SCHEMES, Way, default_scheme, scheme};
use gateway::{GatewaySettings, Hook, Proof};
use model::Text;
use serde::Deserialize;
use sources::Mappings;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `[gateway]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayFile {
    listen: Option<String>,
    rate: Option<u32>,
    max_connections: Option<u32>,
    hooks: BTreeMap<String, HookFile>,
    events: HookFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HookFile {
    source: Option<String>,
    scheme: Option<String>,
    secret_env: List,
    secret_files: List,
    topics: List,
}

/// The gateway as it is configured; its secrets are not read yet.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    listen: SocketAddr,
    rate_per_s: u32,
    connections: usize,
    /// By name; the key of the hook in the configuration is `gateway.hooks.NAME`.
    pub hooks: BTreeMap<String, HookConfig>,
    /// Who may send CloudEvents.
    pub events: Option<HookConfig>,
}

/// Where deliveries of one hook come from.
#[derive(Debug, Clone)]
pub struct HookConfig {
    /// Where the configuration says how it is proved.
    pub key: String,
    /// The source that reads them; of CloudEvents their type says it.
    pub source: Option<String>,
    /// How they are proved.
    pub way: Way,
    secret_env: Vec<String>,
    secret_files: Vec<String>,
    topics: Vec<String>,
}

/// Reads `[gateway]`.
///
/// A source that says how its records are proved has a hook of its name without asking for one.
///
/// # Errors
/// Exit code 2: values that are not allowed, with their places.
pub fn gateway(
    at: &Origins,
    file: GatewayFile,
    mappings: &Mappings,
    verified: &BTreeMap<String, VerifyConfig>,
) -> anyhow::Result<GatewayConfig> {
    let listen = file.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listen = listen.parse().map_err(|_| {
        let what = format!("{listen:?} is not an address with a port, as in 127.0.0.1:8080 or 0.0.0.0:8080");
        at.error("gateway.listen", what)
    })?;
    let positive = |key: &str, number: Option<u32>, default: u32| match number.unwrap_or(default) {
        0 => Err(at.error(key, "0 would let nothing through")),
        number => Ok(number),
    };
    let hooks = file.hooks.into_iter().map(|(name, hook)| {
        let key = format!("gateway.hooks.{name}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || name == "events" {
            return Err(at.error(
                &key,
                "a hook's name is a part of its address: lower case, digits, - and _, and not events",
            ));
        }
        let source = hook.source.clone().unwrap_or_else(|| name.clone());
        let named = if hook.source.is_some() { format!("{key}.source") } else { key.clone() };
        super::sources::known(at, &named, &source, mappings)?;
        let verify = verified.get(&source);
        Ok((name, configured(at, key, Some(source), hook, verify)?))
    });
    let mut hooks = hooks.collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    for (source, verify) in verified {
        if source == "events" {
            return Err(
                at.error(&verify.key, "/v1/hooks/events is no hook's address: give the source another name")
            );
        }
        let asked = hooks.values().any(|hook| hook.source.as_ref() == Some(source));
        if !asked && !hooks.contains_key(source) {
            hooks.insert(source.clone(), HookConfig::verified(Some(source.clone()), verify));
        }
    }
    if hooks.len() > HOOKS {
        return Err(at.error("gateway.hooks", format!("there are {}, at most {HOOKS}", hooks.len())));
    }
    let events = &file.events;
    let stated =
        events.scheme.is_some() || !events.secret_env.0.is_empty() || !events.secret_files.0.is_empty();
    Ok(GatewayConfig {
        listen,
        rate_per_s: positive("gateway.rate", file.rate, RATE_PER_S)?,
        connections: positive("gateway.max_connections", file.max_connections, CONNECTIONS as u32)? as usize,
        hooks,
        events: stated
            .then(|| configured(at, "gateway.events".to_owned(), None, file.events, None))
            .transpose()?,
    })
}

fn configured(
    at: &Origins,
    key: String,
    source: Option<String>,
    file: HookFile,
    verify: Option<&VerifyConfig>,
) -> anyhow::Result<HookConfig> {
    if let (None, Some(verify)) = (&file.scheme, verify) {
        let mut hook = HookConfig::verified(source, verify);
        // Two hooks of one source may have secrets of their own.
        if !file.secret_env.0.is_empty() || !file.secret_files.0.is_empty() {
            (hook.key, hook.secret_env, hook.secret_files) = (key, file.secret_env.0, file.secret_files.0);
        }
        return Ok(hook);
    }
    let of = source.as_deref().unwrap_or_default();
    let fitting = || {
        let fitting = SCHEMES.iter().filter(|scheme| scheme.fits(of)).map(|scheme| scheme.name);
        fitting.collect::<Vec<_>>().join(", ")
    };
    let found = match &file.scheme {
        Some(name) => scheme(name).filter(|scheme| scheme.fits(of)).ok_or_else(|| {
            let why = if scheme(name).is_some() { "does not fit this source" } else { "is no scheme" };
            at.error(&format!("{key}.scheme"), format!("{name:?} {why}; one of {}", fitting()))
        })?,
        None => default_scheme(of).ok_or_else(|| {
            let what = format!(
                "`scheme` is missing, for its vendor signs in no way of its own: one of {}{}",
                fitting(),
                if ::sources::source(of).is_none() && !of.is_empty() {
                    format!("; or say in [sources.{of}.verify] how its records are signed")
                } else {
                    String::new()
                }
            );
            at.error(&key, what)
        })?,
    };
    Ok(HookConfig {
        key,
        source,
        way: Way::Scheme(found),
        secret_env: file.secret_env.0,
        secret_files: file.secret_files.0,
        topics: file.topics.0,
    })
}

impl GatewayConfig {
    /// The gateway's settings, secrets read.
    ///
    /// # Errors
    /// Exit code 2: a secret that is missing or of the wrong form.
    pub fn open(&self) -> anyhow::Result<GatewaySettings> {
        let mut settings = GatewaySettings::new(self.listen);
        settings.rate_per_s = self.rate_per_s;
        settings.connections = self.connections;
        for (name, hook) in &self.hooks {
            let source = Text::new(hook.source.as_deref().unwrap_or_default());
            settings.hooks.insert(name.clone(), Hook { source, proof: hook.open()? });
        }
        settings.events = self.events.as_ref().map(HookConfig::open).transpose()?;
        Ok(settings)
    }
}

impl HookConfig {
    fn verified(source: Option<String>, verify: &VerifyConfig) -> Self {
        Self {
            key: verify.key.clone(),
            source,
            way: Way::Stated(verify.stated.clone()),
            secret_env: verify.secret_env.clone(),
            secret_files: verify.secret_files.clone(),
            topics: Vec::new(),
        }
    }

    /// Who may send, secrets read.
    ///
    /// # Errors
    /// As [`GatewayConfig::open`].
    pub fn open(&self) -> anyhow::Result<Proof> {
        let key = &self.key;
        if self.way.is_sns() {
            if self.topics.is_empty() {
                return Err(wrong(format!(
                    "{key}: `topics` is missing: the ARNs of the topics that may send"
                )));
            }
            return Ok(Proof { way: self.way.clone(), secrets: Vec::new(), topics: self.topics.clone() });
        }
        let variables = self.secret_env.iter().map(|name| {
            let secret =
                std::env::var(name).map_err(|_| wrong(format!("{key}: the variable {name} is not set")));
            (format!("the variable {name}"), secret)
        });
        let files = self.secret_files.iter().map(|file| {
            let secret =
                std::fs::read_to_string(file).map_err(|error| wrong(format!("{key}: {file}: {error}")));
            (file.clone(), secret)
        });
        let secrets = variables.chain(files).map(|(place, secret)| {
            let secret = secret?;
            let secret = secret.trim_end_matches(['\r', '\n']);
            self.way.secret(secret).map_err(|why| wrong(format!("{key}: the secret in {place}: {why}")))
        });
        let secrets = secrets.collect::<anyhow::Result<Vec<Secret>>>()?;
        if secrets.is_empty() || secrets.len() > SECRETS {
            let what = if secrets.is_empty() {
                "no secret is named".to_owned()
            } else {
                format!("at most {SECRETS} secrets hold at once")
            };
            return Err(wrong(format!(
                "{key}: {what}: set secret_files, or secret_env with the names of variables"
            )));
        }
        Ok(Proof { way: self.way.clone(), secrets, topics: Vec::new() })
    }
}
