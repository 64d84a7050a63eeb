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
use lastmile_types::relay::RelayConfig;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinSet, LocalSet},
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
    let config = read(&file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(&config))
}

fn read(file: &PathBuf) -> Result<RelayConfig> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let config: RelayConfig = serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
    config.check().with_context(|| format!("{} cannot work", file.display()))?;
    Ok(config)
}

async fn run(config: &RelayConfig) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut report = signal(SignalKind::user_defined1())?;
    let mut tasks = JoinSet::new();
    let shell = Shell::start(config, &mut tasks).await?;
    tracing::info!(router = config.router, ports = config.ports.len(), mode = ?config.mode, giaddr = %config.lan.address, "relaying");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = report.recv() => tracing::info!(counters = shell.report(), "counters"),
            Some(ended) = tasks.join_next() => {
                ended??;
                return Err(anyhow!("a receiver ended"));
            }
        }
    }
    shell.prolong();
    tracing::info!(counters = shell.report(), "stopped");
    Ok(())
}
