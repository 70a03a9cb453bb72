//! Signatures that the configuration states (`[sources.NAME.verify]`), for senders that sign in a way of their own: which
//! header holds the signature, how it is made, how it is written, and of what it is made.

use super::{Delivery, Place, Refused, presented, recent};
use crate::limits::{SIGNATURES, SIGNED_WITHIN_S};
use crate::secret::Secret;
use hyper::header::HeaderName;
use model::{Timestamp, base64, hex};
use ring::hmac;

/// The words for how a signature is made. `token` is none: the header shows the secret itself.
pub const ALGORITHMS: [&str; 5] = ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512", "token"];
/// The words for how a signature is written.
pub const ENCODINGS: [&str; 2] = ["hex", "base64"];
/// Parts of what is signed: a template longer than any real one is a mistake.
const MAX_PARTS: usize = 16;

/// What the configuration says of a signature, as it is written.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The header that holds it.
    pub header: Option<String>,
    /// One of [`ALGORITHMS`]; else `hmac-sha256`.
    pub algorithm: Option<String>,
    /// One of [`ENCODINGS`]; else `hex`.
    pub encoding: Option<String>,
    /// What stands before it in the header.
    pub prefix: Option<String>,
    /// What is signed, with `{body}`, `{timestamp}` and `{header:NAME}` in it; else the body.
    pub signed: Option<String>,
    /// The header that holds the signed time.
    pub timestamp_header: Option<String>,
    /// What stands before the signed time, in its header or, without one, in the signature's.
    pub timestamp_prefix: Option<String>,
}

/// A mistake in [`Terms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key that it is made in.
    pub key: &'static str,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// A signature that the configuration states, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    header: HeaderName,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: String,
    signed: Vec<Part>,
    timestamp: Option<SignedTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Hex,
    Base64,
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Body,
    Timestamp,
    Header(HeaderName),
}

/// Where the signed time stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SignedTime {
    header: HeaderName,
    prefix: String,
}

impl Stated {
    /// Validates what the configuration says.
    ///
    /// # Errors
    /// The first mistake, with its key.
    pub fn new(terms: &Terms) -> Result<Self, Mistake> {
        let header = name("header", terms.header.as_deref().unwrap_or_default())?;
        let algorithm = match terms.algorithm.as_deref() {
            None | Some("hmac-sha256") => Algorithm::Sha256,
            Some("hmac-sha1") => Algorithm::Sha1,
            Some("hmac-sha384") => Algorithm::Sha384,
            Some("hmac-sha512") => Algorithm::Sha512,
            Some("token") => Algorithm::Token,
            Some(other) => return Err(unknown("algorithm", other, &ALGORITHMS)),
        };
        let encoding = match terms.encoding.as_deref() {
            None | Some("hex") => Encoding::Hex,
            Some("base64") => Encoding::Base64,
            Some(other) => return Err(unknown("encoding", other, &ENCODINGS)),
        };
        let signs = [
            ("encoding", &terms.encoding),
            ("signed", &terms.signed),
            ("timestamp_header", &terms.timestamp_header),
            ("timestamp_prefix", &terms.timestamp_prefix),
        ];
        if let (Algorithm::Token, Some((key, _))) =
            (algorithm, signs.into_iter().find(|(_, term)| term.is_some()))
        {
            return Err(Mistake { key, what: "a token signs nothing: leave it out".to_owned() });
        }
        let signed = parts(terms.signed.as_deref().unwrap_or("{body}"))?;
        let timestamp = signed_time(terms, &header)?;
        match (signed.contains(&Part::Timestamp), &timestamp) {
            (true, None) => Err(Mistake {
                key: "signed",
                what: "{timestamp} is signed, but neither timestamp_header nor timestamp_prefix says where it \
                       stands"
                    .to_owned(),
            }),
            (false, Some(_)) => Err(Mistake {
                key: if terms.timestamp_header.is_some() { "timestamp_header" } else { "timestamp_prefix" },
                what: "the time is not signed, and proves nothing: put {timestamp} into `signed`, or leave it out"
                    .to_owned(),
            }),
            _ => Ok(Self {
                header,
                algorithm,
                encoding,
                prefix: terms.prefix.clone().unwrap_or_default(),
                signed,
                timestamp,
            }),
        }
    }

    /// The header that every signed delivery has.
    pub fn header(&self) -> &str {
        self.header.as_str()
    }

