//! Reading the table: what is there when a process starts, or when the kernel refused a transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    thread,
};

use lastmile_types::MacAddr;

use super::{
    Admitted, Elements, Error, Gate,
    config::Routers,
    element::{self, Direction, Element},
    members::{Member, Place, Side},
    names::{self, BOUND, CONFINED, ROUTERS},
    rules, sets,
};
use crate::netlink::{Message, Netlink};

impl Gate {
    /// Takes over what the sets hold. An address in one of `up` and `down` only is no subscriber, and one in neither is nowhere
    /// (somebody edited the table): it goes.
    pub(super) fn adopt(&mut self) -> Result<Vec<Admitted>, Error> {
        let (up, down) = self.dump_sets()?;
        let mut places = self.places()?;
        let known = std::mem::take(&mut self.members);
        for (ip, up) in &up {
            let Some(down) = down.get(ip) else { continue };
            // What passed while limits were replaced is in no element.
            let known = known.get(ip).cloned().unwrap_or_default();
            let side = |side: Side, element: &Element| Side { limit: element.limit, ..side };
            let place = places.remove(ip).unwrap_or_default();
            self.members.insert(*ip, Member { up: side(known.up, up), down: side(known.down, down), place });
        }
        self.remove_strays(&up, &down, places)?;
        let both = self.members.iter().filter_map(|(ip, member)| Some(member.admitted(up.get(ip)?, down.get(ip)?)));
        Ok(both.collect())
    }

    fn remove_strays(
        &mut self,
        up: &BTreeMap<Ipv4Addr, Element>,
        down: &BTreeMap<Ipv4Addr, Element>,
        places: BTreeMap<Ipv4Addr, Place>,
    ) -> Result<(), Error> {
        let delete = libc::NFT_MSG_DELSETELEM;
        let alone = |own: &BTreeMap<Ipv4Addr, Element>, other: &BTreeMap<Ipv4Addr, Element>| {
            own.keys().filter(|ip| !other.contains_key(ip)).copied().collect::<Vec<_>>()
        };
        let mut strays = Vec::new();
        for (direction, ips) in [(Direction::Up, alone(up, down)), (Direction::Down, alone(down, up))] {
            strays.extend(
                ips.iter().map(|ip| (*ip, vec![element::message(delete, 0, &self.table, direction, *ip, None)])),
            );
        }
        strays.extend(places.iter().map(|(ip, place)| (*ip, place.messages(delete, &self.table, *ip))));
        for (ip, messages) in strays {
            self.remove_stray(ip, &messages)?;
        }
        Ok(())
    }

    fn remove_stray(&mut self, ip: Ipv4Addr, messages: &[Message]) -> Result<(), Error> {
        tracing::warn!(%ip, "removing a half-admitted address from the gate: it was not put there by us");
        self.netlink.transaction(messages).map_err(Error::nftables("removing an element"))?;
        Ok(())
    }

    /// Who is confined to which garden, and bound to which MAC.
    fn places(&mut self) -> Result<BTreeMap<Ipv4Addr, Place>, Error> {
        let mut places: BTreeMap<Ipv4Addr, Place> = BTreeMap::new();
        for (ip, mac) in self.dump_keys(BOUND, sets::bound_of)? {
            places.entry(ip).or_default().mac = Some(mac);
        }
        let confined: BTreeSet<Ipv4Addr> = self.dump_keys(CONFINED, address)?.into_iter().collect();
        for ip in &confined {
            places.entry(*ip).or_default().garden = Some("".into());
        }
        let gardens: Vec<String> = self.config.gardens.keys().cloned().collect();
        for garden in gardens {
            for ip in self.dump_keys(&names::garden(&garden), address)? {
                if confined.contains(&ip) {
                    places.entry(ip).or_default().garden = Some(garden.as_str().into());
                } else {
                    let message =
                        sets::element(libc::NFT_MSG_DELSETELEM, &self.table, &names::garden(&garden), &ip.octets());
                    self.remove_stray(ip, &[message])?;
                }
            }
        }
        Ok(places)
    }

    /// The routers as an earlier process knew them.
    pub(super) fn known_routers(&mut self) -> Result<Routers, Error> {
        let mut routers = Routers::new();
        let table = self.table.clone();
        let found = self.netlink.dump(&sets::dump(&table, ROUTERS), |octets| {
            let known = sets::routers(&octets).filter_map(|(mac, chain)| Some((names::router_of(chain)?, mac)));
            routers.extend(known.collect::<Vec<(Ipv4Addr, MacAddr)>>());
        });
        match found {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::nftables("reading the routers")(error)),
            _ => Ok(routers),
        }
    }

    /// What the kernel has of the table.
    pub(super) fn existing(&mut self) -> Result<rules::Existing, Error> {
        let mut existing = rules::Existing::default();
        let table = self.table.as_str();
        let ours = |found: Option<(&str, &str)>| found.filter(|(of, _)| *of == table).map(|(_, name)| name.to_owned());
        self.netlink
            .dump(&rules::list_chains(libc::NFPROTO_IPV4), |octets| {
                existing.chains.extend(ours(rules::decode_chain(&octets)))
            })
            .map_err(Error::nftables("listing chains"))?;
        self.netlink
            .dump(&sets::list(), |octets| existing.sets.extend(ours(sets::decode(&octets))))
            .map_err(Error::nftables("listing sets"))?;
        if existing.sets.iter().any(|set| set == CONFINED) {
            existing.confined = !self.dump_keys(CONFINED, address)?.is_empty();
        }
        Ok(existing)
    }

    fn dump_keys<T>(&mut self, set: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Result<Vec<T>, Error> {
        let mut keys = Vec::new();
        self.netlink
            .dump(&sets::dump(&self.table, set), |octets| keys.extend(sets::keys(&octets).filter_map(&decode)))
            .map_err(Error::nftables("reading a set"))?;
        Ok(keys)
    }
}

/// Both sets at once, each on a socket of its own: the kernel looks for the place where it stopped from the beginning of the set, message
/// by message, so that much of the time of a large one is the kernel's.
pub fn dump_both(one: &mut Netlink, other: &mut Netlink, table: &str) -> Result<(Elements, Elements), Error> {
    thread::scope(|scope| {
        let down = scope.spawn(|| dump_set(other, table, Direction::Down));
        let up = dump_set(one, table, Direction::Up);
        let down = down.join().unwrap_or(Err(Error::Malformed { operation: "reading a set" }));
        Ok((up?, down?))
    })
}

/// A set's elements, sorted once and not inserted one by one.
fn dump_set(netlink: &mut Netlink, table: &str, direction: Direction) -> Result<Elements, Error> {
    let mut elements = Vec::new();
    netlink
        .dump(&element::dump_message(table, direction), |attributes| {
            elements.extend(element::decode(&attributes).1.map(|element| (element.ip, element)));
        })
        .map_err(Error::nftables("reading a set"))?;
    Ok(elements.into_iter().collect())
}

fn address(key: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(key).ok().map(Ipv4Addr::from)
}
