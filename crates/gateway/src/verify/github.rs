//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 of the body.
//!
//! Source: GitHub's documentation, "Validating webhook deliveries". The older `X-Hub-Signature` (SHA-1) comes along and is
//! not read.

use super::{Delivery, Refused, Scheme, named_hex, plain};
use crate::secret::Secret;

const HEADER: &str = "x-hub-signature-256";

pub(super) const SCHEME: Scheme = Scheme {
    name: "github",
    description: "GitHub's X-Hub-Signature-256",
    sources: &["github", "ghcr"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    named_hex(HEADER, delivery, secrets)
}
