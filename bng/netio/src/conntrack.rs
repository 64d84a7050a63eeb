//! Forgetting flows, over ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`).

use std::{io, net::Ipv4Addr};

use crate::netlink::{self, Attributes, Netlink, attribute, frame};

const IPCTNL_MSG_CT_GET: i32 = 1;
const IPCTNL_MSG_CT_DELETE: i32 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
/// Of the tuple, only the source address counts.
const BY_SOURCE: u32 = 1;

/// Conntrack's table.
#[derive(Debug)]
pub struct Conntrack {
    netlink: Netlink,
}

impl Conntrack {
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open()? })
    }

    /// Deletes every flow that this address began. The kernel filters (before Linux 5.8 it does not, and we do).
    pub fn forget(&mut self, source: Ipv4Addr) -> io::Result<()> {
        let mut tuples = Vec::new();
        self.netlink.dump(&of_source(source), |flow| {
            let tuple = attribute(&flow, CTA_TUPLE_ORIG).filter(|tuple| source_of(tuple) == Some(source));
            tuples.extend(tuple.map(<[u8]>::to_vec));
        })?;
        for tuple in tuples {
            let attributes = Attributes::default().nest(CTA_TUPLE_ORIG, Attributes(tuple));
            match self.netlink.series(&[Request { kind: IPCTNL_MSG_CT_DELETE, flags: 0, attributes }]) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {} // it may have timed out by itself
            }
        }
        Ok(())
    }
}

fn of_source(source: Ipv4Addr) -> Request {
    let ip = Attributes::default().octets(CTA_IP_V4_SRC, &source.octets());
    // Flags are in the host's order, unlike everything else.
    let filter = Attributes::default().octets(CTA_FILTER_ORIG_FLAGS, &BY_SOURCE.to_ne_bytes());
    let attributes = Attributes::default()
        .nest(CTA_TUPLE_ORIG, Attributes::default().nest(CTA_TUPLE_IP, ip))
        .nest(CTA_FILTER, filter);
    Request { kind: IPCTNL_MSG_CT_GET, flags: libc::NLM_F_DUMP, attributes }
}

fn source_of(tuple: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = attribute(attribute(tuple, CTA_TUPLE_IP)?, CTA_IP_V4_SRC)?.try_into().ok()?;
    Some(octets.into())
}

/// What conntrack is asked.
struct Request {
    /// `IPCTNL_MSG_CT_*`.
    kind: i32,
    flags: i32,
    attributes: Attributes,
}

impl netlink::Request for Request {
    fn encode(&self, sequence: u32) -> Vec<u8> {
        let kind = (libc::NFNL_SUBSYS_CTNETLINK << 8) | self.kind;
        frame(kind, self.flags, sequence, libc::AF_INET, 0, &self.attributes.0)
    }
}
