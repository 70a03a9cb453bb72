//! Amazon SNS: the message names the certificate that signed it.
//!
//! Source: AWS' documentation, "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS subscription
//! confirmation JSON format". Signature version 1 is SHA1withRSA, version 2 SHA256withRSA. There is no secret: the
//! certificate's address must lie on SNS' own host, it is fetched from there over TLS, it must be valid now and belong
//! to SNS, and the topic must be one that the configuration names. Raw delivery has no signature and is refused. No live
//! message was seen.

use super::{Delivery, Refused, Scheme, recent};
use crate::der;
use crate::limits::SNS_WITHIN_S;
use crate::secret::Secret;
use model::{Timestamp, base64};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::Deserialize;

pub(super) const SCHEME: Scheme = Scheme {
    name: "sns",
    description: "Amazon SNS, by its certificate; `topics` names the topics",
    sources: &["aws"],
    general: false,
    header: None,
    secret: |_| Err("sns has no secret: name the topics instead"),
    check,
};

/// The certificate has to be fetched: the handler proves it.
fn check(_: &Delivery<'_>, _: &[Secret]) -> Result<(), Refused> {
    Err(untrusted("a message of SNS is proved by its certificate"))
}

fn untrusted(why: impl Into<String>) -> Refused {
    Refused::Untrusted(why.into())
}

/// A message of SNS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// `Notification`, `SubscriptionConfirmation`, `UnsubscribeConfirmation`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The same again when it is sent again.
    pub message_id: String,
    /// The topic.
    pub topic_arn: String,
    message: String,
    subject: Option<String>,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    /// What confirms a subscription when it is asked for.
    #[serde(rename = "SubscribeURL")]
    pub subscribe_url: Option<String>,
    token: Option<String>,
}

/// An address on SNS' own host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// `sns.<region>.amazonaws.com`, or the same of China.
    pub host: String,
    /// What stands behind the host.
    pub path: String,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// What is no message of SNS.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        serde_json::from_slice(body).map_err(|error| {
            untrusted(format!("the body is no message of SNS ({error}): switch raw message delivery off"))
        })
    }

    /// Whether it may be believed once its signature is: its topic is known, and it is recent.
    ///
    /// # Errors
    /// Why not.
    pub fn expected(&self, topics: &[String], now_s: i64) -> Result<(), Refused> {
        if !topics.contains(&self.topic_arn) {
            return Err(untrusted("the topic is none of the hook's `topics`"));
        }
        let form =
            Refused::Form { what: "Timestamp".into(), form: "a time as in 2026-01-31T09:30:00.000Z".into() };
        let sent = Timestamp::parse(&self.timestamp).map_err(|_| form)?;
        recent(sent.micros().div_euclid(1_000_000), now_s, SNS_WITHIN_S)
    }

    /// Where the certificate lies that signed it.
    ///
    /// # Errors
    /// When that is no place of SNS' own.
    pub fn certificate(&self) -> Result<Address, Refused> {
        let address = Address::of(&self.signing_cert_url);
        address
            .filter(|address| {
                address.path.starts_with("/SimpleNotificationService-") && address.path.ends_with(".pem")
            })
            .ok_or_else(|| untrusted("SigningCertURL is no certificate on a host sns.<region>.amazonaws.com"))
    }

    /// What confirms the subscription when it is asked for.
    ///
    /// # Errors
    /// When that is no place of SNS' own.
    pub fn confirmation(&self) -> Result<Address, Refused> {
        let address = self.subscribe_url.as_deref().and_then(Address::of);
        address
            .filter(|address| address.path.contains("Action=ConfirmSubscription"))
            .ok_or_else(|| untrusted("SubscribeURL confirms nothing on a host sns.<region>.amazonaws.com"))
    }

    /// What is signed: names and values, a line each.
    fn signed(&self) -> String {
        let notification = self.kind == "Notification";
        let fields: [(&str, Option<&str>); 7] = if notification {
            [
                ("Message", Some(&self.message)),
                ("MessageId", Some(&self.message_id)),
                ("Subject", self.subject.as_deref()),
                ("Timestamp", Some(&self.timestamp)),
                ("TopicArn", Some(&self.topic_arn)),
                ("Type", Some(&self.kind)),
                ("", None),
            ]
        } else {
            [
                ("Message", Some(&self.message)),
                ("MessageId", Some(&self.message_id)),
                ("SubscribeURL", self.subscribe_url.as_deref()),
                ("Timestamp", Some(&self.timestamp)),
                ("Token", self.token.as_deref()),
                ("TopicArn", Some(&self.topic_arn)),
                ("Type", Some(&self.kind)),
            ]
        };
        let line = |(name, value): (&str, Option<&str>)| value.map(|value| format!("{name}\n{value}\n"));
        fields.into_iter().filter_map(line).collect()
    }

    /// Whether a certificate signed it.
    ///
    /// # Errors
    /// Why it did not.
    pub fn proved_by(&self, certificate: &Certificate) -> Result<(), Refused> {
        let parameters: &'static RsaParameters = match self.signature_version.as_str() {
            "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            "2" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(Refused::Form { what: "SignatureVersion".into(), form: "1 or 2".into() }),
        };
        let form = Refused::Form { what: "Signature".into(), form: "base64".into() };
        let signature = base64::decode(&self.signature).ok_or(form)?;
        UnparsedPublicKey::new(parameters, &certificate.key)
            .verify(self.signed().as_bytes(), &signature)
            .map_err(|_| Refused::Mismatch("Signature".into()))
    }
}

