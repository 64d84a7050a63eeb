//! What one wake of the driver leads to, done together: one write to the journal, then one transaction with the kernel's gate, then
//! the packets in one call. An input that follows from these is dealt with before anything else.

use std::{
    collections::{BTreeSet, VecDeque},
    net::Ipv4Addr,
};

use lastmile_netio::gate::{Change, Final};
use lastmile_session::{Action, Admission, Input, Reading};
use lastmile_types::SessionId;
use tracing::error;

use crate::{
    chain,
    dhcp_io::{self, BuildError, InHand, Outgoing},
    driver::Driver,
    journal::Entry,
    owed::Owed,
    time::now,
};

/// Entries of one write.
const WRITE: usize = 256;

/// Subscribers of one transaction with the gate.
const TOGETHER: usize = 256;

/// What waits for the end of a batch.
#[derive(Default)]
pub(crate) struct Batch {
    /// To be done once the journal has what led to it.
    pub(crate) actions: Vec<Action>,
    /// Packets that promise nothing.
    packets: Vec<Outgoing>,
    /// Replies: without their records on the disk they would promise what a restart forgets.
    replies: Vec<Outgoing>,
    /// Subscribers of whom the kernel refused a change, among the actions under way.
    refused: BTreeSet<Ipv4Addr>,
    /// Evictions that the kernel refused: until they are done their sessions are not over.
    pub(crate) owed: Owed,
    /// The gate was made anew, and these are in it.
    pub(crate) restored: Option<Vec<Reading>>,
}

impl Driver {
    /// One input, and what it leads to.
    pub(crate) fn input(&mut self, input: Input, in_hand: Option<&InHand<'_>>) {
        self.take(input, in_hand);
        self.settle();
    }

    /// One input; what it leads to waits for [`Driver::settle`].
    pub(crate) fn take(&mut self, input: Input, in_hand: Option<&InHand<'_>>) {
        let mut effects = std::mem::take(&mut self.effects);
        let now = now();
        self.recorder.told(now, &input);
        self.machine.handle(now, input, &mut effects);
        if !effects.record.is_empty() {
            self.unwritten.push_back(Entry::Record(Box::new(std::mem::take(&mut effects.record))));
        }
        for action in effects.actions.drain(..) {
            match (action, in_hand) {
                (Action::ToServer { server, edit }, Some(in_hand)) => {
                    let packet = dhcp_io::to_server(in_hand, &edit, self.plane.dhcp_address, server);
                    self.packet(packet, |batch| &mut batch.packets);
                }
                (Action::Reply { from, to, edit }, Some(in_hand)) => {
                    let reply = dhcp_io::reply(in_hand, &edit, from, to, self.plane.link_address());
                    self.packet(reply, |batch| &mut batch.replies);
                }
                (Action::Nak { server, to, reason }, Some(in_hand)) => {
                    let nak = dhcp_io::nak(in_hand, server, to, reason, self.plane.link_address());
                    self.packet(nak, |batch| &mut batch.packets);
                }
                // An action for a message, but no message: the machine makes none.
                (Action::ToServer { .. } | Action::Reply { .. } | Action::Nak { .. }, None) => {}
                (Action::ProbeServer { server, giaddr }, _) => {
                    let probe = dhcp_io::probe(self.plane.dhcp_address, server, giaddr);
                    self.packet(probe.map(Outgoing::Packet), |batch| &mut batch.packets);
                }
                (Action::Drop(label), _) => self.count(label.label()),
                // It keeps the message in hand.
                (Action::AskLease { ip }, in_hand) => self.ask_lease(ip, in_hand),
                (action, _) => self.batch.actions.push(action),
            }
        }
        self.effects = effects;
    }

    /// Does what waits, in order: journal, kernel, packets.
    pub(crate) fn settle(&mut self) {
        loop {
            self.write();
            let replies = std::mem::take(&mut self.batch.replies);
            if self.written() {
                self.batch.packets.extend(replies);
            } else {
                replies.iter().for_each(|_| self.count("journal-not-writable")); // the clients ask again
            }
            if self.batch.actions.is_empty() {
                return self.packets_leave();
            }
            let mut next = VecDeque::new();
            self.carry_out(&mut next);
            while let Some(input) = next.pop_front() {
                self.take(input, None);
            }
        }
    }

    /// Hands to the journal what waits for it. Only what is journalled is told to anybody: a number must never be used twice.
    pub(crate) fn write(&mut self) {
        while !self.unwritten.is_empty() {
            let count = self.unwritten.len().min(WRITE);
            if let Err(error) = self.journal.append(&self.unwritten.make_contiguous()[..count]) {
                error!(
                    error = chain(&error),
                    "the journal takes nothing: no new sessions until there is room on the disk"
                );
                return;
            }
            for entry in self.unwritten.drain(..count) {
                let (events, accounting) = self.image.remember(entry);
                events.into_iter().for_each(|event| drop(self.sinks.events.send(event)));
                accounting.into_iter().for_each(|record| drop(self.sinks.accounting.send(record.into_inner())));
            }
        }
        self.coa_answers_leave();
    }

    /// Gives these subscribers their limits again.
    pub(crate) fn set_limits(&mut self, admissions: Vec<Admission>) {
        self.batch.actions.extend(admissions.into_iter().map(Action::SetLimits));
        self.settle();
    }

