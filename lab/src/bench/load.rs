//! The load generator: DHCP clients, each on a port of its own, that go through whole exchanges (DISCOVER, OFFER, REQUEST, ACK)
//! back to back or at a pace, as frames on the wire.
//!
//! Each client is one device that asks again and again, so every way through the network does the same work: the server finds the
//! client's lease and confirms it. What is lost is asked for again after a second and counted. Clients take unicast replies: a
//! broadcast would be copied to every port of a bridge, and the copying would be measured.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lastmile_netio::capture::{Batch, Capture, Filter, FrameSender};
use lastmile_types::MacAddr;
use lastmile_wire::dhcp::{Builder, Message, MessageType, option};
use lastmile_wire::frame::{self, Checksum};

/// Until a message that nobody answered is sent again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Finished exchanges.
    pub exchanges: usize,
    /// The same, a second.
    pub rate: f64,
    /// Median time of one exchange, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// Messages that had to be sent again.
    pub repeats: u64,
}

/// When a client begins its next exchange.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// With the end of its last one.
    Full,
    /// So often a second; the clients' turns are spread evenly. Whoever is late begins at once, and his time counts from when he should have.
    PerSecond(u32),
}

/// Lets one client per interface ask for `length` and sums up what they got.
pub fn run(interfaces: &[String], pace: Pace, length: Duration) -> Result<Outcome> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the generator")?;
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        let opened = interfaces.iter().enumerate().map(|(index, name)| Client::open(name, u16::try_from(index)?));
        let opened = opened.collect::<Result<Vec<_>>>()?;
        let (begin, all) = (Instant::now(), u32::try_from(opened.len())?);
        for (index, client) in (0..).zip(opened) {
            let turns = match pace {
                Pace::Full => None,
                Pace::PerSecond(times) => {
                    let period = Duration::from_secs(1) / times;
                    Some(Turns { next: begin + period * index / all, period })
                }
            };
            clients.spawn(client.ask_until(begin + length, turns));
        }
        let mut times = Vec::new();
        let mut repeats = 0;
        while let Some(done) = clients.join_next().await {
            let done = done??;
            times.extend(done.times);
            repeats += done.repeats;
        }
        Ok(summary(times, repeats, length))
    })
}

fn summary(mut times: Vec<Duration>, repeats: u64, length: Duration) -> Outcome {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    let exchanges = times.len();
    Outcome { exchanges, rate: times.len() as f64 / length.as_secs_f64(), p50_ms: at(0.50), p99_ms: at(0.99), repeats }
}

struct Client {
    mac: MacAddr,
    capture: Capture,
    sender: FrameSender,
    batch: Batch,
    xid: u32,
    times: Vec<Duration>,
    repeats: u64,
}

/// The beginnings of a client's exchanges.
struct Turns {
    next: Instant,
    period: Duration,
}

impl Turns {
    /// Waits for the next one and says when it began.
    async fn next(&mut self) -> Instant {
        let turn = self.next;
        self.next += self.period;
        if turn <= Instant::now() {
            return turn;
        }
        tokio::time::sleep_until(turn.into()).await; // it wakes a little late, which is not the network's fault
        Instant::now()
    }
}

/// What an answer said.
struct Answer {
    kind: MessageType,
    address: Ipv4Addr,
    server: Option<Ipv4Addr>,
}

impl Client {
    fn open(interface: &str, index: u16) -> Result<Self> {
        let [high, low] = index.to_be_bytes();
        Ok(Self {
            mac: MacAddr([0x02, 0x4c, 0x4d, 0x00, high, low]),
            capture: Capture::open(interface, Filter::DhcpFromServers)?,
            sender: FrameSender::open(interface)?,
            batch: Batch::new(),
            // Another run's late answers are nobody's.
            xid: rand::random(),
            times: Vec::new(),
            repeats: 0,
        })
    }

    async fn ask_until(mut self, end: Instant, mut turns: Option<Turns>) -> Result<Self> {
        while Instant::now() < end {
            self.xid = self.xid.wrapping_add(1);
            let begin = match &mut turns {
                None => Instant::now(),
                Some(turns) => turns.next().await,
            };
            let Some(offer) = self.exchange(&self.discover(), MessageType::Offer, end).await? else { break };
            let Some(ack) = self.exchange(&self.request(&offer), MessageType::Ack, end).await? else { break };
            if ack.kind == MessageType::Ack {
                self.times.push(begin.elapsed());
            }
        }
        Ok(self)
    }

    /// Sends until the answer comes; a NAK is an answer too.
    async fn exchange(&mut self, message: &[u8], wanted: MessageType, end: Instant) -> Result<Option<Answer>> {
        let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
        let frame =
            frame::ethernet(self.mac, MacAddr([0xff; 6]), from, to, message).context("the message is too long")?;
        while Instant::now() < end {
            self.sender.send(&[&frame])?;
            let deadline = (Instant::now() + PATIENCE).min(end).into();
            while let Ok(count) = tokio::time::timeout_at(deadline, self.capture.recv(&mut self.batch)).await {
                count?;
                if let Some(answer) = self.find(wanted) {
                    return Ok(Some(answer));
                }
            }
            if Instant::now() < end {
                self.repeats += 1;
            }
        }
        Ok(None)
    }

    fn find(&self, wanted: MessageType) -> Option<Answer> {
        self.batch.frames().find_map(|captured| {
            let checksum = if captured.checksum_ready { Checksum::Verify } else { Checksum::Unfinished };
            let udp = frame::parse(captured.bytes, checksum).ok()?;
            let message = Message::parse(udp.payload).ok()?;
            let kind = message.message_type();
            let mine = message.xid() == self.xid && (kind == wanted || kind == MessageType::Nak);
            mine.then(|| Answer { kind, address: message.yiaddr(), server: message.server_id() })
        })
    }

    fn discover(&self) -> Vec<u8> {
        Builder::new(MessageType::Discover, self.xid, self.mac).build()
    }

    fn request(&self, offer: &Answer) -> Vec<u8> {
        let server = offer.server.unwrap_or(Ipv4Addr::UNSPECIFIED);
        Builder::new(MessageType::Request, self.xid, self.mac)
            .option(option::REQUESTED_IP, &offer.address.octets())
            .option(option::SERVER_ID, &server.octets())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let outcome = summary(times, 3, Duration::from_secs(10));
        assert_eq!((outcome.rate, outcome.p50_ms, outcome.p99_ms, outcome.repeats), (10.0, 51.0, 100.0, 3));
        assert_eq!(summary(Vec::new(), 0, Duration::from_secs(1)).p99_ms, 0.0);
    }
}
