//! The `lab` command: see `lab --help`.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use lastmile_lab::paths::Paths;
use lastmile_lab::services::private;
use lastmile_lab::topology::Topology;

/// Lastmile's lab: two BNGs, their routers and subscribers, the real services and a real Kubernetes on this machine.
#[derive(Parser)]
#[command(name = "lab", version)]
struct Arguments {
    /// Folder of the programs under test [default: target/release]
    #[arg(long, global = true, env = "LASTMILE_BIN_DIR")]
    bin_dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a command beside private PostgreSQL, Redis, Kea and FreeRADIUS (LASTMILE_TEST_* tell where)
    Services {
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    #[command(hide = true, name = private::INSIDE)]
    ServicesInside {
        #[arg(last = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode> {
    let paths = Paths::find(arguments.bin_dir)?;
    let topology = || Topology::load(&paths.root.join("lab/topology.toml"));
    match arguments.verb {
        Verb::Services { command } => private::outside(&command),
        Verb::ServicesInside { command } => private::inside(&paths, &topology()?, &command),
    }
}
