//! `lab/run/state.json` (which processes) and `lab/run/phase` (how far).
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::paths::Paths;

/// Which processes hold the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The supervisor.
    pub supervisor: u32,
    /// The first process inside, by its id outside: its namespaces are the lab's.
    pub init: u32,
    /// The folder of its topology.
    pub folder: PathBuf,
}

impl State {
    /// Writes it.
    pub fn write(&self, paths: &Paths) -> Result<()> {
        fs::write(paths.run.join("state.json"), serde_json::to_string(self)?).context("cannot write lab/run/state.json")
    }

    /// Reads it, or says that no lab runs.
    pub fn read(paths: &Paths) -> Result<Self> {
        let text =
            fs::read_to_string(paths.run.join("state.json")).context("no lab runs here: start it with `lab up`")?;
        serde_json::from_str(&text).context("lab/run/state.json is damaged: `lab down` removes it")
    }
}

/// How far the lab is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Coming up.
    Starting,
    /// Up.
    Ready,
    /// Did not come up.
    Failed,
}

/// Notes how far the lab is.
pub fn set_phase(paths: &Paths, phase: Phase) -> Result<()> {
    let word = match phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Failed => "failed",
    };
    fs::write(paths.run.join("phase"), word).context("cannot write lab/run/phase")
}

/// How far the lab is; before its first note it is starting.
pub fn phase(paths: &Paths) -> Phase {
    match fs::read_to_string(paths.run.join("phase")).as_deref() {
        Ok("ready") => Phase::Ready,
        Ok("failed") => Phase::Failed,
        _ => Phase::Starting,
    }
}
