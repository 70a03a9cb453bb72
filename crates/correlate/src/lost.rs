//! Deliveries that a vendor says failed, and whether what was in them was told later.
//!
//! What is counted are the vendor's own deliveries, by their ids: an attempt that is told again, further attempts of one
//! delivery, and what came by the hook after all change nothing.

use crate::quality::Signal;
use crate::route::owner;
use crate::state::Thing;
use crate::task::Correlator;
use model::event::EventBody;
use model::{DeliveryEvent, RepoName, Text};
use std::collections::{BTreeMap, BTreeSet};

/// Repositories that a signal names.
const NAMED: usize = 5;

impl Correlator {
    /// Counts the lost deliveries of a hook.
    pub(crate) fn settle_lost(&mut self, source: &Text, hook: &Text, thing: &Thing) {
        let signal = self.lost(thing);
        self.signal("lost_deliveries", format!("{source} {hook}"), signal);
    }

    fn lost(&self, thing: &Thing) -> Option<Signal> {
        let mut deliveries: BTreeMap<&Text, bool> = BTreeMap::new();
        let mut repos: BTreeSet<RepoName> = BTreeSet::new();
        let mut services = BTreeSet::new();
        let mut answer = None;
        let records: Vec<DeliveryEvent> = self.state.records.of(thing).collect();
        let (since, until) = (records.first()?.occurred_at, records.last()?.occurred_at);
        for event in &records {
            let EventBody::LostDelivery(body) = &event.body else { continue };
            *deliveries.entry(&body.delivery_id).or_default() |= body.healed == Some(true);
            if let Some(repo) = &event.repo {
                repos.insert(self.catalog.canonical_repo(repo, event.occurred_at));
                services.insert(owner(&self.catalog, event, None).ok());
            }
            answer = body.answer.as_ref().or(answer);
        }
        let (lost, healed) = (deliveries.len(), deliveries.values().filter(|healed| **healed).count());
        let mut detail =
            format!("{lost} deliveries failed from {since} to {until}, {healed} of them were told later");
        if !repos.is_empty() {
            let named: Vec<&str> = repos.iter().take(NAMED).map(|repo| repo.as_str()).collect();
            let more = repos.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            detail += &format!("; they were about {}{more}", named.join(", "));
        }
        if let Some(answer) = answer {
            detail += &format!("; the vendor was last answered: {answer}");
        }
        let remedy = if healed == lost {
            "nothing is missing; find out why the gateway could not be reached, refused them, or answered too late"
        } else {
            "have the vendor deliver the others again, or ask for the time with `streamgauge backfill`"
        };
        // Of one service alone it is that service's matter.
        let service = if services.len() == 1 { services.pop_first().flatten() } else { None };
        Some(Signal { service, since, detail, remedy: remedy.to_owned() })
    }
}
