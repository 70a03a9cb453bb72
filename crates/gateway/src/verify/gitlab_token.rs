//! GitLab's secret token: `X-Gitlab-Token` is the secret itself.
//!
//! Source: GitLab's documentation, "Webhooks". The body is not signed: where GitLab offers a signing token, use it.

use super::{Delivery, Refused, Scheme, plain, presented};
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
    presented(HEADER, token.as_bytes(), secrets)
}
