//! The catalog that goes with the events: who owns what, by which names the tools call it.

use crate::Options;
use crate::organisation::{Deploys, ORGANISATION, Organisation, Pages, Service};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The group above the others.
const TOP: &str = "engineering";

/// What services want to reach, by their criticality.
const TARGETS: &str = r#"
[targets.high]
deployment_frequency = "3/week"
change_lead_time = "1d"
change_fail_rate = "10%"
recovery_time = "1h"

[targets.medium]
deployment_frequency = "2/week"
change_lead_time = "3d"
change_fail_rate = "15%"
recovery_time = "4h"

[targets.low]
deployment_frequency = "1/week"
change_lead_time = "7d"
change_fail_rate = "20%"
recovery_time = "1d"
"#;

/// The organisation's catalog in TOML.
pub fn catalog_toml(options: &Options) -> String {
    text(&Organisation::new(options), options)
}

/// The catalog of the organisation of [`crate::steady`] in TOML.
pub fn steady_catalog_toml(options: &Options) -> String {
    text(&Organisation::steady(options), options)
}

fn text(organisation: &Organisation, options: &Options) -> String {
    let mut text = format!(
        "# A generated organisation: {} services, {} teams, seed {}.\n\n[organisation]\nname = \"{ORGANISATION}\"\n",
        organisation.services.len(),
        organisation.teams.len(),
        options.seed,
    );
    // Writing to a text cannot fail.
    let _ = write(&mut text, organisation);
    text.push_str(TARGETS);
    text
}

fn write(text: &mut String, organisation: &Organisation) -> std::fmt::Result {
    let groups: BTreeSet<&str> = organisation.teams.iter().map(|team| team.group).collect();
    writeln!(text, "\n[[groups]]\nname = \"{TOP}\"")?;
    for group in groups {
        writeln!(text, "\n[[groups]]\nname = \"{group}\"\nparent = \"{TOP}\"")?;
    }
    for team in &organisation.teams {
        writeln!(text, "\n[[teams]]\nname = \"{}\"\ngroup = \"{}\"", team.name, team.group)?;
    }
    for repository in &organisation.repositories {
        for at in &repository.services {
            if let Some(service) = organisation.services.get(*at) {
                write_service(text, organisation, service, &repository.name)?;
            }
        }
    }
    Ok(())
}

fn write_service(
    text: &mut String,
    organisation: &Organisation,
    service: &Service,
    repository: &str,
) -> std::fmt::Result {
    let team = organisation.teams.get(service.team).map(|team| team.name.as_str()).unwrap_or_default();
    let names = service.depends_on.iter().filter_map(|at| organisation.services.get(*at));
    let dependencies: Vec<String> = names.map(|service| format!("\"{}\"", service.name)).collect();
    writeln!(text, "\n[[services]]\nname = \"{}\"\nteam = \"{team}\"", service.name)?;
    let repository = format!("github.com/{ORGANISATION}/{repository}");
    match &service.path {
        Some(path) => {
            writeln!(text, "repositories = [{{ name = \"{repository}\", paths = [\"{path}/**\"] }}]")?
        }
        None => writeln!(text, "repositories = [\"{repository}\"]")?,
    }
    match service.pages {
        Pages::PagerDuty => writeln!(text, "aliases = [\"pagerduty:{}\"]", service.pager_id)?,
        // Its alerts carry the service's own name: there is no alias by which the catalog would know.
        Pages::Alertmanager => writeln!(text, "incident_source = true")?,
    }
    let source = match service.deploys {
        Deploys::Deployments => "github",
        Deploys::Releases => "github_release",
        Deploys::CdEvents => "cdevents",
    };
    writeln!(text, "deployments_from = [\"{source}\"]")?;
    writeln!(text, "criticality = \"{}\"", service.criticality)?;
    writeln!(text, "tags = {{ layer = \"{}\" }}", service.layer)?;
    if !dependencies.is_empty() {
        writeln!(text, "dependencies = [{}]", dependencies.join(", "))?;
    }
    Ok(())
}
