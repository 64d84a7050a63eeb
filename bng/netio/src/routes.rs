//! Routes to subscriber pools: ours are told from others by their protocol number.

use std::net::Ipv4Addr;

use futures::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::{
    Handle, RouteMessageBuilder,
    packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope},
};

use crate::{Error, capture::index_of, links::connect};

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
#[derive(Debug, Clone)]
pub struct Routes {
    handle: Handle,
}

impl Routes {
    /// Connects.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { handle: connect()? })
    }

    /// Installs the route or replaces the one of the same prefix.
    pub async fn replace(&self, route: &Route) -> Result<(), Error> {
        let builder = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(route.prefix.network(), route.prefix.prefix_len())
            .output_interface(index_of(&route.interface)?)
            .protocol(RouteProtocol::Other(PROTOCOL));
        let builder = match route.next_hop {
            Some(next_hop) => builder.gateway(next_hop),
            None => builder.scope(RouteScope::Link),
        };
        let request = self.handle.route().add(builder.build()).replace();
        request.execute().await.map_err(Error::rtnetlink("installing a route"))
    }

    /// Removes our route of this prefix; none there is success.
    pub async fn remove(&self, prefix: Ipv4Net) -> Result<(), Error> {
        for message in self.ours().await?.into_iter().filter(|message| destination(message) == Some(prefix.trunc())) {
            self.handle.route().del(message).execute().await.map_err(Error::rtnetlink("removing a route"))?;
        }
        Ok(())
    }

    /// The prefixes of all our routes.
    pub async fn list(&self) -> Result<Vec<Ipv4Net>, Error> {
        Ok(self.ours().await?.iter().filter_map(destination).collect())
    }

    async fn ours(&self) -> Result<Vec<RouteMessage>, Error> {
        let all = self.handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
        let ours =
            all.try_filter(|message| std::future::ready(message.header.protocol == RouteProtocol::Other(PROTOCOL)));
        ours.try_collect().await.map_err(Error::rtnetlink("listing routes"))
    }
}

fn destination(message: &RouteMessage) -> Option<Ipv4Net> {
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => {
            Ipv4Net::new(*address, message.header.destination_prefix_length).ok()
        }
        _ => None,
    })
}
