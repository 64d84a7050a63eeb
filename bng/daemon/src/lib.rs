//! The gateway: a thin shell around the session machine of `lastmile-session`.
//!
//! One task, the [`driver`], owns the machine, the journal and the kernel's gate; it takes captured DHCP, timers, answers and orders
//! one at a time, writes the record that the machine makes of each, and then carries the actions out. Everything that
//! waits for somebody else has a task of its own and a channel to the driver: RADIUS ([`radius`], [`coa`]), the event bus ([`outbox`]), the
//! status endpoint ([`status`]), the probes ([`probes`]).
//!
//! The data plane needs none of them: with RADIUS, Redis and the operator gone, whoever is online stays online and is counted.

pub mod actions;
pub mod clean;
pub mod coa;
pub mod conditions;
pub mod config;
pub mod dhcp_io;
pub mod driver;
pub mod health;
pub mod journal;
pub mod kea;
pub mod kea_lease;
pub mod leases;
pub mod limits;
mod next_hops;
pub mod outbox;
mod owed;
mod pins;
pub mod plane;
pub mod policies;
pub mod probes;
pub mod radius;
pub mod recorder;
mod repair;
pub mod replay;
pub mod run;
pub mod settle;
pub mod status;
pub mod survey;
pub mod time;
pub mod upkeep;

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
