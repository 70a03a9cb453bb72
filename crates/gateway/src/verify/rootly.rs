//! Rootly: `X-Rootly-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 of the time and the body, with nothing in between.
//!
//! Source: Rootly's documentation, "Webhooks", "Verifying Webhooks". There is no source of Rootly's own yet, so it fits any.

use super::{Delivery, Refused, Scheme, fields, plain, recent_text, signed_hex};
use crate::secret::Secret;

const HEADER: &str = "x-rootly-signature";
const FORM: &str = "t=<seconds>,v1=<hex>";

pub(super) const SCHEME: Scheme = Scheme {
    name: "rootly",
    description: "Rootly's X-Rootly-Signature",
    sources: &[],
    general: true,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let header = delivery.header(HEADER)?;
    let timestamp =
        fields(header, "t").next().ok_or(Refused::Form { what: HEADER.into(), form: FORM.into() })?;
    signed_hex(HEADER, fields(header, "v1"), &[timestamp.as_bytes(), delivery.body], secrets, FORM)?;
    recent_text(HEADER, timestamp, delivery.now_s)
}
