//! What is asked of the gate, and what it tells.

use std::net::Ipv4Addr;

use lastmile_types::{Counters, MacAddr, session::Rates};

use crate::Error;

/// On which terms a subscriber is let through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Policed in a direction where a rate is given. A burst defaults to 125 ms of the rate and is at least 64 KiB.
    pub rates: Rates,
    /// Of a subscriber on the gateway's link: the only source MAC that goes with its address. `None` = behind an access router.
    pub mac: Option<MacAddr>,
    /// The walled garden that is all it reaches, one of [`super::GateConfig::gardens`]; `None` = it goes everywhere.
    pub garden: Option<String>,
}

/// A subscriber that the kernel lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The subscriber.
    pub ip: Ipv4Addr,
    /// Since it was admitted: IP octets and packets that passed the gate, whichever process admitted it.
    pub counters: Counters,
    /// As the kernel holds them: a burst is always given where a rate is, and the name of a garden that is no more is empty.
    pub terms: Terms,
}

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Let a subscriber through, counting from zero. One that is already there keeps its counters and gets these terms.
    Admit {
        /// The subscriber.
        ip: Ipv4Addr,
        /// How.
        terms: Terms,
    },
    /// Let it through on other terms; the counters go on. A subscriber that is not there stays out.
    SetTerms {
        /// The subscriber.
        ip: Ipv4Addr,
        /// How.
        terms: Terms,
    },
    /// Shut a subscriber out. One that is not there is no error and has no [`Final`].
    Evict {
        /// The subscriber.
        ip: Ipv4Addr,
    },
}

/// The last counters of an evicted subscriber: nothing was let through after they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Final {
    /// The subscriber.
    pub ip: Ipv4Addr,
    /// Exact.
    pub counters: Counters,
}

/// The kernel refused a change. It holds those before it, in whole transactions.
#[derive(Debug, thiserror::Error)]
#[error("the gate is not as it was to be")]
pub struct Refused {
    /// Of those who were evicted before: nobody can read them again.
    pub finals: Vec<Final>,
    /// The kernel's answer.
    pub source: Error,
}

impl Change {
    /// The subscriber.
    pub fn ip(&self) -> Ipv4Addr {
        match self {
            Self::Admit { ip, .. } | Self::SetTerms { ip, .. } | Self::Evict { ip } => *ip,
        }
    }
}
