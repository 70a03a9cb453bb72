//! Who sent a delivery: one file and one row a scheme.
//!
//! To add one: a file in `verify/` with a function of the type [`Check`], and a row in [`SCHEMES`]. Several secrets hold
//! at once, so that one can be changed without a gap. Whatever is compared is compared in constant time. Times are
//! enforced where they are signed, and nowhere else: an unsigned time proves nothing.

mod basic;
mod bearer;
mod buildkite;
mod circleci;
mod flux;
mod gitea;
mod github;
mod gitlab;
mod gitlab_token;
mod hub;
mod launchdarkly;
mod pagerduty;
mod rootly;
mod sentry;
mod sns;
mod standard_webhooks;
pub mod stated;
mod terraform;
mod url_token;

pub use sns::{Address, Certificate, Message};
pub use stated::Stated;

use crate::limits::{SIGNATURES, SIGNED_WITHIN_S};
use crate::secret::Secret;
use hyper::HeaderMap;
use hyper::header::{AsHeaderName, HeaderName};
use model::hex;
use ring::hmac::{Algorithm, HMAC_SHA256};
use std::borrow::Cow;
use std::sync::Arc;

/// A delivery as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The last part of its path, where there is one.
    pub token: Option<&'a str>,
    /// Its body, not compressed.
    pub body: &'a [u8],
    /// Now, in seconds since 1970.
    pub now_s: i64,
}

impl<'a> Delivery<'a> {
    /// A header; text that is not ASCII is none.
    pub fn header(&self, name: &'static str) -> Result<&'a str, Refused> {
        self.find(name).ok_or(Refused::Missing(name.into()))
    }

    /// A header that the configuration names.
    fn value(&self, name: &HeaderName) -> Result<&'a str, Refused> {
        self.find(name).ok_or_else(|| Refused::Missing(name.as_str().to_owned().into()))
    }

    fn find(&self, name: impl AsHeaderName) -> Option<&'a str> {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        value.filter(|value| !value.is_empty())
    }
}

/// Where something stands, in words: a header's name, most often.
pub type Place = Cow<'static, str>;

/// Why a delivery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not signed.
    #[error("{0} is missing: set the secret at the vendor too")]
    Missing(Place),
    /// What it carries is no signature of this scheme.
    #[error("{what} is not of the form {form}")]
    Form {
        /// Where it stands.
        what: Place,
        /// What was expected.
        form: Place,
    },
    /// It was signed with no secret that is known, or changed on the way.
    #[error(
        "{0} does not match: the secret differs from the vendor's, or something on the way changed the body"
    )]
    Mismatch(Place),
    /// It was signed too long ago, or will be.
    #[error(
        "it was signed {age_s} s before now, and at most {most_s} s either way are accepted: set the clocks, or send it again"
    )]
    Stale {
        /// How long ago, in seconds.
        age_s: i64,
        /// How long it may be, in seconds.
        most_s: i64,
    },
    /// What the vendor says of itself does not hold.
    #[error("{0}")]
    Untrusted(String),
}

/// Proves a delivery by any of the secrets.
pub type Check = fn(&Delivery<'_>, &[Secret]) -> Result<(), Refused>;

/// A row of the table of schemes.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// The name by which the configuration calls it.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// The sources whose vendors document it.
    pub sources: &'static [&'static str],
    /// Whether it fits other sources, too.
    pub general: bool,
    /// The header that every signed delivery has. Without it nothing more is read.
    pub header: Option<&'static str>,
    /// Makes a secret of what the vendor shows.
    pub secret: fn(&str) -> Result<Secret, &'static str>,
    /// How a delivery is proved.
    pub check: Check,
}

/// Every scheme. Of several that fit a source the first is its default.
pub const SCHEMES: &[Scheme] = &[
    github::SCHEME,
    hub::SCHEME,
    gitlab::SCHEME,
    gitlab_token::SCHEME,
    standard_webhooks::SCHEME,
    pagerduty::SCHEME,
    gitea::SCHEME,
    terraform::SCHEME,
    flux::SCHEME,
    circleci::SCHEME,
    sentry::SCHEME,
    buildkite::SCHEME,
    launchdarkly::SCHEME,
    rootly::SCHEME,
    sns::SCHEME,
    basic::SCHEME,
    bearer::SCHEME,
    url_token::SCHEME,
];

/// The scheme of a name.
pub fn scheme(name: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.name == name)
}

impl Scheme {
    /// Whether a source's vendor may use it.
    pub fn fits(&self, source: &str) -> bool {
        self.general || self.sources.contains(&source)
    }
    /// Whether it is proved by the certificate that signed, and not by a secret.
    pub fn is_sns(&self) -> bool {
        self.name == sns::SCHEME.name
    }
}

