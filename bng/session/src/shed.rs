//! Too much: which messages of clients are not served.
//!
//! A message takes a token of its circuit's bucket, then one of the bucket of all. The more there is at stake, the lower may the
//! bucket stand: whoever is online renews as long as there is any token, an exchange that was begun is finished before a new one
//! begins. So one circuit that storms loses its own DISCOVERs, and a storm of all costs nobody who is online his session.

use lastmile_types::Attachment;

use crate::{
    bucket::{Bucket, Buckets, Rate},
    effect::Dropped,
    input::{DhcpKind, DhcpMessage},
    machine::Machine,
    time::Now,
};

/// Circuits with a bucket of their own. Past that a circuit is held by the bucket of all alone.
const CIRCUITS: usize = 65_536;
/// Circuits whose DECLINEs are counted. Past that none is believed.
const DECLINING: usize = 4_096;
const HOUR_MS: u64 = 3_600_000;

/// The buckets; nothing of them needs to survive.
#[derive(Debug)]
pub(crate) struct Shedder {
    circuits: Buckets<Attachment>,
    all: Option<Bucket>,
    declining: Buckets<Attachment>,
    declined: Option<Bucket>,
}

impl Default for Shedder {
    fn default() -> Self {
        Self { circuits: Buckets::new(CIRCUITS), all: None, declining: Buckets::new(DECLINING), declined: None }
    }
}

/// What a message is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It begins something.
    Discover,
    /// It goes on with something.
    Request,
    /// It is of somebody who is online.
    Renewal,
}

impl Class {
    /// Percent of a bucket that are left to better classes.
    const fn reserve(self) -> u64 {
        match self {
            Self::Discover => 50,
            Self::Request => 25,
            Self::Renewal => 0,
        }
    }

    const fn shed_by_circuit(self) -> Dropped {
        match self {
            Self::Discover => Dropped::ShedDiscoverOfCircuit,
            Self::Request => Dropped::ShedRequestOfCircuit,
            Self::Renewal => Dropped::ShedRenewalOfCircuit,
        }
    }

    const fn shed(self) -> Dropped {
        match self {
            Self::Discover => Dropped::ShedDiscover,
            Self::Request => Dropped::ShedRequest,
            Self::Renewal => Dropped::ShedRenewal,
        }
    }
}

impl Machine {
    /// What a relayed message is worth: a client's word about the very address that its session has is a renewal's.
    pub(crate) fn class_of(&self, message: &DhcpMessage, attachment: &Attachment) -> Class {
        if matches!(message.kind, DhcpKind::Discover | DhcpKind::Inform) {
            return Class::Discover;
        }
        let session = self.table.of_device(attachment, message.chaddr);
        if session.is_some_and(|session| session.ip == message.ciaddr) { Class::Renewal } else { Class::Request }
    }

    /// Takes the tokens; says why not.
    pub(crate) fn admit_message(
        &mut self,
        now: Now,
        class: Class,
        circuit: Option<&Attachment>,
    ) -> Result<(), Dropped> {
        let limits = &self.settings.config.dhcp.shedding;
        let of_circuit = limits.per_circuit_per_second.saturating_mul(self.settings.config.sessions_per_circuit);
        let rate = per_second(of_circuit, 2);
        let shedder = &mut self.shedder;
        let within = circuit.and_then(|circuit| shedder.circuits.take(now.boot_ms, circuit, rate, class.reserve()));
        if within == Some(false) {
            return Err(class.shed_by_circuit());
        }
        let rate = per_second(limits.per_second, 1);
        let all = shedder.all.get_or_insert_with(|| Bucket::full(now.boot_ms, rate));
        if all.take(now.boot_ms, rate, class.reserve()) { Ok(()) } else { Err(class.shed()) }
    }

    /// A server sets a declined address aside, for a day as a rule (Kea: `decline-probation-period`): an eighth of the pools an hour
    /// is the most that all circuits together can cost.
    pub(crate) fn may_decline(&mut self, now: Now, circuit: &Attachment) -> bool {
        let config = &self.settings.config;
        let an_hour = |tokens: u64| Rate { tokens, per_ms: HOUR_MS, burst: tokens };
        let of_circuit = an_hour(config.dhcp.shedding.declines_per_circuit_per_hour.into());
        let addresses: u64 = config.pools.iter().map(|pool| 1 << (32 - pool.prefix.prefix_len())).sum();
        let of_all = an_hour((addresses / 8).max(1));
        let shedder = &mut self.shedder;
        shedder.declining.take(now.boot_ms, circuit, of_circuit, 0) == Some(true)
            && shedder.declined.get_or_insert_with(|| Bucket::full(now.boot_ms, of_all)).take(now.boot_ms, of_all, 0)
    }
}

fn per_second(tokens: u32, seconds: u64) -> Rate {
    Rate { tokens: tokens.into(), per_ms: 1_000, burst: u64::from(tokens) * seconds }
}
