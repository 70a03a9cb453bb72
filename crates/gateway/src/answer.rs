//! What is answered: a status, and a short JSON that says what and how to mend it. Nothing that was sent is repeated.

use crate::limits::{BODY_BYTES, HEAD_BYTES, RETRY_AFTER_S};
use crate::verify::Refused;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

/// How a delivery ended: what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is in the log.
    Accepted,
    /// It was in the log before.
    Known,
    /// A subscription was confirmed, or ended.
    Subscription,
    /// It is not proved who sent it.
    Unauthorized,
    /// It is not JSON, or not what the address takes.
    Malformed,
    /// It is packed in a way that is not read.
    Unsupported,
    /// Its body is too large.
    TooLarge,
    /// Its body came too slowly, or broke off.
    TooSlow,
    /// There are too many of the hook.
    TooMany,
    /// The log did not acknowledge, or too much is held already.
    Unavailable,
}

impl Outcome {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Known,
        Self::Subscription,
        Self::Unauthorized,
        Self::Malformed,
        Self::Unsupported,
        Self::TooLarge,
        Self::TooSlow,
        Self::TooMany,
        Self::Unavailable,
    ];

    /// The counted word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Known => "known",
            Self::Subscription => "subscription",
            Self::Unauthorized => "unauthorized",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Accepted => StatusCode::ACCEPTED,
            Self::Known | Self::Subscription => StatusCode::OK,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// What and how to mend it; of what was taken nothing.
    pub detail: String,
}

impl Answer {
    /// An answer with what and how to mend it.
    pub fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into() }
    }

    /// It is in the log.
    pub fn accepted() -> Self {
        Self::new(Outcome::Accepted, "")
    }

    /// The body is too large.
    pub fn too_large() -> Self {
        Self::new(
            Outcome::TooLarge,
            format!("the body is longer than {BODY_BYTES} bytes, unpacked: let the vendor send less"),
        )
    }

    /// Too much is under way.
    pub fn busy() -> Self {
        Self::new(Outcome::Unavailable, "too much is being received at once: send it again later")
    }

    /// The log did not acknowledge. Why is for the operator: it names brokers and folders.
    pub fn not_logged() -> Self {
        Self::new(Outcome::Unavailable, "the log does not acknowledge: send it again later")
    }

    /// The answer as it is sent.
    pub fn response(&self) -> Response<Full<Bytes>> {
        let status = self.outcome.status();
        let body = if status.is_success() {
            Bytes::from_static(match self.outcome {
                Outcome::Accepted => b"{\"status\":\"accepted\"}\n",
                Outcome::Known => b"{\"status\":\"known\"}\n",
                _ => b"{\"status\":\"done\"}\n",
            })
        } else {
            error(self.outcome.as_str(), &self.detail)
        };
        let mut response = json(status, body);
        if matches!(self.outcome, Outcome::Unavailable | Outcome::TooMany) {
            let seconds = if self.outcome == Outcome::TooMany { 1 } else { RETRY_AFTER_S };
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::new(Outcome::Unauthorized, refused.to_string())
    }
}

/// There is nothing at an address.
pub fn not_found(detail: &str) -> Response<Full<Bytes>> {
    json(StatusCode::NOT_FOUND, error("not_found", detail))
}

/// The address takes another method.
pub fn not_allowed(method: &'static str) -> Response<Full<Bytes>> {
    let detail = format!("only {method} is answered here");
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, error("method_not_allowed", &detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

/// A text.
pub fn text(status: StatusCode, media_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn error(word: &str, detail: &str) -> Bytes {
    debug_assert!(detail.len() < HEAD_BYTES);
    Bytes::from(format!("{}\n", json!({ "error": word, "detail": detail })))
}
