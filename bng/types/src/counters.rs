//! Traffic counters.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// What a subscriber moved, in IP octets and packets, named from the **subscriber's** side: input is download, output
/// is upload. RADIUS names them from the gateway's port (RFC 2866 §5.3); [`Counters::port_view`] is the only place that
/// turns one into the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Octets that the subscriber downloaded.
    pub input_octets: u64,
    /// Octets that the subscriber uploaded.
    pub output_octets: u64,
    /// Packets that the subscriber downloaded.
    pub input_packets: u64,
    /// Packets that the subscriber uploaded.
    pub output_packets: u64,
}

impl Counters {
    /// From RADIUS's point of view (Acct-Input = received from the user), or back: the exchange is its own inverse.
    pub fn port_view(self) -> Self {
        Self {
            input_octets: self.output_octets,
            output_octets: self.input_octets,
            input_packets: self.output_packets,
            output_packets: self.input_packets,
        }
    }

    /// The greater of each pair: counters never run backwards.
    pub fn max(self, other: Self) -> Self {
        self.zip(other, u64::max)
    }

    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            input_octets: f(self.input_octets, other.input_octets),
            output_octets: f(self.output_octets, other.output_octets),
            input_packets: f(self.input_packets, other.input_packets),
            output_packets: f(self.output_packets, other.output_packets),
        }
    }
}

impl Add for Counters {
    type Output = Self;

    /// Saturating: a counter at its end stays there.
    fn add(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }
}

impl Sub for Counters {
    type Output = Self;

    /// Saturating: a reading below its baseline counts nothing.
    fn sub(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_view_is_its_own_inverse() {
        let counters = Counters { input_octets: 1, output_octets: 2, input_packets: 3, output_packets: 4 };
        assert_eq!(counters.port_view().input_octets, 2);
        assert_eq!(counters.port_view().port_view(), counters);
    }
}
