//! What is owed at the gate: evictions that the kernel refused, and what was to be changed behind them at the same address.

use std::{collections::BTreeMap, net::Ipv4Addr};

use lastmile_session::Action;

/// In order at each address; no address waits for another.
#[derive(Debug, Default)]
pub(crate) struct Owed(BTreeMap<Ipv4Addr, Vec<Action>>);

impl Owed {
    /// Behind what is owed at this address already.
    pub(crate) fn add(&mut self, ip: Ipv4Addr, action: Action) {
        self.0.entry(ip).or_default().push(action);
    }

    /// Whether a change at this address has to wait.
    pub(crate) fn holds(&self, ip: Ipv4Addr) -> bool {
        self.0.contains_key(&ip)
    }

    /// All of it, to be tried again.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Action> + use<> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_next_waits_for_the_one_before_him_and_for_nobody_else() {
        let (ip, other) = (Ipv4Addr::new(100, 64, 1, 11), Ipv4Addr::new(100, 64, 1, 10));
        let mut owed = Owed::default();
        assert!(!owed.holds(ip));
        owed.add(ip, Action::EvictStray { ip });
        assert!(owed.holds(ip) && !owed.holds(other));
        owed.add(other, Action::EvictStray { ip: other });
        owed.add(ip, Action::Watch { ip });
        let all: Vec<_> =
            owed.take().filter(|action| !matches!(action, Action::EvictStray { ip } if *ip == other)).collect();
        assert!(matches!(all[..], [Action::EvictStray { .. }, Action::Watch { .. }]), "{all:?}");
        assert!(!owed.holds(ip) && owed.take().next().is_none());
    }
}
