//! Why brokers cannot be talked to, in words, with what mends it. librdkafka says "broker transport failure" to
//! whoever asks; what really happened it tells beside, and [`Ear`] listens to that.

use crate::client;
use crate::settings::KafkaSettings;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl Refusal {
    /// Both.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

/// What a client told beside its answers.
#[derive(Debug, Default)]
pub struct Ear {
    heard: Mutex<Option<(RDKafkaErrorCode, String)>>,
    /// The newest version of each request that a broker takes, by the request's number.
    requests: Mutex<BTreeMap<i16, i16>>,
}

/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_millis(1_500);
/// After how many attempts an error that was heard counts: a broker that is just starting refuses at first.
const ATTEMPTS: u32 = 2;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ear {
    /// Notes an error. That all brokers are down is what follows from the others.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        if let Some(code) =
            error.rdkafka_error_code().filter(|code| *code != RDKafkaErrorCode::AllBrokersDown)
        {
            *lock(&self.heard) = Some((code, reason.to_owned()));
        }
    }

    /// The last error's code.
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        lock(&self.heard).as_ref().map(|(code, _)| *code)
    }

    /// The last error in words.
    pub fn refusal(&self, brokers: &str, protocol: &str) -> Refusal {
        match &*lock(&self.heard) {
            Some((code, reason)) => explain(*code, reason, protocol),
            None => Refusal::new(
                format!("{brokers} does not answer in Kafka's protocol"),
                format!(
                    "is kafka.protocol ({protocol}) that of the listener, and does every firewall on the way let \
                     it through?"
                ),
            ),
        }
    }

    /// The newest version of a request that the brokers take; `None`: they do not know it, or did not say.
    pub fn request(&self, number: i16) -> Option<i16> {
        lock(&self.requests).get(&number).copied()
    }
}

impl ClientContext for Ear {
    // Statistics are asked for by members alone; the code that reads them is large.
    fn stats_raw(&self, _: &[u8]) {}
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match request_version(message) {
            Some((number, version)) => {
                lock(&self.requests)
                    .entry(number)
                    .and_modify(|known| *known = version.min(*known))
                    .or_insert(version);
            }
            None => tracing::debug!(?level, facility, message, "librdkafka"),
        }
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.note(&error, reason);
    }
}

impl ConsumerContext for Ear {}

/// Reads a line such as `…: ApiKey TxnOffsetCommit (28) Versions 0..5`.
fn request_version(line: &str) -> Option<(i16, i16)> {
    let (_, rest) = line.split_once(" ApiKey ")?;
    let (name, versions) = rest.split_once(") Versions ")?;
    let number = name.rsplit_once('(')?.1.parse().ok()?;
    Some((number, versions.split_once("..")?.1.trim().parse().ok()?))
}

/// The protocol that the settings say.
pub fn protocol(settings: &KafkaSettings) -> &str {
    settings.properties.get("security.protocol").map_or("plaintext", String::as_str)
}

/// A consumer that listens; it joins no group.
///
/// # Errors
/// Settings that librdkafka refuses, such as a file that is not there.
pub fn listener(settings: &KafkaSettings) -> Result<BaseConsumer<Ear>, Refusal> {
    let mut config = client::reader(settings);
    config.set("enable.partition.eof", "true").set("debug", "feature").set_log_level(RDKafkaLogLevel::Debug);
    config.create_with_context(Ear::default()).map_err(|error| {
        Refusal::new(
            format!("the settings of the connection are not accepted ({error})"),
            "correct kafka.ssl.*, kafka.sasl.* and kafka.properties.*",
        )
    })
}

/// Connects within a time. Says how many brokers there are.
///
/// # Errors
/// Why it cannot.
pub fn connect(settings: &KafkaSettings, within: Duration) -> Result<(BaseConsumer<Ear>, usize), Refusal> {
    let consumer = listener(settings)?;
    let deadline = Instant::now() + within;
    for attempt in 1_u32.. {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Ok(metadata) = consumer.fetch_metadata(None, ATTEMPT.min(left)) {
            let count = metadata.brokers().len();
            return Ok((consumer, count));
        }
        // What went wrong is told while polling, and the same again and again.
        for _ in 0..50 {
            if consumer.poll(Duration::from_millis(10)).is_none() {
                break;
            }
        }
        let heard = consumer.context().code().is_some() && attempt >= ATTEMPTS;
        if heard || left <= ATTEMPT {
            break;
        }
    }
    Err(consumer.context().refusal(&settings.brokers, protocol(settings)))
}

