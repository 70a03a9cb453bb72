//! The gateway: whether each hook has its secrets. That its source is known and its scheme fits is seen when the
//! configuration is read.

use super::Findings;
use crate::config::Settings;

/// Checks every hook.
pub fn check(settings: &Settings, findings: &mut Findings) {
    let config = &settings.gateway;
    for hook in config.hooks.values().chain(&config.events) {
        let what = hook.key.replacen("gateway.", "", 1).replacen("hooks.", "hook ", 1);
        match hook.open() {
            Ok(proof) => {
                let source = hook.source.as_deref().unwrap_or("CloudEvents");
                let secrets = match proof.secrets.len() {
                    0 => format!("{} topics", proof.topics.len()),
                    1 => "1 secret".to_owned(),
                    more => format!("{more} secrets"),
                };
                findings.ok(what, format!("{source} by {}, {secrets}", hook.way.name()));
            }
            Err(error) => findings.problem(
                what,
                format!("{error:#}"),
                "put the secret that the vendor shows into that file or variable",
            ),
        }
        if hook.way.name() == "url_token" {
            findings.warning(
                hook.key.as_str(),
                "the token in the address is seen by whatever logs addresses on the way",
                "use another scheme where the vendor can",
            );
        }
    }
}
