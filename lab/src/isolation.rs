//! Running a part of this program in PID, mount and network namespaces of its own, so that its end is everybody's end:
//! when the first process of a PID namespace dies, the kernel kills the rest, and mounts and namespaces go with them.
use std::fs;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Starts this program again with `arguments` as the first process of a new PID namespace (and `more`).
/// Must be called while this process has one thread; it cannot start anything else afterwards. The new process calls
/// [`enter`] first, so that the caller keeps the machine's own mounts.
pub fn spawn(arguments: &[&str], more: CloneFlags) -> Result<Child> {
    unshare(CloneFlags::CLONE_NEWPID | more).context("cannot make namespaces: the lab needs root")?;
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    Command::new(exe).args(arguments).spawn().context("cannot start the lab's first process")
}

/// The first steps inside: die with the parent, have mounts of one's own, see the namespace's own processes.
pub fn enter() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this process to its parent")?;
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("cannot keep mounts private")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>).context("cannot mount /proc")
}

/// An empty folder in memory at `path`, gone with the mount namespace.
pub fn mount_tmpfs(path: &str) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {path}"))?;
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .with_context(|| format!("cannot mount {path}"))
}

fn ending_signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// Blocks the signals that end a program and reads them from a file descriptor, without waiting. Programs started
/// afterwards inherit the block: start them before, or have them [`release_signals`] first.
pub fn catch_signals() -> Result<SignalFd> {
    let set = ending_signals();
    set.thread_block().context("cannot block signals")?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).context("cannot watch signals")
}

/// Undoes what was inherited from a program that catches signals.
pub fn release_signals() -> Result<()> {
    ending_signals().thread_unblock().context("cannot unblock signals")
}

/// Whether one of the caught signals came.
pub fn signalled(signals: &SignalFd) -> bool {
    matches!(signals.read_signal(), Ok(Some(_)))
}
