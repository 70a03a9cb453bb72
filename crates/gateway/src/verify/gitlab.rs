//! GitLab's signing token: Standard Webhooks' headers and form.
//!
//! Source: GitLab's merge request 230944, "Add webhook HMAC signing token": HMAC-SHA256 of `{id}.{timestamp}.{body}` in
//! `webhook-signature` as `v1,<base64>`; `webhook-id` is the `Idempotency-Key`. Its test receiver uses the library of
//! Standard Webhooks, so the token is written like a secret of theirs. No live delivery was seen.

use super::standard_webhooks::{check, secret};
use super::{Scheme, standard_webhooks};

pub(super) const SCHEME: Scheme = Scheme {
    name: "gitlab",
    description: "GitLab's signing token (webhook-signature)",
    sources: &["gitlab"],
    general: false,
    header: Some(standard_webhooks::SIGNATURE),
    secret,
    check,
};
