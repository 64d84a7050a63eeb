//! Open exchanges: what was asked, by whom, and so where an answer may go.

use std::collections::{BTreeMap, VecDeque};

use lastmile_types::{Attachment, MacAddr};

use crate::{effect::Destination, session::Path};

/// An exchange lives this long, milliseconds: longer than a client waits for one answer.
const LIFE_MS: u64 = 30_000;
/// So many may be open at once.
const CAPACITY: usize = 65_536;

/// One request that was passed on.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// Where the client is.
    pub attachment: Attachment,
    /// How the request came.
    pub path: Path,
    /// Where the answer goes.
    pub to: Destination,
    /// Option 12.
    pub hostname: Option<String>,
    /// The address that the client has or wants.
    pub address: Option<std::net::Ipv4Addr>,
    /// It asks for parameters only: an ACK to it is no lease.
    pub inform: bool,
}

/// Exchanges by transaction and client.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    open: BTreeMap<(u32, MacAddr), (u64, Exchange)>,
    /// In order of their ends; an entry whose end is not the open exchange's any more is stale.
    ends: VecDeque<(u64, (u32, MacAddr))>,
}

impl Exchanges {
    /// Remembers a request; false when too many are open.
    pub(crate) fn open(&mut self, boot_ms: u64, xid: u32, mac: MacAddr, exchange: Exchange) -> bool {
        self.expire(boot_ms);
        let key = (xid, mac);
        if self.open.len() >= CAPACITY && !self.open.contains_key(&key) {
            return false;
        }
        if self.ends.len() >= 2 * CAPACITY {
            self.forget_stale_ends();
        }
        let end = boot_ms + LIFE_MS;
        self.open.insert(key, (end, exchange));
        self.ends.push_back((end, key));
        true
    }

    /// What this answers.
    pub(crate) fn find(&mut self, boot_ms: u64, xid: u32, mac: MacAddr) -> Option<&Exchange> {
        self.expire(boot_ms);
        self.open.get(&(xid, mac)).map(|(_, exchange)| exchange)
    }

    /// It is answered for good.
    pub(crate) fn close(&mut self, xid: u32, mac: MacAddr) {
        self.open.remove(&(xid, mac));
    }

    /// Answered exchanges leave their ends behind; dropped together, each costs no more than its own part.
    fn forget_stale_ends(&mut self) {
        let open = &self.open;
        self.ends.retain(|(end, key)| open.get(key).is_some_and(|(actual, _)| actual == end));
    }

    fn expire(&mut self, boot_ms: u64) {
        while let Some((end, key)) = self.ends.front().copied().filter(|(end, _)| *end <= boot_ms) {
            self.ends.pop_front();
            if self.open.get(&key).is_some_and(|(actual, _)| *actual == end) {
                self.open.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lastmile_types::Octets;

    use super::*;

    fn exchange() -> Exchange {
        let attachment = Attachment {
            bng_id: "edge/bng-01".parse().unwrap(),
            circuit_id: Octets::from("1/1"),
            remote_id: Octets::from("line-01"),
        };
        let path = Path {
            router: "ar-01".to_owned(),
            giaddr: Ipv4Addr::LOCALHOST,
            relay_info: Octets::default(),
            relay_mac: MacAddr::default(),
        };
        let to = Destination::Relay(Ipv4Addr::LOCALHOST);
        Exchange { attachment, path, to, hostname: None, address: None, inform: false }
    }

    #[test]
    fn what_is_answered_takes_no_room() {
        let mut exchanges = Exchanges::default();
        for xid in 0..3 * CAPACITY as u32 {
            assert!(exchanges.open(1, xid, MacAddr::default(), exchange()), "exchange {xid}");
            exchanges.close(xid, MacAddr::default());
        }
        assert!(exchanges.ends.len() <= 2 * CAPACITY);
    }

    #[test]
    fn what_is_not_answered_takes_room_until_its_end() {
        let mut exchanges = Exchanges::default();
        for xid in 0..CAPACITY as u32 {
            assert!(exchanges.open(1, xid, MacAddr::default(), exchange()));
        }
        assert!(!exchanges.open(2, u32::MAX, MacAddr::default(), exchange()));
        assert!(exchanges.open(2, 0, MacAddr::default(), exchange()), "a repeat needs no room of its own");
        assert!(exchanges.open(1 + LIFE_MS, u32::MAX, MacAddr::default(), exchange()));
    }
}
