//! A bearer token (RFC 6750): `Authorization: Bearer <token>`. The body is not signed.

use super::{Delivery, Refused, Scheme, plain, presented};
use crate::secret::Secret;

const HEADER: &str = "authorization";

pub(super) const SCHEME: Scheme = Scheme {
    name: "bearer",
    description: "a bearer token",
    sources: &[],
    general: true,
    header: Some(HEADER),
    secret: plain,
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let form = Refused::Form { what: HEADER.into(), form: "Bearer <token>".into() };
    let (kind, token) = delivery.header(HEADER)?.split_once(' ').ok_or(form.clone())?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(form);
    }
    presented(HEADER, token.trim().as_bytes(), secrets)
}