    /// Makes a secret of its text.
    ///
    /// # Errors
    /// Why it is none.
    pub fn secret(&self, text: &str) -> Result<Secret, &'static str> {
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 | Algorithm::Token => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        super::of(algorithm, text)
    }

    /// Proves a delivery by any of the secrets.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, delivery: &Delivery<'_>, secrets: &[Secret]) -> Result<(), Refused> {
        let value = delivery.value(&self.header)?;
        if self.algorithm == Algorithm::Token {
            let token = value.strip_prefix(self.prefix.as_str()).ok_or_else(|| self.form())?;
            return presented(self.place(), token.trim().as_bytes(), secrets);
        }
        let found: Vec<Vec<u8>> = items(value)
            .filter_map(|item| self.decoded(item.strip_prefix(self.prefix.as_str())?))
            .take(SIGNATURES)
            .collect();
        if found.is_empty() {
            return Err(self.form());
        }
        let time = self.timestamp.as_ref().map(|signed| signed.of(delivery)).transpose()?;
        let parts = self.signed.iter().map(|part| {
            Ok(match part {
                Part::Text(text) => text.as_bytes(),
                Part::Body => delivery.body,
                Part::Timestamp => time.unwrap_or_default().as_bytes(),
                Part::Header(name) => delivery.value(name)?.as_bytes(),
            })
        });
        let parts = parts.collect::<Result<Vec<&[u8]>, Refused>>()?;
        let proved = secrets.iter().any(|secret| found.iter().any(|one| secret.signed(&parts, one)));
        if !proved {
            return Err(Refused::Mismatch(self.place()));
        }
        match (&self.timestamp, time) {
            (Some(signed), Some(time)) => recent(signed.seconds(time)?, delivery.now_s, SIGNED_WITHIN_S),
            _ => Ok(()),
        }
    }

    fn decoded(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self.encoding {
            Encoding::Hex => hex::decode(text.trim()),
            Encoding::Base64 => base64::decode(text.trim()),
        };
        bytes.filter(|bytes| !bytes.is_empty())
    }

    fn place(&self) -> Place {
        self.header.as_str().to_owned().into()
    }

    fn form(&self) -> Refused {
        let written = match (self.algorithm, self.encoding) {
            (Algorithm::Token, _) => "<token>",
            (_, Encoding::Hex) => "<hex>",
            (_, Encoding::Base64) => "<base64>",
        };
        Refused::Form { what: self.place(), form: format!("{}{written}", self.prefix).into() }
    }
}

impl SignedTime {
    /// The time's text, where the delivery has one.
    fn of<'a>(&self, delivery: &Delivery<'a>) -> Result<&'a str, Refused> {
        let found =
            items(delivery.value(&self.header)?).find_map(|item| item.strip_prefix(self.prefix.as_str()));
        found.map(str::trim).ok_or_else(|| self.form())
    }

    /// Seconds, milliseconds (of eleven digits and more: as seconds they would lie in the year 5138), or RFC 3339.
    fn seconds(&self, text: &str) -> Result<i64, Refused> {
        let number = text.parse::<i64>().ok();
        let seconds = number.map(|number| if number < 100_000_000_000 { number } else { number / 1_000 });
        let stated = || Some(Timestamp::parse(text).ok()?.micros().div_euclid(1_000_000));
        seconds.or_else(stated).ok_or_else(|| self.form())
    }

    fn form(&self) -> Refused {
        let form = format!("{}<seconds or milliseconds since 1970, or RFC 3339>", self.prefix);
        Refused::Form { what: self.header.as_str().to_owned().into(), form: form.into() }
    }
}

/// What a header may mean: one of several things with commas or spaces between them, or itself.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).chain(value.split_whitespace()).chain(std::iter::once(value))
}

/// Takes what is signed apart.
fn parts(template: &str) -> Result<Vec<Part>, Mistake> {
    let mistake = |what: String| Mistake { key: "signed", what };
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let (word, after) =
            behind.split_once('}').ok_or_else(|| mistake(format!("{{{behind} has no closing brace")))?;
        parts.push(match (word, word.strip_prefix("header:")) {
            ("body", _) => Part::Body,
            ("timestamp", _) => Part::Timestamp,
            (_, Some(header)) => Part::Header(name("signed", header)?),
            _ => {
                return Err(mistake(format!(
                    "{{{word}}} is none of {{body}}, {{timestamp}} and {{header:NAME}}"
                )));
            }
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    if parts.len() > MAX_PARTS {
        return Err(mistake(format!("it has more than {MAX_PARTS} parts")));
    }
    if parts.iter().filter(|part| **part == Part::Body).count() == 1 {
        return Ok(parts);
    }
    Err(mistake("the body must be signed, once: put {body} into it".to_owned()))
}

fn signed_time(terms: &Terms, signature: &HeaderName) -> Result<Option<SignedTime>, Mistake> {
    let prefix = terms.timestamp_prefix.clone().unwrap_or_default();
    let header = match (&terms.timestamp_header, &terms.timestamp_prefix) {
        (Some(header), _) => name("timestamp_header", header)?,
        (None, Some(prefix)) if prefix.is_empty() => {
            let what = "it is empty: say what stands before the time in the signature's header".to_owned();
            return Err(Mistake { key: "timestamp_prefix", what });
        }
        (None, Some(_)) => signature.clone(),
        (None, None) => return Ok(None),
    };
    Ok(Some(SignedTime { header, prefix }))
}

fn name(key: &'static str, text: &str) -> Result<HeaderName, Mistake> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        let what = if text.is_empty() {
            "it says which header holds the signature, and is missing".to_owned()
        } else {
            format!("{text:?} is no header's name")
        };
        Mistake { key, what }
    })
}

