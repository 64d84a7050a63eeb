//! Who holds which address on which port, as the servers' ACKs said: one MAC, one address, one port, each at most once.
//!
//! The kernel's source guard holds the same and forgets at the same time; this copy says what to change there, and who may renew
//! or release an address.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use lastmile_types::MacAddr;

use crate::agent::PortIndex;

/// How often what has expired is cleared away; until then it counts for nothing.
const SWEEP: Duration = Duration::from_secs(60);

/// Who may send from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The port.
    pub port: PortIndex,
    /// The leased address.
    pub ip: Ipv4Addr,
    /// The client's MAC (chaddr).
    pub mac: MacAddr,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    port: PortIndex,
    mac: MacAddr,
    /// `None` = an infinite lease.
    until: Option<Duration>,
}

impl Held {
    fn live(&self, now: Duration) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// All bindings of the router.
#[derive(Debug, Default)]
pub struct Bindings {
    by_ip: BTreeMap<Ipv4Addr, Held>,
    by_mac: BTreeMap<MacAddr, Ipv4Addr>,
    next_sweep: Duration,
}

impl Bindings {
    /// Takes a binding in, or prolongs it. Returns those that it displaces: the address's with another port or MAC, and the MAC's
    /// with another address.
    pub fn bind(&mut self, now: Duration, binding: Binding, lease: Option<Duration>) -> Vec<Binding> {
        self.sweep(now);
        let Binding { port, ip, mac } = binding;
        let mut displaced = Vec::new();
        let elsewhere = self.by_mac.get(&mac).copied().filter(|other| *other != ip);
        for ip in [Some(ip), elsewhere].into_iter().flatten() {
            if let Some(held) = self.remove(ip) {
                let old = Binding { port: held.port, ip, mac: held.mac };
                displaced.extend((old != binding).then_some(old));
            }
        }
        self.by_ip.insert(ip, Held { port, mac, until: lease.map(|lease| now + lease) });
        self.by_mac.insert(mac, ip);
        displaced
    }

    /// Takes a binding out; false when it was not there.
    pub fn unbind(&mut self, binding: &Binding) -> bool {
        let there = self.by_ip.get(&binding.ip);
        let same = there.is_some_and(|held| (held.port, held.mac) == (binding.port, binding.mac));
        if same {
            self.remove(binding.ip);
        }
        same
    }

    /// Whether a server leased this address to this MAC on this port, and the lease runs.
    pub fn holds(&self, now: Duration, binding: &Binding) -> bool {
        let held = self.by_ip.get(&binding.ip);
        held.is_some_and(|held| (held.port, held.mac) == (binding.port, binding.mac) && held.live(now))
    }

    fn remove(&mut self, ip: Ipv4Addr) -> Option<Held> {
        let held = self.by_ip.remove(&ip)?;
        self.by_mac.remove(&held.mac);
        Some(held)
    }

    fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        self.by_ip.retain(|_, held| held.live(now));
        let by_ip = &self.by_ip;
        self.by_mac.retain(|_, ip| by_ip.contains_key(ip));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn binding(port: PortIndex, ip: u8, mac: u8) -> Binding {
        Binding { port, ip: [100, 64, 1, ip].into(), mac: MacAddr([2, 0, 0, 0, 0, mac]) }
    }

    #[test]
    fn transitions() {
        let start = || {
            let mut bindings = Bindings::default();
            assert_eq!(bindings.bind(MINUTE, binding(0, 1, 1), Some(MINUTE)), []);
            bindings
        };
        let bind = |what| start().bind(MINUTE, what, None);
        assert_eq!(bind(binding(0, 1, 1)), [], "prolonged");
        assert_eq!(bind(binding(1, 1, 1)), [binding(0, 1, 1)], "moved to another port");
        assert_eq!(bind(binding(0, 2, 1)), [binding(0, 1, 1)], "another address");
        assert_eq!(bind(binding(0, 1, 2)), [binding(0, 1, 1)], "another MAC");
        assert_eq!(bind(binding(1, 2, 2)), [], "somebody else");
        assert_eq!(start().bind(MINUTE * 3, binding(1, 1, 2), None), [], "expired: the kernel has forgotten it too");

        assert!(!start().unbind(&binding(1, 1, 1)) && !start().unbind(&binding(0, 1, 2)));
        assert!(start().unbind(&binding(0, 1, 1)));
        assert!(start().holds(MINUTE, &binding(0, 1, 1)) && !start().holds(MINUTE * 2, &binding(0, 1, 1)));
        assert!(!start().holds(MINUTE, &binding(1, 1, 1)) && !start().holds(MINUTE, &binding(0, 2, 1)));
    }

    proptest! {
        /// What the effects leave in the kernel is what is believed here; the kernel forgets by itself.
        #[test]
        fn the_kernels_copy_agrees(steps in vec((0..2u8, 0..3usize, 0..4u8, 0..4u8, 0..200u64), 0..60)) {
            let (mut bindings, mut now) = (Bindings::default(), Duration::ZERO);
            let mut kernel: Vec<(Binding, Duration)> = Vec::new();
            for (kind, port, ip, mac, seconds) in steps {
                let (what, lease) = (binding(port, ip, mac), Duration::from_secs(seconds));
                now += Duration::from_secs(7);
                kernel.retain(|(_, until)| now < *until);
                if kind == 0 {
                    let displaced = bindings.bind(now, what, Some(lease));
                    kernel.retain(|(held, _)| !displaced.contains(held) && *held != what);
                    kernel.push((what, now + lease));
                } else if bindings.unbind(&what) {
                    kernel.retain(|(held, _)| *held != what);
                }
                kernel.retain(|(_, until)| now < *until);
                for (held, _) in &kernel {
                    prop_assert!(bindings.holds(now, held), "{held:?}");
                    let rivals = kernel.iter().filter(|(other, _)| other.ip == held.ip || other.mac == held.mac);
                    prop_assert_eq!(rivals.count(), 1, "one MAC, one address, one port");
                }
                let held = bindings.by_ip.values().filter(|held| held.live(now)).count();
                prop_assert_eq!(held, kernel.len());
                prop_assert_eq!(bindings.by_ip.len(), bindings.by_mac.len());
            }
        }
    }
}
