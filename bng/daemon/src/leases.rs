//! Kea asked: page by page at every pass, and about one address when the machine wants to know.
//!
//! One request is under way at any time, with a pause between pages: Kea stops serving DHCP while it lists leases. What follows
//! from its answers is the machine's business; that it gave none is an answer too. How often Kea lists leases depends on the time
//! alone, however many clients ask for what.

use std::{mem, net::Ipv4Addr, sync::Arc, time::Duration};

use ipnet::Ipv4Net;
use lastmile_session::{Input, KeaLease, LeaseAnswer, LeasePage};
use lastmile_types::MacAddr;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{
    chain,
    conditions::Finding,
    config::Config,
    kea::{KeaClient, KeaError},
    kea_lease,
};

/// Between passes.
const EVERY: Duration = Duration::from_secs(60);
/// Between pages.
const PAUSE: Duration = Duration::from_millis(200);
/// After a page that did not come: so soon after Kea is back a pass begins.
const RETRY: Duration = Duration::from_secs(5);
/// A renewal without session begins a pass so soon.
const SOON: Duration = Duration::from_secs(5);
/// Leases a page.
const LIMIT: usize = 1000;

/// What the driver wants of Kea.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The lease of one address; answered by `Input::Lease`, whatever happens.
    Lease {
        /// The address.
        ip: Ipv4Addr,
        /// A client renews it: others may have been missed too.
        renewal: bool,
    },
    /// This lease deleted, if it is still this device's.
    Delete {
        /// The address.
        ip: Ipv4Addr,
        /// The device.
        mac: MacAddr,
    },
}

/// Where a pass is.
struct Pass {
    /// The pools that are not done, the next one last.
    pools: Vec<Ipv4Net>,
    /// Leases after this address are wanted.
    from: Ipv4Addr,
    first: bool,
    leases: usize,
}

/// When the next page is wanted.
#[derive(Debug)]
struct Due {
    at: Instant,
    /// The pass that is next, or under way, is before its time.
    early: bool,
    /// The last one was: the next is not.
    early_before: bool,
}

/// What became of a page that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The pass goes on.
    More,
    /// The pass is over, or there is nothing to compare.
    Done,
    /// No page came; the pass begins again.
    Failed,
}

/// The task.
pub struct Leases {
    /// Followed.
    pub config: watch::Receiver<Arc<Config>>,
    /// From the driver.
    pub asked: mpsc::UnboundedReceiver<Ask>,
    /// To the driver.
    pub inputs: mpsc::UnboundedSender<Input>,
    /// To the driver.
    pub findings: mpsc::UnboundedSender<Finding>,
}

impl Leases {
    /// Runs until the driver is gone.
    pub async fn run(mut self) {
        let mut kea = self.client();
        let (mut pass, mut due) = (None, Due::at(Instant::now()));
        loop {
            // A page before what is asked: each is followed by a pause, so neither keeps the other waiting for long.
            tokio::select! {
                biased;
                changed = self.config.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    (kea, pass, due) = (self.client(), None, Due::at(Instant::now()));
                }
                () = sleep_until(due.at) => {
                    let step = self.step(kea.as_ref(), &mut pass).await;
                    due.stepped(Instant::now(), step);
                }
                asked = self.asked.recv() => match asked {
                    None => return,
                    Some(Ask::Delete { ip, mac }) => delete(kea.as_ref(), ip, mac).await,
                    Some(Ask::Lease { ip, renewal }) => {
                        self.answer(kea.as_ref(), ip).await;
                        if renewal {
                            due.missed(Instant::now());
                        }
                    }
                },
            }
        }
    }

    fn client(&self) -> Option<KeaClient> {
        self.config.borrow().bng.kea.as_ref().map(KeaClient::new)
    }

    async fn answer(&self, kea: Option<&KeaClient>, ip: Ipv4Addr) {
        let answer = match kea {
            None => LeaseAnswer::Unanswered,
            Some(kea) => match lease(kea, ip).await {
                Ok(Some(Some(lease))) => LeaseAnswer::Found(Box::new(lease)),
                Ok(Some(None)) => LeaseAnswer::Unanswered, // it is there, but not understood
                Ok(None) => LeaseAnswer::None,
                Err(error) => {
                    tracing::debug!(%ip, error = chain(&error), "Kea does not say whose the address is");
                    LeaseAnswer::Unanswered
                }
            },
        };
        let _ = self.inputs.send(Input::Lease { ip, answer }); // the driver may be gone
    }

    /// One page.
    async fn step(&self, kea: Option<&KeaClient>, pass: &mut Option<Pass>) -> Step {
        let Some(kea) = kea else { return Step::Done };
        let Some(mut current) = pass
            .take()
            .or_else(|| Pass::begin(self.config.borrow().bng.pools.iter().map(|pool| pool.prefix).collect()))
        else {
            return Step::Done;
        };
        match kea.leases(current.from, LIMIT).await {
            Err(error) => {
                let _ = self.findings.send(finding(&error));
                Step::Failed
            }
            Ok(page) => {
                let page = current.page(&page);
                let last = page.last;
                let _ = self.inputs.send(Input::Leases(page));
                if !last {
                    *pass = Some(current);
                    return Step::More;
                }
                let message = format!("all {} active leases within the pools are compared", current.leases);
                let _ = self.findings.send(Finding::good("LeasesReconciled", "Compared", message));
                Step::Done
            }
        }
    }
}

