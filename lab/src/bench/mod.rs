//! `lab bench`: what a subscriber's DHCP exchange costs through Lastmile, beside what one would use instead.
//!
//! Four ways to the same Kea stand side by side in namespaces of their own and are measured in turns, so that whatever else the
//! machine does falls on all of them: nothing before it, isc-dhcp-relay, Lastmile's relay in the same place, and Lastmile's relay and
//! gateway. The devices come back again and again: their sessions begin (FreeRADIUS asked, events published) before it counts, and
//! what counts are exchanges of devices that are known, as after a power cut. Beside them one circuit storms against a relay and
//! a gateway with the limits of a default configuration ([`storm`]), and in the end the gateway stands between responders that decide
//! nothing ([`null`]), and shows what its own path can do. Nothing is left but the report and the programs' logs.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

use crate::isolation;
use crate::paths::Paths;
use crate::topology::Topology;

mod bed;
mod figures;
mod gateway;
mod load;
pub mod null;
mod report;
mod storm;
mod wires;

use bed::{Bed, Folders};
use figures::Sample;
use gateway::Limits;

/// The verb that the program calls itself with.
pub const INSIDE: &str = "bench-inside";
/// Client interfaces of each way.
const PORTS: usize = 64;

/// How long to measure.
#[derive(Debug, Clone, clap::Args, Serialize, Deserialize)]
pub struct Length {
    /// How often each way is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Seconds of load in each round
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Only the gateway between null responders, nothing beside it
    #[arg(long)]
    pub null_only: bool,
}

/// What the half inside the namespaces is told, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    length: Length,
    bin_dir: PathBuf,
    memory: PathBuf,
    disk: PathBuf,
}

