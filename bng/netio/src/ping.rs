//! Asynchronous ICMP echo (RFC 792).

use std::{
    io,
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddrV4},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::unix::AsyncFd, time::timeout};

use crate::{Error, sys};

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

/// Sends echo requests and waits for their replies; any number at once. Needs CAP_NET_RAW and a tokio runtime.
///
/// Each ping has a socket for as long as it lasts, connected to its target: the kernel tells the replies apart.
#[derive(Debug)]
pub struct Pinger {
    identifier: AtomicU16,
}

impl Pinger {
    /// Makes sure that the kernel will let us ping.
    pub fn open() -> Result<Self, Error> {
        icmp_socket().map_err(Error::socket("opening an ICMP socket"))?;
        Ok(Self { identifier: AtomicU16::new(std::process::id() as u16) })
    }

    /// The round trip; `None` when no reply came in time. An error = it could not be sent (no route).
    pub async fn ping(&self, address: Ipv4Addr, within: Duration) -> io::Result<Option<Duration>> {
        let socket = sys::register(icmp_socket()?)?;
        socket.get_ref().connect(&SocketAddrV4::new(address, 0).into())?;
        let request = echo_request(self.identifier.fetch_add(1, Ordering::Relaxed));
        let sent = Instant::now();
        socket.get_ref().send(&request)?;
        match timeout(within, reply(&socket, &request)).await {
            Ok(result) => result.map(|()| Some(sent.elapsed())),
            Err(_) => Ok(None),
        }
    }
}

fn icmp_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

async fn reply(socket: &AsyncFd<Socket>, request: &[u8; 8]) -> io::Result<()> {
    loop {
        let mut ready = socket.readable().await?;
        let mut room = [MaybeUninit::<u8>::uninit(); 256];
        let Ok(received) = ready.try_io(|socket| socket.get_ref().recv(&mut room)) else { continue };
        let length = match received {
            Ok(length) => length,
            // ICMP errors about our request arrive as the socket's error: as good as silence, which the timeout will say.
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                tracing::trace!(%error, "echo request was answered by an error");
                continue;
            }
            Err(_) => continue,
        };
        // SAFETY: recv said that it wrote this many octets.
        let packet: Vec<u8> = room[..length].iter().map(|octet| unsafe { octet.assume_init() }).collect();
        if is_reply(&packet, request) {
            return Ok(());
        }
    }
}

fn is_reply(packet: &[u8], request: &[u8; 8]) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0xf) * 4);
    packet.get(header..).is_some_and(|icmp| icmp.first() == Some(&ECHO_REPLY) && icmp.get(4..8) == Some(&request[4..8]))
}

fn echo_request(identifier: u16) -> [u8; 8] {
    let [high, low] = identifier.to_be_bytes();
    let mut packet = [ECHO_REQUEST, 0, 0, 0, high, low, 0, 1];
    // Ones' complement of the sum of the words; no carry beyond one fold with these few.
    let sum = u32::from(ECHO_REQUEST) * 256 + u32::from(identifier) + 1;
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}
