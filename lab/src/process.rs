//! Starting, watching and ending the lab's programs: each writes to its own log, inside one network namespace.
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where programs start: a network namespace (or the caller's) and a folder for logs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Name below `/run/netns`; none means the caller's namespace.
    pub netns: Option<String>,
    /// Folder of the `NAME.log` files.
    pub logs: PathBuf,
}

impl Place {
    /// A command that will run in this place. `nsenter` becomes the program, so the pid is the program's.
    /// (`ip netns exec` would remount /sys and hide the cgroups.)
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.netns {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{name}")).arg("--").arg(program);
                command
            }
        }
    }

    /// Starts a long-running program that logs to `NAME.log`.
    pub fn start(&self, name: &str, command: &mut Command) -> Result<Part> {
        let log = self.logs.join(format!("{name}.log"));
        let output = append(&log)?;
        let begin = output.metadata()?.len() as usize;
        let child = command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name} ({:?})", command.get_program()))?;
        Ok(Part { name: name.to_owned(), child, log, begin })
    }
}

/// A running program of the lab.
#[derive(Debug)]
pub struct Part {
    /// Its name in `lab status` and of its log.
    pub name: String,
    /// Its log file.
    pub log: PathBuf,
    child: Child,
    /// Where its log begins: an earlier one's stands before it.
    begin: usize,
}

impl Part {
    /// Its process id, as seen inside the lab's PID namespace.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal; a program that is gone already is no error.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
    }

    /// Polls `ready` until it holds; fails at once, with the end of the log, when the program dies.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.exited() {
                bail!("{} ended with {status}\n{}", self.name, tail(&self.log, 15));
            }
            if Instant::now() > end {
                bail!("{} did not answer within {} s\n{}", self.name, limit.as_secs(), tail(&self.log, 15));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Polls its log until this stands there, as [`Part::wait_until`] does.
    pub fn wait_until_it_says(&mut self, limit: Duration, text: &str) -> Result<()> {
        let (log, begin) = (self.log.clone(), self.begin);
        let says = |log: Vec<u8>| log.get(begin..).is_some_and(|own| String::from_utf8_lossy(own).contains(text));
        self.wait_until(limit, || fs::read(&log).is_ok_and(says))
    }

    /// Asks it to end by `signal`, and kills it after `grace`.
    pub fn stop(&mut self, signal: Signal, grace: Duration) {
        self.signal(signal);
        let end = Instant::now() + grace;
        while Instant::now() < end {
            if self.exited().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and returns what it printed; a failure carries its last words.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let words = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        bail!("`{shown}` ended with {}\n{}", output.status, last_lines(&String::from_utf8_lossy(&words), 15));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Like [`run`], feeding `input` on standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    use std::io::Write;
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    if !output.status.success() {
        let words = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        bail!("`{shown}` ended with {}\n{}", output.status, last_lines(&String::from_utf8_lossy(&words), 15));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Opens a log for appending, making its folder.
pub fn append(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("cannot write {}", path.display()))
}

/// The last lines of a file, headed by its path; empty when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Ok(bytes) => {
            format!("last lines of {}:\n{}", path.display(), last_lines(&String::from_utf8_lossy(&bytes), lines))
        }
        Err(_) => String::new(),
    }
}

fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// The command as one line, arguments that hold secrets included nowhere: secrets travel by environment or file.
fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
