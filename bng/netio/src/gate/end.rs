//! The end of a gateway: what is left of its gate is looked at and removed, by somebody who is not that gateway.

use std::{collections::BTreeSet, net::Ipv4Addr};

use lastmile_types::BngId;

use super::{
    element::{self, Direction},
    names, plan, rules,
};
use crate::{Error, netlink::Netlink};

/// What is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// Who is let through, where the table is there.
    pub admitted: BTreeSet<Ipv4Addr>,
    /// Another gateway has a table here: what does not say whose it is may be that one's.
    pub others: bool,
}

/// Looks at what is left of this gateway.
pub fn remains(bng_id: &BngId) -> Result<Remains, Error> {
    let ours = names::table(bng_id);
    let (mut there, mut others) = (false, false);
    let mut netlink = open()?;
    netlink
        .dump(&rules::list_chains(libc::NFPROTO_IPV4), |octets| {
            if let Some((table, plan::FROM_SUBSCRIBER_RAW)) = rules::decode_chain(&octets) {
                there |= table == ours;
                others |= table != ours && names::is_table(table);
            }
        })
        .map_err(Error::nftables("listing chains"))?;
    let mut admitted = BTreeSet::new();
    if there {
        netlink
            .dump(&element::dump_message(&ours, Direction::Up), |octets| {
                admitted.extend(element::decode(&octets).1.map(|element| element.ip));
            })
            .map_err(Error::nftables("reading a set"))?;
    }
    Ok(Remains { admitted, others })
}

/// Removes the gateway's table with everything in it, whether or not it exists.
pub fn remove(bng_id: &BngId) -> Result<(), Error> {
    let transaction = rules::remove(&names::table(bng_id));
    open()?
        .exchange(&transaction.octets, transaction.begin, transaction.last)
        .map_err(Error::nftables("removing the table"))?;
    Ok(())
}

fn open() -> Result<Netlink, Error> {
    Netlink::open().map_err(Error::nftables("opening the netlink socket"))
}
