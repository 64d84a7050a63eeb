//! Running a part of this program in PID, mount and network namespaces of its own, so that its end is everybody's end:
//! when the first process of a PID namespace dies, the kernel kills the rest, and mounts and namespaces go with them.
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Starts this program again with `arguments` as the first process of a new PID namespace (and `more`).
/// Must be called while this process has one thread. The new process calls [`enter`] first, so that the caller keeps the
/// machine's own mounts; what the caller starts later is outside again.
pub fn spawn(arguments: &[&str], more: CloneFlags) -> Result<Child> {
    unshare(CloneFlags::CLONE_NEWPID | more).context("cannot make namespaces: the lab needs root")?;
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let child = Command::new(exe).args(arguments).spawn().context("cannot start the lab's first process")?;
    let own = File::open("/proc/self/ns/pid").context("cannot open this process's PID namespace")?;
    setns(own, CloneFlags::CLONE_NEWPID).context("cannot go back to this process's PID namespace")?;
    Ok(child)
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

/// A network namespace of this machine that is held open.
#[derive(Debug)]
pub struct OpenNetns {
    path: PathBuf,
    file: File,
}

/// Opens the namespace `name` of `/run/netns`.
pub fn open_netns(name: &str) -> Result<OpenNetns> {
    let path = Path::new("/run/netns").join(name);
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(OpenNetns { path, file })
}

impl OpenNetns {
    /// Shows it at its old place, over which something was mounted meanwhile.
    pub fn show(&self) -> Result<()> {
        let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        fs::write(&self.path, "")?;
        mount(Some(from.as_str()), &self.path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .with_context(|| format!("cannot take over {}", self.path.display()))
    }
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
