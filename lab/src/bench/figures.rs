//! What is measured of a bed in one round, and what is made of all rounds.
use std::fmt;
use std::time::Duration;

use anyhow::Result;

use super::bed::Bed;
use super::load::{self, Outcome};
use super::report::Figure;

/// One bed in one round.
#[derive(Debug, Clone)]
pub struct Sample {
    /// All clients at once: what it can do.
    pub busy: Outcome,
    /// One client alone: how long an exchange takes when nobody waits in a queue.
    pub lone: Outcome,
    /// CPU milliseconds of each relaying program per exchange, all clients at once.
    pub cpu_ms: Vec<f64>,
}

/// What of an exchange a relaying program receives: DISCOVER, OFFER, REQUEST, ACK.
const MESSAGES: f64 = 4.0;

impl Sample {
    /// Loads the bed for `length`, then lets one client ask alone for a quarter of it.
    pub fn take(bed: &mut Bed, length: Duration) -> Result<Self> {
        let before = bed.relaying_cpu()?;
        let busy = load::run(&bed.clients, length)?;
        let after = bed.relaying_cpu()?;
        // What was put off (events, accounting) is done before the lone client's turn.
        std::thread::sleep(Duration::from_millis(300));
        let lone = load::run(&bed.clients[..1], length / 4)?;
        bed.check()?;
        let cpu = before.iter().zip(after).map(|(before, after)| (after - before) * 1000.0 / busy.exchanges as f64);
        Ok(Self { cpu_ms: cpu.collect(), busy, lone })
    }

    /// CPU milliseconds of all of them per exchange.
    pub fn all_cpu_ms(&self) -> f64 {
        self.cpu_ms.iter().sum()
    }

    /// CPU microseconds per message of the last one before the server: dhcrelay, or the gateway.
    pub fn message_us(&self) -> f64 {
        self.cpu_ms.last().copied().unwrap_or_default() * 1000.0 / MESSAGES
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { busy, lone, .. } = self;
        let cpu_ms = self.all_cpu_ms();
        write!(
            f,
            "{:8.0}/s  p50 {:6.2} ms  p99 {:6.2} ms  alone p50 {:5.2} ms  p99 {:5.2} ms  CPU {cpu_ms:5.3} ms  {} repeats",
            busy.rate,
            busy.p50_ms,
            busy.p99_ms,
            lone.p50_ms,
            lone.p99_ms,
            busy.repeats + lone.repeats
        )
    }
}

/// The report's figures. Beds and samples are in the order alone, isc-dhcp-relay, Lastmile.
pub fn compare(names: [&str; 3], samples: &[Vec<Sample>; 3]) -> Vec<Figure> {
    let [kea, isc, lastmile] = names;
    let each = |place: usize, get: fn(&Sample) -> f64| samples[place].iter().map(get).collect::<Vec<f64>>();
    let pair = |what: &str, unit: &str, one: usize, other: usize, get: fn(&Sample) -> f64| {
        let name = format!("{what}, {}", names[one]);
        Figure::compare(&name, unit, &each(one, get), names[other], &each(other, get))
    };
    let added = |place: usize| -> Vec<f64> {
        samples[place].iter().zip(&samples[0]).map(|(with, without)| with.lone.p50_ms - without.lone.p50_ms).collect()
    };
    vec![
        pair("exchanges", "1/s", 2, 0, |sample| sample.busy.rate),
        pair("exchanges", "1/s", 2, 1, |sample| sample.busy.rate),
        pair("exchanges", "1/s", 1, 0, |sample| sample.busy.rate),
        pair("p50 under load", "ms", 2, 1, |sample| sample.busy.p50_ms),
        pair("p99 under load", "ms", 2, 1, |sample| sample.busy.p99_ms),
        pair("p50 of one alone", "ms", 2, 1, |sample| sample.lone.p50_ms),
        pair("p99 of one alone", "ms", 2, 1, |sample| sample.lone.p99_ms),
        Figure::compare(
            &format!("p50 added to {kea}, {lastmile}"),
            "ms",
            &added(2),
            &format!("added by {isc}"),
            &added(1),
        ),
        pair("CPU per exchange of what relays", "ms", 2, 1, Sample::all_cpu_ms),
        Figure::compare(
            "CPU per message of the gateway, Kea behind it",
            "µs",
            &each(2, Sample::message_us),
            isc,
            &each(1, Sample::message_us),
        ),
    ]
}
