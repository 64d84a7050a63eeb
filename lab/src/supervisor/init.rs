//! The first process of the lab's PID namespace: starts the keeper, reaps orphans, ends when the keeper ends or when
//! told, and takes everybody with it.
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{KEEPER, UpOptions};
use crate::isolation;

/// Runs until the keeper ends or a signal comes.
pub fn run(options: &UpOptions) -> Result<ExitCode> {
    isolation::enter()?;
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let keeper = Command::new(exe)
        .arg(KEEPER)
        .arg(serde_json::to_string(options)?)
        .spawn()
        .context("cannot start the lab's keeper")?;
    let keeper = Pid::from_raw(keeper.id() as i32);
    let signals = isolation::catch_signals()?;
    loop {
        if isolation::signalled(&signals) {
            return Ok(ExitCode::SUCCESS);
        }
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == keeper => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            Ok(WaitStatus::Signaled(pid, ..)) if pid == keeper => return Ok(ExitCode::FAILURE),
            Ok(WaitStatus::StillAlive) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
            Ok(_) => {}
        }
    }
}