impl Due {
    fn at(at: Instant) -> Self {
        Self { at, early: false, early_before: false }
    }

    /// A client renews what has no session: others may have been missed too. Of two passes in turn one at most is early.
    fn missed(&mut self, now: Instant) {
        if now + SOON < self.at && !self.early_before {
            (self.at, self.early) = (now + SOON, true);
        }
    }

    fn stepped(&mut self, now: Instant, step: Step) {
        self.at = match step {
            Step::More => now + PAUSE,
            Step::Failed => now + RETRY,
            Step::Done => {
                self.early_before = mem::take(&mut self.early);
                now + EVERY
            }
        };
    }
}

impl Pass {
    fn begin(mut pools: Vec<Ipv4Net>) -> Option<Self> {
        pools.sort_unstable_by_key(|pool| std::cmp::Reverse(pool.network()));
        let from = pools.last()?.network();
        Some(Self { pools, from, first: true, leases: 0 })
    }

    /// What of Kea's page is within the pools; the next page begins after it.
    fn page(&mut self, page: &[Value]) -> LeasePage {
        let reached = page.last().and_then(|lease| lease["ip-address"].as_str()?.parse().ok());
        // A page that leads nowhere ends the pass, which else would never end.
        let end_of_all = page.len() < LIMIT || reached.is_none_or(|reached| reached <= self.from);
        let reached = reached.unwrap_or(self.from);
        let mut leases: Vec<_> = page.iter().filter_map(kea_lease::read).collect();
        // Addresses come in order: of the pools that are done there is no more.
        leases.retain(|lease| self.pools.iter().any(|pool| pool.contains(&lease.ip)));
        self.leases += leases.iter().filter(|lease| lease.active).count();
        self.from = reached;
        while self.pools.last().is_some_and(|pool| end_of_all || pool.broadcast() <= reached) {
            self.pools.pop();
        }
        if let Some(pool) = self.pools.last() {
            self.from = self.from.max(pool.network());
        }
        LeasePage { first: std::mem::take(&mut self.first), last: self.pools.is_empty(), leases }
    }
}

fn finding(error: &KeaError) -> Finding {
    match error {
        KeaError::Http { .. } => Finding::bad("LeasesReconciled", "NoAnswer", chain(error)),
        KeaError::Refused { .. } => {
            let message = format!("{}: has Kea the lease_cmds hook, and is its DHCP server running?", chain(error));
            Finding::bad("LeasesReconciled", "Refused", message)
        }
    }
}

/// The outer `None`: there is no lease. The inner: one that cannot be read.
async fn lease(kea: &KeaClient, ip: Ipv4Addr) -> Result<Option<Option<KeaLease>>, KeaError> {
    Ok(kea.lease(ip).await?.map(|lease| kea_lease::read(&lease)))
}