/// Takes apart what librdkafka says, such as
/// `GroupCoordinator: sasl_ssl://127.0.0.1:9092/1: what happened (after 3ms in state CONNECT, …)`.
fn happened(reason: &str) -> (&str, &str) {
    let named = reason.strip_prefix("GroupCoordinator: ").or(reason.strip_prefix("TxnCoordinator: "));
    let Some((place, happened)) = named.unwrap_or(reason).split_once(": ") else {
        return ("the broker", reason);
    };
    let place = place.split_once("://").map_or(place, |(_, place)| place);
    let address = place.split('/').next().unwrap_or(place);
    (address, happened.split(" (after ").next().unwrap_or(happened))
}

fn explain(code: RDKafkaErrorCode, reason: &str, protocol: &str) -> Refusal {
    let (address, happened) = happened(reason);
    let said = |what: &str, remedy: &str| Refusal::new(format!("{address} {what}"), remedy);
    match code {
        RDKafkaErrorCode::Resolve => said(
            "cannot be found: its name does not resolve",
            "correct kafka.brokers, or the name service of this machine",
        ),
        RDKafkaErrorCode::Authentication if happened.contains("mechanism handshake failed") => said(
            &format!("does not offer the mechanism ({})", happened.rsplit(": ").next().unwrap_or_default()),
            "set kafka.sasl.mechanism to one that it has",
        ),
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => said(
            &format!("refuses the credentials ({happened})"),
            "correct kafka.sasl.username and its password, or let the brokers know the user",
        ),
        _ if happened.contains("certificate verify failed") => said(
            "shows a certificate that is not trusted",
            "set kafka.ssl.ca_file to the authority that signed it; it must name the address that kafka.brokers has",
        ),
        _ if happened.contains("bad certificate") || happened.contains("certificate required") => said(
            "wants a certificate of the client and got none that it trusts",
            "set kafka.ssl.certificate_file and kafka.ssl.key_file",
        ),
        _ if happened.contains("wrong version number") || happened.contains("PLAINTEXT broker listener") => {
            said(
                "does not speak TLS",
                "set kafka.protocol to that of the listener (plaintext, sasl_plaintext), or the port to one with TLS",
            )
        }
        _ if happened.contains("Connection refused") => {
            said("refuses connections", "start the broker there, or correct kafka.brokers")
        }
        _ if happened.contains("ApiVersion")
            || happened.contains("Disconnected")
            || happened.contains("timed out") =>
        {
            said(
                &format!("ends or ignores the connection ({happened})"),
                &format!(
                    "is kafka.protocol ({protocol}) that of the listener, is the broker alive, and does every \
                     firewall on the way let it through?"
                ),
            )
        }
        _ => said(&format!("cannot be talked to ({happened})"), "see the brokers' logs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: RDKafkaErrorCode, reason: &str) -> String {
        let ear = Ear::default();
        ear.note(&KafkaError::Global(code), reason);
        ear.note(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        ear.refusal("k:9092", "sasl_ssl").to_string()
    }

    #[test]
    fn what_librdkafka_says_becomes_words_and_a_remedy() {
        let refused = "k1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state \
                       CONNECT, 1 identical error(s) suppressed)";
        assert_eq!(
            said(RDKafkaErrorCode::BrokerTransportFailure, refused),
            "k1:9092 refuses connections: start the broker there, or correct kafka.brokers"
        );
        let coordinator = "GroupCoordinator: k1:9092: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after \
                           0ms in state CONNECT)";
        let text = said(RDKafkaErrorCode::BrokerTransportFailure, coordinator);
        assert!(text.starts_with("k1:9092 refuses connections"), "{text}");
        let password = "sasl_ssl://k1:9092/bootstrap: SASL authentication error: Authentication failed during \
                        authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 9ms in \
                        state AUTH_REQ)";
        let text = said(RDKafkaErrorCode::Authentication, password);
        assert!(
            text.starts_with("k1:9092 refuses the credentials (SASL authentication error: Auth"),
            "{text}"
        );
        let mechanism = "sasl_ssl://k1:9092/1: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL \
                         mechanism: broker's supported mechanisms: SCRAM-SHA-512,PLAIN (after 2ms in state AUTH_HANDSHAKE)";
        let text = said(RDKafkaErrorCode::Authentication, mechanism);
        assert!(
            text.starts_with("k1:9092 does not offer the mechanism (SCRAM-SHA-512,PLAIN): set"),
            "{text}"
        );
        let authority = "ssl://k1:9092/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify \
                         failed: broker certificate could not be verified (after 1ms in state SSL_HANDSHAKE)";
        assert!(said(RDKafkaErrorCode::SSL, authority).contains("set kafka.ssl.ca_file"));
        assert!(
            Ear::default().refusal("k:9092", "plaintext").to_string().contains("kafka.protocol (plaintext)")
        );
    }

    #[test]
    fn the_versions_that_a_broker_takes_are_heard() {
        let line = "[thrd:k:9092/1]: k:9092/1:   ApiKey TxnOffsetCommit (28) Versions 0..5";
        assert_eq!(request_version(line), Some((28, 5)));
        assert_eq!(request_version("ApiKey x"), None);
    }
}
