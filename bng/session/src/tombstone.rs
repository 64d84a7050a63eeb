//! Leases whose sessions were ended here on purpose.
//!
//! Kea keeps such a lease until it runs out, or for ever if the client's release was lost; a tombstone keeps reconciliation from
//! giving it a session again. It names one lease (address, device, last transmission) and lasts as long as that. What clients say
//! on the wire does not ask for tombstones: an ACK for the address removes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use jiff::{SignedDuration, Timestamp};
use lastmile_types::{MacAddr, SessionId};
use serde::{Deserialize, Serialize};

use crate::{
    effect::Effects,
    machine::Machine,
    record::Change,
    time::{Now, Stamp},
};

/// Kea's clock and ours may differ by so much, seconds.
const SKEW_SECONDS: u32 = 60;

/// One lease that is dead to reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    /// The device.
    pub mac: MacAddr,
    /// The client's last transmission was no later.
    pub last: Timestamp,
    /// When the lease is over for certain.
    pub until: Stamp,
}

/// By address: Kea has one lease of each.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    by_ip: BTreeMap<Ipv4Addr, Tombstone>,
    ends: BTreeSet<(u64, Ipv4Addr)>,
}

impl Tombstones {
    pub(crate) fn restore(tombstones: BTreeMap<Ipv4Addr, Tombstone>) -> Self {
        let ends = tombstones.iter().map(|(ip, tombstone)| (tombstone.until.boot_ms, *ip)).collect();
        Self { by_ip: tombstones, ends }
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<Ipv4Addr, Tombstone> {
        self.by_ip.clone()
    }

    /// Whether this device's lease of that address is dead; `last` is its last transmission, if that is known.
    pub(crate) fn covers(&self, now: Now, ip: Ipv4Addr, mac: MacAddr, last: Option<Timestamp>) -> bool {
        self.by_ip.get(&ip).is_some_and(|tombstone| {
            tombstone.mac == mac
                && tombstone.until.boot_ms > now.boot_ms
                && last.is_none_or(|last| last <= tombstone.last)
        })
    }

    /// It is remembered or, with `None`, forgotten; and journalled.
    pub(crate) fn set(&mut self, ip: Ipv4Addr, tombstone: Option<Tombstone>, effects: &mut Effects) {
        let before = match tombstone {
            Some(new) => self.by_ip.insert(ip, new),
            None => self.by_ip.remove(&ip),
        };
        if let Some(before) = before {
            self.ends.remove(&(before.until.boot_ms, ip));
        }
        if let Some(new) = tombstone {
            self.ends.insert((new.until.boot_ms, ip));
        }
        if tombstone.is_some() || before.is_some() {
            effects.record.changes.push(Change::Tombstone { ip, tombstone });
        }
    }

    /// Forgets those whose leases are over.
    pub(crate) fn purge(&mut self, boot_ms: u64, effects: &mut Effects) {
        while let Some((_, ip)) = self.ends.first().copied().filter(|(end, _)| *end <= boot_ms) {
            self.set(ip, None, effects);
        }
    }

    /// After a reboot: boot times of before mean nothing, what is left is told by the wall clock.
    pub(crate) fn rebase(&mut self, now: Now, effects: &mut Effects) {
        for (ip, tombstone) in self.snapshot() {
            let left = tombstone.until.wall.duration_since(now.wall).as_millis();
            let until = u64::try_from(left).ok().filter(|left| *left > 0).map(|left| now.after(left));
            self.set(ip, until.map(|until| Tombstone { until, ..tombstone }), effects);
        }
    }
}

impl Machine {
    /// The session is about to be ended on purpose: its lease stays dead.
    pub(crate) fn bury(&mut self, now: Now, id: SessionId, effects: &mut Effects) {
        let Some(session) = self.table.get(id).filter(|session| session.ending.is_none()) else { return };
        let skew = SignedDuration::from_secs(SKEW_SECONDS.into());
        let late = |at: Timestamp| at.checked_add(skew).unwrap_or(Timestamp::MAX);
        let Stamp { boot_ms, wall } = session.lease_end;
        let until = Stamp { boot_ms: boot_ms.saturating_add(u64::from(SKEW_SECONDS) * 1000), wall: late(wall) };
        let (ip, tombstone) = (session.ip, Tombstone { mac: session.key.mac, last: late(now.wall), until });
        self.tombstones.purge(now.boot_ms, effects);
        self.tombstones.set(ip, Some(tombstone), effects);
    }
}
