//! Sessions and Kea's leases compared: what was missed is adopted, what has no lease is stopped.
//!
//! Pages of leases only raise suspicions, for a page is old when it arrives. A session is ended only after Kea was asked about
//! its very address and said that the lease is gone or another's; an ACK in between withdraws the question. No answer changes
//! nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use jiff::{SignedDuration, Timestamp};
use lastmile_types::{Attachment, MacAddr, SessionId, SessionKey, session::TerminateCause, status::LeaseDrift};
use serde::{Deserialize, Serialize};

use crate::{
    dhcp::{router_name, without_relay_id},
    effect::{Action, Destination, Dropped, Effects},
    input::{DhcpMessage, RelayInfo},
    life::Lease,
    machine::Machine,
    session::Path,
    time::Now,
};

/// So many questions may be open: Kea answers DHCP first.
const QUESTIONS: usize = 1024;
/// A refusal is good for so long, milliseconds: for the message that raised the question, not for the next one.
const REFUSED_MS: u64 = 2_000;

/// A lease as Kea has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeaLease {
    /// The address.
    pub ip: Ipv4Addr,
    /// The device.
    pub mac: MacAddr,
    /// The client's last transmission (cltt), by Kea's clock.
    pub last: Timestamp,
    /// From then on, seconds.
    pub valid_seconds: u32,
    /// Kea's state 0: neither declined nor reclaimed.
    pub active: bool,
    /// Option 82, where Kea kept it.
    pub relay_info: Option<RelayInfo>,
    /// Option 12, printable.
    pub hostname: Option<String>,
}

/// Part of a pass over all leases within the pools, in the order of their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeasePage {
    /// A pass begins.
    pub first: bool,
    /// It ends: whose lease was in no page of it has none, or a new one.
    pub last: bool,
    /// At most 1,000.
    pub leases: Vec<KeaLease>,
}

/// What Kea said of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseAnswer {
    /// It has this one.
    Found(Box<KeaLease>),
    /// It has none.
    None,
    /// It did not say.
    Unanswered,
}

/// A lease that is to have a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// The lease.
    pub lease: KeaLease,
    /// The session whose place it takes: Kea says that it is the older one.
    pub instead: Option<SessionId>,
}

/// Why Kea is asked about an address.
#[derive(Debug)]
enum Question {
    /// Somebody renews it, and there is no session.
    Nobodys,
    /// There is a session, and no page has its lease.
    Doubt,
    /// There is a session, and this lease can only have one in its place.
    Rival(Box<KeaLease>),
}

/// What the machine remembers between pages, questions and answers; nothing of it needs to survive.
#[derive(Debug, Default)]
pub(crate) struct Reconciler {
    pass: Option<Pass>,
    questions: BTreeMap<Ipv4Addr, Question>,
    /// Addresses that Kea disowned, with the boot time at which it may be asked again.
    refused: BTreeMap<Ipv4Addr, u64>,
    drift: LeaseDrift,
}

#[derive(Debug)]
struct Pass {
    began_ms: u64,
    seen: BTreeSet<Ipv4Addr>,
    found: LeaseDrift,
}

enum Verdict {
    Agrees,
    Missed,
    Doubtful,
    Rival(Ipv4Addr),
    EndedHere,
    Unattributed,
    /// It would displace more than one session: the wire has to tell.
    Disputed,
}

impl KeaLease {
    fn left(&self, now: Now) -> Option<u32> {
        let end = self.last.checked_add(SignedDuration::from_secs(self.valid_seconds.into())).ok()?;
        u32::try_from(end.duration_since(now.wall).as_secs()).ok().filter(|left| *left > 0)
    }
}

impl Machine {
    /// Drift since the machine was made.
    pub fn drift(&self) -> LeaseDrift {
        self.reconciler.drift
    }

    pub(crate) fn in_pools(&self, ip: Ipv4Addr) -> bool {
        self.settings.config.pools.iter().any(|pool| pool.prefix.contains(&ip) && pool.gateway != ip)
    }

    pub(crate) fn on_leases(&mut self, now: Now, page: LeasePage, effects: &mut Effects) {
        if page.first {
            self.tombstones.purge(now.boot_ms, effects);
            let pass = Pass { began_ms: now.boot_ms, seen: BTreeSet::new(), found: LeaseDrift::default() };
            self.reconciler.pass = Some(pass);
        }
        let Some(mut pass) = self.reconciler.pass.take() else { return };
        for lease in page.leases {
            pass.seen.extend(lease.active.then_some(lease.ip));
            if lease.active && lease.left(now).is_some() && self.in_pools(lease.ip) {
                pass.found.leases += 1;
                self.judge(now, lease, &mut pass.found, effects);
            }
        }
        if page.last {
            self.doubt_unseen(&pass, effects);
            let LeaseDrift { leases, ended_here, unattributed, .. } = pass.found;
            self.reconciler.drift = LeaseDrift { leases, ended_here, unattributed, ..self.reconciler.drift };
        } else {
            self.reconciler.pass = Some(pass);
        }
    }

