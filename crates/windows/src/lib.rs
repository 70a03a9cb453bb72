//! Panes, exact rolling windows, and the steps in which a metric changes. No I/O, no clock.
//!
//! Contributions are added to panes (an hour, a day); a window's row is made of its last N panes; a row exists
//! where a pane with data enters or leaves. An in-order contribution costs the same whatever the window's
//! length and the history's size; what is late is marked, and rewritten by one slide of the range it touches.

mod ages;
pub mod aggregator;
pub mod bands;
mod block;
pub mod multiset;
mod pane;
mod rolling;
mod series;
mod store;
mod timeline;

pub use aggregator::Aggregator;
pub use bands::{Band, Bands};
pub use multiset::Multiset;
