//! Reading everybody beside the gate, on a socket of its own: with very many subscribers that takes longer than packets may wait.

use std::net::Ipv4Addr;

use lastmile_types::BngId;

use super::{Admitted, Element, Gate, dump_both, table_name};
use crate::{Error, netlink::Netlink};

/// One subscriber as the kernel had it a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    up: Element,
    down: Element,
}

impl Sighting {
    /// The subscriber.
    pub fn ip(&self) -> Ipv4Addr {
        self.up.ip
    }
}

/// Reads the sets of this gateway's table; may be called from any thread while the gate changes. It may then miss or repeat some.
pub fn survey(bng_id: &BngId) -> Result<Vec<Sighting>, Error> {
    let open = || Netlink::open().map_err(Error::nftables("opening the netlink socket"));
    let (up, down) = dump_both(&mut open()?, &mut open()?, &table_name(bng_id))?;
    Ok(up.into_values().filter_map(|up| Some(Sighting { up, down: *down.get(&up.ip)? })).collect())
}

impl Gate {
    /// What a sighting says of a subscriber. Only of one whose element has not been changed since the survey began.
    pub fn sighted(&self, sighting: &Sighting) -> Option<Admitted> {
        self.members.get(&sighting.ip()).map(|member| member.admitted(&sighting.up, &sighting.down))
    }
}
