//! The DHCP servers: which of them answer.
//!
//! A server that leaves several clients without any answer is asked by the gateway itself (DHCPINFORM, RFC 2131 §4.3.5: every
//! server answers it). If that stays without answer too, it is in quarantine: DISCOVERs go to the others. What a client addresses to it
//! still goes there, it is probed on, and its first word to anybody brings it back. Where all would be in quarantine, none is.

use std::{collections::BTreeMap, net::Ipv4Addr};

use lastmile_types::{MacAddr, status::DhcpServer};

use crate::{
    effect::{Action, Effects},
    machine::Machine,
    time::Now,
};

/// The chaddr of a probe: locally administered, and no client's.
pub const PROBE_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0]);
/// So many different clients without an answer are suspicious.
const SILENT_CLIENTS: usize = 3;
/// So long has the last of them waited, milliseconds: longer than a client does until it asks again.
const PATIENCE_MS: u64 = 5_000;
/// A probe is answered within this, milliseconds.
const PROBE_MS: u64 = 1_000;
/// Probes without answer until a server is in quarantine.
const PROBES: u32 = 2;
/// Between probes of a server in quarantine, milliseconds.
const AGAIN_MS: u64 = 5_000;

/// What is known of the servers; nothing of it needs to survive.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    known: BTreeMap<Ipv4Addr, Health>,
}

#[derive(Debug, Default)]
struct Health {
    asked: u64,
    answers: u64,
    /// The first clients that asked since its last answer, and when (boot time).
    waiting: BTreeMap<MacAddr, u64>,
    /// Probes since its last answer.
    probes: u32,
    /// Boot time at which its next probe is due, or the answer to the last one overdue.
    next_ms: Option<u64>,
    quarantined: bool,
}

impl Health {
    fn suspicious_ms(&self) -> Option<u64> {
        let last = self.waiting.values().max().filter(|_| self.waiting.len() >= SILENT_CLIENTS)?;
        Some(last + PATIENCE_MS)
    }

    fn deadline(&self) -> Option<u64> {
        self.next_ms.or_else(|| self.suspicious_ms())
    }

    /// What time brings: true if it is to be probed now.
    fn wake(&mut self, boot_ms: u64) -> bool {
        if self.deadline().is_none_or(|at| at > boot_ms) {
            return false;
        }
        self.quarantined |= self.probes >= PROBES;
        self.probes = self.probes.saturating_add(1);
        self.next_ms = Some(boot_ms + if self.quarantined { AGAIN_MS } else { PROBE_MS });
        true
    }
}

impl Servers {
    /// A client's message that wants an answer goes to a server.
    pub(crate) fn asked(&mut self, boot_ms: u64, server: Ipv4Addr, mac: MacAddr) {
        let health = self.known.entry(server).or_default();
        health.asked += 1;
        if health.waiting.len() < SILENT_CLIENTS {
            health.waiting.entry(mac).or_insert(boot_ms);
        }
    }

    /// A server said something, to whomever.
    pub(crate) fn heard(&mut self, server: Ipv4Addr) {
        let health = self.known.entry(server).or_default();
        let (asked, answers) = (health.asked, health.answers + 1);
        *health = Health { asked, answers, ..Health::default() };
    }

    /// Those of the listed servers that get DISCOVERs: never none.
    pub(crate) fn in_service(&self, listed: &[Ipv4Addr]) -> Vec<Ipv4Addr> {
        let well = |server: &&Ipv4Addr| self.known.get(server).is_none_or(|health| !health.quarantined);
        let mut some: Vec<_> = listed.iter().filter(well).copied().collect();
        if some.is_empty() {
            some.extend(listed);
        }
        some
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.known.values().filter_map(Health::deadline).min()
    }

    /// Servers that are listed no more are forgotten.
    pub(crate) fn retain(&mut self, listed: &[Ipv4Addr]) {
        self.known.retain(|server, _| listed.contains(server));
    }
}

impl Machine {
    /// The listed servers and how they answer.
    pub fn dhcp_servers(&self) -> Vec<DhcpServer> {
        let listed = &self.settings.config.dhcp.servers;
        let in_service = self.servers.in_service(listed);
        let each = |address: &Ipv4Addr| {
            let health = self.servers.known.get(address);
            DhcpServer {
                address: *address,
                answers: health.is_none_or(|health| !health.quarantined),
                in_service: in_service.contains(address),
                asked: health.map_or(0, |health| health.asked),
                answered: health.map_or(0, |health| health.answers),
            }
        };
        listed.iter().map(each).collect()
    }

    pub(crate) fn probe_servers(&mut self, now: Now, effects: &mut Effects) {
        let Some(giaddr) = self.settings.config.pools.first().map(|pool| pool.gateway) else { return };
        for (server, health) in &mut self.servers.known {
            if health.wake(now.boot_ms) {
                effects.act(Action::ProbeServer { server: *server, giaddr });
            }
        }
    }
}
