//! `sources.NAME.verify`: how whoever sends a source's records is proved, where the sender signs in a way of its own.

use super::file::{List, Origins};
use gateway::verify::Stated;
use gateway::verify::stated::Terms;
use serde::Deserialize;
use std::sync::Arc;

/// `[sources.NAME.verify]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyFile {
    header: Option<String>,
    algorithm: Option<String>,
    encoding: Option<String>,
    prefix: Option<String>,
    signed: Option<String>,
    timestamp_header: Option<String>,
    timestamp_prefix: Option<String>,
    secret_env: List,
    secret_files: List,
}

/// How a source's records are proved; secrets are not read yet.
#[derive(Debug, Clone)]
pub struct VerifyConfig {
    /// Its key in the configuration.
    pub key: String,
    /// The signature.
    pub stated: Arc<Stated>,
    /// Variables that hold its secrets.
    pub secret_env: Vec<String>,
    /// Files that hold its secrets.
    pub secret_files: Vec<String>,
}

/// Reads `[sources.NAME.verify]`.
///
/// # Errors
/// Exit code 2: the first mistake, with its place.
pub fn verify(at: &Origins, key: String, file: VerifyFile) -> anyhow::Result<VerifyConfig> {
    let terms = Terms {
        header: file.header,
        algorithm: file.algorithm,
        encoding: file.encoding,
        prefix: file.prefix,
        signed: file.signed,
        timestamp_header: file.timestamp_header,
        timestamp_prefix: file.timestamp_prefix,
    };
    let stated =
        Stated::new(&terms).map_err(|mistake| at.error(&format!("{key}.{}", mistake.key), mistake.what))?;
    if file.secret_env.0.is_empty() && file.secret_files.0.is_empty() {
        let what = "no secret is named: set secret_files, or secret_env with the names of variables";
        return Err(at.error(&key, what));
    }
    Ok(VerifyConfig {
        key,
        stated: Arc::new(stated),
        secret_env: file.secret_env.0,
        secret_files: file.secret_files.0,
    })
}
