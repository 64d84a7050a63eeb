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
        if self.ends.len() >= CAPACITY {
            return false;
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

    fn expire(&mut self, boot_ms: u64) {
        while let Some((end, key)) = self.ends.front().copied().filter(|(end, _)| *end <= boot_ms) {
            self.ends.pop_front();
            if self.open.get(&key).is_some_and(|(actual, _)| *actual == end) {
                self.open.remove(&key);
            }
        }
    }
}