/// How the deliveries of a hook are proved.
#[derive(Debug, Clone)]
pub enum Way {
    /// As a vendor documents it.
    Scheme(&'static Scheme),
    /// As the configuration states it for a source.
    Stated(Arc<Stated>),
}

impl Way {
    /// What it is called in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scheme(scheme) => scheme.name,
            Self::Stated(_) => "verify",
        }
    }

    /// Whether it is proved by the certificate that signed, and not by a secret.
    pub fn is_sns(&self) -> bool {
        matches!(self, Self::Scheme(scheme) if scheme.is_sns())
    }

    /// The header that every signed delivery has. Without it nothing more is read.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Scheme(scheme) => scheme.header,
            Self::Stated(stated) => Some(stated.header()),
        }
    }

    /// Makes a secret of its text.
    ///
    /// # Errors
    /// Why it is none.
    pub fn secret(&self, text: &str) -> Result<Secret, &'static str> {
        match self {
            Self::Scheme(scheme) => (scheme.secret)(text),
            Self::Stated(stated) => stated.secret(text),
        }
    }

    /// Proves a delivery by any of the secrets.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
        match self {
            Self::Scheme(scheme) => (scheme.check)(delivery, secrets),
            Self::Stated(stated) => stated.check(delivery, secrets),
        }
    }
}

/// The scheme that a source's vendor documents, where it documents one.
pub fn default_scheme(source: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.sources.contains(&source))
}

/// A secret that is used as it stands.
fn plain(text: &str) -> Result<Secret, &'static str> {
    of(HMAC_SHA256, text)
}

fn of(algorithm: Algorithm, text: &str) -> Result<Secret, &'static str> {
    if text.is_empty() { Err("it is empty") } else { Ok(Secret::new(algorithm, text.as_bytes())) }
}

/// Whether what is presented is one of the secrets.
fn presented(place: impl Into<Place>, token: &[u8], secrets: &[Secret]) -> Result<(), Refused> {
    let known = secrets.iter().any(|secret| secret.is(token));
    if known { Ok(()) } else { Err(Refused::Mismatch(place.into())) }
}

/// Whether a header is the hexadecimal signature of the body, alone.
fn bare_hex(header: &'static str, delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let signature = delivery.header(header)?;
    signed_hex(header, std::iter::once(signature), &[delivery.body], secrets, "<hex>")
}

/// Whether a header is `sha256=` with the hexadecimal signature of the body.
fn named_hex(header: &'static str, delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let signature = delivery.header(header)?.strip_prefix("sha256=");
    signed_hex(header, signature.into_iter(), &[delivery.body], secrets, "sha256=<hex>")
}

/// Whether any `v1=` of a header is the hexadecimal signature of the body.
fn versioned_hex(header: &'static str, delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
    let signatures = fields(delivery.header(header)?, "v1");
    signed_hex(header, signatures, &[delivery.body], secrets, "v1=<hex>")
}

/// Whether any of the hexadecimal signatures is that of the parts.
fn signed_hex<'a>(
    header: &'static str,
    signatures: impl Iterator<Item = &'a str>,
    parts: &[&[u8]],
    secrets: &[Secret],
    form: &'static str,
) -> Result<(), Refused> {
    let found: Vec<Vec<u8>> =
        signatures.take(SIGNATURES).filter_map(|text| hex::decode(text.trim())).collect();
    if found.is_empty() {
        return Err(Refused::Form { what: header.into(), form: form.into() });
    }
    let proved = secrets.iter().any(|secret| found.iter().any(|signature| secret.signed(parts, signature)));
    if proved { Ok(()) } else { Err(Refused::Mismatch(header.into())) }
}

/// Whether a signed time is near enough to now.
fn recent(signed_s: i64, now_s: i64, most_s: i64) -> Result<(), Refused> {
    let age_s = now_s.saturating_sub(signed_s);
    if age_s.saturating_abs() <= most_s { Ok(()) } else { Err(Refused::Stale { age_s, most_s }) }
}

/// A signed time in seconds since 1970, near enough to now.
fn recent_text(header: &'static str, text: &str, now_s: i64) -> Result<(), Refused> {
    let form = Refused::Form { what: header.into(), form: "seconds since 1970".into() };
    recent(text.parse().map_err(|_| form)?, now_s, SIGNED_WITHIN_S)
}

/// A header of the form `key=value,key=value`: the values of a key.
fn fields<'a>(header: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    header
        .split(',')
        .filter_map(|field| field.trim().split_once('='))
        .filter(move |(name, _)| *name == key)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
