//! The gateway between null responders: what its own path from socket to socket can do.
//!
//! Beside it lies a wire from the same generator straight to the same responders, so that what the gateway adds can be told from what
//! measuring costs. Redis is real, an ingestor that only commits stands behind it.
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lastmile_types::MacAddr;
use nix::sys::signal::Signal;

mod bus;
mod frames;
mod load;
pub mod responders;

use self::bus::Committer;
use self::frames::Template;
use self::load::{Generator, Load, Outcome, Work};
use super::bed::{self, Folders, cpu_seconds};
use super::gateway::{self, Limits, Site};
use super::report::{Figure, Goal};
use super::wires;
use crate::paths::Paths;
use crate::process::{Part, Place, tail};
use crate::services::{Services, ServicesSpec};
use crate::topology::Topology;

/// The verb of the responders' process.
pub const RESPONDERS: &str = "bench-responders";
/// Where that process finds the RADIUS secret.
pub const SECRET: &str = "LASTMILE_BENCH_SECRET";
/// Until the gateway answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Clients that take turns where sessions are not what is measured.
const KNOWN: u32 = 10_000;
/// Set-ups of one round.
const FRESH: u32 = 20_000;
/// Sessions with which the gateway is killed, or more.
const SESSIONS: u32 = 100_000;
/// Seconds in which it is to answer then.
const READY: f64 = 5.0;
/// Clients that come online at once, as after a power cut in a street.
const CROWD: usize = 1_024;
/// Exchanges a second that leave the gateway idle most of the time: nobody waits in a queue.
const CALM: f64 = 1_000.0;
/// As fast as answers come.
const FULL: f64 = 1e9;

/// The bed.
pub struct NullBed {
    through: Generator,
    direct: Generator,
    gateway: Part,
    start: Box<dyn Fn() -> Result<Part>>,
    responders: Part,
    committer: Committer,
    services: Services,
    next_client: u32,
}

/// One round.
#[derive(Debug, Clone)]
pub struct Sample {
    messages_rate: f64,
    message_us: f64,
    renewals_rate: f64,
    renewal_message_us: f64,
    set_ups_rate: f64,
    set_up_us: f64,
    through: Outcome,
    direct: Outcome,
    lost: usize,
}

impl NullBed {
    /// Builds it, and waits until the gateway answers.
    pub async fn open(paths: &Paths, topology: &Topology, folders: &Folders) -> Result<Self> {
        let wires = wires::null();
        bed::build(&wires)?;
        let spec = gateway::services("n-services", 0, topology, folders)?;
        let services = crate::services::start_event_bus(&spec)?;
        let responders = start_responders(folders, &spec)?;
        let site = Site { netns: "n-gateway".to_owned(), pool: wires::NULL_POOL, limits: Limits::Highest };
        let committer_url = gateway::redis_url(&spec);
        let start = {
            let (paths, folders) = (paths.clone(), folders.clone());
            Box::new(move || gateway::start(&paths, &folders, &spec, &site))
        };
        let gateway = start()?;
        let template = |link: &str, netns: &str, peer: &str| -> Result<Template> {
            Ok(Template::new(mac(None, link)?, mac(Some(netns), peer)?))
        };
        let through = Generator::open(wires::GENERATOR, template(wires::GENERATOR, "n-gateway", "access0")?)?;
        let direct = Generator::open(wires::DIRECT, template(wires::DIRECT, "n-services", "direct0")?)?;
        let committer = Committer::start(&committer_url)?;
        let mut bed = Self { through, direct, gateway, start, responders, committer, services, next_client: 0 };
        bed.wait_serving().await?;
        bed.set_up(KNOWN).await?;
        Ok(bed)
    }

