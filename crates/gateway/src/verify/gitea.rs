//! Gitea and Forgejo: `X-Gitea-Signature` (also sent as `X-Forgejo-Signature`) is the bare hexadecimal HMAC-SHA256 of the
//! body.
//!
//! Source: Gitea's documentation, "Webhooks", and Forgejo's.

use super::{Delivery, Refused, Scheme, bare_hex, plain};
use crate::secret::Secret;

const HEADER: &str = "x-gitea-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "gitea",
    description: "Gitea's and Forgejo's X-Gitea-Signature",
    sources: &["gitea"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    bare_hex(HEADER, delivery, secrets)
}
