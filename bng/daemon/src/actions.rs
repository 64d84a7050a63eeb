//! One `match` that touches the world.

use std::{collections::VecDeque, net::Ipv4Addr, time::Duration};

use lastmile_netio::gate::{Admitted, Change, Terms};
use lastmile_session::{Action, Admission, Input, LeaseAnswer, Reading, Side};
use lastmile_types::{SessionId, config::AccessMode};
use tracing::error;

use crate::{
    dhcp_io::{self, BuildError, Held, InHand, Outgoing},
    driver::Driver,
    leases::Ask,
};

/// How long a router has to answer a ping.
const PING: Duration = Duration::from_secs(1);
/// Evictions that are one transaction of the gate's: of members of a garden on the link, too.
const EVICTIONS: usize = 100;
/// Pings in a row before a router counts as dead.
const PINGS: u32 = 3;

/// A gate element as the machine reads it.
pub fn reading(admitted: Admitted) -> Reading {
    Reading { ip: admitted.ip, counters: admitted.counters }
}

impl Driver {
    /// Carries actions out in order. Evictions that follow each other, as in a drain, are transactions of many.
    pub(crate) fn act_all(
        &mut self,
        actions: &mut Vec<Action>,
        in_hand: Option<&InHand<'_>>,
        next: &mut VecDeque<Input>,
    ) {
        let mut evictions = Vec::new();
        for action in actions.drain(..) {
            if let Action::Evict { session, ip } = action {
                evictions.push((session, ip));
                continue;
            }
            self.evict_together(&mut evictions, next);
            self.act(action, in_hand, next);
        }
        self.evict_together(&mut evictions, next);
    }

    /// A transaction takes effect as a whole; where one is refused, each is tried alone, so that one costs no other its counters.
    fn evict_together(&mut self, evictions: &mut Vec<(SessionId, Ipv4Addr)>, next: &mut VecDeque<Input>) {
        for together in evictions.chunks(EVICTIONS) {
            let changes: Vec<Change> = together.iter().map(|(_, ip)| Change::Evict { ip: *ip }).collect();
            let finals = self.plane.gate.apply(&changes);
            for (session, ip) in together {
                let counters = match &finals {
                    Ok(finals) => finals.iter().find(|last| last.ip == *ip).map(|last| last.counters),
                    Err(_) => self.change_gate(Change::Evict { ip: *ip }),
                };
                self.forget(*ip);
                next.push_back(Input::Evicted { session: *session, counters });
            }
        }
        evictions.clear();
    }

    /// Carries one action out; what it leads to at once goes to the end of `next`.
    pub(crate) fn act(&mut self, action: Action, in_hand: Option<&InHand<'_>>, next: &mut VecDeque<Input>) {
        match action {
            Action::ToServer { server, edit } => {
                let source = self.plane.dhcp_address;
                self.packet(in_hand.map(|in_hand| dhcp_io::to_server(in_hand, &edit, source, server)));
            }
            Action::Reply { from, to, edit } if self.written() => {
                self.packet(in_hand.map(|in_hand| dhcp_io::reply(in_hand, &edit, from, to, self.plane.link_address())));
            }
            // Without its record on the disk an ACK would promise what a restart forgets; the client asks again.
            Action::Reply { .. } => self.count("journal-not-writable"),
            Action::Nak { server, to, reason } => {
                self.packet(
                    in_hand.map(|in_hand| dhcp_io::nak(in_hand, server, to, reason, self.plane.link_address())),
                );
            }
            Action::ProbeServer { server, giaddr } => {
                let probe = dhcp_io::probe(self.plane.dhcp_address, server, giaddr);
                self.packet(Some(probe.map(Outgoing::Packet)));
            }
            Action::Drop(label) => self.count(label.label()),
            Action::Authenticate(request) => self.authenticate(*request),
            Action::Admit(admission) => {
                let terms = self.terms(&admission);
                if terms.mac.is_some() {
                    self.plane.pin(admission.ip, terms.mac);
                }
                self.change_gate(Change::Admit { ip: admission.ip, terms });
                self.plane.limits.settle(&admission);
            }
            Action::SetLimits(admission) => self.set_limits(&admission),
            Action::EvictStray { ip } => {
                self.change_gate(Change::Evict { ip });
                self.forget(ip);
            }
            Action::Evict { session, ip } => self.evict_together(&mut vec![(session, ip)], next),
            Action::Watch { ip } => {
                let watched = self.plane.gate.watch(ip);
                self.gate_answered(watched);
            }
            Action::Unwatch { ip } => {
                let unwatched = self.plane.gate.unwatch(ip);
                self.gate_answered(unwatched);
            }
            Action::ReadStirred => {
                let stirred = self.plane.gate.stirred();
                let stirred = self.gate_answered(stirred).unwrap_or_default();
                next.extend(stirred.into_iter().map(|ip| Input::Stirred { ip }));
            }
            Action::ReadCounters(Some(ip)) => match self.plane.gate.read(ip) {
                Ok(Some(admitted)) => next.push_back(Input::Counters(vec![reading(admitted)])),
                Ok(None) => {}
                Err(error) => self.gate_failed(&error),
            },
            Action::ReadCounters(None) => match self.plane.gate.dump() {
                Ok(all) => next.push_back(Input::Counters(all.into_iter().map(reading).collect())),
                Err(error) => self.gate_failed(&error),
            },
            Action::Ping { router, address } => self.ping(router, address),
            Action::AskLease { ip } => self.ask_lease(ip, in_hand),
            Action::Adopt(adoption) => next.push_back(Input::Adopt(adoption)),
            Action::DeleteLease { ip, mac } => drop(self.kea.send(Ask::Delete { ip, mac })),
            Action::CoaAnswer { order, refused } => self.coa_answer(order, refused),
            Action::Answer { order, answer } => {
                if let Some(waiting) = self.orders_waiting.remove(&order) {
                    let _ = waiting.send(Some(answer)); // who asked may be gone
                }
            }
        }
    }

