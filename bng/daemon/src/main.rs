//! `lastmile-bng run`: the gateway.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use lastmile_bng::{chain, run};
use tracing_subscriber::EnvFilter;

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
}

fn main() -> ExitCode {
    let Verb::Run { config_dir, state_dir, record } = Arguments::parse().verb;
    let filter = EnvFilter::try_from_env("LASTMILE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    // Fails only where a provider is installed already, and there is no other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The driver has a thread and a reactor of its own: a packet wakes it and nobody else, and no other task delays it.
    let runtimes = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .and_then(|beside| Ok((tokio::runtime::Builder::new_current_thread().enable_all().build()?, beside)));
    let (driver, beside) = match runtimes {
        Ok(runtimes) => runtimes,
        Err(error) => {
            eprintln!("lastmile-bng: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match driver.block_on(run::run(&config_dir, &state_dir, record.as_deref(), beside.handle())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lastmile-bng: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