    /// Neighbouring changes of the gate go to the kernel together, one of each subscriber.
    fn carry_out(&mut self, next: &mut VecDeque<Input>) {
        let (mut together, mut whose) = (Vec::new(), BTreeSet::new());
        self.batch.refused.clear();
        let owed = self.batch.owed.take();
        for action in owed.chain(std::mem::take(&mut self.batch.actions)) {
            let at_gate = subscriber_at_gate(&action);
            if at_gate.is_none_or(|ip| !whose.insert(ip)) || together.len() >= TOGETHER {
                self.change_gate(&mut together, next);
                whose.clear();
                whose.extend(at_gate);
            }
            match at_gate {
                // He would get the element of the one before him, and lose it with that one's eviction.
                Some(ip) if self.batch.owed.holds(ip) => {
                    self.batch.refused.insert(ip);
                    self.batch.owed.add(ip, action);
                }
                Some(_) => together.push(action),
                None => self.act(action, next),
            }
        }
        self.change_gate(&mut together, next);
        next.extend(self.gate_found());
    }

    fn change_gate(&mut self, actions: &mut Vec<Action>, next: &mut VecDeque<Input>) {
        if actions.is_empty() {
            return;
        }
        let changes: Vec<Change> = actions.iter().filter_map(|action| self.gate_change(action)).collect();
        actions.iter().filter_map(subscriber_at_gate).for_each(|ip| self.surveys.changes(ip));
        let (finals, refused) = self.tell_gate(changes);
        // In the order of the evictions; one that was not there has none.
        let mut finals = finals.into_iter().peekable();
        for action in actions.drain(..) {
            match action {
                Action::Evict { ip, .. } | Action::EvictStray { ip } if refused.contains(&ip) => {
                    self.batch.owed.add(ip, action);
                }
                Action::SetLimits(admission) if refused.contains(&admission.ip) => self.doubt(&admission),
                Action::Admit(admission) | Action::SetLimits(admission) => self.plane.limits.settle(&admission),
                Action::EvictStray { ip } => {
                    finals.next_if(|last| last.ip == ip);
                    self.forget(ip);
                }
                Action::Evict { session, ip } => {
                    let counters = finals.next_if(|last| last.ip == ip).map(|last| last.counters);
                    self.forget(ip);
                    next.push_back(Input::Evicted { session, counters });
                }
                _ => {}
            }
        }
    }

    /// Final counters in the order of the evictions, and of whom the kernel refused a change. A transaction takes effect as a whole; where
    /// one is refused, each is tried alone, so that one costs no other its counters.
    fn tell_gate(&mut self, changes: Vec<Change>) -> (Vec<Final>, BTreeSet<Ipv4Addr>) {
        let mut refused = BTreeSet::new();
        let mut finals = match self.plane.gate.apply(&changes) {
            Ok(finals) => return (finals, refused),
            Err(first) => first.finals,
        };
        let anew = self.restore_gate();
        for change in changes {
            let change = match change {
                // Nobody is in a gate that was made anew.
                Change::SetTerms { ip, terms } if anew => Change::Admit { ip, terms },
                same => same,
            };
            match self.plane.gate.apply(std::slice::from_ref(&change)) {
                Ok(last) => finals.extend(last),
                Err(alone) => {
                    finals.extend(alone.finals);
                    self.gate_failed(&alone.source);
                    refused.insert(change.ip());
                }
            }
        }
        self.batch.refused.extend(&refused);
        (finals, refused)
    }

    /// Whether the kernel refused a change of this session's, among the actions under way.
    pub(crate) fn gate_refused(&self, session: SessionId) -> bool {
        self.machine.session(session).is_some_and(|session| self.batch.refused.contains(&session.ip))
    }

    fn gate_change(&mut self, action: &Action) -> Option<Change> {
        match action {
            Action::Admit(admission) => {
                let terms = self.terms(admission);
                if terms.mac.is_some() {
                    self.plane.pin(admission.ip, terms.mac);
                }
                Some(Change::Admit { ip: admission.ip, terms })
            }
            Action::SetLimits(admission) => Some(Change::SetTerms { ip: admission.ip, terms: self.terms(admission) }),
            Action::Evict { ip, .. } | Action::EvictStray { ip } => Some(Change::Evict { ip: *ip }),
            _ => None,
        }
    }

    fn packet(&mut self, built: Result<Outgoing, BuildError>, place: fn(&mut Batch) -> &mut Vec<Outgoing>) {
        match built {
            Ok(packet) => place(&mut self.batch).push(packet),
            Err(error) => {
                tracing::debug!(error = chain(&error), "a DHCP message cannot be passed on");
                self.count(error.label());
            }
        }
    }

    fn packets_leave(&mut self) {
        let (mut packets, mut frames) = (Vec::new(), Vec::new());
        for outgoing in self.batch.packets.drain(..) {
            match outgoing {
                Outgoing::Packet(packet) => packets.push(packet),
                Outgoing::Frame(frame) => frames.push(frame),
            }
        }
        let not_routable = if packets.is_empty() { 0 } else { self.plane.send(&mut packets) };
        let link_down = if frames.is_empty() { 0 } else { self.plane.send_frames(&mut frames) };
        for (label, refused) in [("not-routable", not_routable), ("link-down", link_down)] {
            if refused > 0 {
                *self.drops.entry(label).or_default() += refused;
            }
        }
    }
}

/// Whom an action changes at the gate, if it does.
fn subscriber_at_gate(action: &Action) -> Option<Ipv4Addr> {
    match action {
        Action::Admit(admission) | Action::SetLimits(admission) => Some(admission.ip),
        Action::Evict { ip, .. } | Action::EvictStray { ip } => Some(*ip),
        _ => None,
    }
}
