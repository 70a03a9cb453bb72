//! Basic authentication (RFC 7617), as Azure DevOps and Alertmanager send it. The secret is `user:password`.
//!
//! Source: Microsoft's documentation, "Webhooks" of the service hooks. The body is not signed.

use super::{Delivery, Refused, Scheme, plain, presented};
use crate::secret::Secret;
use model::base64;

const HEADER: &str = "authorization";

pub(super) const SCHEME: Scheme = Scheme {
    name: "basic",
    description: "basic authentication, as Azure DevOps sends it; the secret is user:password",
    sources: &["azure"],
    general: true,
    header: Some(HEADER),
    secret: |text| if text.contains(':') { plain(text) } else { Err("it is not user:password") },
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let form = Refused::Form { what: HEADER.into(), form: "Basic <base64>".into() };
    let (kind, text) = delivery.header(HEADER)?.split_once(' ').ok_or(form.clone())?;
    let credentials =
        base64::decode(text.trim()).filter(|_| kind.eq_ignore_ascii_case("basic")).ok_or(form)?;
    presented(HEADER, &credentials, secrets)
}
