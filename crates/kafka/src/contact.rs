//! Whether brokers answer a producer, and what else librdkafka tells it.

use crate::checkpoint::CHECKPOINT_KEY;
use crate::connection::{Ear, protocol};
use crate::session::EosError;
use crate::settings::KafkaSettings;
use crate::stats::{StageStats, Trouble};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After so long without any answer the stage says that it waits; when no broker can even be connected to, the
/// transaction is given up then. Below that lie elections and restarts of single brokers.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// What librdkafka tells a producer.
#[derive(Debug)]
pub struct Contact {
    /// Whose it is, as in `correlate-3`.
    pub task: String,
    brokers: String,
    protocol: String,
    stats: Arc<StageStats>,
    ear: Ear,
    undelivered: AtomicU64,
    /// The first record of a transaction that was not delivered: its topic and why.
    first_undelivered: Mutex<Option<String>>,
    /// The first partition that the brokers did not take into a transaction, and why.
    refused: Mutex<Option<String>>,
    /// Whether a request of the transaction may still be under way though it was answered: it was sent again.
    unsettled: AtomicBool,
    /// Where the last checkpoint lies; −1: none was delivered.
    checkpoint_offset: AtomicI64,
    /// How often something was told.
    callbacks: AtomicU64,
    /// Whether a broker answered since it was asked last.
    answered: AtomicBool,
    /// Whether all brokers were away at once since the last answer. librdkafka says when it begins, not when it ends.
    all_down: AtomicBool,
    silence: Mutex<Silence>,
}

/// How long no broker has answered while something waits for one.
#[derive(Debug)]
struct Silence {
    since: Instant,
    /// Whether the stage has said so.
    told: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Contact {
    /// Nothing heard yet; silence counts from now on.
    pub fn new(settings: &KafkaSettings, transactional_id: &str, stats: &Arc<StageStats>) -> Self {
        Self {
            task: settings.topics.task_of(transactional_id),
            brokers: settings.brokers.clone(),
            protocol: protocol(settings).to_owned(),
            stats: stats.clone(),
            ear: Ear::default(),
            undelivered: AtomicU64::new(0),
            first_undelivered: Mutex::new(None),
            refused: Mutex::new(None),
            unsettled: AtomicBool::new(false),
            checkpoint_offset: AtomicI64::new(-1),
            callbacks: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            all_down: AtomicBool::new(false),
            silence: Mutex::new(Silence { since: Instant::now(), told: false }),
        }
    }

    /// A transaction begins.
    pub fn begin(&self) {
        self.undelivered.store(0, Ordering::Relaxed);
        self.unsettled.store(false, Ordering::Relaxed);
    }

    /// How often something was told so far: a poll that changes nothing here found nothing.
    pub fn callbacks(&self) -> u64 {
        self.callbacks.load(Ordering::Relaxed)
    }

    /// Something begins to wait for an answer.
    pub fn waits(&self) {
        lock(&self.silence).since = Instant::now();
    }

    /// A broker answered.
    pub fn answers(&self) {
        self.all_down.store(false, Ordering::Relaxed);
        let mut silence = lock(&self.silence);
        silence.since = Instant::now();
        if std::mem::take(&mut silence.told) {
            self.stats.trouble(Trouble::Brokers, None);
        }
    }

    /// Looks whether brokers answer while something waits; a silence is said by the stage.
    ///
    /// # Errors
    /// [`EosError::Away`] when none can be connected to for [`SILENT_AFTER`].
    pub fn look(&self) -> Result<(), EosError> {
        if self.answered.swap(false, Ordering::Relaxed) {
            self.answers();
            return Ok(());
        }
        let mut silence = lock(&self.silence);
        if silence.since.elapsed() < SILENT_AFTER {
            return Ok(());
        }
        if self.all_down.load(Ordering::Relaxed) {
            return Err(EosError::Away(self.ear.refusal(&self.brokers, &self.protocol).to_string()));
        }
        if !std::mem::replace(&mut silence.told, true) {
            let reason = format!(
                "{} answers no request for {} s: do the brokers run, and does the network let everything through?",
                self.brokers,
                SILENT_AFTER.as_secs()
            );
            tracing::warn!(task = self.task, reason, "a transaction waits");
            self.stats.trouble(Trouble::Brokers, Some(reason));
        }
        Ok(())
    }

    /// Whether there is nobody to ask now.
    pub fn is_silent(&self) -> bool {
        lock(&self.silence).told || self.all_down.load(Ordering::Relaxed)
    }

    /// Whether an error was heard since the transaction began, or a request of it was sent again.
    pub fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// How many records of the transaction were not delivered; asked once.
    pub fn undelivered(&self) -> u64 {
        self.undelivered.swap(0, Ordering::Relaxed)
    }

    /// Which partition the brokers did not take into the transaction, and why.
    pub fn refused(&self) -> Option<String> {
        lock(&self.refused).take()
    }

    /// Why the first record was not delivered.
    pub fn first_undelivered(&self) -> String {
        lock(&self.first_undelivered).clone().unwrap_or_default()
    }

    /// Where the checkpoint of the last transaction lies in its changelog; `None`: there was none.
    pub fn checkpoint_offset(&self) -> Option<i64> {
        let offset = self.checkpoint_offset.load(Ordering::Relaxed);
        (offset >= 0).then_some(offset)
    }
}

impl ClientContext for Contact {
    // Statistics are asked for by members alone; the code that reads them is large.
    fn stats_raw(&self, _: &[u8]) {}
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.callbacks.fetch_add(1, Ordering::Relaxed);
        // Which topic a transaction may not take in is said nowhere else.
        if let Some((_, refused)) = line.split_once("Failed to add partition ") {
            let mut held = lock(&self.refused);
            // Partitions that were asked for beside the refused one are refused for its sake.
            if held.as_ref().is_none_or(|held| held.contains("Operation not attempted")) {
                *held = Some(refused.to_owned());
            }
        }
        if is_sent_again(facility, line) {
            self.unsettled.store(true, Ordering::Relaxed);
        }
        crate::log::pass_on(level, facility, line, &self.task);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.callbacks.fetch_add(1, Ordering::Relaxed);
        self.unsettled.store(true, Ordering::Relaxed);
        self.ear.note(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.all_down.store(true, Ordering::Relaxed);
        }
        tracing::warn!(task = self.task, %error, reason, "producer");
    }
}

