//! The lab as its user has it: programs to run, an environment, and patience with a bound.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

/// What `lab/run/env` gave.
pub struct Lab {
    /// The folder of its topology, below `lab/`.
    pub folder: &'static str,
    program: PathBuf,
    environment: HashMap<String, String>,
}

/// The namespace of the BNGs.
pub const EDGE: &str = "edge";

impl Lab {
    /// Brings the lab of a topology's folder up from the programs beside the `lab` binary.
    pub fn up(folder: &'static str) -> Result<Self, String> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_lab"));
        let programs = program.parent().expect("a program lies in a folder").to_owned();
        let mut lab = Self { folder, program, environment: HashMap::new() };
        let _ = lab.run(&["down"]);
        let topology = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut up = Command::new(&lab.program);
        let status = up.arg("up").arg("--topology").arg(topology).arg("--bin-dir").arg(&programs).status();
        if !status.map_err(|error| error.to_string())?.success() {
            return Err("`lab up` failed; its output stands above".into());
        }
        lab.environment = parse_environment(&lab.run(&["env"])?);
        Ok(lab)
    }

    /// Takes the lab down and says what it left behind.
    pub fn down(&self) -> Result<(), String> {
        self.run(&["down"])?;
        let namespaces = sh("ip netns list; ls /run/netns 2>/dev/null; ip -br link show type bridge")?;
        for left in ["bng-0", "ar-0", "sub-0", "lm-mgmt"] {
            if namespaces.contains(left) {
                return Err(format!("`lab down` left something behind:\n{namespaces}"));
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        if mounts.contains("lab/run") || mounts.contains("lastmile-lab") {
            return Err(format!("`lab down` left mounts behind:\n{mounts}"));
        }
        Ok(())
    }

    /// `lab ARGUMENTS…`, its output.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        output(Command::new(&self.program).args(arguments))
    }

    /// `lab ARGUMENTS…` as if it had been built in another clone of the repository.
    pub fn run_as_another_clone(&self, clone: &std::path::Path, arguments: &[&str]) -> Result<String, String> {
        let copy = |from: &std::path::Path, to: &str| {
            let to = clone.join(to);
            std::fs::create_dir_all(to.parent().unwrap_or(clone)).and_then(|()| std::fs::copy(from, &to)).map(|_| to)
        };
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let io = |error: std::io::Error| error.to_string();
        copy(&root.join("topology.toml"), "lab/topology.toml").map_err(io)?;
        let program = copy(&self.program, "target/debug/lab").map_err(io)?;
        output(Command::new(program).current_dir(clone).args(arguments))
    }

    /// `lab exec NODE -- COMMAND…`
    pub fn exec(&self, node: &str, command: &[&str]) -> Result<String, String> {
        self.run(&[&["exec", node, "--"], command].concat())
    }

    /// A variable of the lab's environment.
    pub fn variable(&self, name: &str) -> Result<&str, String> {
        self.environment.get(name).map(String::as_str).ok_or_else(|| format!("lab/run/env has no {name}"))
    }

    /// A command with the lab's environment, as after `. lab/run/env`.
    pub fn command(&self, program: &str) -> Command {
        let path = self.environment.get("PATH").cloned().unwrap_or_default();
        let found = path.split(':').map(|dir| PathBuf::from(dir).join(program)).find(|file| file.is_file());
        let mut command = Command::new(found.unwrap_or_else(|| program.into()));
        command.envs(&self.environment);
        command
    }

    /// `kubectl ARGUMENTS…`, split at blanks.
    pub fn kubectl(&self, arguments: &str) -> Result<String, String> {
        output(self.command("kubectl").args(arguments.split_whitespace()))
    }

    /// `kubectl ARGUMENTS… -o json`
    pub fn json(&self, arguments: &str) -> Result<Value, String> {
        let text = self.kubectl(&format!("{arguments} -o json"))?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
    }

    /// Feeds a manifest to `kubectl apply -f -`.
    pub fn apply(&self, manifest: &str) -> Result<String, String> {
        let file = std::env::temp_dir().join(format!("lastmile-e2e-{}.yaml", std::process::id()));
        std::fs::write(&file, manifest).map_err(|error| error.to_string())?;
        let applied = self.kubectl(&format!("apply -f {}", file.display()));
        let _ = std::fs::remove_file(file);
        applied
    }

    /// One query against one of the lab's databases (`lastmile`, `kea`, `radius`), unaligned, tuples only.
    pub fn sql(&self, database: &str, query: &str) -> Result<String, String> {
        let url = self.variable(&format!("LASTMILE_{}_DATABASE_URL", database.to_uppercase()))?;
        Ok(output(Command::new("psql").args([url, "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", query]))?.trim().to_owned())
    }

    /// All live sessions as the aggregated API lists them.
    pub fn sessions(&self) -> Result<Vec<Value>, String> {
        let list = self.json(&format!("get sessions -n {EDGE}"))?;
        list["items"].as_array().cloned().ok_or_else(|| format!("no items in {list}"))
    }

    /// The session of a subscriber line.
    pub fn session_of(&self, remote_id: &str) -> Result<Value, String> {
        let text = |session: &Value| session["spec"]["remoteId"].as_str().map(str::to_owned);
        let sessions = self.sessions()?;
        let found = sessions.iter().find(|session| text(session).as_deref() == Some(remote_id));
        found.cloned().ok_or_else(|| format!("no session of {remote_id} among {}", sessions.len()))
    }

    /// What a person would look at first when a trial failed.
    pub fn picture(&self) -> String {
        ["get bngs,pods -A -o wide", "get sessions -A -o wide", "get events -A --sort-by=.lastTimestamp"]
            .iter()
            .map(|arguments| {
                let text = self.kubectl(arguments).unwrap_or_else(|error| error);
                let tail: Vec<&str> = text.lines().rev().take(25).collect();
                format!("$ kubectl {arguments}\n{}\n", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
            })
            .collect()
    }
}

/// Asks again, four times a second, until it holds or the time is over.
pub fn eventually<T>(seconds: u64, mut check: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= end => return Err(format!("after {seconds} s still: {error}")),
            Err(_) => std::thread::sleep(Duration::from_millis(250)),
        }
    }
}

/// `Ok` when it holds, else the message.
pub fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// A shell line, its output.
pub fn sh(line: &str) -> Result<String, String> {
    output(Command::new("sh").args(["-c", line]))
}

/// Runs a command; a failure holds what it printed, and nothing of its environment.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = shown.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{shown}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Lines like `export NAME=value` or `export NAME='value'`.
fn parse_environment(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
        .map(|(name, value)| {
            let inherited = std::env::var(&name).unwrap_or_default();
            let value = value.replace(&format!("${{{name}}}"), &inherited).replace(&format!("${name}"), &inherited);
            (name, value)
        })
        .collect()
}
