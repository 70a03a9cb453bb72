//! This process, as the operating system sees it.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

static STARTED_S: OnceLock<u64> = OnceLock::new();

/// When this was first asked, in seconds since 1970: at the start of telemetry.
pub fn started_s() -> u64 {
    *STARTED_S.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// Memory that the process holds; `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}