fn unknown(key: &'static str, word: &str, known: &[&str]) -> Mistake {
    Mistake { key, what: format!("{word:?} is not one of {}", known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;

    const BODY: &str = r#"{"id": 7}"#;
    const NOW_S: i64 = 1_700_000_000;

    fn terms(pairs: &[(&str, &str)]) -> Terms {
        let term =
            |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        Terms {
            header: term("header"),
            algorithm: term("algorithm"),
            encoding: term("encoding"),
            prefix: term("prefix"),
            signed: term("signed"),
            timestamp_header: term("timestamp_header"),
            timestamp_prefix: term("timestamp_prefix"),
        }
    }

    fn stated(pairs: &[(&str, &str)]) -> Stated {
        Stated::new(&terms(pairs)).unwrap()
    }

    fn said(stated: &Stated, headers: &[(&str, &str)], body: &str, secrets: &[&str]) -> Result<(), Refused> {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        let secrets: Vec<Secret> = secrets.iter().map(|text| stated.secret(text).unwrap()).collect();
        let delivery = Delivery { headers: &headers, token: None, body: body.as_bytes(), now_s: NOW_S };
        stated.check(&delivery, &secrets)
    }

    fn mac(algorithm: hmac::Algorithm, secret: &str, text: &str) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes()).as_ref().to_vec()
    }

    #[test]
    fn each_algorithm_and_encoding_proves_what_is_signed_right_and_nothing_else() {
        let algorithms = [
            ("hmac-sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            ("hmac-sha256", hmac::HMAC_SHA256),
            ("hmac-sha384", hmac::HMAC_SHA384),
            ("hmac-sha512", hmac::HMAC_SHA512),
        ];
        for (word, algorithm) in algorithms {
            for encoding in ENCODINGS {
                let stated = stated(&[("header", "X-Sign"), ("algorithm", word), ("encoding", encoding)]);
                let bytes = mac(algorithm, "one", BODY);
                let signature = if encoding == "hex" { hex::lower(&bytes) } else { base64::encode(&bytes) };
                let headers = [("x-sign", signature.as_str())];
                assert_eq!(said(&stated, &headers, BODY, &["one"]), Ok(()), "{word} {encoding}");
                let refused = Err(Refused::Mismatch("x-sign".into()));
                assert_eq!(said(&stated, &headers, "{}", &["one"]), refused);
                assert_eq!(said(&stated, &headers, BODY, &["two"]), refused);
                assert_eq!(said(&stated, &headers, BODY, &[]), refused);
            }
        }
    }

    #[test]
    fn several_secrets_hold_at_once_and_several_signatures_are_looked_at() {
        let stated = stated(&[("header", "X-Sign"), ("prefix", "v1=")]);
        let signature = hex::lower(&mac(hmac::HMAC_SHA256, "new", BODY));
        for secrets in [["old", "new"], ["new", "old"]] {
            for value in [
                format!("v1={signature}"),
                format!("v0=00,v1=00, v1={signature}"),
                format!("v1=00 v1={signature}"),
            ] {
                assert_eq!(said(&stated, &[("x-sign", &value)], BODY, &secrets), Ok(()), "{value}");
            }
        }
        let form = Refused::Form { what: "x-sign".into(), form: "v1=<hex>".into() };
        for value in ["v0=00", "v1=", "v1=zz"] {
            assert_eq!(said(&stated, &[("x-sign", value)], BODY, &["new"]), Err(form.clone()), "{value}");
        }
        assert_eq!(said(&stated, &[], BODY, &["new"]), Err(Refused::Missing("x-sign".into())));
    }

    #[test]
    fn a_token_is_compared_whole() {
        let stated = stated(&[("header", "Authorization"), ("algorithm", "token"), ("prefix", "Bearer ")]);
        assert_eq!(said(&stated, &[("authorization", "Bearer abc")], BODY, &["x", "abc"]), Ok(()));
        for value in ["Bearer ab", "Bearer abcd", "Bearer "] {
            let refused = said(&stated, &[("authorization", value)], BODY, &["abc"]);
            assert!(refused.is_err(), "{value}");
        }
        let form = Refused::Form { what: "authorization".into(), form: "Bearer <token>".into() };
        assert_eq!(said(&stated, &[("authorization", "abc")], BODY, &["abc"]), Err(form));
    }

    #[test]
    fn what_is_signed_may_hold_other_headers_and_a_time_which_is_then_enforced() {
        let here = stated(&[
            ("header", "X-Sign"),
            ("prefix", "v1="),
            ("signed", "{header:X-Id}.{timestamp}:{body}"),
            ("timestamp_prefix", "t="),
        ]);
        let beside = stated(&[
            ("header", "X-Sign"),
            ("signed", "{header:X-Id}.{timestamp}:{body}"),
            ("timestamp_header", "X-Time"),
        ]);
        for (time, is_recent) in [
            ("1700000000", true),
            ("1700000300", true),
            ("1700000301", false),
            ("1699999699", false),
            ("1700000000123", true),
            ("2023-11-14T22:13:20Z", true),
            ("2023-11-14T21:13:20Z", false),
        ] {
            let signature = hex::lower(&mac(hmac::HMAC_SHA256, "s", &format!("7.{time}:{BODY}")));
            let value = format!("t={time},v1={signature}");
            let within = said(&here, &[("x-sign", &value), ("x-id", "7")], BODY, &["s"]);
            let apart =
                said(&beside, &[("x-sign", &signature), ("x-time", time), ("x-id", "7")], BODY, &["s"]);
            assert_eq!(within, apart, "{time}");
            assert_eq!(within.is_ok(), is_recent, "{time}: {within:?}");
            let stale = matches!(within, Ok(()) | Err(Refused::Stale { .. }));
            assert!(stale, "{within:?}");
            let other = said(&here, &[("x-sign", &value), ("x-id", "8")], BODY, &["s"]);
            assert_eq!(other, Err(Refused::Mismatch("x-sign".into())));
            assert_eq!(
                said(&here, &[("x-sign", &value)], BODY, &["s"]),
                Err(Refused::Missing("x-id".into()))
            );
        }
        let signature = hex::lower(&mac(hmac::HMAC_SHA256, "s", &format!("7.noon:{BODY}")));
        let told = said(&beside, &[("x-sign", &signature), ("x-time", "noon"), ("x-id", "7")], BODY, &["s"]);
        assert!(matches!(told, Err(Refused::Form { .. })), "{told:?}");
    }

    #[test]
    fn each_mistake_names_its_key() {
        for (pairs, key, says) in [
            (&[][..], "header", "is missing"),
            (&[("header", "X Sign")], "header", "\"X Sign\" is no header's name"),
            (
                &[("header", "x"), ("algorithm", "md5")],
                "algorithm",
                "\"md5\" is not one of hmac-sha1, hmac-sha256",
            ),
            (&[("header", "x"), ("encoding", "base32")], "encoding", "\"base32\" is not one of hex, base64"),
            (&[("header", "x"), ("signed", "{bodey}")], "signed", "{bodey} is none of {body}"),
            (&[("header", "x"), ("signed", "{body")], "signed", "no closing brace"),
            (&[("header", "x"), ("signed", "{timestamp}")], "signed", "put {body} into it"),
            (&[("header", "x"), ("signed", "{body}{body}")], "signed", "once"),
            (&[("header", "x"), ("signed", "{header:a b}{body}")], "signed", "no header's name"),
            (&[("header", "x"), ("signed", "{timestamp}{body}")], "signed", "neither timestamp_header"),
            (&[("header", "x"), ("timestamp_header", "t")], "timestamp_header", "is not signed"),
            (&[("header", "x"), ("timestamp_prefix", "t=")], "timestamp_prefix", "is not signed"),
            (&[("header", "x"), ("timestamp_prefix", "")], "timestamp_prefix", "it is empty"),
            (
                &[("header", "x"), ("algorithm", "token"), ("encoding", "hex")],
                "encoding",
                "a token signs nothing",
            ),
        ] {
            let mistake = Stated::new(&terms(pairs)).unwrap_err();
            assert_eq!(mistake.key, key, "{mistake:?}");
            assert!(mistake.what.contains(says), "{mistake:?}");
        }
    }
}
