//! The clocks, read in one place.

use std::{fs, time::Duration};

use jiff::Timestamp;
use lastmile_session::Now;
use nix::time::{ClockId, clock_gettime};
use uuid::Builder;

/// Milliseconds since the host booted, suspend included.
pub fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// This moment, with an id for whom it may start.
pub fn now() -> Now {
    let wall = Timestamp::now();
    let since_1970 = u64::try_from(wall.as_millisecond()).unwrap_or_default();
    // Not `Uuid::now_v7`: that asks the kernel for its random part, and every input is given an id.
    let fresh = Builder::from_unix_timestamp_millis(since_1970, &rand::random()).into_uuid();
    Now { boot_ms: boot_ms(), wall, fresh }
}

/// Which boot of the host this is; empty where the kernel does not say.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