    async fn wait_serving(&mut self) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        let one = Load {
            work: Work::Discover,
            first: 0,
            clients: 1,
            per_second: 10.0,
            window: 1,
            length: Duration::from_millis(300),
        };
        while self.through.run(one).await?.done == 0 {
            self.check()?;
            ensure!(Instant::now() < end, "the gateway answers nobody\n{}", tail(&self.gateway.log, 15));
        }
        Ok(())
    }

    /// Measures one round of `length` in all.
    pub async fn sample(&mut self, length: Duration) -> Result<Sample> {
        let known =
            |work, per_second, window| Load { work, first: 0, clients: KNOWN, per_second, window, length: length / 4 };
        let direct = self.direct.run(known(Work::Discover, CALM, 4096)).await?;
        let through = self.through.run(known(Work::Discover, CALM, 4096)).await?;
        let (messages, message_cpu) = self.timed(known(Work::Discover, FULL, 256)).await?;
        let (renewals, renewal_cpu) = self.timed(known(Work::Renew, FULL, 256)).await?;
        let (set_ups_rate, set_up_us, lost) = self.set_up(FRESH).await?;
        self.check()?;
        Ok(Sample {
            // Each exchange is two messages for the gateway: the client's and the server's.
            messages_rate: messages.rate() * 2.0,
            message_us: message_cpu * 1e6 / (messages.done * 2) as f64,
            renewals_rate: renewals.rate(),
            renewal_message_us: renewal_cpu * 1e6 / (renewals.done * 2) as f64,
            set_ups_rate,
            set_up_us,
            lost: direct.lost + through.lost + messages.lost + renewals.lost + lost,
            through,
            direct,
        })
    }

    async fn timed(&mut self, load: Load) -> Result<(Outcome, f64)> {
        let before = cpu_seconds(self.gateway.pid())?;
        let outcome = self.through.run(load).await?;
        ensure!(outcome.done > 0, "nothing came back\n{}", tail(&self.gateway.log, 15));
        Ok((outcome, cpu_seconds(self.gateway.pid())? - before))
    }

    /// Brings fresh clients online: a second's set-ups, CPU microseconds of each, and how many were lost. It counts until the last
    /// one is authorised and its events are on the bus.
    async fn set_up(&mut self, clients: u32) -> Result<(f64, f64, usize)> {
        let (begin, seq, cpu) = (Instant::now(), self.committer.seq(), cpu_seconds(self.gateway.pid())?);
        let load = Load {
            work: Work::SetUp,
            first: self.next_client,
            clients,
            per_second: FULL,
            window: CROWD,
            length: Duration::from_secs(60),
        };
        self.next_client += clients;
        let outcome = self.through.run(load).await?;
        // SESSION_START and POLICY_APPLY of each.
        let wanted = seq + 2 * outcome.done as u64;
        while self.committer.seq() < wanted {
            self.check()?;
            ensure!(
                begin.elapsed() < Duration::from_secs(90),
                "not everybody was authorised\n{}",
                tail(&self.gateway.log, 15)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (seconds, used) = (begin.elapsed().as_secs_f64(), cpu_seconds(self.gateway.pid())? - cpu);
        Ok((outcome.done as f64 / seconds, used * 1e6 / outcome.done as f64, outcome.lost))
    }

    /// Brings so many online that a restart is worth measuring; returns how many there are.
    pub async fn crowd(&mut self) -> Result<u32> {
        while self.next_client < SESSIONS {
            self.set_up(FRESH.min(SESSIONS - self.next_client)).await?;
        }
        Ok(self.next_client)
    }

    /// Kills the gateway and starts it again: seconds until it answers.
    pub async fn restart(&mut self) -> Result<f64> {
        self.gateway.stop(Signal::SIGKILL, Duration::from_secs(5));
        let begin = Instant::now();
        self.gateway = (self.start)()?;
        self.wait_serving().await?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Seconds in which the gateway, left alone, reads everybody's counters.
    pub async fn counters(&mut self) -> Result<f64> {
        let place = Place { netns: Some("n-services".to_owned()), logs: Default::default() };
        let url = format!("http://{}:9100/metrics", wires::MIDDLE);
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            self.check()?;
            let text = crate::process::run(place.command("curl").args(["-s", "--max-time", "5", &url]))?;
            let read = text.lines().find_map(|line| line.strip_prefix("lastmile_bng_counters_read_seconds "));
            if let Some(seconds) = read {
                return seconds.parse().context("seconds are a number");
            }
            ensure!(Instant::now() < end, "the gateway reads no counters\n{}", tail(&self.gateway.log, 15));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn check(&mut self) -> Result<()> {
        for part in [&mut self.gateway, &mut self.responders] {
            if let Some(status) = part.exited() {
                anyhow::bail!("{} ended with {status}\n{}", part.name, tail(&part.log, 15));
            }
        }
        self.committer.check()
    }

    /// Ends the programs, the gateway first.
    pub fn stop(&mut self) {
        self.gateway.stop(Signal::SIGTERM, Duration::from_secs(5));
        self.responders.stop(Signal::SIGTERM, Duration::from_secs(5));
        self.services.stop();
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:8.0} messages/s, CPU {:5.2} µs each; {:6.0} renewals/s, {:5.2} µs a message; {:6.0} set-ups/s, {:6.1} µs each; \
             alone p50 {:4.0} µs, direct {:4.0} µs; {} lost",
            self.messages_rate,
            self.message_us,
            self.renewals_rate,
            self.renewal_message_us,
            self.set_ups_rate,
            self.set_up_us,
            self.through.p50_us,
            self.direct.p50_us,
            self.lost,
        )
    }
}

/// The report's figures, of the rounds and of the restarts' seconds.
pub fn compare(samples: &[Sample], restarts: &[f64]) -> Vec<Figure> {
    let each = |get: fn(&Sample) -> f64| samples.iter().map(get).collect::<Vec<f64>>();
    let beside = |what: &str, unit: &str, values: &[f64], goal: f64| {
        let name = format!("{what}, gateway between null responders");
        Figure::compare(&name, unit, values, "wanted", &vec![goal; values.len()])
    };
    let goal = |what: &str, unit: &str, get: fn(&Sample) -> f64, goal: f64| {
        beside(what, unit, &each(get), goal).wanted(Goal::AtLeast(1.0))
    };
    let latency = |what: &str, get: fn(&Sample) -> f64, direct: fn(&Sample) -> f64| {
        let name = format!("{what} of DISCOVER to OFFER through the gateway");
        Figure::compare(&name, "µs", &each(get), "without it", &each(direct))
    };
    vec![
        goal("messages per core-second", "1/s", |sample| 1e6 / sample.message_us, 100_000.0),
        goal("messages on this machine", "1/s", |sample| sample.messages_rate, 100_000.0),
        goal("renewals per core-second", "1/s", |sample| 5e5 / sample.renewal_message_us, 50_000.0),
        goal("renewals on this machine", "1/s", |sample| sample.renewals_rate, 50_000.0),
        goal("set-ups per core-second", "1/s", |sample| 1e6 / sample.set_up_us, 10_000.0),
        goal("set-ups on this machine", "1/s", |sample| sample.set_ups_rate, 10_000.0),
        beside("until it answers after a kill, 100,000 sessions", "s", restarts, READY).wanted(Goal::AtMost(1.0)),
        latency("p50", |sample| sample.through.p50_us, |sample| sample.direct.p50_us),
        latency("p99", |sample| sample.through.p99_us, |sample| sample.direct.p99_us),
    ]
}

fn start_responders(folders: &Folders, spec: &ServicesSpec) -> Result<Part> {
    let place = Place { netns: Some("n-services".to_owned()), logs: folders.logs.clone() };
    let mut command = place.command(std::env::current_exe().context("cannot tell where this program is")?);
    command.env(SECRET, &spec.secrets.radius).args([RESPONDERS, "svc0", "direct0"]);
    place.start("n-responders", &mut command)
}

fn mac(netns: Option<&str>, link: &str) -> Result<MacAddr> {
    let place = Place { netns: netns.map(str::to_owned), logs: Default::default() };
    // /sys shows the namespace of who mounted it; ip asks the kernel.
    let text = crate::process::run(place.command("ip").args(["-o", "link", "show", "dev", link]))?;
    let word = text.split_whitespace().skip_while(|word| *word != "link/ether").nth(1);
    word.and_then(|word| word.parse().ok()).with_context(|| format!("no address of {link} in {text}"))
}
