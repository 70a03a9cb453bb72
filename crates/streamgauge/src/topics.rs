//! `topics`: what Kafka needs, shown or made.

use crate::cli;
use crate::config::Settings;
use crate::failure::{DONE, WRONG, wrong};
use crate::output::{Align, Cell, Format, Table};
use kafka::KafkaSettings;
use kafka::acls::{calls, of_commands, of_gateway, of_stages, rules};
use kafka::admin::{Admin, Standing};
use kafka::topics::{Cleanup, TopicSpec};
use std::io::Write;

/// Makes what is missing, or with `--dry-run` only says what would be made.
///
/// # Errors
/// Exit code 2 without brokers; brokers that do not answer or refuse.
pub fn run(
    command: &cli::TopicsCommand,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let Some(brokers) = &settings.kafka else {
        return Err(wrong("no brokers are configured: set kafka.brokers or STREAMGAUGE__KAFKA__BROKERS"));
    };
    if let Some(user) = &command.acls {
        return acls(user, command, brokers, format, out);
    }
    let mut specs = brokers.topics.specs(settings.partitions, settings.mappings.all_names());
    // What a configuration maps is another's topic: it is read, never made.
    specs.retain(|spec| !brokers.mapped.contains_key(&spec.name));
    let admin = Admin::new(brokers)?;
    let standing = admin.standing(&specs)?;
    if !command.dry_run {
        make_missing(&admin, &specs, &standing, command.replication)?;
    }
    let columns = [
        ("topic", Align::Left),
        ("partitions", Align::Right),
        ("keeps", Align::Left),
        ("max bytes", Align::Right),
        ("holds", Align::Left),
        ("is", Align::Left),
    ];
    let mut table = Table::new(&columns);
    let mut differ = false;
    for (spec, standing) in specs.iter().zip(&standing) {
        let is = match standing {
            Standing::Good => "as it must be".to_owned(),
            Standing::Missing if command.dry_run => "missing".to_owned(),
            Standing::Missing => "made".to_owned(),
            Standing::Differs(differences) => {
                differ = true;
                differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
        };
        table.row(vec![
            Cell::text(spec.name.as_str()),
            Cell::count(u64::from(spec.partitions)),
            Cell::text(keeps(spec.cleanup)),
            Cell::count(u64::from(spec.max_record_bytes)),
            Cell::text(spec.holds),
            Cell::text(is),
        ]);
    }
    table.write(format, out)?;
    Ok(if differ { WRONG } else { DONE })
}

/// Makes those that are missing, by default with three copies of each record, or as many as there are brokers.
///
/// # Errors
/// Brokers that do not answer or refuse.
pub fn make_missing(
    admin: &Admin,
    specs: &[TopicSpec],
    standing: &[Standing],
    replication: Option<i32>,
) -> anyhow::Result<()> {
    let missing: Vec<&TopicSpec> = specs
        .iter()
        .zip(standing)
        .filter(|(_, standing)| **standing == Standing::Missing)
        .map(|(spec, _)| spec)
        .collect();
    if !missing.is_empty() {
        let most = i32::try_from(admin.brokers()?).unwrap_or(1);
        admin.create(&missing, replication.unwrap_or(most.min(3)))?;
    }
    Ok(())
}

/// The rights that a user needs: a table of who needs which, and below it, for people, the commands that give them.
fn acls(
    user: &str,
    command: &cli::TopicsCommand,
    brokers: &KafkaSettings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    // It is written into commands that somebody pastes into a shell.
    if user.is_empty() || !user.chars().all(|c| c.is_ascii_alphanumeric() || "._-@=,".contains(c)) {
        return Err(wrong(format!("--acls {user:?} is no user's name (letters, digits, . _ - @ = ,)")));
    }
    let needs = if command.operator {
        of_commands(brokers)
    } else if command.gateway {
        of_gateway(brokers)
    } else {
        of_stages(brokers, &crate::kafka_run::stages(&command.stages)?)
    };
    let names = ["for", "resource", "name", "pattern", "operations", "arguments"];
    let mut table = Table::new(&names.map(|name| (name, Align::Left)));
    for need in &needs {
        let pattern = &need.rule.pattern;
        let operations: Vec<String> = need.rule.operations.iter().map(ToString::to_string).collect();
        table.row(vec![
            Cell::text(need.by.to_string()),
            Cell::text(pattern.resource.as_str()),
            Cell::text(pattern.name.as_str()),
            Cell::text(if pattern.prefixed { "prefixed" } else { "literal" }),
            Cell::text(operations.join(", ")),
            Cell::text(need.rule.arguments(user).join(" ")),
        ]);
    }
    if format != Format::Table {
        table.write(format, out)?;
        return Ok(DONE);
    }
    table.without(&["arguments"]).write(format, out)?;
    writeln!(out)?;
    for arguments in calls(&rules(&needs), user) {
        writeln!(out, "kafka-acls.sh --bootstrap-server {} {}", brokers.brokers, arguments.join(" "))?;
    }
    Ok(DONE)
}

fn keeps(cleanup: Cleanup) -> String {
    match cleanup {
        Cleanup::Keep => "everything".to_owned(),
        Cleanup::Delete { retention_ms } => format!("{} days", retention_ms / 86_400_000),
        Cleanup::Compact => "last of each key".to_owned(),
    }
}
