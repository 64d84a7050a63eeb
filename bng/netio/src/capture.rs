//! Frames from and to one interface, below the kernel's IP stack.
//!
//! A [`Capture`] sees only what its [`Filter`] lets through: the filter runs in the kernel and is attached before the socket is
//! bound, so no other frame is ever queued. Frames that this host sends are not seen. On a port of a bridge the frames of that
//! port are seen, which is how the access router knows the port.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::{
    Error,
    sys::{self, Received},
};

/// The most frames that are received at once.
pub const BATCH: usize = sys::BATCH;
/// The most octets kept of one frame; longer ones are marked as truncated.
pub const FRAME: usize = 2048;
/// Octets that a socket may hold back while its reader is busy.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What a capture lets through; IPv4 without fragments and VLAN tags, with any IP options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// UDP to port 67, from any port: what DHCP clients and relays send.
    DhcpFromClients,
    /// UDP from port 67 to port 67 or 68: what DHCP servers send.
    DhcpFromServers,
    /// UDP to port 67 or 68: both.
    Dhcp,
}

/// One captured frame, from its Ethernet header on.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// The frame.
    pub bytes: &'a [u8],
    /// False when a sender on this host left the checksum to the network card: there is nothing to verify yet.
    pub checksum_ready: bool,
    /// The frame was longer than [`FRAME`].
    pub truncated: bool,
}

/// Reusable room for [`BATCH`] frames (128 KiB).
pub struct Batch {
    buffer: Vec<u8>,
    received: [Received; BATCH],
    count: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty.
    pub fn new() -> Self {
        Self { buffer: vec![0; BATCH * FRAME], received: [Received::default(); BATCH], count: 0 }
    }

    fn fill(&mut self, socket: &Socket) -> io::Result<usize> {
        self.count = 0;
        self.count = sys::recvmmsg(socket, &mut self.buffer, FRAME, &mut self.received)?;
        Ok(self.count)
    }

    /// The frames that were received last, in the order of their arrival.
    pub fn frames(&self) -> impl Iterator<Item = Captured<'_>> {
        self.buffer.chunks_exact(FRAME).zip(&self.received).take(self.count).map(|(room, received)| Captured {
            bytes: &room[..received.length.min(FRAME)],
            checksum_ready: received.status & libc::TP_STATUS_CSUMNOTREADY == 0,
            truncated: received.truncated,
        })
    }
}

/// A capturing socket on one interface that never waits. Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct Tap {
    socket: Socket,
}

impl Tap {
    /// Starts capturing.
    pub fn open(interface: &str, filter: Filter) -> Result<Self, Error> {
        let index = index_of(interface)?;
        let socket = packet_socket()?;
        socket.attach_filter(&program(filter)).map_err(Error::socket("attaching the capture filter"))?;
        sys::enable_packet_option(&socket, libc::PACKET_AUXDATA).map_err(Error::socket("asking for PACKET_AUXDATA"))?;
        sys::enable_packet_option(&socket, libc::PACKET_IGNORE_OUTGOING)
            .map_err(Error::socket("asking for PACKET_IGNORE_OUTGOING"))?;
        // Best effort: the kernel caps it at net.core.rmem_max, and a smaller buffer only loses more under overload.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        // All protocols, not only IPv4: a bridge takes its ports' frames away before the taps of one protocol see them.
        sys::bind_packet(&socket, index, libc::ETH_P_ALL as u16)
            .map_err(Error::socket("binding the capture socket"))?;
        Ok(Self { socket })
    }

    /// Takes the frames that are there, at most [`BATCH`]; `WouldBlock` when there are none. `ENETDOWN` is returned once when the
    /// interface goes down; the socket stays usable.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.fill(&self.socket)
    }
}

/// Readable when frames are there.
impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A [`Tap`] that is waited for. Needs a tokio runtime.
#[derive(Debug)]
pub struct Capture {
    socket: AsyncFd<Socket>,
}

impl Capture {
    /// Starts capturing.
    pub fn open(interface: &str, filter: Filter) -> Result<Self, Error> {
        let Tap { socket } = Tap::open(interface, filter)?;
        let socket = sys::register(socket).map_err(Error::socket("registering the capture socket"))?;
        Ok(Self { socket })
    }

    /// Waits for frames, then takes all that are there, at most [`BATCH`]. `ENETDOWN` as from [`Tap::receive`]. Cancel safe.
    pub async fn recv(&self, batch: &mut Batch) -> io::Result<usize> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(taken) = ready.try_io(|socket| batch.fill(socket.get_ref())) {
                let count = taken?;
                if count < BATCH {
                    // The queue is empty: the next frame says so by itself, and the kernel need not be asked in vain.
                    ready.clear_ready();
                }
                return Ok(count);
            }
        }
    }

    /// Frames that the kernel dropped since the last call because the socket's buffer was full.
    pub fn take_overruns(&self) -> io::Result<u32> {
        sys::packet_drops(self.socket.get_ref())
    }
}

/// Sends whole Ethernet frames out of one interface (a bridge port included). Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct FrameSender(PortSender);

impl FrameSender {
    /// Looks the interface up.
    pub fn open(interface: &str) -> Result<Self, Error> {
        PortSender::open(&[interface]).map(Self)
    }

