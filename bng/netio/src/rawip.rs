//! IPv4 packets with a header of the caller's making: any source address, routed and resolved by the kernel.

use std::io;

use crate::Error;

/// Sends whole IPv4 packets (`IPPROTO_RAW`); each goes to its header's destination. Needs CAP_NET_RAW.
pub struct RawIp {}

impl RawIp {
    /// Opens the socket.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// Hands the packets to the kernel in order; returns how many it took. A packet that is no IPv4 is skipped as if sent; one
    /// that has no route ends the batch with the kernel's error when it is the first. Never blocks.
    pub fn send(&self, packets: &[impl AsRef<[u8]>]) -> io::Result<usize> {
        let _ = packets;
        todo!()
    }
}
