//! Time as the machine knows it: an argument.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The moment of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Now {
    /// Milliseconds since the host booted, suspend included: what timers and lengths are measured in, so that a step of the
    /// wall clock expires nobody.
    pub boot_ms: u64,
    /// The wall clock: what events are dated by.
    pub wall: Timestamp,
    /// A fresh UUIDv7; becomes the session's id when this input starts one.
    pub fresh: Uuid,
}

/// A moment that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Milliseconds since the host booted.
    pub boot_ms: u64,
    /// The wall clock at that moment.
    pub wall: Timestamp,
}

impl Now {
    /// This moment, to be kept.
    pub fn stamp(self) -> Stamp {
        Stamp { boot_ms: self.boot_ms, wall: self.wall }
    }

    /// The moment that lies `milliseconds` ahead. Past the end of time, the end of time.
    pub fn after(self, milliseconds: u64) -> Stamp {
        let ahead = SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or(i64::MAX));
        Stamp {
            boot_ms: self.boot_ms.saturating_add(milliseconds),
            wall: self.wall.checked_add(ahead).unwrap_or(Timestamp::MAX),
        }
    }
}
