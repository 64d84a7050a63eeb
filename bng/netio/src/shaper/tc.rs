//! Traffic control as octets (`linux/rtnetlink.h`, `linux/pkt_sched.h`): an HTB tree, its classes, and their queues.

use crate::netlink::{self, Attributes, Reply, attribute, frame};

const TC_H_ROOT: u32 = 0xffff_ffff;
// linux/pkt_sched.h
const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_DIRECT_QLEN: u16 = 5;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;
const TCA_STAB_BASE: u16 = 1;
const HTB_VERSION: u32 = 3;
const TC_LINKLAYER_ETHERNET: u8 = 1;
/// The kernel's scheduler counts times in these, nanoseconds.
const TICK: u64 = 64;
/// A queueing discipline counts Ethernet's header, a policy does not: this is taken off every packet's length.
const ETHERNET_HEADER: i32 = 14;
/// Packets without a class (the node's own) that may wait for the interface.
const DIRECT_PACKETS: u32 = 1_000;
/// Octets that a class may send before it is the next one's turn.
const QUANTUM: u32 = 1_514;

/// The kernel's arithmetic overflows past this, and no link is faster: 100 Gbit/s in kbit/s.
const MAX_KBPS: u32 = 100_000_000;
/// A class that waited for a busy processor makes up for this much of the rate, and no more.
const DEFAULT_BURST_MS: u64 = 20;
/// Two whole packets: less would cost rate at every late timer.
const MIN_BURST: u64 = 3_000;
/// A full queue makes a packet wait this long.
const QUEUE_MS: u64 = 50;
/// Six whole packets: with fewer a slow subscriber's TCP would stall.
const MIN_QUEUE: u64 = 9_000;

/// What a class does: the rate at which it sends, as the kernel keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// IP octets per second.
    pub rate: u64,
    /// What may be sent at once after a pause, as time at the rate, in ticks.
    pub buffer: u32,
}

impl Class {
    /// From kbit/s and kbit. Without a rate, or with one that no link reaches, there is no class.
    pub fn new(kbps: Option<u32>, burst_kbit: Option<u32>) -> Option<Self> {
        let kbps = kbps.filter(|kbps| *kbps <= MAX_KBPS)?;
        let rate = u64::from(kbps.max(1)) * 125;
        let burst = burst_kbit.map_or(rate * DEFAULT_BURST_MS / 1_000, |kbit| u64::from(kbit) * 125).max(MIN_BURST);
        let buffer = u128::from(burst) * 1_000_000_000 / u128::from(rate * TICK);
        Some(Self { rate, buffer: u32::try_from(buffer).unwrap_or(u32::MAX) })
    }

    /// What a class does that was made ahead and belongs to nobody.
    pub const fn idle() -> Self {
        Self { rate: 125_000, buffer: 375_000 }
    }

    /// Octets that may wait.
    fn queue(&self) -> u32 {
        u32::try_from((self.rate * QUEUE_MS / 1_000).max(MIN_QUEUE)).unwrap_or(u32::MAX)
    }
}

/// A class's id.
pub const fn class_id(root: u32, minor: u16) -> u32 {
    root | minor as u32
}

/// One request to traffic control.
#[derive(Debug)]
pub struct Request {
    kind: u16,
    flags: i32,
    interface: u32,
    handle: u32,
    parent: u32,
    attributes: Attributes,
}

impl netlink::Request for Request {
    fn encode(&self, sequence: u32) -> Vec<u8> {
        let words = [self.interface, self.handle, self.parent, 0];
        let content = [words.map(u32::to_ne_bytes).concat(), self.attributes.0.clone()].concat();
        frame(i32::from(self.kind), self.flags, sequence, libc::AF_UNSPEC, 0, &content)
    }
}

/// Makes the tree `root` of an interface, unless it has one of anybody's (`EEXIST`).
pub fn make_root(interface: u32, root: u32) -> Request {
    let init = [HTB_VERSION, 10, 0, 0, 0].map(u32::to_ne_bytes).concat(); // unknown packets have no class
    let options =
        Attributes::default().octets(TCA_HTB_INIT, &init).octets(TCA_HTB_DIRECT_QLEN, &DIRECT_PACKETS.to_ne_bytes());
    let mut sizes = [0; 24]; // struct tc_sizespec: no table, only what is added to a packet's length
    sizes[4..8].copy_from_slice(&(-ETHERNET_HEADER).to_ne_bytes());
    let attributes = Attributes::default()
        .text(libc::TCA_KIND, "htb")
        .nest(libc::TCA_OPTIONS, options)
        .nest(libc::TCA_STAB, Attributes::default().octets(TCA_STAB_BASE, &sizes));
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    Request { kind: libc::RTM_NEWQDISC, flags, interface, handle: root, parent: TC_H_ROOT, attributes }
}

/// Removes the interface's tree, if it is this one.
pub fn delete_root(interface: u32, root: u32) -> Request {
    let attributes = Attributes::default();
    Request { kind: libc::RTM_DELQDISC, flags: 0, interface, handle: root, parent: TC_H_ROOT, attributes }
}

/// Reads what an interface's packets wait in.
pub fn get_root(interface: u32) -> Request {
    // Without the echo the kernel tells everybody who listens, but not who asked.
    let (flags, attributes) = (libc::NLM_F_ECHO | libc::NLM_F_ACK, Attributes::default());
    Request { kind: libc::RTM_GETQDISC, flags, interface, handle: 0, parent: TC_H_ROOT, attributes }
}

