//! Who is shaped, and who is policed instead: the gate polices what this leaves to it.
//!
//! A change is made in an order that never leaves a subscriber without a limit: the class first and the policer off after it, or
//! the policer on and the class back after it. Who finds no class is policed until there is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use lastmile_netio::{
    gate::Commits,
    shaper::{Shaper, ShaperConfig, ShaperError},
};
use lastmile_session::Admission;
use lastmile_types::{config::Enforcement, session::Rates, status::Shaped};
use tracing::{debug, error, info};

use crate::{chain, conditions::Finding};

/// The condition.
const KIND: &str = "ShapingAvailable";
/// Classes are made ahead for so long at a time: DHCP waits for it.
const MAKING: Duration = Duration::from_millis(20);
/// Subscribers who are policed and now find a class are moved there, so many at a time.
const MOVES: usize = 64;
/// The condition's number of subscribers is brought up to date every so many calls: each change of it is written to Kubernetes.
const SAY_EVERY: u32 = 30;

/// See the module.
#[derive(Debug, Default)]
pub struct Limits {
    shaper: Option<Shaper>,
    /// Nobody is sent there any longer: it goes when what waited in it has left.
    leaving: Option<Shaper>,
    /// Why nobody can be shaped: the condition's reason and message.
    trouble: Option<(&'static str, String)>,
    /// Who is to be shaped.
    wanted: BTreeMap<Ipv4Addr, Admission>,
    /// Of those, who is policed, in one direction at least.
    policed: BTreeSet<Ipv4Addr>,
    /// Whom the kernel shaped before we came is still to be compared with `wanted`.
    strangers: bool,
    /// Transactions are counted where the gate's are.
    commits: Commits,
    /// The number that the condition says.
    said: usize,
    calls: u32,
}

impl Limits {
    /// Takes over who is shaped already.
    pub fn open(config: Option<&ShaperConfig>, commits: &Commits) -> Self {
        let mut limits = Self { commits: commits.clone(), ..Self::default() };
        if let Some(config) = config {
            limits.try_open(config);
        }
        limits
    }

    /// The gate was made anew and knows nobody's class: each gets one again as he is admitted.
    pub fn reopen(&mut self, config: Option<&ShaperConfig>) {
        *self = Self { leaving: self.leaving.take(), ..Self::open(config, &self.commits) };
    }

    /// What the gate has to police of a subscriber's limits. After the gate was told, [`Self::settle`].
    pub fn police(&mut self, admission: &Admission) -> Rates {
        let Admission { ip, rates, .. } = *admission;
        if !is_shaped(admission) {
            return rates;
        }
        self.wanted.insert(ip, admission.clone());
        let left = match self.shaper.as_mut().map(|shaper| shaper.shape(ip, &rates)) {
            Some(Ok(left)) => left,
            Some(Err(error)) => {
                error!(error = chain(&error), %ip, "the kernel refused a class: the subscriber is policed instead");
                rates
            }
            None => rates,
        };
        if is_limited(&left) {
            self.policed.insert(ip);
        } else {
            self.policed.remove(&ip);
        }
        left
    }

    /// The gate polices a subscriber who is not to be shaped: his class is free.
    pub fn settle(&mut self, admission: &Admission) {
        if !is_shaped(admission) {
            self.forget(admission.ip);
        }
    }

    /// A subscriber is gone.
    pub fn forget(&mut self, ip: Ipv4Addr) {
        self.wanted.remove(&ip);
        self.policed.remove(&ip);
        if let Some(Err(error)) = self.shaper.as_mut().map(|shaper| shaper.release(ip)) {
            error!(error = chain(&error), %ip, "the kernel refused to take a class back");
        }
    }

    /// Whether the gate's chain towards the classes is in use.
    pub fn in_use(&self) -> bool {
        self.shaper.is_some()
    }

    /// Once a second: follows the configuration and what others did to the interfaces. Returns whose limits are to be set again.
    pub fn refresh(&mut self, config: Option<&ShaperConfig>) -> Vec<Admission> {
        if let Some(leaving) = self.leaving.take()
            && let Err(error) = leaving.remove()
        {
            debug!(error = chain(&error), "classes cannot be removed"); // an interface that is gone took them along
        }
        let Some(config) = config else {
            self.trouble = None;
            return if self.shaper.is_some() { self.leave(None) } else { Vec::new() };
        };
        let Some(shaper) = &mut self.shaper else {
            return if self.try_open(config) { self.everybody() } else { Vec::new() };
        };
        match upkeep(shaper, config) {
            Ok(true) => self.moves(),
            Ok(false) => self.everybody(),
            Err(error) => self.leave(Some(error)),
        }
    }

