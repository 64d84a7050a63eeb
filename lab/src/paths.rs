//! Where the lab keeps things. One fixed folder per clone (`lab/run`) and one per machine (`/var/lib/lastmile-lab`).
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Data that must not lie in a clone: PostgreSQL's user could not enter it there.
pub const MACHINE_DIR: &str = "/var/lib/lastmile-lab";
/// Unix sockets, whose addresses hold 107 bytes: a clone may lie deep.
pub const SOCKET_DIR: &str = "/run/lastmile-lab";
/// The machine-wide lock; whoever holds it is the machine's one lab.
pub const LOCK_FILE: &str = "/run/lock/lastmile-lab.lock";

/// The folders of one clone.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The root of the clone, the folder with `lab/topology.toml`.
    pub root: PathBuf,
    /// `lab/run`: state, logs and generated files of the running lab.
    pub run: PathBuf,
    /// Where the programs under test are (`lastmile-bng`, `lastmile-relay`, …).
    pub bin: PathBuf,
}

impl Paths {
    /// Finds the clone from the place of this program, else from the current folder.
    pub fn find(bin_dir: Option<PathBuf>) -> Result<Self> {
        let exe = std::env::current_exe().context("cannot tell where this program is")?;
        let here = std::env::current_dir().context("the current folder is gone")?;
        let root = [exe, here]
            .iter()
            .flat_map(|start| start.ancestors())
            .find(|dir| dir.join("lab/topology.toml").is_file())
            .map(Path::to_path_buf)
            .context(
                "no lab/topology.toml above this program or the current folder: run it from a clone of Lastmile",
            )?;
        let bin = match bin_dir {
            Some(dir) => std::path::absolute(dir)?,
            None => root.join("target/release"),
        };
        Ok(Self { run: root.join("lab/run"), root, bin })
    }

    /// `lab/run/logs/PART.log`.
    pub fn log(&self, part: &str) -> PathBuf {
        self.run.join("logs").join(format!("{part}.log"))
    }

    /// A program under test, or a sentence on how to get it.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.bin.join(name);
        anyhow::ensure!(path.is_file(), "{} is missing: build it, or name its folder with --bin-dir", path.display());
        Ok(path)
    }
}
