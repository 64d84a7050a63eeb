//! Frames from and to one interface, below the kernel's IP stack.
//!
//! A [`Capture`] sees only what its [`Filter`] lets through: the filter runs in the kernel and is attached before the socket is
//! bound, so no other frame is ever queued. Frames that this host sends are not seen. On a port of a bridge the frames of that
//! port are seen, which is how the access router knows the port.

use std::io;

use crate::Error;

/// The most frames that one [`Capture::recv`] returns.
pub const BATCH: usize = 64;
/// The most octets kept of one frame; longer ones are marked as truncated.
pub const FRAME: usize = 2048;

/// What a capture lets through; IPv4 without fragments, with any IP options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// UDP to port 67, from any port: what DHCP clients and relays send.
    DhcpFromClients,
    /// UDP from port 67 to port 67 or 68: what DHCP servers send.
    DhcpFromServers,
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
pub struct Batch {}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty.
    pub fn new() -> Self {
        todo!()
    }

    /// The frames of the last [`Capture::recv`], in the order of their arrival.
    pub fn frames(&self) -> impl Iterator<Item = Captured<'_>> {
        todo!();
        #[allow(unreachable_code)]
        std::iter::empty()
    }
}

/// A capturing socket on one interface. Needs CAP_NET_RAW and a tokio runtime.
pub struct Capture {}

impl Capture {
    /// Starts capturing.
    pub fn open(interface: &str, filter: Filter) -> Result<Self, Error> {
        let _ = (interface, filter);
        todo!()
    }

    /// Waits for frames, then takes all that are there, at most [`BATCH`]. `ENETDOWN` is returned once when the interface goes
    /// down; the socket stays usable. Cancel safe.
    pub async fn recv(&self, batch: &mut Batch) -> io::Result<usize> {
        let _ = batch;
        todo!()
    }

    /// Frames that the kernel dropped since the last call because the socket's buffer was full.
    pub fn take_overruns(&self) -> io::Result<u32> {
        todo!()
    }
}

/// Sends whole Ethernet frames out of one interface (a bridge port included). Needs CAP_NET_RAW.
pub struct FrameSender {}

impl FrameSender {
    /// Binds to the interface.
    pub fn open(interface: &str) -> Result<Self, Error> {
        let _ = interface;
        todo!()
    }

    /// Hands the frames to the kernel in order; returns how many it took (fewer when its queue is full). Never blocks.
    pub fn send(&self, frames: &[impl AsRef<[u8]>]) -> io::Result<usize> {
        let _ = frames;
        todo!()
    }
}
