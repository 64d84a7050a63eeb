//! Access mode Bridged: the addresses of those who are let through are bound to their MACs in the kernel's neighbour table, so that
//! nobody's ARP turns their packets his way.
//!
//! One task, which makes the changes in the order in which they were asked for; the driver waits for none.

use std::net::Ipv4Addr;

use lastmile_netio::{Error, neighbours::Neighbours};
use lastmile_types::MacAddr;
use tokio::sync::mpsc;
use tracing::warn;

use crate::chain;

#[derive(Debug)]
struct Change {
    index: u32,
    ip: Ipv4Addr,
    /// `None` = bound no longer.
    mac: Option<MacAddr>,
}

/// The task's other end.
#[derive(Debug)]
pub struct Pins {
    changes: mpsc::UnboundedSender<Change>,
}

impl Pins {
    /// Starts the task.
    pub fn open() -> Result<Self, Error> {
        let neighbours = Neighbours::open()?;
        let (changes, asked) = mpsc::unbounded_channel();
        tokio::spawn(follow(neighbours, asked));
        Ok(Self { changes })
    }

    /// Binds an address on the interface with this index, or binds it no longer.
    pub fn set(&self, index: u32, ip: Ipv4Addr, mac: Option<MacAddr>) {
        let _ = self.changes.send(Change { index, ip, mac }); // the task runs as long as we do
    }
}

async fn follow(neighbours: Neighbours, mut asked: mpsc::UnboundedReceiver<Change>) {
    while let Some(Change { index, ip, mac }) = asked.recv().await {
        let done = match mac {
            Some(mac) => neighbours.pin(index, ip, mac).await,
            None => neighbours.unpin(index, ip).await,
        };
        if let Err(error) = done {
            warn!(error = chain(&error), %ip, "a subscriber's neighbour entry cannot be set: is CAP_NET_ADMIN missing?");
        }
    }
}
