//! The access router's DHCP relay agent (RFC 1542, RFC 3046).
//!
//! It says who a subscriber is by where he is: to each message from a port it adds that port's circuit-id and remote-id, and it
//! brings the reply to that port and no other; and it tells the kernel from which address and MAC that port may send. [`agent`] and
//! [`bindings`] decide, [`shell`] owns the sockets and the guard. It makes no interface: the bridge, its ports and the addresses are
//! there when it starts. The kernel's table stays when it ends (`nft delete table netdev lastmile_relay` takes it away).

mod agent;
mod bindings;
mod shell;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use lastmile_netio::links::Links;
use lastmile_types::{MacAddr, relay::RelayConfig};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use tracing_subscriber::EnvFilter;

use crate::shell::Shell;

/// DHCP relay agent of an access router
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Relay until SIGTERM; SIGUSR1 logs the counters
    Run {
        /// The configuration, JSON
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> Result<()> {
    let filter = EnvFilter::try_from_env("LASTMILE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let Arguments { command: Command::Run { config: file } } = Arguments::parse();
    run(&read(&file)?)
}

fn read(file: &PathBuf) -> Result<RelayConfig> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let config: RelayConfig = serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
    config.check().with_context(|| format!("{} cannot work", file.display()))?;
    Ok(config)
}

fn run(config: &RelayConfig) -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1]);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut shell = Shell::open(config, mac(&config.lan.interface)?, signals)?;
    tracing::info!(router = config.router, ports = config.ports.len(), mode = ?config.mode, giaddr = %config.lan.address, "relaying");
    shell.run()?;
    shell.prolong();
    tracing::info!(counters = shell.report(), "stopped");
    Ok(())
}

fn mac(interface: &str) -> Result<MacAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let link = runtime.block_on(async { Links::open()?.get(interface).await })?;
    Ok(link.ok_or_else(|| anyhow!("there is no interface {interface}"))?.mac)
}
