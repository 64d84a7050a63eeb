//! Interfaces: what they are, and when they change.

use std::net::IpAddr;

use futures::{StreamExt, TryStreamExt, channel::mpsc::UnboundedReceiver};
use ipnet::Ipv4Net;
use lastmile_types::MacAddr;
use rtnetlink::{
    Handle, MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::AddressAttribute,
        link::{LinkAttribute, LinkFlags, LinkMessage},
    },
    sys::SocketAddr,
};

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
#[derive(Debug, Clone)]
pub struct Links {
    handle: Handle,
}

impl Links {
    /// Connects.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { handle: connect()? })
    }

    /// One interface by name; `None` when there is none.
    pub async fn get(&self, name: &str) -> Result<Option<Link>, Error> {
        let found = self.handle.link().get().match_name(name).execute().try_next().await;
        let message = match found {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(None),
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => return Ok(None),
            Err(error) => return Err(Error::rtnetlink("reading an interface")(error)),
        };
        let mut link = decode(name, &message);
        link.addresses = self.addresses(link.index).await?;
        Ok(Some(link))
    }

    /// Numbers and names of all interfaces.
    pub async fn all(&self) -> Result<Vec<(u32, String)>, Error> {
        let messages: Vec<_> =
            self.handle.link().get().execute().try_collect().await.map_err(Error::rtnetlink("listing interfaces"))?;
        let name = |attribute: &LinkAttribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        };
        let named = |message: &LinkMessage| Some((message.header.index, message.attributes.iter().find_map(name)?));
        Ok(messages.iter().filter_map(named).collect())
    }

    async fn addresses(&self, index: u32) -> Result<Vec<Ipv4Net>, Error> {
        let mut found = Vec::new();
        let mut addresses = self.handle.address().get().set_link_index_filter(index).execute();
        while let Some(message) = addresses.try_next().await.map_err(Error::rtnetlink("reading addresses"))? {
            // IFA_LOCAL is our end; IFA_ADDRESS is the peer's where they differ.
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            });
            if message.header.family == AddressFamily::Inet
                && let Some(address) = local.and_then(|local| Ipv4Net::new(local, message.header.prefix_len).ok())
            {
                found.push(address);
            }
        }
        Ok(found)
    }
}

fn decode(name: &str, message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: name.to_owned(),
        mac: MacAddr::default(),
        up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        mtu: 0,
        addresses: Vec::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Address(address) => {
                link.mac = address.as_slice().try_into().map(MacAddr).unwrap_or_default()
            }
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            _ => {}
        }
    }
    link
}

/// A connection, served by a task that ends with its last handle.
pub(crate) fn connect() -> Result<Handle, Error> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(Error::socket("opening an rtnetlink socket"))?;
    tokio::spawn(connection);
    Ok(handle)
}

/// What the kernel said of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkChange {
    /// Which; 0 = notifications were lost, read everything.
    pub index: u32,
    /// It went down, or may have: it may be up again by now, but the kernel has forgotten its routes and neighbours.
    pub down: bool,
}

/// Says when interfaces or their addresses change.
#[derive(Debug)]
pub struct LinkWatch {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    /// Keeps the connection's task alive.
    _handle: Handle,
}

impl LinkWatch {
    /// Subscribes to the kernel's notifications.
    pub fn open() -> Result<Self, Error> {
        let (connection, handle, messages) =
            rtnetlink::new_multicast_connection(&[MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr])
                .map_err(Error::socket("subscribing to rtnetlink"))?;
        tokio::spawn(connection);
        Ok(Self { messages, _handle: handle })
    }

    /// Waits for a change of any interface or IPv4 address; the caller reads the new state. Cancel safe. When the kernel closes the
    /// socket it waits for ever: pair it with a period.
    pub async fn changed(&mut self) -> LinkChange {
        use RouteNetlinkMessage::{DelAddress, DelLink, NewAddress, NewLink};
        while let Some((message, _)) = self.messages.next().await {
            let (index, down) = match message.payload {
                NetlinkPayload::InnerMessage(NewLink(link)) => {
                    (link.header.index, !link.header.flags.contains(LinkFlags::Up))
                }
                NetlinkPayload::InnerMessage(DelLink(link)) => (link.header.index, true),
                NetlinkPayload::InnerMessage(NewAddress(address) | DelAddress(address)) => {
                    (address.header.index, false)
                }
                NetlinkPayload::Overrun(_) | NetlinkPayload::Error(_) => (0, true),
                _ => continue,
            };
            return LinkChange { index, down };
        }
        std::future::pending().await
    }
}
