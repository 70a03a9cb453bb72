//! PagerDuty, version 3: `X-PagerDuty-Signature: v1=<hex>,v1=<hex>`, HMAC-SHA256 of the body with each secret.
//!
//! Source: PagerDuty's documentation, "Verifying Signatures".

use super::{Delivery, Refused, Scheme, plain, versioned_hex};
use crate::secret::Secret;

const HEADER: &str = "x-pagerduty-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "pagerduty",
    description: "PagerDuty's X-PagerDuty-Signature",
    sources: &["pagerduty"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    versioned_hex(HEADER, delivery, secrets)
}
