//! The end of a gateway: what is left of its gate is looked at and removed, by somebody who is not that gateway.

use std::net::Ipv4Addr;

use lastmile_types::BngId;

use super::{names, plan, rules, survey};
use crate::{Error, netlink::Netlink};

/// What is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// Who is let through, where the table is there.
    pub admitted: Vec<Ipv4Addr>,
    /// Another gateway has a table here: what does not say whose it is may be that one's.
    pub others: bool,
}

/// Looks at what is left of this gateway.
pub fn remains(bng_id: &BngId) -> Result<Remains, Error> {
    let ours = names::table(bng_id);
    let (mut there, mut others) = (false, false);
    open()?
        .dump(&rules::list_chains(), |octets| {
            if let Some((table, plan::FROM_SUBSCRIBER_RAW)) = rules::decode_chain(&octets) {
                there |= table == ours;
                others |= table != ours && names::is_table(table);
            }
        })
        .map_err(Error::nftables("listing chains"))?;
    let sightings = if there { survey(bng_id)? } else { Vec::new() };
    Ok(Remains { admitted: sightings.iter().map(super::Sighting::ip).collect(), others })
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
