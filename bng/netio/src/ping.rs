//! Asynchronous ICMP echo (RFC 792).

use std::{io, net::Ipv4Addr, time::Duration};

use crate::Error;

/// Sends echo requests and waits for their replies; any number at once. Needs CAP_NET_RAW and a tokio runtime.
pub struct Pinger {}

impl Pinger {
    /// Opens the socket.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// The round trip; `None` when no reply came in time.
    pub async fn ping(&self, address: Ipv4Addr, timeout: Duration) -> io::Result<Option<Duration>> {
        let _ = (address, timeout);
        todo!()
    }
}