    fn judge(&mut self, now: Now, lease: KeaLease, found: &mut LeaseDrift, effects: &mut Effects) {
        match self.weigh(now, &lease, None) {
            Verdict::Agrees | Verdict::Disputed => {}
            Verdict::Missed => effects.act(Action::Adopt(Box::new(Adoption { lease, instead: None }))),
            Verdict::Doubtful => self.ask(lease.ip, Question::Doubt, effects),
            Verdict::Rival(ip) => self.ask(ip, Question::Rival(Box::new(lease)), effects),
            Verdict::EndedHere => found.ended_here += 1,
            Verdict::Unattributed => found.unattributed += 1,
        }
    }

    fn weigh(&self, now: Now, lease: &KeaLease, instead: Option<SessionId>) -> Verdict {
        match self.table.by_ip(lease.ip) {
            Some(session) if session.key.mac == lease.mac => return Verdict::Agrees,
            Some(session) if Some(session.id) != instead => return Verdict::Doubtful,
            _ => {}
        }
        if self.tombstones.covers(now, lease.ip, lease.mac, Some(lease.last)) {
            return Verdict::EndedHere;
        }
        let place = self.place(lease).filter(|(_, path)| self.lists(&path.router));
        let Some((attachment, _)) = place else { return Verdict::Unattributed };
        let rivals = self.rivals(&SessionKey { attachment, mac: lease.mac });
        let mut others = rivals.into_iter().filter(|id| Some(*id) != instead);
        match (others.next().and_then(|id| self.table.get(id)), others.next()) {
            (None, _) => Verdict::Missed,
            (Some(rival), None) if instead.is_none() => Verdict::Rival(rival.ip),
            _ => Verdict::Disputed,
        }
    }

    /// Where the lease's client is, as far as option 82 tells.
    fn place(&self, lease: &KeaLease) -> Option<(Attachment, Path)> {
        let RelayInfo { circuit_id: Some(circuit_id), remote_id, raw } = lease.relay_info.as_ref()? else {
            return None;
        };
        let config = &self.settings.config;
        let gateway = config.pools.iter().find(|pool| pool.prefix.contains(&lease.ip))?.gateway;
        let router = router_name(circuit_id, &config.routers.name_separator, gateway);
        let path = Path {
            giaddr: self.giaddr_of(&router).filter(|giaddr| self.in_one_pool(*giaddr, lease.ip)).unwrap_or(gateway),
            router,
            relay_info: without_relay_id(raw, &config.nas_identifier),
            relay_mac: MacAddr([0; 6]),
        };
        let attachment = Attachment {
            bng_id: config.bng_id.clone(),
            circuit_id: circuit_id.clone(),
            remote_id: remote_id.clone().unwrap_or_default(),
        };
        Some((attachment, path))
    }

    fn in_one_pool(&self, one: Ipv4Addr, other: Ipv4Addr) -> bool {
        self.settings.config.pools.iter().any(|pool| pool.prefix.contains(&one) && pool.prefix.contains(&other))
    }

    /// Sessions of before the pass whose leases were in no page.
    fn doubt_unseen(&mut self, pass: &Pass, effects: &mut Effects) {
        let unseen = self.table.iter().filter(|session| {
            session.ending.is_none() && session.started.boot_ms < pass.began_ms && !pass.seen.contains(&session.ip)
        });
        let unseen: Vec<_> = unseen.map(|session| session.ip).take(QUESTIONS).collect();
        for ip in unseen {
            self.ask(ip, Question::Doubt, effects);
        }
    }

    /// Past the limit nothing is asked: the next pass raises the same question.
    fn ask(&mut self, ip: Ipv4Addr, question: Question, effects: &mut Effects) {
        if self.reconciler.questions.len() < QUESTIONS && !self.reconciler.questions.contains_key(&ip) {
            self.reconciler.questions.insert(ip, question);
            effects.act(Action::AskLease { ip });
        }
    }

    /// A client renews an address that has no session. One that was ended here has to start over (DISCOVER and a new
    /// Access-Request); of any other Kea is asked, and the message comes again after its answer.
    pub(crate) fn adopt_or_refuse(
        &mut self,
        now: Now,
        message: &DhcpMessage,
        server: Ipv4Addr,
        to: Destination,
        effects: &mut Effects,
    ) {
        let ip = message.ciaddr;
        self.reconciler.refused.retain(|_, until| *until > now.boot_ms);
        let hopeless = self.draining
            || self.settings.config.kea.is_none()
            || !self.in_pools(ip)
            || self.table.by_ip(ip).is_some()
            || self.reconciler.refused.contains_key(&ip)
            || self.tombstones.covers(now, ip, message.chaddr, None);
        if hopeless {
            return effects.act(Action::Nak { server, to, reason: "no session" });
        }
        if self.reconciler.questions.len() >= QUESTIONS || self.reconciler.questions.contains_key(&ip) {
            return effects.drop(Dropped::KeaIsAsked);
        }
        self.ask(ip, Question::Nobodys, effects);
    }

