//! Sentry: `Sentry-Hook-Signature` is the hexadecimal HMAC-SHA256 of the body with the integration's client secret.
//!
//! Source: Sentry's documentation, "Integration Platform", "Webhooks". `Sentry-Hook-Timestamp` is not signed.

use super::{Delivery, Refused, Scheme, bare_hex, plain};
use crate::secret::Secret;

const HEADER: &str = "sentry-hook-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "sentry",
    description: "Sentry's Sentry-Hook-Signature",
    sources: &["sentry"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    bare_hex(HEADER, delivery, secrets)
}
