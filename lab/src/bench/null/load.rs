//! The generator of the null bed: sends at a given pace whether or not answers come, up to a number of open exchanges.
use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use lastmile_netio::capture::{Batch, Capture, Filter, FrameSender};
use lastmile_wire::dhcp::MessageType;

use super::frames::{self, Template};

/// An exchange without an answer for so long, or for the load's whole length, is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the generator sleeps at most.
const NAP: Duration = Duration::from_millis(1);

/// What every client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// DISCOVER, answered by OFFER.
    Discover,
    /// REQUEST of the address that it has, answered by ACK.
    Renew,
    /// DISCOVER, OFFER, REQUEST, ACK.
    SetUp,
}

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// What.
    pub work: Work,
    /// The first client's number.
    pub first: u32,
    /// So many clients take turns; a set-up is done once by each.
    pub clients: u32,
    /// Exchanges begun a second.
    pub per_second: f64,
    /// Open at once.
    pub window: usize,
    /// Set-ups end with the last client.
    pub length: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Finished exchanges.
    pub done: usize,
    /// Exchanges that were not answered, or by NAK.
    pub lost: usize,
    /// From the first to the last.
    pub seconds: f64,
    /// Median of one exchange, microseconds.
    pub p50_us: f64,
    /// 99th percentile, microseconds.
    pub p99_us: f64,
}

impl Outcome {
    /// Finished exchanges a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.seconds
    }
}

/// The generator's end of a wire.
pub struct Generator {
    capture: Capture,
    sender: FrameSender,
    template: Template,
    xid: u32,
}

struct Open {
    client: u32,
    since: Instant,
}

struct Run<'a> {
    generator: &'a mut Generator,
    load: Load,
    open: HashMap<u32, Open>,
    frames: Vec<Vec<u8>>,
    times: Vec<Duration>,
    begun: u64,
    lost: usize,
}

impl Generator {
    /// Needs a tokio runtime.
    pub fn open(interface: &str, template: Template) -> Result<Self> {
        let capture = Capture::open(interface, Filter::DhcpFromServers)?;
        Ok(Self { capture, sender: FrameSender::open(interface)?, template, xid: rand::random() })
    }

    /// Does the work.
    pub async fn run(&mut self, load: Load) -> Result<Outcome> {
        let run = Run {
            generator: self,
            load,
            open: HashMap::new(),
            frames: Vec::new(),
            times: Vec::new(),
            begun: 0,
            lost: 0,
        };
        run.go().await
    }
}

impl Run<'_> {
    async fn go(mut self) -> Result<Outcome> {
        let mut batch = Batch::new();
        let (begin, mut swept) = (Instant::now(), Instant::now());
        loop {
            let elapsed = begin.elapsed();
            let over = elapsed >= self.load.length || self.exhausted();
            if over && self.open.is_empty() {
                break;
            }
            if !over {
                self.begin(elapsed);
            }
            self.leave()?;
            if let Ok(heard) = tokio::time::timeout(NAP, self.generator.capture.recv(&mut batch)).await {
                heard?;
                batch.frames().for_each(|captured| self.hear(captured.bytes));
            }
            let patience = PATIENCE.min(self.load.length);
            if swept.elapsed() > patience / 4 {
                swept = Instant::now();
                let before = self.open.len();
                self.open.retain(|_, open| open.since.elapsed() < patience);
                self.lost += before - self.open.len();
            }
        }
        Ok(summary(self.times, self.lost, begin.elapsed().min(self.load.length + PATIENCE).as_secs_f64()))
    }

    fn exhausted(&self) -> bool {
        self.load.work == Work::SetUp && self.begun >= u64::from(self.load.clients)
    }

    fn begin(&mut self, elapsed: Duration) {
        let due = (elapsed.as_secs_f64() * self.load.per_second) as u64;
        while self.begun < due && self.open.len() < self.load.window && !self.exhausted() {
            let client = self.load.first + (self.begun % u64::from(self.load.clients)) as u32;
            self.begun += 1;
            let xid = self.xid_of(client);
            let frame = match self.load.work {
                Work::Discover | Work::SetUp => self.generator.template.discover(client, xid),
                Work::Renew => self.generator.template.renew(client, xid),
            };
            self.frames.push(frame);
            self.open.insert(xid, Open { client, since: Instant::now() });
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some((xid, kind)) = frames::read(bytes) else { return };
        let Some(open) = self.open.remove(&xid) else { return };
        match (kind, self.load.work) {
            (MessageType::Offer, Work::Discover) | (MessageType::Ack, _) => self.times.push(open.since.elapsed()),
            (MessageType::Offer, Work::SetUp) => {
                self.frames.push(self.generator.template.select(open.client, xid));
                self.open.insert(xid, open);
            }
            _ => self.lost += 1,
        }
    }

    fn leave(&mut self) -> Result<()> {
        if !self.frames.is_empty() {
            self.generator.sender.send(&self.frames)?; // what was not taken is lost, and counted
            self.frames.clear();
        }
        Ok(())
    }

    /// A DISCOVER that is never followed up is repeated in its own transaction, as clients do: each transaction takes room.
    fn xid_of(&mut self, client: u32) -> u32 {
        if self.load.work == Work::Discover {
            return client;
        }
        self.generator.xid = self.generator.xid.wrapping_add(1);
        self.generator.xid
    }
}

fn summary(mut times: Vec<Duration>, lost: usize, seconds: f64) -> Outcome {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Outcome { done: times.len(), lost, seconds, p50_us: at(0.50), p99_us: at(0.99) }
}
