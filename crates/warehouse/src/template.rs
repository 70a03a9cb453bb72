//! SQL templates: placeholders filled in, statements taken apart.

use crate::target::{Database, Target};

/// Marks a statement that only a cluster needs.
const CLUSTER_ONLY: &str = "-- only: cluster";

/// The template's statements for a target, comments left out.
pub fn render(template: &str, database: &Database, target: &Target) -> Vec<String> {
    statements(template)
        .filter(|(cluster_only, _)| !cluster_only || matches!(target, Target::Cluster(_)))
        .map(|(_, statement)| fill(&statement, database, target))
        .collect()
}

/// Statements end with `;` at the end of a line; lines that begin with `--` are comments.
fn statements(template: &str) -> impl Iterator<Item = (bool, String)> {
    let mut found = Vec::new();
    let mut cluster_only = false;
    let mut lines: Vec<&str> = Vec::new();
    for line in template.lines() {
        if line.starts_with("--") {
            cluster_only |= line == CLUSTER_ONLY;
        } else if let Some(last) = line.strip_suffix(';') {
            lines.push(last);
            found.push((cluster_only, lines.join("\n").trim().to_owned()));
            lines.clear();
            cluster_only = false;
        } else {
            lines.push(line);
        }
    }
    found.into_iter()
}

fn fill(statement: &str, database: &Database, target: &Target) -> String {
    let (on_cluster, cluster, local, engine) = match target {
        Target::Embedded | Target::Server => (String::new(), "", "", "ReplacingMergeTree("),
        // {uuid}, {shard} and {replica} are the servers' own macros.
        Target::Cluster(name) => (
            format!(" ON CLUSTER '{}'", name.as_str()),
            name.as_str(),
            "_local",
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', ",
        ),
    };
    statement
        .replace("${db}", database.as_str())
        .replace("${on_cluster}", &on_cluster)
        .replace("${cluster}", cluster)
        .replace("${local}", local)
        .replace("${replacing(", engine)
        .replace(")}", ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "-- a comment; with a semicolon;\nCREATE TABLE ${db}.a${local}${on_cluster}\n(x Int8)\nENGINE = ${replacing(rev)};\n\n-- only: cluster\nCREATE TABLE ${db}.a${on_cluster} ENGINE = Distributed('${cluster}', '${db}', 'a${local}');\n";

    #[test]
    fn one_source_serves_a_server_and_a_cluster() {
        let database = Database::default();
        assert_eq!(
            render(TEMPLATE, &database, &Target::Server),
            ["CREATE TABLE streamgauge.a\n(x Int8)\nENGINE = ReplacingMergeTree(rev)"]
        );
        assert_eq!(
            render(TEMPLATE, &database, &Target::cluster("c").unwrap()),
            [
                "CREATE TABLE streamgauge.a_local ON CLUSTER 'c'\n(x Int8)\nENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev)",
                "CREATE TABLE streamgauge.a ON CLUSTER 'c' ENGINE = Distributed('c', 'streamgauge', 'a_local')"
            ]
        );
    }
}
