//! Where records go, seen from the gateway.

use model::raw::RawRecord;
use tokio::sync::oneshot;

/// Told once a record is durable, or why it will not be; dropped without a word where that is not known. A record that was
/// refused may have been written all the same: whoever sends it again changes nothing.
pub type Acknowledge = oneshot::Sender<Result<(), String>>;

/// A durable log of raw records.
pub trait RawLog: Send + Sync + 'static {
    /// Takes a record and acknowledges it once it is durable: written to every replica in sync, or to the disk. It
    /// does not wait: when there is no room it says so at once.
    fn append(&self, record: RawRecord, acknowledge: Acknowledge);
    /// Why it does not take records now, where that is known.
    fn unready(&self) -> Option<String>;
}