    pub(crate) fn on_lease_answer(&mut self, now: Now, ip: Ipv4Addr, answer: LeaseAnswer, effects: &mut Effects) {
        let Some(question) = self.reconciler.questions.remove(&ip) else { return };
        let found = match answer {
            LeaseAnswer::Found(lease) if lease.ip == ip => Some(*lease).filter(|lease| lease.active),
            LeaseAnswer::None => None,
            _ => return,
        };
        match question {
            Question::Nobodys => self.on_nobodys_lease(now, ip, found, effects),
            Question::Doubt => self.on_doubt_settled(now, ip, found, effects),
            Question::Rival(lease) => self.on_rival_known(now, ip, found, *lease, effects),
        }
    }

    fn on_nobodys_lease(&mut self, now: Now, ip: Ipv4Addr, found: Option<KeaLease>, effects: &mut Effects) {
        let usable = found.filter(|lease| lease.left(now).is_some());
        match usable.map(|lease| (self.weigh(now, &lease, None), lease)) {
            Some((Verdict::Missed, lease)) => effects.act(Action::Adopt(Box::new(Adoption { lease, instead: None }))),
            Some((Verdict::Agrees, _)) => {}
            _ => {
                self.reconciler.refused.insert(ip, now.boot_ms + REFUSED_MS);
            }
        }
    }

    fn on_doubt_settled(&mut self, now: Now, ip: Ipv4Addr, found: Option<KeaLease>, effects: &mut Effects) {
        let Some((id, mac)) = self.table.by_ip(ip).map(|session| (session.id, session.key.mac)) else { return };
        if found.as_ref().is_some_and(|lease| lease.mac == mac) {
            return;
        }
        let detail = if found.is_some() { "the lease is another device's" } else { "the lease is gone" };
        self.reconciler.drift.stopped += 1;
        // Not buried: if Kea gets this lease back, the session may come back.
        self.stop_at(now, id, TerminateCause::LostCarrier, detail, now.boot_ms, effects);
        let heir = found.filter(|lease| lease.left(now).is_some() && self.in_pools(lease.ip));
        if let Some(lease) = heir
            && matches!(self.weigh(now, &lease, None), Verdict::Missed)
        {
            effects.act(Action::Adopt(Box::new(Adoption { lease, instead: None })));
        }
    }

    /// The session at `ip` stands in the way of `lease`: whoever Kea heard of last is online.
    fn on_rival_known(
        &mut self,
        now: Now,
        ip: Ipv4Addr,
        found: Option<KeaLease>,
        lease: KeaLease,
        effects: &mut Effects,
    ) {
        let Some((id, mac)) = self.table.by_ip(ip).map(|session| (session.id, session.key.mac)) else { return };
        let stands = found.is_some_and(|found| found.mac == mac && found.last >= lease.last);
        if !stands && matches!(self.weigh(now, &lease, Some(id)), Verdict::Missed) {
            effects.act(Action::Adopt(Box::new(Adoption { lease, instead: Some(id) })));
        }
    }

    pub(crate) fn on_adopt(&mut self, now: Now, adoption: Adoption, effects: &mut Effects) {
        let Adoption { lease, instead } = adoption;
        let Some(seconds) = lease.left(now).filter(|_| !self.draining) else { return };
        match self.weigh(now, &lease, instead) {
            Verdict::Missed => {}
            Verdict::Rival(ip) => return self.ask(ip, Question::Rival(Box::new(lease)), effects),
            _ => return,
        }
        let Some((attachment, path)) = self.place(&lease) else { return };
        match instead.and_then(|id| self.table.get(id)) {
            Some(_) => self.reconciler.drift.moved += 1,
            None => self.reconciler.drift.adopted += 1,
        }
        let adopted = Lease {
            key: SessionKey { attachment, mac: lease.mac },
            ip: lease.ip,
            seconds,
            server: self.settings.config.dhcp.servers[0],
            path,
            hostname: lease.hostname,
            adopted: true,
        };
        self.on_lease(now, adopted, effects);
    }

    /// An ACK (or an adoption) says whose the address is: nothing older about it counts any more.
    pub(crate) fn settled(&mut self, ip: Ipv4Addr, effects: &mut Effects) {
        self.reconciler.questions.remove(&ip);
        self.reconciler.refused.remove(&ip);
        self.tombstones.set(ip, None, effects);
        self.forget(ip, effects);
    }

    /// A device that was replaced or moved leaves a lease behind, which would keep its address from others.
    pub(crate) fn delete_in_kea(&self, id: SessionId, next: &Lease, effects: &mut Effects) {
        let Some(session) = self.table.get(id).filter(|session| session.ip != next.ip) else { return };
        if self.settings.config.kea.is_some() && !next.adopted {
            effects.act(Action::DeleteLease { ip: session.ip, mac: session.key.mac });
        }
    }
}
