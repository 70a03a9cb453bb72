//! Standard Webhooks (incident.io among them): `webhook-id`, `webhook-timestamp`, `webhook-signature`.
//!
//! Source: the specification at standardwebhooks.com and Svix' "Verifying webhooks manually": HMAC-SHA256 of
//! `{id}.{timestamp}.{body}`, the signatures separated by spaces, each `v1,<base64>`. The secret is `whsec_` and base64.

use super::{Delivery, Refused, Scheme, recent_text};
use crate::limits::SIGNATURES;
use crate::secret::Secret;
use model::base64;
use ring::hmac::HMAC_SHA256;

pub(super) const SIGNATURE: &str = "webhook-signature";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";

pub(super) const SCHEME: Scheme = Scheme {
    name: "standard_webhooks",
    description: "Standard Webhooks, as incident.io sends it",
    sources: &["incidentio"],
    general: true,
    header: Some(SIGNATURE),
    secret,
    check,
};

pub(super) fn secret(text: &str) -> Result<Secret, &'static str> {
    let bytes = base64::decode(text.strip_prefix("whsec_").unwrap_or(text));
    match bytes {
        Some(bytes) if !bytes.is_empty() => Ok(Secret::new(HMAC_SHA256, &bytes)),
        _ => Err("it is not whsec_ and base64"),
    }
}

pub(super) fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let signatures = delivery.header(SIGNATURE)?;
    let (id, timestamp) = (delivery.header(ID)?, delivery.header(TIMESTAMP)?);
    let found: Vec<Vec<u8>> = signatures
        .split(' ')
        .take(SIGNATURES)
        .filter_map(|signature| base64::decode(signature.trim().strip_prefix("v1,")?))
        .collect();
    if found.is_empty() {
        return Err(Refused::Form { what: SIGNATURE.into(), form: "v1,<base64>".into() });
    }
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", delivery.body];
    let proved = secrets.iter().any(|secret| found.iter().any(|signature| secret.signed(&parts, signature)));
    if !proved {
        return Err(Refused::Mismatch(SIGNATURE.into()));
    }
    recent_text(TIMESTAMP, timestamp, delivery.now_s)
}
