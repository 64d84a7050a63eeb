//! Addresses that are shut out and watched: an element each, which counts what is dropped. A packet of an admitted subscriber never gets
//! as far as this set.

use std::{io, net::Ipv4Addr};

use super::{
    Error, Gate,
    element::{self, Count, Element},
    names::DORMANT,
    sets,
};

impl Gate {
    /// Takes notice of what comes from an address from now on. One that is watched already stays as it is.
    pub fn watch(&mut self, ip: Ipv4Addr) -> Result<(), Error> {
        let element = Element { ip, count: Count::default(), limit: None };
        let (kind, flags) = (libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE);
        let message = element::in_set(kind, flags, &self.table, DORMANT, ip, Some(&element));
        self.netlink.transaction(&[message]).map_err(Error::nftables("watching an address"))?;
        Ok(())
    }

    /// Watches it no more; one that is not watched is no error.
    pub fn unwatch(&mut self, ip: Ipv4Addr) -> Result<(), Error> {
        let message = sets::element(libc::NFT_MSG_DELSETELEM, &self.table, DORMANT, &ip.octets());
        match self.netlink.transaction(&[message]) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::nftables("watching an address no more")(error))
            }
            _ => Ok(()),
        }
    }

    /// The watched addresses from which something came, however long ago: each until it is watched no more.
    pub fn stirred(&mut self) -> Result<Vec<Ipv4Addr>, Error> {
        let mut stirred = Vec::new();
        self.netlink
            .dump(&sets::dump(&self.table, DORMANT), |octets| {
                let elements = element::decode(&octets).1.filter(|element| element.count.packets > 0);
                stirred.extend(elements.map(|element| element.ip));
            })
            .map_err(Error::nftables("reading a set"))?;
        Ok(stirred)
    }
}
