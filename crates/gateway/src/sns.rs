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
                tracing::warn!(topic = message.topic_arn, "a subscription of SNS has ended: nothing comes any more");
                Ok(Some(Answer::new(Outcome::Subscription, "")))
            }
            _ => Err(Refused::Form { what: "Type", form: "Notification or SubscriptionConfirmation" }.into()),
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
