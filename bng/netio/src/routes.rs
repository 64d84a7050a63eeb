//! Routes to subscriber pools: ours are told from others by their protocol number.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::Error;

/// `rtm_protocol` of every route that this program installs.
pub const PROTOCOL: u8 = 176;

/// `prefix via next_hop dev interface`, in the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The subscribers' addresses.
    pub prefix: Ipv4Net,
    /// The access router; `None` = on the link.
    pub next_hop: Option<Ipv4Addr>,
    /// The interface towards it.
    pub interface: String,
}

/// Installs and removes routes over rtnetlink. Needs CAP_NET_ADMIN and a tokio runtime.
#[derive(Clone)]
pub struct Routes {}

impl Routes {
    /// Connects.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// Installs the route or replaces the one of the same prefix.
    pub async fn replace(&self, route: &Route) -> Result<(), Error> {
        let _ = route;
        todo!()
    }

    /// Removes our route of this prefix; none there is success.
    pub async fn remove(&self, prefix: Ipv4Net) -> Result<(), Error> {
        let _ = prefix;
        todo!()
    }

    /// The prefixes of all our routes.
    pub async fn list(&self) -> Result<Vec<Ipv4Net>, Error> {
        todo!()
    }
}
