//! Reading everybody beside the gate, on sockets of its own: with very many subscribers that takes longer than packets may wait.
//!
//! Each is asked for by its address, hundreds in a request. A dump would take time that grows with the square of their number: for
//! every message the kernel looks from the beginning of the set for the place where it stopped.

use std::{io, net::Ipv4Addr, thread};

use super::{
    Admitted, Gate,
    element::{self, Direction, Element},
};
use crate::{Error, netlink::Netlink};

/// Asked for in one request: a refusal repeats the request, and has to fit where one answer is put.
const TOGETHER: usize = 200;

/// Whom to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    table: String,
    /// In ascending order.
    ips: Vec<Ipv4Addr>,
}

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

impl Survey {
    /// Reads them, both directions at once; may be called from any thread while the gate changes. Who is shut out by then is left out.
    pub fn read(&self) -> Result<Vec<Sighting>, Error> {
        let (up, down) = thread::scope(|scope| {
            let down = scope.spawn(|| self.read_set(Direction::Down));
            let up = self.read_set(Direction::Up);
            (up, down.join().unwrap_or(Err(Error::Malformed { operation: "reading a set" })))
        });
        let mut down = down?.into_iter().peekable();
        let both = up?.into_iter().filter_map(|up| {
            while down.next_if(|down| down.ip < up.ip).is_some() {}
            down.next_if(|down| down.ip == up.ip).map(|down| Sighting { up, down })
        });
        Ok(both.collect())
    }

    fn read_set(&self, direction: Direction) -> Result<Vec<Element>, Error> {
        let mut netlink = Netlink::open().map_err(Error::nftables("opening the netlink socket"))?;
        let mut elements = Vec::with_capacity(self.ips.len());
        let mut rest = &self.ips[..];
        while !rest.is_empty() {
            let (ips, before) = (&rest[..rest.len().min(TOGETHER)], elements.len());
            let message = element::get_several(&self.table, direction.set(), ips.iter().map(Ipv4Addr::octets));
            let read = netlink.get_several(&message, |attributes| {
                elements.extend(element::decode(attributes).1);
            });
            let done = match read {
                Ok(()) => ips.len(),
                // The kernel answers in order, up to the first who is not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => elements.len() - before + 1,
                Err(error) => return Err(Error::nftables("reading elements")(error)),
            };
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(elements)
    }
}

impl Gate {
    /// A reading of everybody who is admitted now.
    pub fn survey(&self) -> Survey {
        Survey { table: self.table.clone(), ips: self.members.keys().copied().collect() }
    }

    /// What a sighting says of a subscriber. Only of one whose element has not been changed since the survey began.
    pub fn sighted(&self, sighting: &Sighting) -> Option<Admitted> {
        self.members.get(&sighting.ip()).map(|member| member.admitted(&sighting.up, &sighting.down))
    }
}
