//! The user's side of `lab up`, `down`, `status`, `exec`, `logs` and `env`.
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::existing;
use crate::isolation;
use crate::network::SWITCH;
use crate::paths::Paths;
use crate::preflight;
use crate::process::tail;
use crate::release::{EDGE, SYSTEM};
use crate::supervisor::control::{self, Request};
use crate::supervisor::{self, Holder, Phase, State, UpOptions, phase};
use crate::topology::Topology;

/// Taking things out of an existing cluster takes its time.
const DOWN_LIMIT: Duration = Duration::from_secs(360);

/// Brings the lab up and shows its progress. Ctrl-C takes down what was started.
pub fn up(paths: &Paths, topology: &Topology, options: &UpOptions) -> Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab makes network namespaces: run it as root");
    }
    if let Some(Holder { pid, root }) = supervisor::holder()? {
        if root == paths.root && phase(paths) == Phase::Ready {
            println!("the lab is up already (`lab down` takes it down)\n{}", shown(paths));
            return Ok(ExitCode::SUCCESS);
        }
        bail!(
            "a lab runs on this machine already, from {} (process {pid}): take it down there with `lab down`",
            root.display()
        );
    }
    preflight::check(paths, options)?;
    choose_cluster(paths, topology, options)?;
    let signals = isolation::catch_signals()?;
    let mut supervisor = supervisor::spawn(paths, options)?;
    let mut view = View::default();
    let mut interrupted = false;
    loop {
        view.show(paths);
        if isolation::signalled(&signals) && !interrupted {
            interrupted = true;
            println!("\ninterrupted: taking down what was started");
            let _ = kill(Pid::from_raw(supervisor.id() as i32), Signal::SIGTERM);
        }
        if let Some(status) = supervisor.try_wait()? {
            view.show(paths);
            return if interrupted { Ok(ExitCode::from(130)) } else { Err(failure(paths, &status.to_string())) };
        }
        if phase(paths) == Phase::Ready && !interrupted {
            view.show(paths);
            forget(supervisor);
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Which Kubernetes it will be, and that an inherited KUBECONFIG has no say in it.
fn choose_cluster(paths: &Paths, topology: &Topology, options: &UpOptions) -> Result<()> {
    let choice = match &options.kubeconfig {
        Some(kubeconfig) => format!("{}={} selects the cluster", existing::VARIABLE, kubeconfig.display()),
        None if std::env::var_os(existing::VARIABLE).is_some() => {
            println!("{} is ignored: no cluster of it is needed", existing::VARIABLE);
            return Ok(());
        }
        None => format!("the lab has a Kubernetes of its own ({} selects another)", existing::VARIABLE),
    };
    if let Some(inherited) = std::env::var_os("KUBECONFIG") {
        println!("KUBECONFIG={} is ignored: {choice}", inherited.to_string_lossy());
    }
    options.kubeconfig.as_ref().map_or(Ok(()), |kubeconfig| existing::check(paths, topology, kubeconfig))
}

/// The supervisor outlives this program.
fn forget(supervisor: Child) {
    std::mem::forget(supervisor);
}

fn failure(paths: &Paths, status: &str) -> anyhow::Error {
    match phase(paths) {
        // The progress has told why.
        Phase::Failed => {
            anyhow::anyhow!("the lab did not come up; all logs are in {}", paths.run.join("logs").display())
        }
        _ => anyhow::anyhow!("the lab ended with {status}\n{}", tail(&paths.log("supervisor"), 15)),
    }
}

/// Takes the lab down, whatever state it is in; without one there is nothing to do.
pub fn down(paths: &Paths) -> Result<ExitCode> {
    let Some(Holder { pid, root }) = supervisor::holder()? else {
        println!("no lab runs on this machine");
        return Ok(ExitCode::SUCCESS);
    };
    if root != paths.root {
        bail!("the lab of this machine runs from {} (process {pid}): take it down there", root.display());
    }
    let begin = Instant::now();
    kill(Pid::from_raw(pid), Signal::SIGTERM).context("cannot end the lab's supervisor")?;
    while supervisor::holder()?.is_some_and(|holder| holder.pid == pid) {
        if begin.elapsed() > DOWN_LIMIT {
            bail!("the lab does not end\n{}", tail(&paths.log("supervisor"), 15));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let left = tail(&existing::leftovers_log(paths), 15);
    if !left.is_empty() {
        println!("not all of it could be taken out of the existing cluster; {left}");
    }
    println!(
        "the lab is down ({:.1} s); logs stay in {}",
        begin.elapsed().as_secs_f32(),
        paths.run.join("logs").display()
    );
    Ok(ExitCode::SUCCESS)
}

/// What runs.
pub fn status(paths: &Paths) -> Result<ExitCode> {
    match supervisor::holder()? {
        None => println!("no lab runs on this machine"),
        Some(Holder { root, .. }) if root != paths.root => {
            println!("the lab of this machine runs from {}", root.display())
        }
        Some(_) if phase(paths) != Phase::Ready => println!("the lab is coming up\n{}", shown(paths)),
        Some(_) => println!("{}", control::ask(&Request::Status)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Becomes a command inside a node: its network, and the lab's processes and mounts.
pub fn exec(paths: &Paths, node: &str, command: &[String]) -> Result<ExitCode> {
    let State { init, folder, .. } = State::read(paths)?;
    let topology = Topology::load(&folder)?;
    let nodes = topology.nodes();
    if node != SWITCH && !nodes.contains(&node) {
        bail!("no node {node}; there are {SWITCH}, {}", nodes.join(", "));
    }
    let here = std::env::current_dir().context("the current folder is gone")?;
    let error = Command::new("nsenter")
        .args(["--target", &init.to_string(), "--mount", "--pid", "--", "nsenter"])
        .arg(format!("--net=/run/netns/{node}"))
        .arg(format!("--wdns={}", here.display()))
        .arg("--")
        .args(command)
        .exec();
    Err(error).context("cannot run nsenter")
}

/// Shows a part's log, or says which there are.
pub fn logs(paths: &Paths, part: Option<&str>) -> Result<ExitCode> {
    let Some(part) = part else {
        for entry in std::fs::read_dir(paths.run.join("logs")).context("no logs yet")?.flatten() {
            println!("{}", Path::new(&entry.file_name()).with_extension("").display());
        }
        return Ok(ExitCode::SUCCESS);
    };
    match File::open(paths.log(part)) {
        Ok(mut file) => {
            std::io::copy(&mut file, &mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => pod_logs(paths, part),
    }
}

/// Becomes `kubectl logs` of what runs in Kubernetes: a gateway by its BNG's name, else a part of the release.
fn pod_logs(paths: &Paths, part: &str) -> Result<ExitCode> {
    let kubeconfig = paths.run.join("kubeconfig");
    if !kubeconfig.is_file() {
        bail!("no log {part}; `lab logs` lists them");
    }
    let mut kubectl = Command::new(paths.run.join("bin/kubectl"));
    kubectl.env("KUBECONFIG", kubeconfig).args(["logs", "--all-containers", "--tail=-1"]);
    let gateway = part.starts_with("bng-");
    let error = if gateway {
        kubectl.args(["--namespace", EDGE, "--selector", &format!("lastmile.io/bng={part}")]).exec()
    } else {
        kubectl.args(["--namespace", SYSTEM, &format!("deployment/lastmile-{part}")]).exec()
    };
    Err(error).context("cannot run kubectl")
}

/// Prints `lab/run/env`.
pub fn env(paths: &Paths) -> Result<ExitCode> {
    let text = std::fs::read_to_string(paths.run.join("env")).context("no lab runs here: start it with `lab up`")?;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn shown(paths: &Paths) -> String {
    std::fs::read_to_string(paths.run.join("progress.log")).unwrap_or_default()
}

/// Shows the progress file as it grows.
#[derive(Default)]
struct View {
    file: Option<File>,
}

impl View {
    fn show(&mut self, paths: &Paths) {
        if self.file.is_none() {
            self.file = File::open(paths.run.join("progress.log")).ok();
        }
        let mut text = String::new();
        if let Some(file) = &mut self.file
            && file.read_to_string(&mut text).is_ok()
        {
            print!("{text}");
            let _ = std::io::stdout().flush();
        }
    }
}
