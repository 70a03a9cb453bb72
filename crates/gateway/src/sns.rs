//! Messages of Amazon SNS: the certificates that prove them, and the answer to a subscription.

use crate::answer::{Answer, Outcome};
use crate::limits::SNS_CERTIFICATES;
use crate::verify::{Address, Certificate, Message, Refused};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Fetches what lies at an address of SNS; it may block.
pub type Fetch = Arc<dyn Fn(&Address) -> Result<Vec<u8>, String> + Send + Sync>;

/// The certificates that were fetched.
#[derive(Clone)]
pub(crate) struct Signers {
    fetch: Fetch,
    known: Arc<Mutex<BTreeMap<Address, Certificate>>>,
}

impl Signers {
    pub(crate) fn new(fetch: Fetch) -> Self {
        Self { fetch, known: Arc::default() }
    }

    /// Proves a message. A subscription that is proved is confirmed at once; then nothing is left to store.
    pub(crate) fn prove(&self, body: &[u8], topics: &[String], now_s: i64) -> Result<Option<Answer>, Answer> {
        let message = Message::read(body)?;
        message.expected(topics, now_s)?;
        let certificate = self.certificate(&message.certificate()?)?;
        certificate.valid(now_s)?;
        message.proved_by(&certificate)?;
        match message.kind.as_str() {
            "Notification" => Ok(None),
            "SubscriptionConfirmation" => {
                (self.fetch)(&message.confirmation()?).map_err(unanswered)?;
                tracing::info!(topic = message.topic_arn, "a subscription of SNS is confirmed");
                Ok(Some(Answer::new(Outcome::Subscription, "")))
            }
            "UnsubscribeConfirmation" => {
                tracing::warn!(
                    topic = message.topic_arn,
                    "a subscription of SNS has ended: nothing comes any more"
                );
                Ok(Some(Answer::new(Outcome::Subscription, "")))
            }
            _ => Err(Refused::Form {
                what: "Type".into(),
                form: "Notification or SubscriptionConfirmation".into(),
            }
            .into()),
        }
    }

    fn certificate(&self, address: &Address) -> Result<Certificate, Answer> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = known().get(address) {
            return Ok(certificate.clone());
        }
        let pem = (self.fetch)(address).map_err(unanswered)?;
        let certificate = Certificate::read(&pem, &address.host)?;
        let mut known = known();
        if known.len() >= SNS_CERTIFICATES {
            known.pop_first();
        }
        known.insert(address.clone(), certificate.clone());
        Ok(certificate)
    }
}

/// SNS did not answer: what it sent is not lost, for it sends it again.
fn unanswered(error: String) -> Answer {
    tracing::warn!(error, "a message of SNS cannot be proved: its host does not answer");
    Answer::new(Outcome::Unavailable, "the certificate or the confirmation cannot be fetched from SNS now")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:deliveries";
    const OWN: &[u8] = include_bytes!("../tests/sns/own.pem");
    const OTHER: &[u8] = include_bytes!("../tests/sns/other.pem");
    const V1: &str = include_str!("../tests/sns/notification.v1.json");
    const V2: &str = include_str!("../tests/sns/notification.v2.json");
    const SUBSCRIPTION: &str = include_str!("../tests/sns/subscription.json");
    /// 2027-01-01T09:30:00Z: when the messages were signed.
    const SIGNED_S: i64 = 1_798_795_800;

    /// Signers that find this certificate, and what was fetched.
    fn signers(pem: &'static [u8]) -> (Signers, Arc<Mutex<Vec<String>>>) {
        let fetched: Arc<Mutex<Vec<String>>> = Arc::default();
        let asked = fetched.clone();
        let fetch: Fetch = Arc::new(move |address| {
            asked.lock().unwrap().push(format!("https://{}{}", address.host, address.path));
            if pem.is_empty() { Err("no answer".to_owned()) } else { Ok(pem.to_vec()) }
        });
        (Signers::new(fetch), fetched)
    }

    fn told(pem: &'static [u8], body: &str, now_s: i64) -> Result<Option<Outcome>, Outcome> {
        let (signers, _) = signers(pem);
        let told = signers.prove(body.as_bytes(), &[TOPIC.to_owned()], now_s);
        told.map(|done| done.map(|answer| answer.outcome)).map_err(|answer| answer.outcome)
    }

    #[test]
    fn both_versions_of_the_signature_are_proved_and_a_change_is_not() {
        for message in [V1, V2] {
            assert_eq!(told(OWN, message, SIGNED_S), Ok(None));
            let changed = message.replace("checkout-5xx", "checkout-4xx");
            assert_eq!(told(OWN, &changed, SIGNED_S), Err(Outcome::Unauthorized));
            let other_version = message
                .replace("Version\": \"1", "Version\": \"3")
                .replace("Version\": \"2", "Version\": \"1");
            assert_eq!(told(OWN, &other_version, SIGNED_S), Err(Outcome::Unauthorized));
        }
    }

    #[test]
    fn a_certificate_of_somebody_else_or_of_another_time_proves_nothing() {
        assert_eq!(told(OTHER, V2, SIGNED_S), Err(Outcome::Unauthorized));
        assert_eq!(told(b"x", V2, SIGNED_S), Err(Outcome::Unauthorized));
        let certificate = Certificate::read(OWN, "sns.us-east-1.amazonaws.com").unwrap();
        assert_eq!(certificate.valid(SIGNED_S), Ok(()));
        assert!(certificate.valid(0).is_err() && certificate.valid(4_000_000_000).is_err());
    }

    #[test]
    fn another_topic_an_old_message_and_another_host_are_refused_before_anything_is_fetched() {
        let (signers, fetched) = signers(OWN);
        let topics = [TOPIC.to_owned()];
        for (body, topics, now_s) in [
            (V2.to_owned(), &[][..], SIGNED_S),
            (V2.to_owned(), &topics[..], SIGNED_S + 3_601),
            (
                V2.replace("sns.us-east-1.amazonaws.com/Simple", "evil.example.com/Simple"),
                &topics[..],
                SIGNED_S,
            ),
            (V2.replace(".pem", ".txt"), &topics[..], SIGNED_S),
            ("{}".to_owned(), &topics[..], SIGNED_S),
        ] {
            let answer = signers.prove(body.as_bytes(), topics, now_s).unwrap_err();
            assert_eq!(answer.outcome, Outcome::Unauthorized, "{}", answer.detail);
        }
        assert!(fetched.lock().unwrap().is_empty());
    }

    #[test]
    fn a_subscription_is_confirmed_at_its_own_host_and_a_forged_one_is_not() {
        let (signers, fetched) = signers(OWN);
        let topics = [TOPIC.to_owned()];
        let forged = SUBSCRIPTION.replace("Token=2336", "Token=2337");
        assert!(signers.prove(forged.as_bytes(), &topics, SIGNED_S).is_err());
        let answer = signers.prove(SUBSCRIPTION.as_bytes(), &topics, SIGNED_S).unwrap().unwrap();
        assert_eq!(answer.outcome, Outcome::Subscription);
        let fetched = fetched.lock().unwrap();
        // The certificate is fetched once.
        assert_eq!(fetched.len(), 2, "{fetched:?}");
        assert!(fetched[1].starts_with("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription"));
    }

    #[test]
    fn a_host_that_does_not_answer_is_asked_again_by_the_next_delivery() {
        assert_eq!(told(b"", V2, SIGNED_S), Err(Outcome::Unavailable));
    }
}