    /// The condition, and how many are shaped; once a second.
    pub fn finding(&mut self, classes: u32) -> (Finding, Shaped) {
        self.count();
        let shaped =
            Shaped { shaped: count(self.wanted.len() - self.policed.len()), policed: count(self.policed.len()) };
        let said = self.said;
        let finding = match &self.trouble {
            Some((reason, message)) => Finding::bad(KIND, reason, format!("{message}; {said} subscribers are policed")),
            None if self.said > 0 && classes == 0 => Finding::bad(
                KIND,
                "NotConfigured",
                format!("{said} subscribers whose policy says Shape are policed: set spec.shaping.maxSubscribers"),
            ),
            None if self.said > 0 => Finding::bad(
                KIND,
                "TooManySubscribers",
                format!(
                    "all {classes} classes are taken, {said} more subscribers are policed: raise spec.shaping.maxSubscribers"
                ),
            ),
            None if classes == 0 => Finding::good(KIND, "NotConfigured", "nobody is to be shaped"),
            None => Finding::good(KIND, "Ready", format!("up to {classes} subscribers can be shaped")),
        };
        (finding, shaped)
    }

    fn try_open(&mut self, config: &ShaperConfig) -> bool {
        match Shaper::open(config, &self.commits) {
            Ok(shaper) => {
                info!(holders = shaper.holders().len(), classes = config.classes, "subscribers can be shaped");
                (self.shaper, self.trouble, self.strangers) = (Some(shaper), None, true);
                true
            }
            Err(error) => {
                self.trouble = Some((reason(&error), chain(&error)));
                false
            }
        }
    }

    /// From now on everybody is policed.
    fn leave(&mut self, error: Option<ShaperError>) -> Vec<Admission> {
        self.trouble = error.map(|error| (reason(&error), chain(&error)));
        self.leaving = self.shaper.take();
        self.everybody()
    }

    fn everybody(&self) -> Vec<Admission> {
        self.wanted.values().cloned().collect()
    }

    /// Who can have a class now; and who had one and should not is rid of it.
    fn moves(&mut self) -> Vec<Admission> {
        let Some(shaper) = &mut self.shaper else { return Vec::new() };
        if std::mem::take(&mut self.strangers) {
            for ip in shaper.holders().into_iter().filter(|ip| !self.wanted.contains_key(ip)) {
                if let Err(error) = shaper.release(ip) {
                    error!(error = chain(&error), %ip, "the kernel refused to take a class back");
                }
            }
        }
        let waiting = self.policed.iter().filter_map(|ip| self.wanted.get(ip));
        waiting.filter(|one| shaper.has_class_for(one.ip, &one.rates)).take(MOVES).cloned().collect()
    }

    fn count(&mut self) {
        let now = self.policed.len();
        if (now == 0) != (self.said == 0) || self.calls.is_multiple_of(SAY_EVERY) {
            self.said = now;
        }
        self.calls = self.calls.wrapping_add(1);
    }
}

/// False: somebody else changed who has which class.
fn upkeep(shaper: &mut Shaper, config: &ShaperConfig) -> Result<bool, ShaperError> {
    shaper.set_classes(config.classes);
    let same = shaper.check(config)?;
    shaper.make_ahead(MAKING)?;
    Ok(same)
}

fn is_shaped(admission: &Admission) -> bool {
    admission.enforcement == Enforcement::Shape && is_limited(&admission.rates)
}

fn is_limited(rates: &Rates) -> bool {
    rates.up_kbps.is_some() || rates.down_kbps.is_some()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The condition's reason.
fn reason(error: &ShaperError) -> &'static str {
    match error {
        ShaperError::NoHtb => "KernelLacksHtb",
        ShaperError::Foreign { .. } => "ForeignQdisc",
        ShaperError::Gone { .. } => "ClassesRemoved",
        ShaperError::Kernel(_) => "KernelRefused",
    }
}

#[cfg(test)]
mod tests {
    use lastmile_types::{MacAddr, SessionId};

    use super::*;

    /// As every kernel without it answers; one that has it cannot be asked to.
    #[test]
    fn without_htb_everybody_is_policed_and_it_is_said() {
        let mut limits = Limits::default();
        assert!(limits.leave(Some(ShaperError::NoHtb)).is_empty());
        let rates = Rates { down_kbps: Some(2_000), up_kbps: Some(1_000), ..Rates::default() };
        let admission = Admission {
            session: SessionId(uuid::Uuid::nil()),
            ip: [100, 64, 1, 10].into(),
            mac: MacAddr::default(),
            relay_mac: MacAddr::default(),
            rates,
            enforcement: Enforcement::Shape,
            garden: None,
        };
        assert_eq!(limits.police(&admission), rates, "he is limited all the same");
        let (finding, shaped) = limits.finding(5);
        assert_eq!((finding.kind, finding.status, finding.reason), (KIND, Some(false), "KernelLacksHtb"));
        assert!(
            finding.message.contains("sch_htb") && finding.message.contains("1 subscribers"),
            "{}",
            finding.message
        );
        assert_eq!(shaped, Shaped { shaped: 0, policed: 1 });
        assert!(!limits.in_use(), "no packet is sent through a tree that is not there");
    }
}
