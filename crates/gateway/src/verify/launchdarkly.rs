//! LaunchDarkly: `X-LD-Signature` is the hexadecimal HMAC-SHA256 of the body.
//!
//! Source: LaunchDarkly's documentation, "Webhooks", "Sign a webhook".

use super::{Delivery, Refused, Scheme, bare_hex, plain};
use crate::secret::Secret;

const HEADER: &str = "x-ld-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "launchdarkly",
    description: "LaunchDarkly's X-LD-Signature",
    sources: &["launchdarkly"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    bare_hex(HEADER, delivery, secrets)
}