impl ProducerContext for Contact {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.callbacks.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(record) => {
                self.answered.store(true, Ordering::Relaxed);
                if record.key() == Some(CHECKPOINT_KEY) {
                    self.checkpoint_offset.store(record.offset(), Ordering::Relaxed);
                }
            }
            Err((error, record)) => {
                // Of thousands of records one is enough.
                if self.undelivered.fetch_add(1, Ordering::Relaxed) == 0 {
                    *lock(&self.first_undelivered) = Some(format!("topic {}: {error}", record.topic()));
                }
            }
        }
    }
}

/// Whether a line says that a request of a transaction failed in a way that makes librdkafka send it again. It tells
/// nobody else: a connection that breaks is no error to it while others stand, and the call succeeds.
fn is_sent_again(facility: &str, line: &str) -> bool {
    match facility {
        "ENDTXN" => !line.contains("EndTxn returned NO_ERROR "),
        "ADDOFFSETS" => line.contains(": _TRANSPORT") || line.contains(": _TIMED_OUT"),
        "COORD" => line.contains("Transaction coordinator is now down"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::Stage;

    fn silent_for(seconds: u64) -> Contact {
        let stats = Arc::new(StageStats::new(Stage::Correlate));
        let contact = Contact::new(&KafkaSettings::new("k1:9092", "s.", "one"), "s.correlate-0", &stats);
        lock(&contact.silence).since -= Duration::from_secs(seconds);
        contact
    }

    fn says(contact: &Contact) -> Option<String> {
        match contact.stats.snapshot().status {
            crate::Status::Failing(reason) => Some(reason),
            _ => None,
        }
    }

    fn all_down(contact: &Contact) {
        let code = rdkafka::types::RDKafkaErrorCode::AllBrokersDown;
        contact.error(KafkaError::Global(code), "1/1 brokers are down");
    }

    #[test]
    fn a_silence_is_said_and_an_answer_ends_it() {
        let contact = silent_for(6);
        assert_eq!(contact.look(), Ok(()));
        assert!(says(&contact).unwrap().starts_with("k1:9092 answers no request for 5 s"));
        assert!(contact.is_silent());
        contact.answered.store(true, Ordering::Relaxed);
        assert_eq!(contact.look(), Ok(()));
        assert_eq!((says(&contact), contact.is_silent()), (None, false));
    }

    #[test]
    fn it_is_given_up_when_all_brokers_are_away_for_a_while_and_not_sooner() {
        let contact = silent_for(4);
        all_down(&contact);
        assert_eq!(contact.look(), Ok(()));
        assert!(matches!(silent_for(6), contact if { all_down(&contact); contact.look().is_err() }));
        // Brokers that were away before anything waited may be back.
        let contact = silent_for(60);
        all_down(&contact);
        contact.waits();
        assert_eq!(contact.look(), Ok(()));
    }

    #[test]
    fn an_end_of_a_transaction_that_was_sent_again_is_heard() {
        let contact = silent_for(0);
        let hears = |facility: &str, line: &str| {
            contact.begin();
            contact.log(RDKafkaLogLevel::Debug, facility, line);
            contact.is_unsettled()
        };
        let in_state = "in state CommittingTransaction (may_retry=true)";
        assert!(!hears("ENDTXN", &format!("[thrd:main]: EndTxn returned NO_ERROR {in_state}")));
        assert!(hears("ENDTXN", &format!("[thrd:main]: EndTxn returned _TRANSPORT {in_state}")));
        assert!(hears("ENDTXN", &format!("[thrd:main]: EndTxn returned _TIMED_OUT {in_state}")));
        assert!(!hears("ADDOFFSETS", "AddOffsetsToTxn response from k1:9092/1: NO_ERROR (0x0)"));
        assert!(hears("COORD", "TxnCoordinator/1: Transaction coordinator is now down"));
    }
}
