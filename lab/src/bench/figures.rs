//! What is measured of a bed in one round, and what is made of all rounds.
use std::fmt;
use std::time::Duration;

use anyhow::Result;

use super::bed::Bed;
use super::load::{self, Outcome, Pace};
use super::report::{Figure, Goal};

/// Exchanges a second of each client where nothing is to be at its limit.
const CALM: Pace = Pace::PerSecond(16);
/// CPU per message beside isc-dhcp-relay's, as fast as answers come; at a pace most of it is waking up.
const CPU: Goal = Goal::AtMost(0.5);
/// What of an exchange a relaying program receives: DISCOVER, OFFER, REQUEST, ACK.
const MESSAGES: f64 = 4.0;

/// One bed in one round.
#[derive(Debug, Clone)]
pub struct Sample {
    /// All clients as fast as they are answered: what it can do.
    pub busy: Outcome,
    /// All clients at the same pace, whatever the bed.
    pub calm: Outcome,
    /// CPU microseconds per message of each relaying program, in the order of a request's way; at the calm pace.
    pub calm_us: Vec<f64>,
    /// The same as fast as they are answered.
    pub busy_us: Vec<f64>,
}

impl Sample {
    /// Loads the bed for `length`, half of it calmly.
    pub fn take(bed: &mut Bed, length: Duration) -> Result<Self> {
        let (busy, busy_us) = timed(bed, Pace::Full, length / 2)?;
        // What was put off (events, accounting) is done before the calm turn.
        std::thread::sleep(Duration::from_millis(300));
        let (calm, calm_us) = timed(bed, CALM, length / 2)?;
        bed.check()?;
        Ok(Self { busy, calm, calm_us, busy_us })
    }
}

fn timed(bed: &Bed, pace: Pace, length: Duration) -> Result<(Outcome, Vec<f64>)> {
    let before = bed.relaying_cpu()?;
    let outcome = load::run(&bed.clients, pace, length)?;
    let after = bed.relaying_cpu()?;
    let messages = outcome.exchanges as f64 * MESSAGES;
    let each = before.iter().zip(after).map(|(before, after)| (after - before) * 1e6 / messages).collect();
    Ok((outcome, each))
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { busy, calm, calm_us, busy_us } = self;
        write!(
            f,
            "{:6.0}/s  p50 {:6.2} ms  p99 {:6.2} ms  CPU {busy_us:5.2?} µs a message;  {:5.0}/s  p50 {:5.2} ms  p99 {:5.2} ms  \
             CPU {calm_us:5.2?} µs;  {} repeats",
            busy.rate,
            busy.p50_ms,
            busy.p99_ms,
            calm.rate,
            calm.p50_ms,
            calm.p99_ms,
            busy.repeats + calm.repeats
        )
    }
}

/// The report's figures. The samples are in the order Kea alone, isc-dhcp-relay, Lastmile's relay, Lastmile's relay and gateway.
pub fn compare(samples: &[Vec<Sample>; 4]) -> Vec<Figure> {
    let each = |place: usize, get: fn(&Sample) -> f64| samples[place].iter().map(get).collect::<Vec<f64>>();
    let isc = |name: &str, unit: &str, place: usize, get: fn(&Sample) -> f64, isc: fn(&Sample) -> f64| {
        Figure::compare(name, unit, &each(place, get), "isc-dhcp-relay", &each(1, isc))
    };
    let rate = |sample: &Sample| sample.busy.rate;
    let added = |place: usize| -> Vec<f64> {
        samples[place].iter().zip(&samples[0]).map(|(with, without)| with.calm.p50_ms - without.calm.p50_ms).collect()
    };
    let latency = |name: &str, place: usize| Figure::compare(name, "ms", &added(place), "isc-dhcp-relay", &added(1));
    let p99 = |sample: &Sample| sample.calm.p99_ms;
    vec![
        isc("exchanges, relay", "1/s", 2, rate, rate),
        isc("exchanges, relay + gateway", "1/s", 3, rate, rate),
        Figure::compare("exchanges, relay + gateway", "1/s", &each(3, rate), "Kea alone", &each(0, rate)),
        latency("p50 added to an exchange, relay", 2),
        latency("p50 added to an exchange, relay + gateway", 3),
        isc("p99 of an exchange, relay", "ms", 2, p99, p99),
        isc("p99 of an exchange, relay + gateway", "ms", 3, p99, p99),
        isc("CPU per message, relay", "µs", 2, |sample| sample.calm_us[0], |sample| sample.calm_us[0]),
        isc("CPU per message, gateway", "µs", 3, |sample| sample.calm_us[1], |sample| sample.calm_us[0]),
        isc("CPU per message, relay at full load", "µs", 2, |sample| sample.busy_us[0], |sample| sample.busy_us[0])
            .wanted(CPU),
        isc("CPU per message, gateway at full load", "µs", 3, |sample| sample.busy_us[1], |sample| sample.busy_us[0])
            .wanted(CPU),
    ]
}
