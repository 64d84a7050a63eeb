//! Other terms for a subscriber who is let through already.

use std::{collections::BTreeMap, io, net::Ipv4Addr};

use super::{
    Error, Gate, Terms,
    element::{self, Direction, Element},
    members::{Member, collect_deleted},
};

impl Gate {
    /// What is as it should be is not touched. Stricter first: a garden closes before the limits grow.
    pub(super) fn set_terms(&mut self, ip: Ipv4Addr, terms: &Terms) -> Result<(), Error> {
        let Some(old) = self.members.get(&ip).cloned() else { return Ok(()) };
        let new = Member::new(terms);
        self.set_place(ip, &old, &new)?;
        for direction in [Direction::Up, Direction::Down] {
            if old.side(direction).limit != new.side(direction).limit {
                self.set_limit(ip, direction, &new)?;
            }
        }
        Ok(())
    }

    /// Into a garden, out of it, or from one to another, in one transaction.
    fn set_place(&mut self, ip: Ipv4Addr, old: &Member, new: &Member) -> Result<(), Error> {
        if old.place == new.place {
            return Ok(());
        }
        let out = old.place.messages(libc::NFT_MSG_DELSETELEM, &self.table, ip);
        let into = new.place.messages(libc::NFT_MSG_NEWSETELEM, &self.table, ip);
        let messages = [out, into].into_iter().flatten().collect::<Vec<_>>();
        self.netlink.transaction(&messages).map_err(Error::nftables("moving a subscriber to another garden"))?;
        if let Some(member) = self.members.get_mut(&ip) {
            member.place = new.place.clone();
        }
        if old.place.garden.is_some() && old.place.garden != new.place.garden {
            self.forget_flows(ip);
        }
        Ok(())
    }

    /// Replaces the element in one transaction with one that starts at the old counters. What passed between the reading and the
    /// replacement is known from the echo and carried along.
    fn set_limit(&mut self, ip: Ipv4Addr, direction: Direction, new: &Member) -> Result<(), Error> {
        // Somebody removed it behind our back: nothing is in force, and nobody may believe that it is.
        let gone = || Error::nftables("replacing limits")(io::ErrorKind::NotFound.into());
        let before = self.read_element(direction, ip)?.ok_or_else(gone)?;
        let limit = new.side(direction).limit;
        let replacement = Element { limit, ..before };
        let table = &self.table;
        let (delete, create) = (libc::NFT_MSG_DELSETELEM, libc::NFT_MSG_NEWSETELEM);
        let messages = [
            element::message(delete, libc::NLM_F_ECHO, table, direction, ip, None),
            element::message(create, libc::NLM_F_CREATE, table, direction, ip, Some(&replacement)),
        ];
        let replies = self.netlink.transaction(&messages).map_err(Error::nftables("replacing limits"))?;
        let mut echoes = BTreeMap::new();
        collect_deleted(&replies, &mut echoes);
        let (up, down) = echoes.remove(&ip).unwrap_or_default();
        let after = if direction == Direction::Up { up } else { down };
        let after = after.ok_or(Error::Malformed { operation: "replacing limits" })?;
        if let Some(member) = self.members.get_mut(&ip) {
            let side = member.side_mut(direction);
            side.limit = limit;
            side.carry = side.carry.plus(after.count.minus(before.count));
        }
        Ok(())
    }

    /// What conntrack knows of a garden's former member. It decides nothing any more: no reason to fail.
    pub(super) fn forget_flows(&mut self, ip: Ipv4Addr) {
        if let Err(error) = self.conntrack.forget(ip) {
            tracing::warn!(%ip, %error, "conntrack's entries of a subscriber who left a walled garden remain until they time out: is nf_conntrack_netlink there?");
        }
    }
}
