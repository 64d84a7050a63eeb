//! Interfaces: what they are, and when they change.

use ipnet::Ipv4Net;
use lastmile_types::MacAddr;

use crate::Error;

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it; changes when it is made anew.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Administratively up and with carrier.
    pub up: bool,
    /// Octets of the largest IP packet.
    pub mtu: u32,
    /// Its IPv4 addresses with their prefix lengths, primary first.
    pub addresses: Vec<Ipv4Net>,
}

/// Reads interfaces over rtnetlink. Needs a tokio runtime; clones share one connection.
#[derive(Clone)]
pub struct Links {}

impl Links {
    /// Connects.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// One interface by name; `None` when there is none.
    pub async fn get(&self, name: &str) -> Result<Option<Link>, Error> {
        let _ = name;
        todo!()
    }
}

/// Says when interfaces or their addresses change.
pub struct LinkWatch {}

impl LinkWatch {
    /// Subscribes to the kernel's notifications.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// Waits for a change of any interface or IPv4 address and returns the interface's index; the caller reads the new state.
    /// Index 0 = notifications were lost, read everything. Cancel safe.
    pub async fn changed(&mut self) -> u32 {
        todo!()
    }
}
