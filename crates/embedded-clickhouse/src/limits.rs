//! Every limit of this crate, in one place.

use std::time::Duration;

/// Statements waiting for the engine; one more is refused with `TOO_MANY_SIMULTANEOUS_QUERIES`.
pub const QUEUE_LENGTH: usize = 256;

/// Bytes of a statement without the data of an insert. ClickHouse's default `max_query_size`.
pub const MAX_QUERY_TEXT: usize = 256 * 1024;

/// Bytes of a multipart form (statement and parameters), which is held in memory.
pub const MAX_FORM: usize = 4 * 1024 * 1024;

/// Bytes of an insert's body after decompression; it lies in the spool while it is received.
pub const MAX_INSERT_BODY: u64 = 16 * 1024 * 1024 * 1024;

/// Bytes of one compressed block of ClickHouse's native framing, before and after decompression.
pub const MAX_BLOCK: usize = 64 * 1024 * 1024;

/// Bytes of a result that are read, and compressed with `compress=1`, at a time.
pub const RESULT_CHUNK: usize = 256 * 1024;

/// Bytes of a query id that a client may set, as it comes back in a header.
pub const MAX_QUERY_ID: usize = 256;

/// Time that a stopping server leaves to requests that are under way.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Time that the end of the process leaves to a running statement before the engine is left as it is.
pub const EXIT_GRACE: Duration = Duration::from_secs(10);
