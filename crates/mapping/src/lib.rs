//! Sources by configuration: a jq program makes canonical events, in their JSON form, of any JSON.
//!
//! A [`Program`] is compiled once and run for each record. It is pure: it sees the body, `$headers`, `$received_at`
//! and `$source`, and neither a clock, the environment, a file nor another record; so a delivery that comes again, or
//! in another order, tells the same.
//!
//! It is bounded. Programs have no recursion and no endless generator (`scope` says what they have), so each ends;
//! and whatever one does is paid from a `meter`, so each ends soon and in little memory: the syntax tree is rewritten
//! such that every step, and the size of every value that is made, is charged (`metered`).
//!
//! What it gives: an event, an array or a stream of them; `{"drop": "word"}`, where the word is written out in the
//! program, for it is counted; `error("…")` to reject the record.

mod convert;
mod filters;
mod meter;
mod metered;
mod mistake;
mod presets;
mod program;
mod scope;

pub use meter::{MAX_DEPTH, MAX_STEPS, STEPS, STEPS_PER_BYTE};
pub use mistake::Mistake;
pub use presets::{PRESETS, Preset, preset};
pub use program::{Delivery, Failure, MAX_EVENTS, MAX_PROGRAM_BYTES, Program, Told};
