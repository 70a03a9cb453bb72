//! The schema registry: whether it answers, and would take what the stages write. Nothing is registered.

use super::Findings;
use kafka::registry::Registry;
use kafka::wire::{Format, subjects};
use kafka::{KafkaSettings, Stage};

/// A schema's number that every registry can be asked for, whether it is there or not.
const ANY: u32 = 1;

/// Checks the registry, where one is configured.
pub fn check(brokers: &KafkaSettings, stages: &[Stage], findings: &mut Findings) {
    let Some(settings) = &brokers.registry else { return };
    let registry = Registry::new(settings).and_then(|registry| registry.schema(ANY).map(|_| registry));
    let registry = match registry {
        Ok(registry) => registry,
        Err(refusal) => return findings.refused("schema registry", refusal),
    };
    findings.ok("schema registry", format!("{} answers", settings.url));
    if brokers.format == Format::SingleObject {
        return;
    }
    for (subject, schema) in stages.iter().flat_map(|stage| subjects(&brokers.topics, *stage)) {
        match registry.would_take(&subject, schema.text) {
            Ok(()) => findings.ok(format!("subject {subject}"), "it takes this version's schema"),
            Err(refusal) => findings.refused(format!("subject {subject}"), refusal),
        }
    }
}