/// Lists the classes of a tree.
pub fn dump_classes(interface: u32, root: u32) -> Request {
    let (flags, attributes) = (libc::NLM_F_DUMP, Attributes::default());
    Request { kind: libc::RTM_GETTCLASS, flags, interface, handle: 0, parent: root, attributes }
}

/// Makes or changes a class and its queue; what waits in it goes on waiting.
pub fn set_class(interface: u32, root: u32, minor: u16, class: &Class) -> [Request; 2] {
    let flags = libc::NLM_F_CREATE;
    let id = class_id(root, minor);
    let attributes = Attributes::default().text(libc::TCA_KIND, "htb").nest(libc::TCA_OPTIONS, parameters(class));
    let class_request = Request { kind: libc::RTM_NEWTCLASS, flags, interface, handle: id, parent: root, attributes };
    let attributes =
        Attributes::default().text(libc::TCA_KIND, "bfifo").octets(libc::TCA_OPTIONS, &class.queue().to_ne_bytes());
    // A number of its own for each queue: the kernel's own run out after 32,768, and it searches for them.
    let handle = u32::from(minor) << 16;
    [class_request, Request { kind: libc::RTM_NEWQDISC, flags, interface, handle, parent: id, attributes }]
}

/// `struct tc_htb_opt`, and the rate again where 32 bits do not hold it.
fn parameters(class: &Class) -> Attributes {
    let rate32 = u32::try_from(class.rate).unwrap_or(u32::MAX);
    let mut rate = [0; 12]; // struct tc_ratespec; the link layer is said so that no table of rates is wanted
    rate[1] = TC_LINKLAYER_ETHERNET;
    rate[8..].copy_from_slice(&rate32.to_ne_bytes());
    let rest = [class.buffer, class.buffer, QUANTUM, 0, 0].map(u32::to_ne_bytes);
    let mut options = Attributes::default().octets(TCA_HTB_PARMS, &[&rate[..], &rate, &rest.concat()].concat());
    if u64::from(rate32) < class.rate {
        let rate = class.rate.to_ne_bytes();
        options = options.octets(TCA_HTB_RATE64, &rate).octets(TCA_HTB_CEIL64, &rate);
    }
    options
}

/// What is at the root of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// 0 = the kernel's default.
    pub handle: u32,
    /// Like `htb`.
    pub kind: String,
}

/// Reads an answer to [`get_root`].
pub fn decode_root(reply: &Reply) -> Option<Root> {
    let (handle, attributes) = split(&reply.attributes)?;
    let kind = attribute(attributes, libc::TCA_KIND)?.strip_suffix(&[0])?;
    Some(Root { handle, kind: String::from_utf8_lossy(kind).into_owned() })
}

/// Reads an answer to [`dump_classes`]: the class's minor number and what it does.
pub fn decode_class(octets: &[u8]) -> Option<(u16, Class)> {
    let (handle, attributes) = split(octets)?;
    let options = attribute(attributes, libc::TCA_OPTIONS)?;
    let parameters = attribute(options, TCA_HTB_PARMS)?;
    let word = |at: usize| parameters.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let wide = attribute(options, TCA_HTB_RATE64).and_then(|value| value.try_into().ok()).map(u64::from_ne_bytes);
    let class = Class { rate: wide.or(word(8).map(u64::from))?, buffer: word(24)? };
    Some((handle as u16, class)) // the lower half is the minor number
}

/// A `tcmsg` without its first four octets: interface, handle, parent, info; then attributes.
fn split(octets: &[u8]) -> Option<(u32, &[u8])> {
    let handle = octets.get(4..8)?.try_into().ok().map(u32::from_ne_bytes)?;
    Some((handle, octets.get(16..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Request as _;

    #[test]
    fn classes_round_trip() {
        for kbps in [1, 1_000, 100_000, MAX_KBPS] {
            let class = Class::new(Some(kbps), None).unwrap();
            let [made, queue] = set_class(7, 0xa0bc_0000, 31, &class);
            assert_eq!(decode_class(&made.encode(1)[20..]), Some((31, class)));
            assert_eq!((queue.parent, queue.handle), (0xa0bc_001f, 0x001f_0000));
        }
    }

    #[test]
    fn a_class_has_room_for_packets_and_an_end() {
        let slow = Class::new(Some(1_000), None).unwrap();
        assert_eq!((slow.rate, slow.buffer, slow.queue()), (125_000, 375_000, 9_000), "3,000 octets take 24 ms");
        let fast = Class::new(Some(100_000), None).unwrap();
        assert_eq!((fast.rate, fast.buffer, fast.queue()), (12_500_000, 312_500, 625_000), "20 ms; 50 ms");
        assert_eq!(Class::new(Some(1_000), Some(1_000)).unwrap().buffer, 15_625_000, "1 Mbit takes a second");
        assert_eq!(Class::new(Some(0), None).map(|class| class.rate), Some(125));
        assert_eq!(Class::new(None, Some(1)), None);
        assert_eq!(Class::new(Some(MAX_KBPS + 1), None), None);
        assert_eq!(Class::new(Some(1), Some(u32::MAX)).unwrap().buffer, u32::MAX);
        assert_eq!(Class::new(Some(1_000), None), Some(Class::idle()));
    }

    #[test]
    fn malformed_answers_are_none() {
        for length in 0..24 {
            assert_eq!(decode_class(&vec![0; length]), None);
            assert_eq!(decode_root(&Reply { kind: 36, attributes: vec![0; length] }), None);
        }
    }
}
