//! A flood of malformed requests, alone in its process: its memory is watched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Client, MemoryLog, gateway, signed};

const BODY: &str = r#"{"ref":"refs/heads/main"}"#;

#[test]
fn malformed_requests_leave_it_healthy() {
    let count = if common::full("100,000 requests instead of 5,000") { 100_000 } else { 5_000 };
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let mut client = Client::to(&server);
    let kinds: [(String, &str, u16); 4] = [
        (signed("{"), "{", 400),
        ("x-hub-signature-256: sha256=zz\r\n".to_owned(), "{}", 401),
        ("x-hub-signature-256: x\r\ncontent-encoding: gzip\r\n".to_owned(), "no gzip", 400),
        (signed("\u{7f}"), "\u{7f}", 400),
    ];
    let before = common::resident_bytes();
    for at in 0..count {
        let (headers, body, status) = &kinds[at % kinds.len()];
        if at % 50 == 0 {
            // What is no HTTP at all, on a connection of its own.
            let mut garbage = Client::to(&server);
            garbage.write(b"\x16\x03\x01\x02\x00 \r\n\r\n");
            drop(garbage);
        }
        assert_eq!(client.post("/v1/hooks/github", headers, body).status, *status, "{at}");
    }
    assert!(common::resident_bytes() < before + (64 << 20), "memory grew");
    assert_eq!(Client::to(&server).get("/healthz").status, 200);
    assert_eq!(client.post("/v1/hooks/github", &signed(BODY), BODY).status, 202);
    assert_eq!(log.records().len(), 1);
}