async fn delete(kea: Option<&KeaClient>, ip: Ipv4Addr, mac: MacAddr) {
    let Some(kea) = kea else { return };
    let deleted = async {
        let theirs = lease(kea, ip).await?.flatten().is_some_and(|lease| lease.mac == mac);
        if theirs { kea.delete(ip).await } else { Ok(()) }
    };
    if let Err(error) = deleted.await {
        tracing::warn!(%ip, error = chain(&error), "a replaced device's lease stays in Kea until it runs out");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Kea's answer to `lease4-get-page`.
    fn kea(all: &[u32], from: Ipv4Addr) -> Vec<Value> {
        let after = all.iter().filter(|ip| **ip > u32::from(from)).take(LIMIT);
        let lease = |ip: &u32| json!({ "ip-address": Ipv4Addr::from(*ip), "hw-address": "02:00:00:00:00:01", "cltt": 1, "valid-lft": 9 });
        after.map(lease).collect()
    }

    fn pass(pools: &[&str], all: &[u32]) -> (Vec<LeasePage>, usize) {
        let mut pass = Pass::begin(pools.iter().map(|pool| pool.parse().unwrap()).collect()).unwrap();
        let mut pages = Vec::new();
        loop {
            let page = pass.page(&kea(all, pass.from));
            let last = page.last;
            pages.push(page);
            assert!(pages.len() < 100, "the pass does not end");
            if last {
                return (pages, pass.leases);
            }
        }
    }

    #[test]
    fn a_pass_sees_each_lease_of_our_pools_once_and_skips_others() {
        let net = |text: &str| u32::from(text.parse::<Ipv4Addr>().unwrap());
        let range = |start: &str, count: u32| (1..=count).map(move |n| net(start) + n).collect::<Vec<_>>();
        // Ours, five thousand of somebody else's between, and ours again; then others' up to the end.
        let all =
            [range("10.0.0.0", 3000), range("10.1.0.0", 5000), range("10.2.0.0", 20), range("10.3.0.0", 5000)].concat();
        let (pages, count) = pass(&["10.2.0.0/24", "10.0.0.0/16"], &all);
        let seen: Vec<u32> = pages.iter().flat_map(|page| &page.leases).map(|lease| lease.ip.into()).collect();
        assert_eq!(seen, [range("10.0.0.0", 3000), range("10.2.0.0", 20)].concat());
        assert_eq!((count, pages.len()), (3020, 5), "others' leases cost one page, not five");
        assert!(pages[0].first && pages.iter().skip(1).all(|page| !page.first));
        let (pages, count) = pass(&["10.0.0.0/16"], &[]);
        assert_eq!((pages.len(), count), (1, 0));
        assert!(pages[0].first && pages[0].last);
        assert!(Pass::begin(Vec::new()).is_none());
    }

    /// When passes end in an hour in which renewals without sessions come so often; each pass has three pages.
    fn passes(renewals_every: Option<Duration>) -> Vec<Duration> {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(3600);
        let (mut due, mut page, mut ends) = (Due::at(begin), 0, Vec::new());
        let mut renewal = renewals_every.map(|every| begin + every);
        loop {
            let now = renewal.map_or(due.at, |renewal| renewal.min(due.at));
            if now > end {
                return ends;
            } else if now == due.at {
                page += 1;
                let step = if page % 3 == 0 { Step::Done } else { Step::More };
                due.stepped(now, step);
                ends.extend((step == Step::Done).then(|| now - begin));
            } else {
                due.missed(now);
                renewal = renewals_every.map(|every| now + every);
            }
        }
    }

    #[test]
    fn how_many_passes_there_are_is_a_matter_of_time() {
        let quiet = passes(None);
        assert_eq!(quiet.len(), 60, "{quiet:?}");
        for every in [1, 10, 1_000, 20_000] {
            let ends = passes(Some(Duration::from_millis(every)));
            assert!((61..=2 * 60).contains(&ends.len()), "{every} ms: {} passes", ends.len());
            // One for all who renew after a pass, and then one in its time.
            let between: Vec<_> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(between.iter().step_by(2).all(|gap| *gap < EVERY), "{every} ms: {between:?}");
            assert!(between.iter().skip(1).step_by(2).all(|gap| *gap >= EVERY), "{every} ms: {between:?}");
        }
        let begin = Instant::now();
        let mut due = Due::at(begin);
        due.stepped(begin, Step::Failed);
        due.missed(begin);
        assert_eq!(due.at, begin + RETRY, "it is tried again as soon as that");
    }

    #[test]
    fn a_page_that_leads_nowhere_ends_the_pass() {
        let mut pass = Pass::begin(vec!["10.0.0.0/16".parse().unwrap()]).unwrap();
        assert!(pass.page(&vec![json!({}); LIMIT]).last);
    }
}
