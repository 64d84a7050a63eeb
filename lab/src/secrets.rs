//! Secrets generated per lab: one file each, readable by root alone.
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rand::Rng;
use rand::distr::Alphanumeric;

/// Generated passwords and shared secrets of the lab's services.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// PostgreSQL's superuser `postgres`.
    pub postgres: String,
    /// Owner of the database `lastmile`.
    pub lastmile: String,
    /// Owner of the database `kea`.
    pub kea: String,
    /// Owner of the database `radius`.
    pub radius_db: String,
    /// Redis' `requirepass`.
    pub redis: String,
    /// Shared secret between FreeRADIUS and its clients, both ways (CoA too).
    pub radius: String,
    /// User-Password of every demo subscriber.
    pub subscriber: String,
}

impl Secrets {
    /// Draws new secrets and writes each to a file of mode 0600 below `dir`.
    pub fn generate(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let draw = |name: &str| -> Result<String> {
            let value: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
            write_private(&dir.join(name), &value)?;
            Ok(value)
        };
        Ok(Self {
            postgres: draw("postgres")?,
            lastmile: draw("lastmile")?,
            kea: draw("kea")?,
            radius_db: draw("radius-db")?,
            redis: draw("redis")?,
            radius: draw("radius")?,
            subscriber: draw("subscriber")?,
        })
    }
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, content: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(content.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
