//! The supervisor: holds the lock, starts the init, passes the end on, and removes what is left.
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{INIT, Phase, SUPERVISE, State, UpOptions, lock, phase, set_phase};
use crate::paths::{MACHINE_DIR, Paths, SOCKET_DIR};
use crate::process::append;
use crate::topology::Topology;
use crate::{existing, isolation};

/// Starts the supervisor detached; its own words go to `logs/supervisor.log`.
pub fn spawn(paths: &Paths, options: &UpOptions) -> Result<Child> {
    prepare_run(paths)?;
    let log = append(&paths.log("supervisor"))?;
    Command::new(std::env::current_exe().context("cannot tell where this program is")?)
        .arg(SUPERVISE)
        .arg(serde_json::to_string(options)?)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .env_remove("KUBECONFIG")
        .spawn()
        .context("cannot start the lab's supervisor")
}

/// The supervisor's life.
pub fn supervise(paths: &Paths, topology: &Topology, options: &UpOptions) -> Result<ExitCode> {
    // A session of its own: the terminal's Ctrl-C is for `lab up`, which passes it on.
    let _ = nix::unistd::setsid();
    isolation::release_signals()?;
    let _lock = lock::take(paths.root.clone())?;
    clear(paths, topology);
    set_phase(paths, Phase::Starting)?;
    let mut init = isolation::spawn(&[INIT, &serde_json::to_string(options)?], CloneFlags::empty())?;
    State { supervisor: std::process::id(), init: init.id(), folder: options.folder.clone() }.write(paths)?;
    let signals = isolation::catch_signals()?;
    let status = loop {
        if isolation::signalled(&signals) {
            // While everything still runs, gateways can be drained. A start that is cut off ends first, see below.
            if phase(paths) == Phase::Ready {
                existing::leave(paths, topology);
            }
            let _ = kill(Pid::from_raw(init.id() as i32), Signal::SIGTERM);
        }
        if let Some(status) = init.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    existing::leave(paths, topology);
    clear(paths, topology);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Removes everything of an earlier lab but its logs. No process of it lives any more, so no mount does.
fn clear(paths: &Paths, topology: &Topology) {
    wait_gone(topology, Duration::from_secs(10));
    crate::up::clear_cluster(paths, topology);
    for entry in fs::read_dir(&paths.run).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !["logs", "progress.log", "phase"].iter().any(|kept| name == *kept) {
            remove(&entry.path());
        }
    }
    remove(Path::new(MACHINE_DIR));
    remove(Path::new(SOCKET_DIR));
}

fn remove(path: &Path) {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("cannot remove {}: {error}", path.display());
    }
}

/// Namespaces end a moment after their last process; this machine's leg goes with them.
pub fn wait_gone(topology: &Topology, limit: Duration) {
    let leg = Path::new("/sys/class/net").join(&topology.management.host_interface);
    let end = Instant::now() + limit;
    while leg.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A fresh `lab/run`, for root alone: it holds keys and passwords.
fn prepare_run(paths: &Paths) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let logs = paths.run.join("logs");
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    fs::set_permissions(&paths.run, fs::Permissions::from_mode(0o700))?;
    let _ = fs::remove_file(paths.run.join("progress.log"));
    let _ = fs::remove_file(paths.run.join("phase"));
    Ok(())
}
