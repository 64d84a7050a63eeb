//! What became of requests, counted.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{gatekeeper::Refused, request::Kind};

/// Counts since the daemon started; the server counts, the driver publishes.
#[derive(Debug, Default)]
pub struct Tally {
    totals: Mutex<Totals>,
}

/// The counts at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Dropped without a word, by label.
    pub drops: BTreeMap<String, u64>,
    /// Answered, by kind and outcome.
    pub requests: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Tally {
    /// One was dropped.
    pub fn dropped(&self, why: Refused) {
        self.change(|totals| *totals.drops.entry(why.label().to_owned()).or_default() += 1);
    }

    /// One was answered.
    pub fn answered(&self, kind: Kind, outcome: &str) {
        self.change(|totals| {
            let outcomes = totals.requests.entry(kind.label().to_owned()).or_default();
            *outcomes.entry(outcome.to_owned()).or_default() += 1;
        });
    }

    /// All of them.
    pub fn read(&self) -> Totals {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.totals.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
