//! IPv4 packets with a header of the caller's making: any source address, routed and resolved by the kernel.

use std::{io, mem};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Error, capture::send_in_batches, sys};

/// Sends whole IPv4 packets (`IPPROTO_RAW`); each goes to its header's destination. Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct RawIp {
    socket: Socket,
}

impl RawIp {
    /// Opens the socket.
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))
            .map_err(Error::socket("opening a raw IPv4 socket"))?;
        socket.set_nonblocking(true).map_err(Error::socket("opening a raw IPv4 socket"))?;
        // A limited or subnet broadcast is a legal destination of a DHCP reply.
        socket.set_broadcast(true).map_err(Error::socket("opening a raw IPv4 socket"))?;
        Ok(Self { socket })
    }

    /// Hands the packets to the kernel in order; returns how many it took, fewer when its queue is full or one has no route. That
    /// one, sent again as the first, gives the kernel's error. A packet shorter than an IPv4 header is refused like that too.
    /// Never blocks.
    pub fn send(&self, packets: &[impl AsRef<[u8]>]) -> io::Result<usize> {
        send_in_batches(packets.len(), |from| {
            let batch = packets[from..].iter().take(sys::BATCH).map(AsRef::as_ref);
            sys::sendmmsg(&self.socket, batch.map(|packet: &[u8]| (packet, Some(destination(packet)))))
        })
    }
}

fn destination(packet: &[u8]) -> libc::sockaddr_in {
    let address = packet.get(16..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    // SAFETY: sockaddr_in is a plain C structure for which all zeroes is a valid value.
    let mut to: libc::sockaddr_in = unsafe { mem::zeroed() };
    to.sin_family = libc::AF_INET as u16;
    to.sin_addr.s_addr = u32::from_ne_bytes(address);
    to
}
