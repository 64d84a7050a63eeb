//! One `match` that touches the world.

use std::{collections::VecDeque, net::Ipv4Addr, time::Duration};

use lastmile_netio::gate::{Admitted, Terms};
use lastmile_session::{Action, Admission, Input, LeaseAnswer, Reading, Side};
use lastmile_types::config::AccessMode;
use tracing::error;

use crate::{
    dhcp_io::{self, Held, InHand},
    driver::Driver,
    leases::Ask,
};

/// How long a router has to answer a ping.
const PING: Duration = Duration::from_secs(1);
/// Pings in a row before a router counts as dead.
const PINGS: u32 = 3;

/// A gate element as the machine reads it.
pub fn reading(admitted: Admitted) -> Reading {
    Reading { ip: admitted.ip, counters: admitted.counters }
}

impl Driver {
    /// Carries one action out that is no packet and no change of the gate; what it leads to at once goes to the end of `next`.
    pub(crate) fn act(&mut self, action: Action, next: &mut VecDeque<Input>) {
        match action {
            Action::Authenticate(request) => self.authenticate(*request),
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
            // The element is still that of the one before him.
            Action::ReadCounters(Some(ip)) if self.batch.owed.holds(ip) => {}
            Action::ReadCounters(Some(ip)) => match self.plane.gate.read(ip) {
                Ok(Some(admitted)) => next.push_back(Input::Counters(vec![reading(admitted)])),
                Ok(None) => {}
                Err(error) => self.gate_failed(&error),
            },
            Action::ReadCounters(None) => self.surveys.ask(|| self.plane.gate.survey()),
            Action::Ping { router, address } => self.ping(router, address),
            Action::Adopt(adoption) => next.push_back(Input::Adopt(adoption)),
            Action::DeleteLease { ip, mac } => drop(self.kea.send(Ask::Delete { ip, mac })),
            Action::CoaAnswer { order, refused, undo } => match undo.filter(|undo| self.gate_refused(undo.session)) {
                Some(undo) => next.push_back(Input::CoaRefused(undo)),
                None => self.coa_answer(order, refused),
            },
            Action::Answer { order, answer } => {
                if let Some(waiting) = self.orders_waiting.remove(&order) {
                    let _ = waiting.send(Some(answer)); // who asked may be gone
                }
            }
            // See `settle`: these need the message in hand, or go to the kernel together.
            Action::ToServer { .. } | Action::Reply { .. } | Action::Nak { .. } => {}
            Action::ProbeServer { .. } | Action::Drop(_) => {}
            Action::AskLease { .. } | Action::Admit(_) | Action::SetLimits(_) => {}
            Action::Evict { .. } | Action::EvictStray { .. } => {}
        }
    }

    /// Behind an access router a subscriber's own MAC is not seen. What is shaped is not policed.
    pub(crate) fn terms(&mut self, admission: &Admission) -> Terms {
        let on_link = self.config.bng.access_mode == AccessMode::Bridged;
        let rates = self.plane.limits.police(admission);
        Terms { rates, mac: on_link.then_some(admission.mac), garden: admission.garden.clone() }
    }

    /// What else the kernel had of somebody who is shut out.
    pub(crate) fn forget(&mut self, ip: Ipv4Addr) {
        self.plane.limits.forget(ip);
        if self.config.bng.access_mode == AccessMode::Bridged {
            self.plane.pin(ip, None);
        }
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
    pub(crate) fn ask_lease(&mut self, ip: Ipv4Addr, in_hand: Option<&InHand<'_>>) {
        if let Some(in_hand) = in_hand {
            self.held.insert(ip, Held::of(in_hand));
        }
        let _ = self.kea.send(Ask::Lease { ip, renewal: in_hand.is_some() }); // it runs as long as we do
    }

    /// An answer of somebody else; a message that waited for it is dealt with after it. Both wait to be settled.
    pub(crate) fn told(&mut self, input: Input) {
        let held = match &input {
            Input::Lease { ip, answer } => self.held.remove(ip).filter(|_| *answer != LeaseAnswer::Unanswered),
            _ => None,
        };
        self.take(input, None);
        let Some(held) = held else { return };
        self.settle(); // the answer may start its session
        let read = held.in_hand().and_then(|in_hand| Ok((in_hand, dhcp_io::describe(&in_hand, Side::Subscriber)?)));
        if let Ok((in_hand, message)) = read {
            self.take(Input::Dhcp(Box::new(message)), Some(&in_hand));
        }
    }

    fn authenticate(&self, request: lastmile_session::AuthRequest) {
        let (client, inputs) = (self.radius.borrow().clone(), self.inputs.clone());
        self.beside.spawn(async move {
            let answer = client.authenticate(&request.subject).await;
            let _ = inputs.send(Input::Auth { session: request.session, attempt: request.attempt, answer });
        });
    }

    fn ping(&self, router: String, address: Ipv4Addr) {
        let (pinger, inputs) = (self.pinger.clone(), self.inputs.clone());
        self.beside.spawn(async move {
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
