//! The kernel's neighbour table (ARP): whose MAC an address on a link has.

use std::net::Ipv4Addr;

use futures::{StreamExt, TryStreamExt, channel::mpsc::UnboundedReceiver};
use lastmile_types::MacAddr;
use rtnetlink::{
    Handle, MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
    },
    sys::SocketAddr,
};

use crate::{Error, links::connect};

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its MAC, as it was last heard of; `None` = it does not answer.
    pub mac: Option<MacAddr>,
    /// It has answered a moment ago, or the entry is permanent: there is nothing to ask.
    pub confirmed: bool,
}

/// Reads and writes neighbours over rtnetlink. Needs CAP_NET_ADMIN to write, and a tokio runtime; clones share one connection.
#[derive(Debug, Clone)]
pub struct Neighbours {
    handle: Handle,
}

impl Neighbours {
    /// Connects.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { handle: connect()? })
    }

    /// The IPv4 neighbours on the interface with this index.
    pub async fn list(&self, index: u32) -> Result<Vec<Neighbour>, Error> {
        let all: Vec<_> = self
            .handle
            .neighbours()
            .get()
            .set_address_family(AddressFamily::Inet)
            .execute()
            .try_collect()
            .await
            .map_err(Error::rtnetlink("listing neighbours"))?;
        Ok(all.iter().filter(|message| message.header.ifindex == index).filter_map(decode).collect())
    }

    /// Makes the kernel find out an address's MAC, or verify the one it has (`NTF_USE`). The answer comes as a change.
    pub async fn resolve(&self, index: u32, ip: Ipv4Addr) -> Result<(), Error> {
        let request = self.handle.neighbours().add(index, ip.into()).replace();
        let request = request.state(NeighbourState::None).flags(NeighbourFlags::Use);
        request.execute().await.map_err(Error::rtnetlink("resolving a neighbour"))
    }

    /// Binds an address to a MAC for ever: no ARP of anybody changes it. Replaces what is there.
    pub async fn pin(&self, index: u32, ip: Ipv4Addr, mac: MacAddr) -> Result<(), Error> {
        let request = self.handle.neighbours().add(index, ip.into()).replace();
        let request = request.state(NeighbourState::Permanent).link_layer_address(&mac.0);
        request.execute().await.map_err(Error::rtnetlink("making a permanent neighbour"))
    }

    /// Removes an entry; none there is success.
    pub async fn unpin(&self, index: u32, ip: Ipv4Addr) -> Result<(), Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = index;
        message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)));
        match self.handle.neighbours().del(message).execute().await {
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENOENT => Ok(()),
            result => result.map_err(Error::rtnetlink("removing a neighbour")),
        }
    }
}

fn decode(message: &NeighbourMessage) -> Option<Neighbour> {
    use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
    let ip = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => Some(*ip),
        _ => None,
    })?;
    let valid = matches!(message.header.state, Reachable | Stale | Delay | Probe | Permanent);
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(octets) if valid => octets.as_slice().try_into().ok().map(MacAddr),
        _ => None,
    });
    Some(Neighbour { ip, mac, confirmed: matches!(message.header.state, Reachable | Permanent) })
}

/// Says when neighbours change.
#[derive(Debug)]
pub struct NeighbourWatch {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    /// Keeps the connection's task alive.
    _handle: Handle,
}

impl NeighbourWatch {
    /// Subscribes to the kernel's notifications.
    pub fn open() -> Result<Self, Error> {
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&[MulticastGroup::Neigh])
            .map_err(Error::socket("subscribing to rtnetlink"))?;
        tokio::spawn(connection);
        Ok(Self { messages, _handle: handle })
    }

    /// Waits until one of these neighbours changes on the interface with this index, or notifications were lost; the caller reads
    /// the new state. Cancel safe. When the kernel closes the socket it waits for ever: pair it with a period.
    pub async fn changed(&mut self, index: u32, of: impl Fn(Ipv4Addr) -> bool) {
        use RouteNetlinkMessage::{DelNeighbour, NewNeighbour};
        while let Some((message, _)) = self.messages.next().await {
            match message.payload {
                NetlinkPayload::InnerMessage(NewNeighbour(neighbour) | DelNeighbour(neighbour)) => {
                    let known = decode(&neighbour).is_some_and(|neighbour| of(neighbour.ip));
                    if known && neighbour.header.ifindex == index {
                        return;
                    }
                }
                NetlinkPayload::Overrun(_) | NetlinkPayload::Error(_) => return,
                _ => {}
            }
        }
        std::future::pending().await
    }
}
