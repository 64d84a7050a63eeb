//! One circuit storms: how long the others' exchanges take meanwhile, beside how long they take when it is quiet.
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use lastmile_netio::capture::FrameSender;
use lastmile_types::MacAddr;
use lastmile_wire::dhcp::{Builder, MessageType};
use lastmile_wire::frame;

use super::bed::Bed;
use super::load::{self, Outcome, Pace};
use super::report::{Figure, Goal};

/// DISCOVERs a second of the circuit that storms, each from a device that was never seen.
const STORM: u32 = 1_000;
/// The others' 99th percentile is not doubled.
pub const GOAL: Goal = Goal::AtMost(2.0);
/// Exchanges a second of each other circuit.
const OTHERS: Pace = Pace::PerSecond(8);

/// One round.
#[derive(Debug, Clone)]
pub struct Sample {
    quiet: Outcome,
    stormed: Outcome,
    /// DISCOVERs a second that the storm really sent.
    storm: f64,
}

impl Sample {
    /// The first client's circuit storms for half of `length`, after it was quiet for the other half.
    pub fn take(bed: &mut Bed, length: Duration) -> Result<Self> {
        let (stormer, others) = bed.clients.split_first().context("a bed has clients")?;
        let quiet = load::run(others, OTHERS, length / 2)?;
        let over = AtomicBool::new(false);
        let (stormed, storm) = std::thread::scope(|scope| {
            let storm = scope.spawn(|| storm(stormer, &over));
            let stormed = load::run(others, OTHERS, length / 2);
            over.store(true, Ordering::Relaxed);
            (stormed, storm.join().unwrap_or_else(|_| Err(anyhow!("the storm panicked"))))
        });
        bed.check()?;
        Ok(Self { quiet, stormed: stormed?, storm: storm? })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quiet, stormed, storm } = self;
        write!(
            f,
            "p50 {:5.2} ms  p99 {:5.2} ms, with a storm of {storm:5.0}/s beside p50 {:5.2} ms  p99 {:5.2} ms  {} repeats",
            quiet.p50_ms,
            quiet.p99_ms,
            stormed.p50_ms,
            stormed.p99_ms,
            quiet.repeats + stormed.repeats
        )
    }
}

/// The report's figures; `goal` is that of the 99th percentile, beside what it is without a storm.
pub fn compare(name: &str, samples: &[Sample], goal: Option<Goal>) -> Vec<Figure> {
    let each = |get: fn(&Sample) -> f64| samples.iter().map(get).collect::<Vec<f64>>();
    let pair = |what: &str, stormed: fn(&Sample) -> f64, quiet: fn(&Sample) -> f64| {
        let name = format!("{what} beside a circuit's {STORM} DISCOVERs/s, {name}");
        Figure::compare(&name, "ms", &each(stormed), "no storm", &each(quiet))
    };
    let p99 = pair("p99", |sample| sample.stormed.p99_ms, |sample| sample.quiet.p99_ms);
    vec![
        pair("p50", |sample| sample.stormed.p50_ms, |sample| sample.quiet.p50_ms),
        match goal {
            Some(goal) => p99.wanted(goal),
            None => p99,
        },
    ]
}

/// Sends until it is over; returns what it sent a second.
fn storm(interface: &str, over: &AtomicBool) -> Result<f64> {
    let sender = FrameSender::open(interface)?;
    let (begin, mut sent) = (Instant::now(), 0);
    while !over.load(Ordering::Relaxed) {
        let [_, a, b, c] = u32::to_be_bytes(sent);
        // Locally administered, and nobody else's here.
        let mac = MacAddr([0x02, 0x53, rand::random(), a, b, c]);
        let discover = Builder::new(MessageType::Discover, rand::random(), mac).build();
        let (from, to) = (SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68), SocketAddrV4::new(Ipv4Addr::BROADCAST, 67));
        sender.send(&[frame::ethernet(mac, MacAddr([0xff; 6]), from, to, &discover)?])?;
        sent += 1;
        let due = begin + Duration::from_secs(1) / STORM * sent;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(f64::from(sent) / begin.elapsed().as_secs_f64())
}
