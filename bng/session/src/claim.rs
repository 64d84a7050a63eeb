//! Who has to make way for a new session, and how often anybody may be made to.
//!
//! A circuit has so many sessions, a device has one. The first who comes to a full circuit, or moves, is served at once; where two
//! devices fight for a circuit, or one seems to be at two places, each turn costs a stop and a start, and after a few the next has
//! to wait.

use lastmile_types::{Attachment, MacAddr, SessionId, SessionKey, session::TerminateCause};

use crate::{
    bucket::{Buckets, Rate},
    effect::Effects,
    life::Lease,
    machine::Machine,
    time::Now,
};

/// Five turns at once, then one in half a minute.
const TURNS: Rate = Rate { tokens: 1, per_ms: 30_000, burst: 5 };
/// Circuits, and devices, whose turns are counted. Past that nobody waits.
const CAPACITY: usize = 16_384;

/// Who took turns lately; nothing of it needs to survive.
#[derive(Debug)]
pub(crate) struct HoldDown {
    circuits: Buckets<Attachment>,
    devices: Buckets<MacAddr>,
}

impl Default for HoldDown {
    fn default() -> Self {
        Self { circuits: Buckets::new(CAPACITY), devices: Buckets::new(CAPACITY) }
    }
}

impl Machine {
    /// The sessions that would end if this client got one, with what the record says of each.
    fn in_the_way(&self, key: &SessionKey) -> Vec<(SessionId, TerminateCause, &'static str)> {
        let mut all = Vec::new();
        if let Some(session) = self.table.by_key(key) {
            all.push((session.id, TerminateCause::NasRequest, "another address"));
        }
        let limit = usize::try_from(self.settings.config.sessions_per_circuit).unwrap_or(1).max(1);
        let others = self.table.at(&key.attachment).filter_map(|id| self.table.get(id)).filter(|one| one.key != *key);
        let mut others: Vec<_> = others.map(|session| (session.started.boot_ms, session.id)).collect();
        others.sort_unstable();
        let excess = (others.len() + 1).saturating_sub(limit);
        let here = others.into_iter().take(excess);
        all.extend(here.map(|(_, id)| (id, TerminateCause::PortPreempted, "another device on the circuit")));
        let elsewhere = self.table.of_mac(key.mac).filter_map(|id| self.table.get(id));
        let elsewhere = elsewhere.filter(|session| session.key.attachment != key.attachment);
        all.extend(elsewhere.map(|session| (session.id, TerminateCause::PortPreempted, "the device moved")));
        all
    }

    /// Those of them that hold another address than the one in question.
    pub(crate) fn rivals(&self, key: &SessionKey) -> Vec<SessionId> {
        self.in_the_way(key).into_iter().map(|(id, ..)| id).collect()
    }

    /// Everybody who is in the way of this lease is stopped; a device that was replaced or moved loses its old lease in Kea too.
    pub(crate) fn clear_the_way(&mut self, now: Now, lease: &Lease, effects: &mut Effects) {
        for (id, cause, detail) in self.in_the_way(&lease.key) {
            if cause == TerminateCause::PortPreempted {
                self.delete_in_kea(id, lease, effects);
            }
            self.stop(now, id, cause, detail, effects);
        }
        self.replace_sleepers(lease, effects);
        if let Some(id) = self.table.by_ip(lease.ip).map(|session| session.id) {
            self.stop(now, id, TerminateCause::NasRequest, "the address was given to another device", effects);
        }
    }

    /// Whether this client may be given a session now; nothing is counted yet.
    pub(crate) fn may_claim(&self, now: Now, key: &SessionKey) -> bool {
        let (here, elsewhere) = self.turns(key);
        (!here || self.hold_down.circuits.has(now.boot_ms, &key.attachment, TURNS))
            && (!elsewhere || self.hold_down.devices.has(now.boot_ms, &key.mac, TURNS))
    }

    /// Counts a turn; false when it has to wait.
    pub(crate) fn claim(&mut self, now: Now, key: &SessionKey) -> bool {
        if !self.may_claim(now, key) {
            return false;
        }
        let (here, elsewhere) = self.turns(key);
        if here {
            self.hold_down.circuits.take(now.boot_ms, &key.attachment, TURNS, 0);
        }
        if elsewhere {
            self.hold_down.devices.take(now.boot_ms, &key.mac, TURNS, 0);
        }
        true
    }

    /// Whether a session of this client would end another on the circuit, and one of its own elsewhere.
    fn turns(&self, key: &SessionKey) -> (bool, bool) {
        let places = self.in_the_way(key).into_iter().filter_map(|(id, ..)| self.table.get(id));
        let (here, elsewhere): (Vec<_>, Vec<_>) = places.partition(|session| session.key.attachment == key.attachment);
        (!here.is_empty(), !elsewhere.is_empty())
    }
}
