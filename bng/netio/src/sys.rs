//! System calls that no crate offers safely: many datagrams in one call, and the packet socket's options.

use std::{io, mem, os::fd::AsRawFd, ptr};

use socket2::Socket;
use tokio::io::{Interest, unix::AsyncFd};

/// The most datagrams of one call.
pub const BATCH: usize = 64;

/// What one received datagram was, besides its octets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Received {
    /// Octets kept.
    pub length: usize,
    /// The datagram was longer than its room.
    pub truncated: bool,
    /// `tp_status` of the packet socket's auxiliary data; 0 when it came without.
    pub status: u32,
}

/// Room for one `PACKET_AUXDATA` control message, aligned as `cmsghdr` must be.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

fn check(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Registers a socket with tokio's reactor, to be read from: that it can be written to wakes nobody.
pub fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a Socket owns its descriptor, returns the same one every time, and keeps it open until it is dropped, which
    // AsyncFd does after deregistering it; nobody here hands out the inner value.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(io::Error::from)
}

/// Receives at most [`BATCH`] datagrams without waiting; `rooms` cuts `buffer` into pieces of that many octets.
pub fn recvmmsg(
    fd: &impl AsRawFd,
    buffer: &mut [u8],
    room: usize,
    received: &mut [Received; BATCH],
) -> io::Result<usize> {
    let mut control = [Control([0; 64]); BATCH];
    // SAFETY: iovec and mmsghdr are plain C structures for which all zeroes is a valid value.
    let mut iovecs: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut count = 0;
    for (piece, ((iovec, header), control)) in
        buffer.chunks_exact_mut(room).zip(iovecs.iter_mut().zip(&mut headers).zip(&mut control))
    {
        iovec.iov_base = piece.as_mut_ptr().cast();
        iovec.iov_len = piece.len();
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = control.0.len();
        count += 1;
    }
    // SAFETY: the first `count` headers point to an iovec, a piece of `buffer` and a control buffer of their own; all of them
    // outlive the call and nothing else touches them during it. The timeout may be null.
    let result =
        unsafe { libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, ptr::null_mut()) };
    let taken = check(result)?;
    for (header, received) in headers.iter().zip(received.iter_mut()).take(taken) {
        *received = Received {
            length: header.msg_len as usize,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            status: auxdata_status(&header.msg_hdr),
        };
    }
    Ok(taken)
}

fn auxdata_status(header: &libc::msghdr) -> u32 {
    // SAFETY: the kernel filled msg_control and msg_controllen of this header, so the first control message, when there is one,
    // lies within our aligned buffer.
    let Some(message) = (unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }) else { return 0 };
    let wanted = mem::size_of::<libc::cmsghdr>() + mem::size_of::<libc::tpacket_auxdata>();
    if message.cmsg_level != libc::SOL_PACKET || message.cmsg_type != libc::PACKET_AUXDATA || message.cmsg_len < wanted
    {
        return 0;
    }
    // SAFETY: level, type and length say that a whole tpacket_auxdata follows; read_unaligned asks for no alignment.
    unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast::<libc::tpacket_auxdata>()) }.tp_status
}

/// A C structure that the kernel takes as a socket's address.
pub trait Address: Copy {}
impl Address for libc::sockaddr_in {}
impl Address for libc::sockaddr_ll {}

/// Sends datagrams without waiting and returns how many were taken; `address` of each goes with it. At most [`BATCH`].
pub fn sendmmsg<'a, A: Address>(
    fd: &impl AsRawFd,
    datagrams: impl Iterator<Item = (&'a [u8], Option<A>)>,
) -> io::Result<usize> {
    let mut addresses = [None; BATCH];
    // SAFETY: these are plain C structures for which all zeroes is a valid value.
    let (mut iovecs, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    let mut count = 0;
    for (((bytes, to), address), (iovec, header)) in
        datagrams.zip(&mut addresses).zip(iovecs.iter_mut().zip(&mut headers))
    {
        iovec.iov_base = bytes.as_ptr().cast_mut().cast(); // sendmmsg only reads
        iovec.iov_len = bytes.len();
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        *address = to;
        if let Some(to) = address {
            header.msg_hdr.msg_name = ptr::from_mut(to).cast();
            header.msg_hdr.msg_namelen = mem::size_of::<A>() as u32;
        }
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    // SAFETY: the first `count` headers point to an iovec, an address and octets that outlive the call; the kernel only reads
    // what they point to.
    check(unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) })
}

/// Switches a packet socket's option on.
pub fn enable_packet_option(fd: &impl AsRawFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is a c_int that outlives the call, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// Frames dropped by a packet socket since the last call.
pub fn packet_drops(fd: &impl AsRawFd) -> io::Result<u32> {
    // struct tpacket_stats { unsigned tp_packets, tp_drops; }
    let mut stats = [0u32; 2];
    let mut length = mem::size_of_val(&stats) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets to `stats`, which is that long.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            stats.as_mut_ptr().cast(),
            &mut length,
        )
    };
    check(result).map(|_| stats[1])
}

/// Binds a packet socket to an interface. Protocol 0 receives nothing.
pub fn bind_packet(fd: &impl AsRawFd, index: u32, protocol: u16) -> io::Result<()> {
    let address = packet_address(index, protocol)?;
    // SAFETY: the address outlives the call and its size is given.
    let result = unsafe {
        libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), mem::size_of_val(&address) as libc::socklen_t)
    };
    check(result).map(|_| ())
}

/// An interface, and what is received from it; 0 = nothing.
pub fn packet_address(index: u32, protocol: u16) -> io::Result<libc::sockaddr_ll> {
    // SAFETY: sockaddr_ll is a plain C structure for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    Ok(address)
}
