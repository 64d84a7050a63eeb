//! The `lab` command: see `lab --help`.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use lastmile_lab::paths::Paths;
use lastmile_lab::services::private;
use lastmile_lab::supervisor::control::{self, Action, Request};
use lastmile_lab::supervisor::{self, UpOptions};
use lastmile_lab::topology::{Topology, containerlab};
use lastmile_lab::{bench, existing, keeper, verbs};

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
    /// Bring the lab up
    ///
    /// LASTMILE_KUBECONFIG selects an existing cluster in place of the lab's own; an inherited KUBECONFIG is ignored. For each BNG
    /// of lab/topology.toml the cluster needs one node, on this machine (kind, say), that is
    ///
    /// - labelled: kubectl label node NODE lastmile.io/wired=true lastmile.io/bng=bng-01
    ///
    /// - on the lab's wires: ip netns attach bng-01 PID, with PID a process of the node (kind: docker inspect -f '{{.State.Pid}}'
    ///   NODE); the lab puts mgmt0, dhcp0, uplink0 and access0 there, and pods must leave the node by its own addresses, as
    ///   kind's do
    ///
    /// - in possession of the images of target/lab/images: kind load image-archive FILE, or ctr -n k8s.io images import FILE
    ///
    /// What lacks is said before anything is started. `lab down` takes the release, its kinds and the namespaces edge and
    /// lastmile-system out of that cluster again, and nothing else.
    #[command(verbatim_doc_comment)]
    Up {
        /// Only namespaces, services, routers and subscribers
        #[arg(long)]
        without_cluster: bool,
        /// With --without-cluster: run the gateways directly in their nodes
        #[arg(long, requires = "without_cluster")]
        gateways: bool,
        /// Kubernetes, but no Lastmile in it and no subscribers
        #[arg(long, conflicts_with = "without_cluster")]
        without_release: bool,
        /// Folder of topology.toml and manifests; lab/bridged has a gateway of access mode Bridged [default: lab]
        #[arg(long)]
        topology: Option<PathBuf>,
    },
    /// Take the lab down, without a trace
    Down,
    /// Show what runs
    Status,
    /// Run a command in a node of the topology
    Exec {
        /// bng-01, ar-01, sub-01, services, inet, …
        node: String,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Show the log of a part, or the list of logs
    Logs {
        /// The part, as `lab status` names it
        part: Option<String>,
    },
    /// Print the environment for a shell (`. lab/run/env`)
    Env,
    /// Start or stop a subscriber, or have it release its lease
    Subscriber {
        /// What to do
        action: ActionArgument,
        /// sub-01, …
        name: String,
    },
    /// Start or stop a service, router or gateway
    Service {
        /// What to do
        action: ActionArgument,
        /// kea-dhcp4, freeradius, postgres, redis, ar-01, …
        name: String,
    },
    /// Print the topology as a Containerlab file (SR Linux routers, kind nodes)
    Containerlab,
    /// Run a command beside private PostgreSQL, Redis, Kea and FreeRADIUS (LASTMILE_TEST_* tell where)
    Services {
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Measure DHCP through Lastmile beside Kea alone and beside isc-dhcp-relay
    Bench {
        #[command(flatten)]
        length: bench::Length,
    },
    #[command(hide = true, name = bench::INSIDE)]
    BenchInside { told: String },
    #[command(hide = true, name = bench::null::RESPONDERS)]
    BenchResponders { interfaces: Vec<String> },
    #[command(hide = true, name = private::INSIDE)]
    ServicesInside {
        folder: String,
        #[arg(last = true)]
        command: Vec<String>,
    },
    #[command(hide = true, name = supervisor::SUPERVISE)]
    Supervise { options: String },
    #[command(hide = true, name = supervisor::INIT)]
    Init { options: String },
    #[command(hide = true, name = supervisor::KEEPER)]
    Keeper { options: String },
}

#[derive(Clone, Copy, ValueEnum)]
enum ActionArgument {
    Start,
    Stop,
    Release,
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode> {
    let mut paths = Paths::find(arguments.bin_dir)?;
    let topology = || Topology::load(&paths.root.join("lab"));
    match arguments.verb {
        Verb::Up { without_cluster, gateways, without_release, topology } => {
            let kubeconfig = if without_cluster || without_release { None } else { existing::selected()? };
            let folder = topology.map_or_else(|| Ok(paths.root.join("lab")), std::path::absolute)?;
            let bin_dir = paths.bin.clone();
            let options = UpOptions { folder, bin_dir, without_cluster, gateways, without_release, kubeconfig };
            verbs::up(&paths, &Topology::load(&options.folder)?, &options)
        }
        Verb::Down => verbs::down(&paths),
        Verb::Status => verbs::status(&paths),
        Verb::Exec { node, command } => verbs::exec(&paths, &node, &command),
        Verb::Logs { part } => verbs::logs(&paths, part.as_deref()),
        Verb::Env => verbs::env(&paths),
        Verb::Subscriber { action, name } => ask(&Request::Subscriber { action: action.into(), name }),
        Verb::Service { action, name } => ask(&Request::Service { action: action.into(), name }),
        Verb::Containerlab => {
            print!("{}", containerlab::render(&topology()?));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Services { command } => private::outside(&command),
        Verb::Bench { length } => bench::outside(&paths, &length),
        Verb::BenchInside { told } => bench::inside(&paths, &topology()?, &told),
        Verb::BenchResponders { interfaces } => bench::null::responders::run(&interfaces),
        Verb::ServicesInside { folder, command } => private::inside(&topology()?, &folder, &command),
        Verb::Supervise { options } => {
            let options = parse(&options)?;
            supervisor::supervise(&paths, &Topology::load(&options.folder)?, &options)
        }
        Verb::Init { options } => supervisor::init(&parse(&options)?),
        Verb::Keeper { options } => {
            let options = parse(&options)?;
            paths.bin.clone_from(&options.bin_dir);
            keeper::run(&paths, Topology::load(&options.folder)?, options)
        }
    }
}

fn ask(request: &Request) -> Result<ExitCode> {
    let text = control::ask(request)?;
    if !text.is_empty() {
        println!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(options: &str) -> Result<UpOptions> {
    serde_json::from_str(options).context("this verb is the lab's own")
}

impl From<ActionArgument> for Action {
    fn from(argument: ActionArgument) -> Self {
        match argument {
            ActionArgument::Start => Self::Start,
            ActionArgument::Stop => Self::Stop,
            ActionArgument::Release => Self::Release,
        }
    }
}
