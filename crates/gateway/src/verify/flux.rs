//! Flux, provider `generic-hmac`: `X-Signature: sha256=<hex>`, HMAC-SHA256 of the body.
//!
//! Source: the Provider type `generic-hmac` of Flux' notification controller. Its page was not found among the documents at
//! hand; the form is that of several receivers written for it. No live delivery was seen.

use super::{Delivery, Refused, Scheme, named_hex, plain};
use crate::secret::Secret;

const HEADER: &str = "x-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "flux",
    description: "Flux' X-Signature (generic-hmac)",
    sources: &["flux"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    named_hex(HEADER, delivery, secrets)
}
