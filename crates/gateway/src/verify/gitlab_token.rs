//! GitLab's secret token: `X-Gitlab-Token` is the secret itself.
//!
//! Source: GitLab's documentation, "Webhooks". The body is not signed: where GitLab offers a signing token, use it.

use super::{Delivery, Refused, Scheme, plain};
use crate::secret::Secret;

const HEADER: &str = "x-gitlab-token";

pub(super) const SCHEME: Scheme = Scheme {
    name: "gitlab_token",
    description: "GitLab's X-Gitlab-Token",
    sources: &["gitlab"],
    general: false,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let token = delivery.header(HEADER)?;
    let known = secrets.iter().any(|secret| secret.is(token.as_bytes()));
    if known { Ok(()) } else { Err(Refused::Mismatch(HEADER)) }
}
