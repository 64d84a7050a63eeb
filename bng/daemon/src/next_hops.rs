//! Which MAC each access router has, by the kernel's neighbour table: only frames of that MAC carry the router's subscribers.
//!
//! A change is a notification of the kernel; once a second whoever is not confirmed is asked for, so that a router is found after a
//! restart and one that was replaced is found out even if it says nothing.

use std::{collections::BTreeSet, net::Ipv4Addr};

use lastmile_netio::{
    Error,
    gate::Routers,
    neighbours::{Neighbour, NeighbourWatch, Neighbours},
};

/// The access routers on the subscriber interface's link.
#[derive(Debug)]
pub struct NextHops {
    neighbours: Neighbours,
    watch: NeighbourWatch,
    /// The subscriber interface.
    index: u32,
    wanted: BTreeSet<Ipv4Addr>,
}

impl NextHops {
    /// Subscribes first and reads later: nothing is missed in between.
    pub fn open(index: u32, wanted: BTreeSet<Ipv4Addr>) -> Result<Self, Error> {
        Ok(Self { neighbours: Neighbours::open()?, watch: NeighbourWatch::open()?, index, wanted })
    }

    /// The interface was made anew, or the pools changed.
    pub fn follow(&mut self, index: u32, wanted: BTreeSet<Ipv4Addr>) {
        (self.index, self.wanted) = (index, wanted);
    }

    /// Resolves when one of them changed. Cancel safe.
    pub async fn changed(&mut self) {
        let wanted = &self.wanted;
        self.watch.changed(self.index, |ip| wanted.contains(&ip)).await;
    }

    /// Those that the kernel knows now.
    pub async fn found(&self) -> Result<Routers, Error> {
        Ok(self.list().await?.iter().filter_map(|neighbour| Some((neighbour.ip, neighbour.mac?))).collect())
    }

    /// Makes the kernel ask for those of whom it is not sure.
    pub async fn verify(&self) -> Result<(), Error> {
        let neighbours = self.list().await?;
        let confirmed = |wanted: &Ipv4Addr| neighbours.iter().any(|one| one.ip == *wanted && one.confirmed);
        for next_hop in self.wanted.iter().filter(|wanted| !confirmed(wanted)) {
            self.neighbours.resolve(self.index, *next_hop).await?;
        }
        Ok(())
    }

    /// The link may have a neighbour for each subscriber: where no router is wanted nothing is read.
    async fn list(&self) -> Result<Vec<Neighbour>, Error> {
        if self.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.neighbours.list(self.index).await?;
        Ok(all.into_iter().filter(|neighbour| self.wanted.contains(&neighbour.ip)).collect())
    }
}
