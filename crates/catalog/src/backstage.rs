//! Backstage's `catalog-info.yaml`: components become services, groups become teams and groups.
//!
//! Source: <https://backstage.io/docs/features/software-catalog/descriptor-format> and "well-known annotations".
//! Users are not read: an owner that is a person is nobody.

use crate::diagnostic::Diagnostic;
use crate::entry::{CatalogEntry, GroupEntry, ServiceEntry, TeamEntry};
use crate::glob::PathGlob;
use model::{RepoName, ServiceName, TeamName, Text};
use saphyr::{LoadableYamlNode, MarkedYaml};
use std::collections::BTreeMap;

/// Annotations that say what another tool calls the component, with the prefix of the alias.
const ALIASES: &[(&str, &str)] = &[
    ("pagerduty.com/service-id", "pagerduty"),
    ("argocd/app-name", "argocd"),
    ("backstage.io/kubernetes-id", "k8s"),
];

/// Annotations that name a repository as `owner/name`, with the forge's host.
const SLUGS: &[(&str, &str)] =
    &[("github.com/project-slug", "github.com"), ("gitlab.com/project-slug", "gitlab.com")];

/// Reads a file of one document or several. Kinds other than Component, Group, System and Domain say nothing about
/// ownership and are passed over; a System gives its components the tag `system`, and its domain the tag `domain`.
///
/// # Errors
/// What is no YAML, and a document without kind or name, with its place.
pub fn read(file: &str, yaml: &str) -> Result<Vec<CatalogEntry>, Diagnostic> {
    let documents = MarkedYaml::load_from_str(yaml).map_err(|error| Diagnostic {
        file: file.to_owned(),
        line: error.marker().line(),
        column: error.marker().col() + 1,
        message: format!("not YAML: {}", error.info()),
        remedy: "look at the indentation and at brackets on this line and the one before".to_owned(),
    })?;
    let mut entries = Vec::new();
    let mut domains: BTreeMap<Text, Text> = BTreeMap::new();
    for document in documents.iter().filter(|document| !document.data.is_null()) {
        let entity = Entity { file, document };
        let kind = entity.required(&["kind"])?;
        match kind {
            "Component" => entries.push(CatalogEntry::Service(entity.component()?)),
            "Group" => entries.push(entity.group()?),
            "System" => {
                if let Some(domain) = entity.reference(&["spec", "domain"]) {
                    domains.insert(Text::new(entity.name()?), Text::new(domain));
                }
            }
            _ => _ = entity.name()?,
        }
    }
    for entry in &mut entries {
        let CatalogEntry::Service(service) = entry else { continue };
        let domain = service.tags.get("system").and_then(|system| domains.get(system)).cloned();
        service.tags.extend(domain.map(|domain| (Text::new("domain"), domain)));
    }
    Ok(entries)
}

/// One document.
struct Entity<'y> {
    file: &'y str,
    document: &'y MarkedYaml<'y>,
}

impl<'y> Entity<'y> {
    fn node(&self, path: &[&str]) -> Option<&'y MarkedYaml<'y>> {
        path.iter().try_fold(self.document, |node, key| node.data.as_mapping_get(key))
    }

