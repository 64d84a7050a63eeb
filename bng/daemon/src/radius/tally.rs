//! What was asked of one server in one role, and what came of it, counted.

use std::sync::{Mutex, PoisonError};

use lastmile_types::status::RadiusCounts;
use lastmile_wire::radius::{Code, Packet};

use super::channel::Sign;

/// Counts since the daemon started: a changed configuration takes them along.
#[derive(Debug, Default)]
pub struct Tally(Mutex<RadiusCounts>);

impl Tally {
    /// How a request goes; a Status-Server is none.
    pub fn request(&self, sign: Sign) {
        self.change(|counts| match sign {
            Sign::Sent(1) => counts.requests += 1,
            Sign::Sent(_) => counts.retransmissions += 1,
            Sign::Refused => counts.refused += 1,
            Sign::Answered(Some(round_trip)) => {
                counts.round_trips += 1;
                counts.round_trips_us += u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
            }
            Sign::Nothing(_) | Sign::Answered(None) => {}
        });
    }

    /// A request's answer.
    pub fn answered(&self, packet: &Packet) {
        self.change(|counts| *counts.answers.entry(label(packet.code).to_owned()).or_default() += 1);
    }

    /// A request was given up: nothing came of any of its transmissions.
    pub fn timed_out(&self) {
        self.change(|counts| counts.timeouts += 1);
    }

    /// A Status-Server was sent, or answered.
    pub fn probe(&self, sign: Sign) {
        self.change(|counts| match sign {
            Sign::Sent(_) => counts.probes += 1,
            Sign::Answered(_) => counts.probes_answered += 1,
            Sign::Nothing(_) | Sign::Refused => {}
        });
    }

    /// It counts as dead.
    pub fn died(&self) {
        self.change(|counts| counts.deaths += 1);
    }

    /// All of them.
    pub fn read(&self) -> RadiusCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut RadiusCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A label of `/metrics`: there are no others.
fn label(code: Code) -> &'static str {
    match code {
        Code::ACCESS_ACCEPT => "access-accept",
        Code::ACCESS_REJECT => "access-reject",
        Code::ACCESS_CHALLENGE => "access-challenge",
        Code::ACCOUNTING_RESPONSE => "accounting-response",
        _ => "other",
    }
}