    /// Hands the frames to the kernel in order; returns how many it took (fewer when its queue is full). Never blocks.
    pub fn send(&self, frames: &[impl AsRef<[u8]>]) -> io::Result<usize> {
        self.0.send_each(frames, |frame| (0, frame.as_ref()))
    }
}

/// Sends whole Ethernet frames, each out of one of several interfaces, with one call for all. Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct PortSender {
    socket: Socket,
    ports: Vec<libc::sockaddr_ll>,
}

impl PortSender {
    /// Looks the interfaces up.
    pub fn open(interfaces: &[impl AsRef<str>]) -> Result<Self, Error> {
        let port = |interface: &str| {
            sys::packet_address(index_of(interface)?, 0).map_err(Error::socket("opening a packet socket"))
        };
        let ports = interfaces.iter().map(|interface| port(interface.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { socket: packet_socket()?, ports })
    }

    /// As [`FrameSender::send`], each frame out of the interface at its place in what was opened. One that the kernel refuses ends it
    /// there; sent again as the first, it gives the kernel's error.
    pub fn send(&self, frames: &[(usize, impl AsRef<[u8]>)]) -> io::Result<usize> {
        self.send_each(frames, |(place, frame)| (*place, frame.as_ref()))
    }

    fn send_each<T>(&self, frames: &[T], split: impl Fn(&T) -> (usize, &[u8])) -> io::Result<usize> {
        send_in_batches(frames.len(), |from| {
            let batch = frames[from..].iter().take(BATCH).map(&split);
            sys::sendmmsg(&self.socket, batch.map(|(place, frame)| (frame, Some(self.ports[place]))))
        })
    }
}

/// Repeats `send(from)` until all are taken or the kernel takes no more; an error counts only when nothing was taken.
pub(crate) fn send_in_batches(count: usize, send: impl Fn(usize) -> io::Result<usize>) -> io::Result<usize> {
    let mut taken = 0;
    while taken < count {
        match send(taken) {
            Ok(0) => break,
            Ok(more) => taken += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if taken == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(taken)
}

pub(crate) fn index_of(interface: &str) -> Result<u32, Error> {
    let valid = (1..=15).contains(&interface.len())
        && !interface.contains(['/', '\0'])
        && !interface.contains(char::is_whitespace);
    if !valid {
        return Err(Error::BadInterfaceName(interface.to_owned()));
    }
    if_nametoindex(interface).map_err(|_| Error::NoInterface(interface.to_owned()))
}

fn packet_socket() -> Result<Socket, Error> {
    // Protocol 0: nothing is received before the socket is bound, and so nothing before the filter is there.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))
        .map_err(Error::socket("opening a packet socket"))?;
    socket.set_nonblocking(true).map_err(Error::socket("opening a packet socket"))?;
    Ok(socket)
}

/// Classic BPF. Offsets count from the Ethernet header; X holds the IPv4 header's length, so `[x + 14]` is the UDP header.
fn program(filter: Filter) -> Vec<SockFilter> {
    use libc::{
        BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET, BPF_W,
    };
    const VLAN_TAG_PRESENT: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_VLAN_TAG_PRESENT) as u32;
    let op = |code: u32, k: u32| SockFilter::new(code as u16, 0, 0, k);
    // A condition jumps to the last instruction (drop) when it does not hold; `SockFilter` wants the distance.
    let conditions: &[(u32, u32)] = match filter {
        Filter::DhcpFromClients => &[(16, 67)],
        Filter::DhcpFromServers => &[(14, 67), (16, 67)],
        Filter::Dhcp => &[(16, 67)],
    };
    let either = filter != Filter::DhcpFromClients;
    let ports = conditions.len() * 2 + usize::from(either);
    let last = 9 + ports + 1;
    let jump = |code: u32, k: u32, place: usize, holds: bool| {
        let away = (last - place - 1) as u8;
        let (yes, no) = if holds { (0, away) } else { (away, 0) };
        SockFilter::new((BPF_JMP | code | BPF_K) as u16, yes, no, k)
    };
    let mut program = vec![
        op(BPF_LD | BPF_W | BPF_ABS, VLAN_TAG_PRESENT),
        jump(BPF_JEQ, 0, 1, true),
        op(BPF_LD | BPF_H | BPF_ABS, 12),
        jump(BPF_JEQ, libc::ETH_P_IP as u32, 3, true),
        op(BPF_LD | BPF_B | BPF_ABS, 23),
        jump(BPF_JEQ, libc::IPPROTO_UDP as u32, 5, true),
        op(BPF_LD | BPF_H | BPF_ABS, 20),
        jump(BPF_JSET, 0x3fff, 7, false), // more fragments, or an offset
        op(BPF_LDX | BPF_B | BPF_MSH, 14),
    ];
    for (index, (offset, port)) in conditions.iter().enumerate() {
        program.push(op(BPF_LD | BPF_H | BPF_IND, *offset));
        if either && index == conditions.len() - 1 {
            program.push(SockFilter::new((BPF_JMP | BPF_JEQ | BPF_K) as u16, 1, 0, *port));
            program.push(jump(BPF_JEQ, 68, program.len(), true));
        } else {
            program.push(jump(BPF_JEQ, *port, program.len(), true));
        }
    }
    program.push(op(BPF_RET | BPF_K, u32::MAX));
    program.push(op(BPF_RET | BPF_K, 0));
    debug_assert_eq!(program.len(), last + 1);
    program
}
