//! `lastmile-bng run`: the gateway. `lastmile-bng clean`: the end of what it left behind.

use std::{error::Error, io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use lastmile_bng::{chain, clean, run};
use lastmile_types::BngId;
use mimalloc::MiMalloc;
use tracing_subscriber::EnvFilter;

/// A set-up makes and frees some hundred small values on two threads.
#[global_allocator]
static HEAP: MiMalloc = MiMalloc;

/// Lastmile's broadband network gateway.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve subscribers until SIGTERM, which leaves everybody online.
    Run {
        /// Folder with bng.json and the files that it names.
        #[arg(long, env = "LASTMILE_CONFIG_DIR")]
        config_dir: PathBuf,
        /// Folder for the journal; must survive restarts.
        #[arg(long, env = "LASTMILE_STATE_DIR")]
        state_dir: PathBuf,
        /// Append every input to this file, for bng-replay. It will hold subscribers' data (mode 0600).
        #[arg(long, env = "LASTMILE_RECORD")]
        record: Option<PathBuf>,
    },
    /// Remove from this node what a gateway left that has ended for good: its kernel state and its journal.
    Clean {
        /// The gateway, NAMESPACE/NAME.
        #[arg(long)]
        bng_id: BngId,
        /// The folder of its journal.
        #[arg(long, env = "LASTMILE_STATE_DIR")]
        state_dir: PathBuf,
        /// Seconds to wait for a gateway that is about to end; one that runs longer is left alone, and that is an error.
        #[arg(long, default_value_t = 0)]
        wait: u64,
    },
}

fn main() -> ExitCode {
    let verb = Arguments::parse().verb;
    let filter = EnvFilter::try_from_env("LASTMILE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    // Fails only where a provider is installed already, and there is no other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match work(verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lastmile-bng: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn work(verb: Verb) -> Result<(), Box<dyn Error>> {
    // The driver has a thread and a reactor of its own: a packet wakes it and nobody else, and no other task delays it.
    let driver = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match verb {
        Verb::Run { config_dir, state_dir, record } => {
            let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            driver.block_on(run::run(&config_dir, &state_dir, record.as_deref(), beside.handle()))?;
        }
        Verb::Clean { bng_id, state_dir, wait } => {
            driver.block_on(clean::clean(&bng_id, &state_dir, Duration::from_secs(wait)))?;
        }
    }
    Ok(())
}
