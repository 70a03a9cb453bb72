//! Every limit of the gateway, in one place.

use std::time::Duration;

/// Longest body, as sent and unpacked, in bytes: GitHub's documented limit.
pub const BODY_BYTES: usize = model::raw::MAX_BODY_BYTES;
/// Bytes of bodies that are held at once, over all connections.
pub const HELD_BYTES: usize = 256 * 1024 * 1024;
/// Bodies above this many bytes, and compressed ones, are worked on beside the connections' threads.
pub const LARGE_BYTES: usize = 64 * 1024;
/// How many of those are worked on at once.
pub const LARGE_AT_ONCE: usize = 4;
/// Most headers of a request.
pub const HEADERS: usize = 100;
/// Most bytes of a request's head.
pub const HEAD_BYTES: usize = 64 * 1024;
/// How long a request's head may take; a connection that is idle for so long is closed, too.
pub const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a body may take.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long the log may take to acknowledge. Vendors wait for ten seconds or longer.
pub const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(9);
/// What `Retry-After` says, in seconds.
pub const RETRY_AFTER_S: u64 = 5;
/// How long requests under way may take once the gateway stops.
pub const STOP_WITHIN: Duration = Duration::from_secs(12);
/// Deliveries that are remembered of each hook.
pub const KNOWN_DELIVERIES: usize = 50_000;
/// Longest id of a delivery that is remembered, in bytes.
pub const DELIVERY_ID_BYTES: usize = 256;
/// Secrets of one hook.
pub const SECRETS: usize = 8;
/// Hooks of one gateway.
pub const HOOKS: usize = 256;
/// Signatures that are looked at in one request.
pub const SIGNATURES: usize = 16;
/// Events of one CloudEvents batch.
pub const BATCH_EVENTS: usize = 10_000;
/// How far a signed time may lie from now: as Standard Webhooks recommends.
pub const SIGNED_WITHIN_S: i64 = 300;
/// How old a message of SNS may be, which retries for up to an hour by default.
pub const SNS_WITHIN_S: i64 = 3_600;
/// Certificates of SNS that are kept.
pub const SNS_CERTIFICATES: usize = 32;
/// Longest answer of SNS, in bytes.
pub const SNS_ANSWER_BYTES: usize = 64 * 1024;
/// How long SNS may take to answer.
pub const SNS_WITHIN: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted; the system may allow fewer.
pub const BACKLOG: u32 = 4_096;
/// Connections by default.
pub const CONNECTIONS: usize = 16_384;
/// Deliveries a second of each hook by default.
pub const RATE_PER_S: u32 = 10_000;