    fn text(&self, path: &[&str]) -> Option<&'y str> {
        self.node(path)?.data.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    fn required(&self, path: &[&str]) -> Result<&'y str, Diagnostic> {
        self.text(path).ok_or_else(|| {
            let start = self.node(path).unwrap_or(self.document).span.start;
            let name = path.join(".");
            Diagnostic {
                file: self.file.to_owned(),
                line: start.line(),
                column: start.col() + 1,
                message: format!("an entity without the text \"{name}\""),
                remedy: format!("add {name}, as Backstage's descriptor format asks"),
            }
        })
    }

    fn name(&self) -> Result<&'y str, Diagnostic> {
        self.required(&["metadata", "name"])
    }

    /// The name in a reference such as `group:default/payments`; that of a person is none.
    fn reference(&self, path: &[&str]) -> Option<&'y str> {
        bare(self.text(path)?).filter(|(kind, _)| *kind != Some("user")).map(|(_, name)| name)
    }

    fn component(&self) -> Result<ServiceEntry, Diagnostic> {
        let annotation = |name: &str| self.text(&["metadata", "annotations", name]);
        let mut repositories: Vec<(RepoName, Vec<PathGlob>)> = Vec::new();
        repositories.extend(annotation("backstage.io/source-location").and_then(source_location));
        for (key, host) in SLUGS {
            let Some(slug) = annotation(key) else { continue };
            let name = RepoName::from(format!("{host}/{}", slug.trim_matches('/')));
            if !repositories.iter().any(|(known, _)| *known == name) {
                repositories.push((name, Vec::new()));
            }
        }
        let aliases = ALIASES
            .iter()
            .filter_map(|(key, prefix)| annotation(key).map(|value| Text::from(format!("{prefix}:{value}"))));
        let depends_on = self.node(&["spec", "dependsOn"]).and_then(|list| list.data.as_sequence());
        let mut dependencies: Vec<ServiceName> = depends_on
            .into_iter()
            .flatten()
            .filter_map(|item| bare(item.data.as_str()?))
            .filter(|(kind, _)| *kind == Some("component"))
            .map(|(_, name)| ServiceName::new(name))
            .collect();
        dependencies.sort();
        dependencies.dedup();
        let mut tags = BTreeMap::new();
        for key in ["type", "lifecycle"] {
            tags.extend(self.text(&["spec", key]).map(|value| (Text::new(key), Text::new(value))));
        }
        tags.extend(
            self.reference(&["spec", "system"]).map(|system| (Text::new("system"), Text::new(system))),
        );
        Ok(ServiceEntry {
            name: ServiceName::new(self.name()?),
            repositories,
            aliases: aliases.collect(),
            team: self.reference(&["spec", "owner"]).map(TeamName::new),
            dependencies,
            tags,
        })
    }

    /// A group of type `team` or `squad` without groups below it is a team; any other one is a group.
    fn group(&self) -> Result<CatalogEntry, Diagnostic> {
        let name = self.name()?;
        let parent = self.reference(&["spec", "parent"]).map(Text::new);
        let children = self.node(&["spec", "children"]).and_then(|list| list.data.as_sequence());
        let is_team = matches!(self.text(&["spec", "type"]), Some("team" | "squad"))
            && children.is_none_or(|children| children.is_empty());
        Ok(if is_team {
            CatalogEntry::Team(TeamEntry { name: TeamName::new(name), group: parent })
        } else {
            CatalogEntry::Group(GroupEntry { name: Text::new(name), parent })
        })
    }
}

/// Kind and name of a reference `[kind:][namespace/]name`.
fn bare(reference: &str) -> Option<(Option<&str>, &str)> {
    let (kind, rest) = match reference.split_once(':') {
        Some((kind, rest)) => (Some(kind.trim()), rest),
        None => (None, reference),
    };
    let name = rest.rsplit('/').next().map(str::trim)?;
    (!name.is_empty()).then_some((kind, name))
}

/// Repository and folder of `url:https://host/owner/name/tree/branch/folder/`.
fn source_location(location: &str) -> Option<(RepoName, Vec<PathGlob>)> {
    let address = location.strip_prefix("url:").unwrap_or(location);
    let address = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    let address = address.split(['?', '#']).next()?.trim_end_matches('/');
    let marker =
        ["/-/tree/", "/-/blob/", "/tree/", "/blob/"].iter().find_map(|marker| address.split_once(marker));
    let (name, inside) = marker.unwrap_or((address, ""));
    let name = name.strip_suffix(".git").unwrap_or(name);
    if name.split('/').filter(|part| !part.is_empty()).count() < 3 {
        return None;
    }
    // The first segment is the branch: one with a slash in it cannot be told from a folder.
    let folder = inside.split_once('/').map_or("", |(_, folder)| folder);
    // A file's folder is the component's; the descriptor itself often is the location.
    let is_file = folder.ends_with(".yaml") || folder.ends_with(".yml");
    let folder = if is_file { folder.rsplit_once('/').map_or("", |(folder, _)| folder) } else { folder };
    let glob = (!folder.is_empty()).then(|| PathGlob::new(&format!("{folder}/**")).ok()).flatten();
    Some((RepoName::new(name), glob.into_iter().collect()))
}