/// Measures in namespaces of their own, and removes what they leave.
pub fn outside(paths: &Paths, length: &Length) -> Result<ExitCode> {
    ensure!(nix::unistd::geteuid().is_root(), "the bench makes network namespaces: run it as root");
    for program in ["lastmile-relay", "lastmile-bng"] {
        paths.program(program)?;
    }
    let pid = std::process::id();
    let memory = PathBuf::from(format!("/run/lastmile-bench-{pid}"));
    let disk = folder(paths).join(format!("work-{pid}"));
    let inside = Inside { length: length.clone(), bin_dir: paths.bin.clone(), memory, disk };
    let mut child = isolation::spawn(&[INSIDE, &serde_json::to_string(&inside)?], CloneFlags::CLONE_NEWNET)?;
    let signals = isolation::catch_signals()?;
    let mut interrupted = false;
    let status = loop {
        if isolation::signalled(&signals) {
            interrupted = true;
            let _ = child.kill();
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let _ = std::fs::remove_dir(&inside.memory);
    let _ = std::fs::remove_dir_all(&inside.disk);
    Ok(match (interrupted, status.success()) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// The half inside the namespaces. Its end is the end of every program that it started.
pub fn inside(paths: &Paths, topology: &Topology, told: &str) -> Result<ExitCode> {
    let told: Inside = serde_json::from_str(told).context("this verb is the lab's own")?;
    let mut paths = paths.clone();
    paths.bin = told.bin_dir;
    isolation::enter()?;
    isolation::mount_tmpfs(told.memory.to_str().context("a path in UTF-8")?)?;
    isolation::mount_tmpfs("/run/netns")?;
    let folders = Folders { disk: told.disk, memory: told.memory, logs: folder(&paths).join("logs") };
    let _ = std::fs::remove_dir_all(&folders.logs);
    std::fs::create_dir_all(&folders.disk).with_context(|| format!("cannot make {}", folders.disk.display()))?;
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").ok();
    if told.length.null_only {
        let figures = measure_null(&paths, topology, &folders, &told.length)?;
        print!("\n{}", report::table(&figures));
        return Ok(ExitCode::SUCCESS);
    }
    let services = gateway::services("d-services", PORTS, topology, &folders)?;
    let mut beds = [
        Bed::alone("a", PORTS, &folders)?,
        Bed::isc_relay("b", PORTS, &folders)?,
        Bed::relay("c", PORTS, &paths, &folders)?,
        Bed::lastmile("d", Limits::Highest, &paths, &folders, &services)?,
    ];
    let samples = measure(&mut beds, &told.length)?;
    let events = bed::events(&services)?;
    beds.iter_mut().for_each(Bed::stop);
    let stormed = measure_storm(&paths, topology, &folders, &told.length)?;
    let mut figures = figures::compare(&samples);
    figures.extend(stormed);
    figures.extend(measure_null(&paths, topology, &folders, &told.length)?);
    let file = folder(&paths).join("report.json");
    report::write(&figures, &file)?;
    println!("\n{PORTS} known devices; medians of {} rounds\n", told.length.rounds);
    print!("{}", report::table(&figures));
    println!("\nthe gateway published {events} events; the figures are in {}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// One list of samples per bed, one sample per round. Each round begins with another bed.
fn measure(beds: &mut [Bed; 4], length: &Length) -> Result<[Vec<Sample>; 4]> {
    for bed in &mut *beds {
        bed.wait_serving()?;
    }
    let load = Duration::from_secs(length.seconds.into());
    let mut samples = [const { Vec::new() }; 4];
    for round in 0..length.rounds as usize {
        for turn in 0..beds.len() {
            let place = (round + turn) % beds.len();
            let bed = &mut beds[place];
            let sample = Sample::take(bed, load)?;
            println!("round {}/{}: {:<26}{sample}", round + 1, length.rounds, bed.name);
            samples[place].push(sample);
        }
    }
    Ok(samples)
}

/// One circuit storms, through isc-dhcp-relay and through Lastmile's relay and gateway.
fn measure_storm(
    paths: &Paths,
    topology: &Topology,
    folders: &Folders,
    length: &Length,
) -> Result<Vec<report::Figure>> {
    let services = gateway::services("f-services", PORTS, topology, folders)?;
    let isc = Bed::isc_relay("e", PORTS, folders)?;
    let lastmile = Bed::lastmile("f", Limits::Default, paths, folders, &services)?;
    let mut figures = Vec::new();
    for (mut bed, goal) in [(isc, None), (lastmile, Some(storm::GOAL))] {
        bed.wait_serving()?;
        let mut samples = Vec::new();
        for round in 1..=length.rounds {
            let sample = storm::Sample::take(&mut bed, Duration::from_secs(length.seconds.into()))?;
            println!("round {round}/{}: {:<26}{sample}", length.rounds, bed.name);
            samples.push(sample);
        }
        figures.extend(storm::compare(bed.name, &samples, goal));
        bed.stop();
    }
    Ok(figures)
}

/// The gateway between null responders.
fn measure_null(paths: &Paths, topology: &Topology, folders: &Folders, length: &Length) -> Result<Vec<report::Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut bed = null::NullBed::open(paths, topology, folders).await?;
        println!("ready: the gateway between null responders");
        let mut samples = Vec::new();
        for round in 0..length.rounds {
            let sample = bed.sample(Duration::from_secs(length.seconds.into())).await?;
            println!("round {}/{}: {sample}", round + 1, length.rounds);
            samples.push(sample);
        }
        let sessions = bed.crowd().await?;
        let mut restarts = Vec::new();
        for round in 0..length.rounds {
            let seconds = bed.restart().await?;
            println!(
                "round {}/{}: killed with {sessions} sessions, answers after {seconds:.1} s",
                round + 1,
                length.rounds
            );
            restarts.push(seconds);
        }
        let seconds = bed.counters().await?;
        println!("it reads the counters of {sessions} subscribers, both directions, in {seconds:.2} s");
        bed.stop();
        Ok(null::compare(&samples, &restarts))
    })
}

fn folder(paths: &Paths) -> PathBuf {
    paths.root.join("target/bench")
}
