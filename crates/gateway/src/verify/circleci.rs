//! CircleCI: `circleci-signature: v1=<hex>`, HMAC-SHA256 of the body; other versions may stand beside it.
//!
//! Source: CircleCI's documentation, "Outbound webhooks", "Validate a webhook".

use super::{Delivery, Refused, Scheme, plain, versioned_hex};
use crate::secret::Secret;

const HEADER: &str = "circleci-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "circleci",
    description: "CircleCI's circleci-signature",
    sources: &["circleci"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    versioned_hex(HEADER, delivery, secrets)
}
