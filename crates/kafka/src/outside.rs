//! What the stages need of the world around them: a group's member, transactions, changelogs, clocks. Behind small
//! traits, so that the same stages run on brokers ([`Brokers`]) and in the simulator (`tests/sim`), which decides
//! when what fails.

use crate::catalog::Revision;
use crate::changelog;
use crate::error::Error;
use crate::local::{Keeper, LocalCheckpoints};
use crate::member::{Member, Moved};
use crate::session::{EosError, EosSession, Position, RdkafkaSession};
use crate::settings::KafkaSettings;
use crate::stats::StageStats;
use model::Timestamp;
use rdkafka::message::Message;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A member of a stage's consumer group, used by one thread.
pub trait GroupMember {
    /// What names the group and this member's generation in it.
    type Group;
    /// A record as it is polled.
    type Record<'a>: Message
    where
        Self: 'a;
    /// The next record, if one comes in time. The group moves partitions in here and nowhere else.
    ///
    /// # Errors
    /// [`Error::Consume`] for what does not pass by itself.
    fn poll(&self, timeout: Duration) -> Result<Option<Self::Record<'_>>, Error>;
    /// What the group did since this was asked last.
    fn moved(&self) -> Option<Moved>;
    /// Why no broker can be talked to; `None`: one can.
    fn trouble(&self) -> Option<String>;
    /// Reads these partitions from these offsets on, and no others.
    ///
    /// # Errors
    /// [`Error::Consume`].
    fn assign(&self, positions: &[Position]) -> Result<(), Error>;
    /// Reads no more of these topics for now, and of all others; lasts until it is asked for again, or partitions are
    /// assigned.
    ///
    /// # Errors
    /// [`Error::Consume`].
    fn hold(&self, topics: &[&str]) -> Result<(), Error>;
    /// The group's committed offsets, in the order of `partitions`; those of a transaction that has not ended are
    /// waited for.
    ///
    /// # Errors
    /// [`Error::Consume`] when the broker does not answer in time.
    fn committed(&self, partitions: &[(String, i32)]) -> Result<Vec<Option<i64>>, Error>;
    /// Commits offsets outside a transaction: for what was acknowledged elsewhere. It does not wait: without a
    /// coordinator that could be for ever, and what was not committed is merely read again.
    ///
    /// # Errors
    /// [`Error::Consume`] when it cannot even be asked for.
    fn commit(&self, positions: &[Position]) -> Result<(), Error>;
    /// This member in its group, as of now: to be asked for right before a commit.
    fn group(&self) -> Option<Self::Group>;
}

/// The catalogs that are published.
pub trait Catalogs {
    /// The newest catalog.
    fn newest(&self) -> Revision;
    /// The newest catalog's offset.
    fn offset(&self) -> i64;
    /// The newest catalog, once it is not older than `offset`.
    ///
    /// # Errors
    /// [`Error::Catalog`] when it does not come in time.
    fn at_least(&self, offset: i64) -> Result<Revision, Error>;
}

impl<C: Catalogs> Catalogs for &C {
    fn newest(&self) -> Revision {
        C::newest(self)
    }
    fn offset(&self) -> i64 {
        C::offset(self)
    }
    fn at_least(&self, offset: i64) -> Result<Revision, Error> {
        C::at_least(self, offset)
    }
}

/// Kafka and the clocks, for one stage of one process.
pub trait Outside: Sized + Sync {
    /// Transactions of one task.
    type Session: EosSession + Send;
    /// A member of the stage's group.
    type Member: GroupMember<Group = <Self::Session as EosSession>::Group> + Sync;
    /// Opens a session: earlier ones of the id are fenced, and what they left open is aborted, before this returns.
    ///
    /// # Errors
    /// See [`EosError`].
    fn session(&self, transactional_id: &str) -> Result<Self::Session, EosError>;
    /// Joins the group of the stage; `topics` may be patterns that begin with `^`.
    ///
    /// # Errors
    /// [`Error::Client`] for settings that the client refuses.
    fn member(&self, topics: &[&str]) -> Result<Self::Member, Error>;
    /// Reads the committed records of a changelog from an offset on (0: all that it holds), up to its last stable offset.
    /// `take` gets each record's offset, key and value. Says whether the changelog has that offset.
    ///
    /// # Errors
    /// When it cannot be read, or nothing comes for long.
    fn read(
        &self,
        changelog: &str,
        partition: u32,
        task: &str,
        from: i64,
        take: impl FnMut(i64, &[u8], Option<&[u8]>),
    ) -> Result<bool, Error>;
    /// The copies of changelogs on this process's disk; `None`: it keeps none.
    fn local(&self) -> Option<&dyn LocalCheckpoints>;
    /// The end of a changelog: its last stable offset.
    ///
    /// # Errors
    /// When the broker does not answer in time.
    fn end(&self, changelog: &str, partition: u32, task: &str) -> Result<i64, Error>;
    /// The clock that intervals are measured by.
    fn instant(&self) -> Instant;
    /// The clock on the wall.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, time: Duration);
    /// Most tasks that are opened, or have their transactions, side by side, each on a thread; with 1 it is one after the
    /// other on this one.
    fn side_by_side(&self) -> usize;
}

/// What names a group to the sessions of an outside.
pub type GroupOf<O> = <<O as Outside>::Session as EosSession>::Group;

/// Most tasks that are busy side by side; one that is opened holds its changelog twice meanwhile.
const SIDE_BY_SIDE: usize = 8;

/// Real brokers, through librdkafka, and the machine's clocks.
#[derive(Debug, Clone)]
pub struct Brokers {
    settings: KafkaSettings,
    stats: Arc<StageStats>,
    local: Option<Arc<Keeper>>,
}

impl Brokers {
    /// Those of a stage.
    pub fn new(settings: &KafkaSettings, stats: &Arc<StageStats>) -> Self {
        Self { settings: settings.clone(), stats: stats.clone(), local: None }
    }

    /// The same, with copies of changelogs.
    pub fn keeping(self, local: Option<Arc<Keeper>>) -> Self {
        Self { local, ..self }
    }
}

impl Outside for Brokers {
    type Session = RdkafkaSession;
    type Member = Member;

    fn session(&self, transactional_id: &str) -> Result<RdkafkaSession, EosError> {
        RdkafkaSession::open(&self.settings, transactional_id, &self.stats)
    }
    fn member(&self, topics: &[&str]) -> Result<Member, Error> {
        Member::join(&self.settings, topics, &self.stats)
    }
    fn read(
        &self,
        changelog: &str,
        partition: u32,
        task: &str,
        from: i64,
        take: impl FnMut(i64, &[u8], Option<&[u8]>),
    ) -> Result<bool, Error> {
        changelog::read(&self.settings, changelog, partition, task, from, take)
    }
    fn local(&self) -> Option<&dyn LocalCheckpoints> {
        self.local.as_deref().map(|keeper| keeper as _)
    }
    fn end(&self, changelog: &str, partition: u32, task: &str) -> Result<i64, Error> {
        changelog::end(&self.settings, changelog, partition, task)
    }
    fn instant(&self) -> Instant {
        Instant::now()
    }
    fn now(&self) -> Timestamp {
        crate::now()
    }
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
    fn side_by_side(&self) -> usize {
        SIDE_BY_SIDE
    }
}
