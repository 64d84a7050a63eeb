//! Subscribers who were stopped for being idle. They keep their lease, and their address stays watched: the kernel lets nothing of
//! theirs through, but says when something comes, and that starts a session again, with a new Access-Request.
//!
//! A tombstone keeps reconciliation away from the same lease: only the subscriber himself ends this sleep, by a packet or by DHCP.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use lastmile_types::{MacAddr, SessionId, SessionKey};
use serde::{Deserialize, Serialize};

use crate::{
    effect::{Action, Effects},
    life::Lease,
    machine::Machine,
    record::Change,
    session::{Path, Session},
    time::{Now, Stamp},
};

/// Watched addresses are looked at this often, milliseconds: so long does the first packet wait at most.
const POLL_MS: u64 = 2_000;

/// What a subscriber needs to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dormant {
    /// Place and device.
    pub key: SessionKey,
    /// How DHCP reaches the client.
    pub path: Path,
    /// The DHCP server that gave the lease.
    pub server: Ipv4Addr,
    /// Option 12.
    pub hostname: Option<String>,
    /// When the lease ends, and the sleep with it.
    pub lease_end: Stamp,
}

impl Dormant {
    fn of(session: &Session) -> Self {
        Self {
            key: session.key.clone(),
            path: session.path.clone(),
            server: session.server,
            hostname: session.hostname.clone(),
            lease_end: session.lease_end,
        }
    }

    fn lease(self, now: Now, ip: Ipv4Addr) -> Option<Lease> {
        let left = self.lease_end.boot_ms.saturating_sub(now.boot_ms) / 1000;
        let seconds = u32::try_from(left).ok().filter(|left| *left > 0)?;
        let Self { key, path, server, hostname, .. } = self;
        Some(Lease { key, ip, seconds, server, path, hostname, adopted: false })
    }
}

/// By address, and by place and device.
#[derive(Debug, Default)]
pub(crate) struct Dormants {
    by_ip: BTreeMap<Ipv4Addr, Dormant>,
    by_key: BTreeSet<(SessionKey, Ipv4Addr)>,
    ends: BTreeSet<(u64, Ipv4Addr)>,
    poll_ms: u64,
}

impl Dormants {
    pub(crate) fn restore(all: BTreeMap<Ipv4Addr, Dormant>) -> Self {
        let mut dormants = Self::default();
        all.into_iter().for_each(|(ip, dormant)| dormants.insert(ip, dormant));
        dormants
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<Ipv4Addr, Dormant> {
        self.by_ip.clone()
    }

    pub(crate) fn get(&self, ip: Ipv4Addr) -> Option<&Dormant> {
        self.by_ip.get(&ip)
    }

    /// When the next sleep is over, or a look is due.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.ends.first().map(|(end, _)| (*end).min(self.poll_ms))
    }

    /// Those at one place, in the order of their devices.
    fn at(&self, key: &SessionKey) -> Vec<(Ipv4Addr, MacAddr)> {
        let first = (SessionKey { mac: MacAddr([0; 6]), ..key.clone() }, Ipv4Addr::UNSPECIFIED);
        let last = (SessionKey { mac: MacAddr([0xff; 6]), ..key.clone() }, Ipv4Addr::BROADCAST);
        self.by_key.range(first..=last).map(|(key, ip)| (*ip, key.mac)).collect()
    }

    fn insert(&mut self, ip: Ipv4Addr, dormant: Dormant) {
        self.remove(ip);
        self.by_key.insert((dormant.key.clone(), ip));
        self.ends.insert((dormant.lease_end.boot_ms, ip));
        self.by_ip.insert(ip, dormant);
    }

    fn remove(&mut self, ip: Ipv4Addr) -> Option<Dormant> {
        let dormant = self.by_ip.remove(&ip)?;
        self.by_key.remove(&(dormant.key.clone(), ip));
        self.ends.remove(&(dormant.lease_end.boot_ms, ip));
        Some(dormant)
    }
}

impl Machine {
    /// The watched addresses.
    pub fn dormant(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.dormants.by_ip.keys().copied()
    }

