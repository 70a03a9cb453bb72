//! Buildkite: `X-Buildkite-Signature: timestamp=<seconds>,signature=<hex>`, HMAC-SHA256 of `{timestamp}.{body}`.
//!
//! Source: Buildkite's documentation, "Webhooks", "Webhook signature". A webhook that sends its token as it stands
//! (`X-Buildkite-Token`) is refused: choose the signature there.

use super::{Delivery, Refused, Scheme, fields, plain, recent_text, signed_hex};
use crate::secret::Secret;

const HEADER: &str = "x-buildkite-signature";
const FORM: &str = "timestamp=<seconds>,signature=<hex>";

pub(super) const SCHEME: Scheme = Scheme {
    name: "buildkite",
    description: "Buildkite's X-Buildkite-Signature",
    sources: &["buildkite"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let header = delivery.header(HEADER)?;
    let form = Refused::Form { what: HEADER.into(), form: FORM.into() };
    let timestamp = fields(header, "timestamp").next().ok_or(form)?;
    let parts = [timestamp.as_bytes(), b".", delivery.body];
    signed_hex(HEADER, fields(header, "signature"), &parts, secrets, FORM)?;
    recent_text(HEADER, timestamp, delivery.now_s)
}
