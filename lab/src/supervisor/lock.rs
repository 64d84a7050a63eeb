//! One lab per machine: whoever holds the lock is it.
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use fs2::FileExt;
use serde::{Deserialize, Serialize};

use crate::paths::LOCK_FILE;

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The supervisor's process id.
    pub pid: i32,
    /// The clone that it runs from.
    pub root: PathBuf,
}

/// The running lab of this machine, if there is one.
pub fn holder() -> Result<Option<Holder>> {
    let mut file = open()?;
    if file.try_lock_shared().is_ok() {
        return Ok(None);
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).ok())
}

/// Takes the lock for as long as the file lives.
pub fn take(root: PathBuf) -> Result<File> {
    let mut file = open()?;
    if FileExt::try_lock_exclusive(&file).is_err() {
        anyhow::bail!("another lab took this machine at the same moment");
    }
    file.set_len(0)?;
    file.rewind()?;
    let holder = Holder { pid: std::process::id() as i32, root };
    file.write_all(serde_json::to_string(&holder)?.as_bytes())?;
    Ok(file)
}

fn open() -> Result<File> {
    if let Some(folder) = std::path::Path::new(LOCK_FILE).parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(LOCK_FILE)
        .with_context(|| format!("cannot open {LOCK_FILE}: the lab needs root"))
}