    /// The session is about to be stopped for being idle.
    pub(crate) fn doze(&mut self, now: Now, id: SessionId, effects: &mut Effects) {
        let Some(session) = self.table.get(id).filter(|session| session.ending.is_none()) else { return };
        let (ip, dormant) = (session.ip, Dormant::of(session));
        if self.dormants.by_ip.is_empty() {
            self.dormants.poll_ms = now.boot_ms + POLL_MS;
        }
        self.dormants.insert(ip, dormant.clone());
        effects.record.changes.push(Change::Dormant { ip, dormant: Some(Box::new(dormant)) });
        effects.act(Action::Watch { ip });
    }

    /// The address is watched no more.
    pub(crate) fn forget(&mut self, ip: Ipv4Addr, effects: &mut Effects) -> Option<Dormant> {
        let dormant = self.dormants.remove(ip)?;
        effects.record.changes.push(Change::Dormant { ip, dormant: None });
        effects.act(Action::Unwatch { ip });
        Some(dormant)
    }

    pub(crate) fn forget_all(&mut self, effects: &mut Effects) {
        for ip in self.dormant().collect::<Vec<_>>() {
            self.forget(ip, effects);
        }
    }

    /// Something came from a watched address. It starts a session again, unless its place was taken since.
    pub(crate) fn on_stirred(&mut self, now: Now, ip: Ipv4Addr, effects: &mut Effects) {
        let Some(dormant) = self.forget(ip, effects) else {
            return effects.act(Action::Unwatch { ip }); // left over in the kernel
        };
        let taken = self.table.by_ip(ip).is_some() || !self.rivals(&dormant.key).is_empty() || self.draining;
        let lease = dormant.lease(now, ip).filter(|lease| !taken && self.lists(&lease.path.router));
        if let Some(lease) = lease {
            self.on_lease(now, lease, effects);
        }
    }

    /// Another device came to a circuit that is full: whoever slept there was replaced, and his lease would keep an address from
    /// others.
    pub(crate) fn replace_sleepers(&mut self, lease: &Lease, effects: &mut Effects) {
        let mut sleepers = self.dormants.at(&lease.key);
        sleepers.sort_by_key(|(ip, _)| self.dormants.get(*ip).map(|dormant| dormant.lease_end.boot_ms));
        let limit = usize::try_from(self.settings.config.sessions_per_circuit).unwrap_or(1).max(1);
        let here = self.table.at(&lease.key.attachment).count() + sleepers.len();
        for (ip, mac) in sleepers.into_iter().take((here + 1).saturating_sub(limit)) {
            self.forget(ip, effects);
            if self.settings.config.kea.is_some() && !lease.adopted && mac != lease.key.mac {
                effects.act(Action::DeleteLease { ip, mac });
            }
        }
    }

    /// Sleeps that are over end, and the kernel is asked who stirred.
    pub(crate) fn look_at_dormants(&mut self, now: Now, effects: &mut Effects) {
        while let Some((_, ip)) = self.dormants.ends.first().copied().filter(|(end, _)| *end <= now.boot_ms) {
            self.forget(ip, effects);
        }
        if !self.dormants.by_ip.is_empty() && self.dormants.poll_ms <= now.boot_ms {
            self.dormants.poll_ms = now.boot_ms + POLL_MS;
            effects.act(Action::ReadStirred);
        }
    }

    /// A process starts: what it watches may be in the kernel already, or not. After a reboot boot times of before mean nothing; what
    /// is left of a lease is told by the wall clock.
    pub(crate) fn watch_again(&mut self, now: Now, same_boot: bool, effects: &mut Effects) {
        self.dormants.poll_ms = now.boot_ms + POLL_MS;
        for (ip, dormant) in self.dormants.snapshot() {
            if same_boot {
                effects.act(Action::Watch { ip });
                continue;
            }
            self.forget(ip, effects);
            let left = dormant.lease_end.wall.duration_since(now.wall).as_millis();
            if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
                let dormant = Dormant { lease_end: now.after(left), ..dormant };
                self.dormants.insert(ip, dormant.clone());
                effects.record.changes.push(Change::Dormant { ip, dormant: Some(Box::new(dormant)) });
                effects.act(Action::Watch { ip });
            }
        }
    }
}