impl Address {
    /// Reads an HTTPS address on SNS' own host, without port or account.
    fn of(url: &str) -> Option<Self> {
        let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
        let region = host.strip_prefix("sns.")?;
        let region =
            region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let printable = path.bytes().all(|byte| byte.is_ascii_graphic());
        let found = !region.is_empty() && region.bytes().all(plain) && printable;
        found.then(|| Self { host: host.to_owned(), path: format!("/{path}") })
    }
}

/// The certificate of a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    key: Vec<u8>,
    from_s: i64,
    to_s: i64,
}

impl Certificate {
    /// Reads a certificate (PEM) that was fetched from a host of SNS; it must be SNS' own.
    ///
    /// # Errors
    /// What is no certificate, or somebody else's.
    pub fn read(pem: &[u8], host: &str) -> Result<Self, Refused> {
        let bad = || untrusted("what lies at SigningCertURL is no certificate that can be read");
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| bad())?;
        let end = webpki::EndEntityCert::try_from(&certificate).map_err(|_| bad())?;
        let suffix = if host.ends_with(".cn") { ".amazonaws.com.cn" } else { ".amazonaws.com" };
        let own = [format!("sns{suffix}"), host.to_owned()].into_iter().any(|name| {
            ServerName::try_from(name).is_ok_and(|name| end.verify_is_valid_for_subject_name(&name).is_ok())
        });
        if !own {
            return Err(untrusted("the certificate at SigningCertURL does not belong to SNS"));
        }
        let key = der::public_key(&end.subject_public_key_info()).ok_or_else(bad)?;
        let (from_s, to_s) = der::validity(&certificate).ok_or_else(bad)?;
        Ok(Self { key, from_s, to_s })
    }

    /// Whether it is valid now.
    ///
    /// # Errors
    /// When it is not.
    pub fn valid(&self, now_s: i64) -> Result<(), Refused> {
        let valid = (self.from_s..=self.to_s).contains(&now_s);
        if valid { Ok(()) } else { Err(untrusted("the certificate at SigningCertURL is not valid now")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_sns_are_addresses() {
        assert!(Address::of("https://sns.us-east-1.amazonaws.com/a.pem").is_some());
        assert!(Address::of("https://sns.cn-north-1.amazonaws.com.cn/a.pem").is_some());
        for url in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.com/a.pem",
            "https://evil.com/sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://s3.amazonaws.com/sns.pem",
            "https://sns.us-east-1.amazonaws.com/a b",
        ] {
            assert_eq!(Address::of(url), None, "{url}");
        }
    }
}
