//! HCP Terraform: `X-TFE-Notification-Signature` is the hexadecimal HMAC-SHA512 of the body.
//!
//! Source: HashiCorp's documentation, "Workspace notifications", "Notification Authenticity".

use super::{Delivery, Refused, Scheme, bare_hex, of};
use crate::secret::Secret;
use ring::hmac::HMAC_SHA512;

const HEADER: &str = "x-tfe-notification-signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "terraform",
    description: "HCP Terraform's X-TFE-Notification-Signature",
    sources: &["terraform"],
    general: false,
    header: Some(HEADER),
    secret: |text| of(HMAC_SHA512, text),
    check,
};

fn check(delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    bare_hex(HEADER, delivery, secrets)
}
