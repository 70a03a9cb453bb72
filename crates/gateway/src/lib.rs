//! Webhooks in: who sent it is proved, people are taken out, and the answer comes after the log acknowledged.
//!
//! ```text
//! connection ─ limits ─► body ─ verify ─► known? ─ rate ─► scrub ─► log ─ acknowledged ─► 202
//! ```
//!
//! `POST /v1/hooks/{hook}[/{token}]` takes a vendor's delivery, `POST /v1/events[/{token}]` CloudEvents in all three
//! modes; `/healthz`, `/readyz` and `/metrics` say how it stands. What it promises:
//!
//! - **202 means durable.** It is said after the log acknowledged (`log.rs`), and 503 with `Retry-After` when it cannot:
//!   nothing is accepted and lost. A delivery's id is remembered only then (`deliveries.rs`); a known one is
//!   answered 200.
//! - **Nothing unproved is stored**, or parsed (`verify.rs`, one file and one row a scheme).
//! - **Nobody's name is stored**: [`sources::privacy`] takes people out in between.
//! - **Everything has a limit** (`limits.rs`).

pub mod answer;
pub mod cloudevents;
pub mod deliveries;
pub mod limits;
pub mod log;
pub mod rate;
pub mod secret;
pub mod server;
pub mod settings;
pub mod stats;
pub mod verify;

mod body;
mod der;
mod handler;
mod https;
mod sns;

pub use answer::{Answer, Outcome};
pub use log::{Acknowledge, RawLog};
pub use server::{Gateway, Pages};
pub use settings::{GatewaySettings, Hook, Proof};
pub use stats::Stats;