    fn packet(&mut self, built: Option<Result<Outgoing, BuildError>>) {
        match built {
            Some(Ok(Outgoing::Packet(packet))) => self.packets.push(packet),
            Some(Ok(Outgoing::Frame(frame))) => self.frames.push(frame),
            Some(Err(error)) => {
                tracing::debug!(error = crate::chain(&error), "a DHCP message cannot be passed on");
                self.count(error.label());
            }
            None => {} // an action for a message, but no message: the machine makes none
        }
    }

    /// Behind an access router a subscriber's own MAC is not seen. What is shaped is not policed.
    fn terms(&mut self, admission: &Admission) -> Terms {
        let on_link = self.config.bng.access_mode == AccessMode::Bridged;
        let rates = self.plane.limits.police(admission);
        Terms { rates, mac: on_link.then_some(admission.mac), garden: admission.garden.clone() }
    }

    pub(crate) fn set_limits(&mut self, admission: &Admission) {
        let terms = self.terms(admission);
        self.change_gate(Change::SetTerms { ip: admission.ip, terms });
        self.plane.limits.settle(admission);
    }

    /// What else the kernel had of somebody who is shut out.
    fn forget(&mut self, ip: Ipv4Addr) {
        self.plane.limits.forget(ip);
        if self.config.bng.access_mode == AccessMode::Bridged {
            self.plane.pin(ip, None);
        }
    }

    /// The final counters, where something was evicted.
    fn change_gate(&mut self, change: Change) -> Option<lastmile_types::Counters> {
        let finals = self.plane.gate.apply(&[change]);
        self.gate_answered(finals)?.first().map(|last| last.counters)
    }

    fn gate_answered<T>(&mut self, answer: Result<T, lastmile_netio::Error>) -> Option<T> {
        answer.inspect_err(|error| self.gate_failed(error)).ok()
    }

    pub(crate) fn gate_failed(&mut self, error: &lastmile_netio::Error) {
        error!(
            error = crate::chain(error),
            "the kernel refused a change of the gate: is nf_tables there, and CAP_NET_ADMIN?"
        );
        self.count("gate-refused");
    }

    /// A message in hand waits for the answer, one for each address.
    fn ask_lease(&mut self, ip: Ipv4Addr, in_hand: Option<&InHand<'_>>) {
        if let Some(in_hand) = in_hand {
            self.held.insert(ip, Held::of(in_hand));
        }
        let _ = self.kea.send(Ask::Lease { ip, renewal: in_hand.is_some() }); // it runs as long as we do
    }

    /// An answer of somebody else; a message that waited for it is dealt with after it.
    pub(crate) fn told(&mut self, input: Input) {
        let held = match &input {
            Input::Lease { ip, answer } => self.held.remove(ip).filter(|_| *answer != LeaseAnswer::Unanswered),
            _ => None,
        };
        self.input(input, None);
        let Some(held) = held else { return };
        let read = held.in_hand().and_then(|in_hand| Ok((in_hand, dhcp_io::describe(&in_hand, Side::Subscriber)?)));
        if let Ok((in_hand, message)) = read {
            self.input(Input::Dhcp(Box::new(message)), Some(&in_hand));
        }
    }

    fn authenticate(&self, request: lastmile_session::AuthRequest) {
        let (client, inputs) = (self.radius.borrow().clone(), self.inputs.clone());
        tokio::spawn(async move {
            let answer = client.authenticate(&request.subject).await;
            let _ = inputs.send(Input::Auth { session: request.session, attempt: request.attempt, answer });
        });
    }

    fn ping(&self, router: String, address: Ipv4Addr) {
        let (pinger, inputs) = (self.pinger.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let mut rtt_us = None;
            for _ in 0..PINGS {
                let reply = pinger.ping(address, PING).await.ok().flatten();
                rtt_us = reply.map(|rtt| u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX));
                if rtt_us.is_some() {
                    break;
                }
            }
            let _ = inputs.send(Input::Ping { router, rtt_us });
        });
    }
}
