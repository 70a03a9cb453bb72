//! Which deliveries are in the log already: bounded, by hook.
//!
//! A delivery is known by its vendor's id together with its body: an id that comes with another body is another
//! delivery, so a vendor whose ids repeat loses nothing. What has no id is not remembered; the events made of it
//! have ids of their own, so that twice is once all the same.

use crate::limits::{DELIVERY_ID_BYTES, KNOWN_DELIVERIES};
use hyper::HeaderMap;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use twox_hash::XxHash3_128;

/// In which headers vendors send a delivery's id, by source; `*`: whatever the source.
///
/// Sources: GitHub, "Webhook events and payloads"; GitLab, "Webhooks", "Delivery headers"; Atlassian, "Event payloads";
/// Gitea, "Webhooks"; Standard Webhooks; Jira, "Webhooks"; Sentry, "Webhooks"; AWS, "Amazon SNS message and JSON formats".
const IDS: &[(&str, &[&str])] = &[
    ("github", &["x-github-delivery"]),
    ("ghcr", &["x-github-delivery"]),
    ("gitlab", &["idempotency-key", "webhook-id"]),
    ("bitbucket", &["x-request-uuid"]),
    ("bitbucket_datacenter", &["x-request-id"]),
    ("gitea", &["x-gitea-delivery"]),
    ("jira", &["x-atlassian-webhook-identifier"]),
    ("sentry", &["request-id"]),
    ("aws", &["x-amz-sns-message-id"]),
    ("*", &["webhook-id", "ce-id"]),
];

/// A delivery, by its id and its body.
pub type Delivery = u128;

/// The delivery that headers and body name, where they name one.
pub fn delivery(source: &str, headers: &HeaderMap, body: &[u8]) -> Option<Delivery> {
    let named = IDS.iter().filter(|(of, _)| *of == source || *of == "*");
    let id = named.flat_map(|(_, names)| *names).find_map(|name| headers.get(*name))?;
    let id = id.as_bytes();
    if id.is_empty() || id.len() > DELIVERY_ID_BYTES {
        return None;
    }
    let seed = XxHash3_128::oneshot(id);
    let (low, high) = (seed as u64, (seed >> 64) as u64);
    Some(XxHash3_128::oneshot_with_seed(low, body) ^ u128::from(high))
}

/// The deliveries of one hook that are in the log, the newest of them.
#[derive(Debug, Default)]
pub struct Known {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: HashSet<Delivery>,
    by_age: VecDeque<Delivery>,
}

impl Known {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a delivery is in the log.
    pub fn has(&self, delivery: Delivery) -> bool {
        self.held().all.contains(&delivery)
    }

    /// Remembers a delivery that the log acknowledged, and forgets the oldest where there are too many.
    pub fn remember(&self, delivery: Delivery) {
        let mut held = self.held();
        if held.all.insert(delivery) {
            held.by_age.push_back(delivery);
            if held.by_age.len() > KNOWN_DELIVERIES
                && let Some(oldest) = held.by_age.pop_front()
            {
                held.all.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn the_oldest_is_forgotten_and_the_rest_is_not() {
        let known = Known::default();
        let last = KNOWN_DELIVERIES as u128;
        for delivery in 0..=last {
            known.remember(delivery);
            known.remember(delivery);
        }
        assert!(!known.has(0) && known.has(1) && known.has(last));
        assert_eq!(known.held().all.len(), KNOWN_DELIVERIES);
    }

    #[test]
    fn a_delivery_is_its_id_with_its_body() {
        let named = |source: &str, name: &'static str, id: &'static str, body: &[u8]| {
            let headers: HeaderMap =
                [(hyper::header::HeaderName::from_static(name), HeaderValue::from_static(id))]
                    .into_iter()
                    .collect();
            delivery(source, &headers, body)
        };
        let first = named("github", "x-github-delivery", "a", b"{}");
        assert!(first.is_some());
        assert_eq!(named("github", "x-github-delivery", "a", b"{}"), first);
        assert_ne!(named("github", "x-github-delivery", "b", b"{}"), first);
        assert_ne!(named("github", "x-github-delivery", "a", b"{} "), first);
        assert_eq!(named("gitlab", "x-github-delivery", "a", b"{}"), None);
        assert!(named("pagerduty", "webhook-id", "a", b"{}").is_some());
    }
}
