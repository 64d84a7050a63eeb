//! Access routers: discovered by the DHCP that comes through them, watched by ping while that is quiet.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use lastmile_types::{Attachment, Event, Octets, Timestamp, event::RouterUpdate};
use serde::{Deserialize, Serialize};

use crate::{effect::Effects, machine::Machine, record::Change, session::Path, time::Now};

/// More than these are not kept: names come from circuit-ids.
const CAPACITY: usize = 1024;

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    /// Its name, printable.
    pub name: String,
    /// Its name's octets.
    pub raw_id: Octets,
    /// The address it relays from.
    pub giaddr: Ipv4Addr,
    /// Where it is pinged: its address on the subscriber interface's link, else giaddr.
    pub address: Ipv4Addr,
    /// It showed life lately.
    pub alive: bool,
    /// Last ICMP round trip, microseconds.
    pub rtt_us: Option<u32>,
    /// When DHCP first came through it.
    pub first_seen: Timestamp,
    /// When it last showed life.
    pub last_seen: Timestamp,
}

impl Router {
    fn update(&self) -> RouterUpdate {
        RouterUpdate {
            name: self.name.clone(),
            raw_id: self.raw_id.clone(),
            giaddr: Some(self.giaddr),
            alive: self.alive,
            rtt_us: self.rtt_us,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}

/// All of them, each with the boot time of its next ping.
#[derive(Debug, Default)]
pub(crate) struct Routers {
    known: BTreeMap<String, (u64, Router)>,
    /// When each is looked at: at its next ping or before, for a sign of life only moves the ping.
    pings: BTreeSet<(u64, String)>,
}

impl Routers {
    pub(crate) fn restore(routers: BTreeMap<String, Router>) -> Self {
        Self {
            pings: routers.keys().map(|name| (0, name.clone())).collect(),
            known: routers.into_iter().map(|(name, router)| (name, (0, router))).collect(),
        }
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<String, Router> {
        self.known.iter().map(|(name, (_, router))| (name.clone(), router.clone())).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.pings.first().map(|(at, _)| *at)
    }

    /// Whom to ping now; each is due again one interval later.
    pub(crate) fn due(&mut self, boot_ms: u64, interval_ms: u64) -> Vec<(String, Ipv4Addr)> {
        let mut due = Vec::new();
        while let Some((_, name)) = self.pings.first().filter(|(at, _)| *at <= boot_ms).cloned() {
            self.pings.pop_first();
            let Some((at, router)) = self.known.get_mut(&name) else { continue };
            if *at <= boot_ms {
                *at = boot_ms + interval_ms;
                due.push((name.clone(), router.address));
            }
            self.pings.insert((*at, name));
        }
        due
    }

    fn insert(&mut self, next_ping: u64, router: Router) {
        self.pings.insert((next_ping, router.name.clone()));
        self.known.insert(router.name.clone(), (next_ping, router));
    }
}

impl Machine {
    /// All that are known, in the order of their names.
    pub fn routers(&self) -> impl Iterator<Item = &Router> {
        self.routers.known.values().map(|(_, router)| router)
    }

    /// Where a router relays from, if it is known.
    pub(crate) fn giaddr_of(&self, router: &str) -> Option<Ipv4Addr> {
        self.routers.known.get(router).map(|(_, router)| router.giaddr)
    }

    /// DHCP came through a router: it lives, and need not be pinged for a while.
    pub(crate) fn sighted(&mut self, now: Now, attachment: &Attachment, path: &Path, effects: &mut Effects) {
        let config = &self.settings.config;
        let next_ping = now.boot_ms + u64::from(config.routers.liveness_seconds) * 1000;
        let pool = config.pools.iter().find(|pool| pool.prefix.contains(&path.giaddr));
        let address = pool.and_then(|pool| pool.next_hop).unwrap_or(path.giaddr);
        if let Some((at, router)) = self.routers.known.get_mut(&path.router) {
            *at = next_ping;
            router.last_seen = now.wall;
            if router.alive && router.giaddr == path.giaddr {
                return;
            }
            router.alive = true;
            router.giaddr = path.giaddr;
            router.address = address;
            let router = router.clone();
            return self.say_router(now, router, effects);
        }
        if self.routers.known.len() >= CAPACITY {
            return;
        }
        let length = path.router.len().min(attachment.circuit_id.as_bytes().len());
        let named_by_circuit = attachment.circuit_id.to_string().starts_with(&path.router);
        let raw_id = if named_by_circuit {
            Octets::from(&attachment.circuit_id.as_bytes()[..length])
        } else {
            path.router.as_str().into()
        };
        let router = Router {
            name: path.router.clone(),
            raw_id,
            giaddr: path.giaddr,
            address,
            alive: true,
            rtt_us: None,
            first_seen: now.wall,
            last_seen: now.wall,
        };
        self.routers.insert(next_ping, router.clone());
        self.say_router(now, router, effects);
    }

    pub(crate) fn on_ping(&mut self, now: Now, name: &str, rtt_us: Option<u32>, effects: &mut Effects) {
        let Some((_, router)) = self.routers.known.get_mut(name) else { return };
        let alive = rtt_us.is_some();
        if alive {
            router.last_seen = now.wall;
            router.rtt_us = rtt_us;
        }
        if alive != router.alive {
            router.alive = alive;
            let router = router.clone();
            self.say_router(now, router, effects);
        }
    }

    fn say_router(&mut self, now: Now, router: Router, effects: &mut Effects) {
        self.say(now, Event::RouterUpdate(router.update()), effects);
        effects.record.changes.push(Change::Router(Box::new(router)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(number: u8) -> Router {
        let address = Ipv4Addr::new(10, 0, 0, number);
        Router {
            name: format!("ar-{number:03}"),
            raw_id: Octets::default(),
            giaddr: address,
            address,
            alive: true,
            rtt_us: None,
            first_seen: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_is_pinged_once_an_interval_unless_dhcp_proved_it_alive() {
        let mut routers = Routers::default();
        (0..200).for_each(|number| routers.insert(u64::from(number), router(number)));
        assert_eq!(routers.next_deadline(), Some(0));
        assert_eq!(routers.due(99, 1_000).len(), 100);
        assert_eq!(routers.due(99, 1_000), [], "each is due again one interval later");
        routers.known.get_mut("ar-100").expect("inserted").0 = 5_000;
        assert_eq!(routers.due(101, 1_000).len(), 1, "a sign of life defers the ping");
        assert_eq!(routers.pings.len(), routers.known.len());
    }
}
