//! Planted faults, one at a time: what the simulator must see. Each is planted in the simulated outside (or in what
//! it hands over and takes), so that the stages carry none of it.

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// A planted fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
            /// Its name, as the command prints it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

mutants! {
    /// Input offsets are committed before the transaction, and not with it.
    OffsetsOutside = "offsets-outside-the-transaction",
    /// The coordinator takes offsets from a member of any generation.
    NoFenceOfGenerations = "no-fence-on-revoke",
    /// A new producer does not fence the one before it.
    NoFenceOfProducers = "no-fence-of-producers",
    /// The offsets that an assignment begins at are read although a transaction still holds them.
    UnstableOffsets = "unstable-offsets-read",
    /// A transaction that was aborted is taken for done: the state is applied before its commit.
    StateBeforeCommit = "state-applied-before-the-commit",
    /// A commit whose outcome is unknown is taken for done.
    UnknownIsCommitted = "unknown-outcome-taken-for-committed",
    /// The producer is initialised after the restore.
    InitAfterRestore = "init-transactions-after-the-restore",
    /// A restore reads records of transactions that did not commit.
    RestoreUncommitted = "restore-reads-uncommitted",
    /// A stage reads records of transactions that did not commit.
    StagesUncommitted = "stages-read-uncommitted",
    /// The producer stays although an end of it may still be under way.
    SuspectKept = "suspect-producer-kept",
    /// State kept across a revoke is believed without asking for the changelog's end.
    KeptStateBelieved = "stale-kept-state-believed",
    /// What was committed after a local checkpoint was written is not read.
    StaleCopyBelieved = "stale-local-checkpoint-believed",
    /// What was made of a copy before the fence is believed, whatever the changelog says behind it.
    AheadBelieved = "state-made-ahead-believed",
    /// What a local checkpoint and the changelog's tail make is not held against the checkpoint.
    CopyNotChecked = "local-checkpoint-not-held-against-the-changelog",
    /// What is taken back from a pane is not told.
    RetractionLost = "retraction-lost",
    /// A thing that goes to another home is not taken back in the old one.
    ForwardedCountedTwice = "forwarded-event-counted-twice",
    /// A restore passes over tombstones.
    DeletionLost = "deletion-lost-in-restore",
    /// The same, and what is found is not held against the checkpoint.
    CheckpointIgnored = "checkpoint-not-held-against-state",
    /// What a series owes is forgotten by a restore, and what is found is not held against the checkpoint.
    DirtyForgotten = "dirty-range-forgotten",
    /// Versions of rows begin anew with each session.
    RevFallsBack = "rev-not-monotone",
    /// An insert whose token was seen is taken for stored.
    TokenIsProof = "token-taken-for-proof",
    /// Offsets are committed before the insert is acknowledged.
    InsertNotAwaited = "offsets-before-the-insert",
}
