//! The netlink sockets of nftables and of traffic control, and messages as octets (`linux/netlink.h`,
//! `linux/netfilter/nfnetlink.h`).

use std::{
    io::{self, IoSlice},
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use nix::sys::{
    socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendmsg, setsockopt,
        socket, sockopt,
    },
    time::{TimeVal, TimeValLike},
};

use crate::sys::{BATCH, Received, recvmmsg};

/// Octets of `nlmsghdr` and `nfgenmsg`; `tcmsg` begins like the latter, with its family and three octets of nothing.
const HEADER: usize = 16;
const NFGEN: usize = 4;
/// Messages, acknowledgements and echoes of one transaction fit in this many octets.
const SOCKET_BUFFER: usize = 8 << 20;
/// A kernel that does not answer within this many seconds is broken.
const PATIENCE: i64 = 10;
/// `linux/netfilter/nf_tables.h`.
const NFTA_GEN_ID: u16 = 1;

/// A nested set of attributes being written.
#[derive(Debug, Default)]
pub struct Attributes(pub Vec<u8>);

impl Attributes {
    pub fn octets(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub fn text(self, kind: u16, value: &str) -> Self {
        self.octets(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.octets(kind, &value.to_be_bytes())
    }

    pub fn u64(self, kind: u16, value: u64) -> Self {
        self.octets(kind, &value.to_be_bytes())
    }

    pub fn nest(self, kind: u16, inner: Self) -> Self {
        self.octets(kind | libc::NLA_F_NESTED as u16, &inner.0)
    }
}

/// Type and content of each attribute; stops at what is malformed.
pub fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = octets.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & libc::NLA_TYPE_MASK as u16;
        let value = octets.get(4..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The content of the first attribute of this type.
pub fn attribute(octets: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(octets).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// What can be asked over a socket.
pub trait Request {
    /// The whole message.
    fn encode(&self, sequence: u32) -> Vec<u8>;
}

/// One nftables message.
#[derive(Debug)]
pub struct Message {
    /// `NFT_MSG_*`.
    pub kind: i32,
    /// `NLM_F_*`, without `NLM_F_REQUEST`.
    pub flags: i32,
    /// `NFPROTO_*`.
    pub family: i32,
    /// What it says.
    pub attributes: Attributes,
}

impl Request for Message {
    fn encode(&self, sequence: u32) -> Vec<u8> {
        let kind = (libc::NFNL_SUBSYS_NFTABLES << 8) | self.kind;
        frame(kind, self.flags, sequence, self.family, 0, &self.attributes.0)
    }
}

pub fn frame(kind: i32, flags: i32, sequence: u32, family: i32, resource: u16, content: &[u8]) -> Vec<u8> {
    let length = HEADER + NFGEN + content.len();
    let mut octets = Vec::with_capacity(length);
    octets.extend((length as u32).to_ne_bytes());
    octets.extend((kind as u16).to_ne_bytes());
    octets.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend(0u32.to_ne_bytes());
    octets.extend([family as u8, libc::NFNETLINK_V0 as u8]);
    octets.extend(resource.to_be_bytes());
    octets.extend(content);
    octets
}

/// One received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `NFT_MSG_*`.
    pub kind: i32,
    /// Its attributes.
    pub attributes: Vec<u8>,
}

/// How many transactions of ours the kernel has committed to the nftables of one network namespace: what its generation has
/// grown by without anybody else. Every socket that changes the gate's table counts here.
#[derive(Debug, Clone, Default)]
pub struct Commits(Arc<AtomicU32>);

/// The socket. Requests are answered before the next is sent.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    room: Vec<u8>,
    commits: Commits,
}

impl Netlink {
    /// Speaks with nftables.
    pub fn open() -> io::Result<Self> {
        Self::counted(&Commits::default())
    }

    /// Speaks with nftables, and counts here what is committed.
    pub fn counted(commits: &Commits) -> io::Result<Self> {
        Ok(Self { commits: commits.clone(), ..Self::connect(SockProtocol::NetlinkNetFilter)? })
    }

    /// Speaks with traffic control.
    pub fn open_route() -> io::Result<Self> {
        Self::connect(SockProtocol::NetlinkRoute)
    }

    fn connect(protocol: SockProtocol) -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // Beyond the system's limit where we may (CAP_NET_ADMIN in the first user namespace), else as far as it goes.
        if setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER)?;
        }
        if setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER).is_err() {
            setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER)?;
        }
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
        Ok(Self { socket, sequence: 1, room: vec![0; 1 << 18], commits: Commits::default() })
    }

    /// Sends messages as one transaction: all take effect or none. Returns what the kernel echoed.
    pub fn transaction(&mut self, messages: &[Message]) -> io::Result<Vec<Reply>> {
        let Some(last) = messages.len().checked_sub(1) else { return Ok(Vec::new()) };
        let begin = self.sequence;
        let edge = |kind, sequence| frame(kind, 0, sequence, 0, libc::NFNL_SUBSYS_NFTABLES as u16, &[]);
        let mut octets = edge(libc::NFNL_MSG_BATCH_BEGIN, begin);
        for (place, message) in messages.iter().enumerate() {
            let mut encoded = message.encode(begin + 1 + place as u32);
            if place == last {
                encoded[6] |= libc::NLM_F_ACK as u8; // one acknowledgement for all: nothing is acknowledged before the commit
            }
            octets.extend(encoded);
        }
        let last = begin + messages.len() as u32;
        octets.extend(edge(libc::NFNL_MSG_BATCH_END, last + 1));
        self.sequence = last.wrapping_add(2).max(1);
        self.exchange(&octets, begin, last)
    }

    /// Sends requests that take effect one by one, as one datagram; those behind a refused one are tried all the same. The first
    /// refusal is returned.
    pub fn series(&mut self, requests: &[impl Request]) -> io::Result<()> {
        let Some(last) = requests.len().checked_sub(1) else { return Ok(()) };
        let (begin, mut octets) = (self.sequence, Vec::new());
        for (place, request) in requests.iter().enumerate() {
            let mut encoded = request.encode(begin + place as u32);
            if place == last {
                encoded[6] |= libc::NLM_F_ACK as u8;
            }
            octets.extend(encoded);
        }
        let last = begin + last as u32;
        self.sequence = last.wrapping_add(1).max(1);
        // Nothing begins a transaction here: 0 is never a request's number.
        self.exchange(&octets, 0, last).map(drop)
    }

    /// Sends a prepared transaction. `begin` is the sequence number of its first message (`NFNL_MSG_BATCH_BEGIN`), `last` that of
    /// the last one inside, which must ask for an acknowledgement.
    pub fn exchange(&mut self, octets: &[u8], begin: u32, last: u32) -> io::Result<Vec<Reply>> {
        self.drain();
        self.send(octets)?;
        let (mut replies, mut failure, mut done) = (Vec::new(), None, false);
        while !done {
            self.receive(|sequence, message| {
                match message {
                    Incoming::Message(reply) => replies.push(reply),
                    Incoming::Done => {}
                    Incoming::Status(errno) => {
                        // Each refused message is reported, then the last one; or the transaction as a whole.
                        failure = failure.or((errno != 0).then_some(errno));
                        done |= sequence == last || (sequence == begin && errno != 0);
                    }
                }
                None::<()>
            })?;
        }
        if let Some(errno) = failure {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if begin != 0 {
            self.commits.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(replies)
    }

    /// How many transactions others have committed to nftables in this network namespace, from some number on. One of ours that
    /// changed nothing counts as well, downwards.
    pub fn others(&mut self) -> io::Result<u32> {
        let generation = Message {
            kind: libc::NFT_MSG_GETGEN,
            flags: 0,
            family: libc::NFPROTO_UNSPEC,
            attributes: Attributes::default(),
        };
        let reply = self.get(&generation)?;
        let id = attribute(&reply.attributes, NFTA_GEN_ID).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
        let id = id.ok_or(io::ErrorKind::InvalidData)?;
        Ok(id.wrapping_sub(self.commits.0.load(Ordering::Relaxed)))
    }

    /// Reads one thing.
    pub fn get(&mut self, message: &impl Request) -> io::Result<Reply> {
        let sequence = self.request(message)?;
        let mut found = None;
        while found.is_none() {
            found = self.receive(|other, message| match message {
                _ if other != sequence => None,
                Incoming::Status(errno) => Some(Err(io::Error::from_raw_os_error(errno))),
                Incoming::Done => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                Incoming::Message(reply) => Some(Ok(reply)),
            })?;
        }
        found.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Reads several things by one request that asks for an acknowledgement behind them, handing over each one's attributes. Its
    /// octets are fewer than a room of 4 KiB: a refusal repeats them.
    pub fn get_several(&mut self, message: &impl Request, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let sequence = self.request(message)?;
        let room = self.room.len() / BATCH;
        let mut received = [Received::default(); BATCH];
        loop {
            // The kernel has answered by the time the request is sent: there is nothing to wait for.
            let taken = recvmmsg(&self.socket, &mut self.room, room, &mut received)?;
            for (octets, received) in self.room.chunks_exact(room).zip(&received[..taken]) {
                let mut octets = &octets[..received.length.min(room)];
                while let Some((of, message, rest)) = take_message(octets) {
                    octets = rest;
                    match message {
                        _ if of != sequence => {}
                        Incoming::Message(reply) => each(&reply.attributes),
                        Incoming::Done | Incoming::Status(0) => return Ok(()),
                        Incoming::Status(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    }
                }
            }
        }
    }

    /// Reads a list, handing over each message's attributes.
    pub fn dump(&mut self, message: &impl Request, mut each: impl FnMut(Vec<u8>)) -> io::Result<()> {
        let sequence = self.request(message)?;
        loop {
            let done = self.receive(|other, message| match message {
                _ if other != sequence => None,
                Incoming::Done | Incoming::Status(0) => Some(Ok(())),
                Incoming::Status(errno) => Some(Err(io::Error::from_raw_os_error(errno))),
                Incoming::Message(reply) => {
                    each(reply.attributes);
                    None
                }
            })?;
            if let Some(result) = done {
                return result;
            }
        }
    }

    fn request(&mut self, message: &impl Request) -> io::Result<u32> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1).max(1);
        self.drain();
        self.send(&message.encode(sequence))?;
        Ok(sequence)
    }

    fn send(&self, octets: &[u8]) -> io::Result<()> {
        let to = NetlinkAddr::new(0, 0);
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(octets)], &[], MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// Throws away what an earlier, failed request left.
    fn drain(&mut self) {
        while recv(self.socket.as_raw_fd(), &mut self.room, MsgFlags::MSG_DONTWAIT).is_ok() {}
    }

    /// Receives one datagram and hands over its messages; the first `Some` is the result.
    fn receive<T>(&mut self, mut each: impl FnMut(u32, Incoming) -> Option<T>) -> io::Result<Option<T>> {
        let length = loop {
            match recv(self.socket.as_raw_fd(), &mut self.room, MsgFlags::empty()) {
                Err(nix::errno::Errno::EINTR) => {}
                result => break result?,
            }
        };
        let mut octets = &self.room[..length];
        let mut result = None;
        while let Some((sequence, message, rest)) = take_message(octets) {
            result = result.or(each(sequence, message));
            octets = rest;
        }
        Ok(result)
    }
}

enum Incoming {
    /// An acknowledgement (0) or an error number.
    Status(i32),
    /// The end of a list.
    Done,
    Message(Reply),
}

fn take_message(octets: &[u8]) -> Option<(u32, Incoming, &[u8])> {
    let header = octets.first_chunk::<HEADER>()?;
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = word(0) as usize;
    let content = octets.get(HEADER..length)?;
    let rest = octets.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    let errno = || content.first_chunk::<4>().map_or(libc::EPROTO, |errno| -i32::from_ne_bytes(*errno));
    let incoming = match i32::from(u16::from_ne_bytes([header[4], header[5]])) {
        libc::NLMSG_ERROR => Incoming::Status(errno()),
        libc::NLMSG_DONE => Incoming::Done,
        kind => Incoming::Message(Reply { kind: kind & 0xff, attributes: content.get(NFGEN..)?.to_vec() }),
    };
    Some((word(8), incoming, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let written = Attributes::default().text(1, "up").u32(2, 7).nest(3, Attributes::default().u64(1, 9));
        assert_eq!(written.0.len() % 4, 0);
        assert_eq!(attribute(&written.0, 1), Some(&b"up\0"[..]));
        assert_eq!(attribute(&written.0, 2), Some(&7u32.to_be_bytes()[..]));
        let nested = attribute(&written.0, 3).unwrap();
        assert_eq!(attribute(nested, 1), Some(&9u64.to_be_bytes()[..]));
    }

    #[test]
    fn malformed_attributes_end_the_list() {
        for octets in [&[][..], &[3, 0, 1, 0], &[9, 0, 1, 0, 0], &[0; 4]] {
            assert_eq!(attributes(octets).filter(|(_, value)| !value.is_empty()).count(), 0);
        }
    }
}
