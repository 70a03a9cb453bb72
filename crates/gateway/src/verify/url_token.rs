//! A token as the last part of the address, for vendors that can send nothing else. The body is not signed, and
//! addresses end up in logs on the way: any other scheme is better.

use super::{Delivery, Refused, Scheme, presented};
use crate::secret::Secret;

const WHERE: &str = "the token at the end of the address";

pub(super) const SCHEME: Scheme = Scheme {
    name: "url_token",
    description: "a token at the end of the address",
    sources: &[],
    general: true,
    header: None,
    secret: |text| {
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if fits { super::plain(text) } else { Err("it has other characters than letters, digits and -_.~") }
    },
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let token = delivery.token.ok_or(Refused::Missing(WHERE.into()))?;
    presented(WHERE, token.as_bytes(), secrets)
}
