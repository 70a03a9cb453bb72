//! Bitbucket, Jira and Snyk: `X-Hub-Signature: sha256=<hex>`, HMAC-SHA256 of the body, as WebSub writes it.
//!
//! Sources: Atlassian's documentation, "Manage webhooks" (Bitbucket Cloud and Data Center) and "Webhooks" (Jira, "Secure
//! admin webhooks": only those that an administrator made are signed); Snyk's, "Validating payloads".

use super::{Delivery, Refused, Scheme, named_hex, plain};
use crate::secret::Secret;

const HEADER: &str = "x-hub-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "hub",
    description: "X-Hub-Signature as Bitbucket, Jira and Snyk send it",
    sources: &["bitbucket", "bitbucket_datacenter", "jira", "snyk"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    // SHA-1, which GitHub writes into the same header, is not accepted.
    named_hex(HEADER, delivery, secrets)
}
