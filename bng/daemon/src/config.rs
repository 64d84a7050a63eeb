//! The configuration directory: read whole, checked whole, and watched.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lastmile_types::config::{BngConfig, ConfigError as CheckError};
use rustls::ServerConfig;

use crate::{coa, radius, status};

/// The file that names the others.
const FILE: &str = "bng.json";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is missing or unreadable.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not the JSON that a gateway's configuration is.
    #[error("{path} is not a gateway's configuration")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It cannot work.
    #[error("the configuration cannot work")]
    Check(#[from] CheckError),
    /// It asks for what this gateway cannot do yet.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Dictionaries and the table of rates do not fit.
    #[error("the RADIUS configuration cannot work")]
    Rates(#[from] radius::RateError),
    /// The endpoint's certificate cannot be used.
    #[error("the status endpoint's certificate cannot be used")]
    Tls(#[from] status::TlsError),
}

/// A configuration with everything that it names.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder it came from.
    pub folder: PathBuf,
    /// As rendered.
    pub bng: BngConfig,
    /// RADIUS servers with their secrets.
    pub radius: radius::Settings,
    /// Who may change and disconnect sessions, with their secrets.
    pub coa: Option<Arc<coa::Settings>>,
    /// The status endpoint's certificate.
    pub tls: Arc<ServerConfig>,
}

impl Config {
    /// Reads and checks it.
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let bng: BngConfig = serde_json::from_slice(&text).map_err(|source| ConfigError::Json { path, source })?;
        bng.check()?;
        let radius = radius::Settings::read(&bng, |name| secret(folder, name))?;
        let coa = bng.coa.as_ref().map(|coa| coa::Settings::read(coa, |name| secret(folder, name))).transpose()?;
        let status = &bng.status;
        let tls = status::server_config(folder, &status.cert_file, &status.key_file, &status.ca_file)?;
        Ok(Self { folder: folder.to_owned(), bng, radius, coa: coa.map(Arc::new), tls })
    }
}

/// A file's content without the line's end that editors add.
fn secret(folder: &Path, name: &str) -> Result<Vec<u8>, ConfigError> {
    let path = folder.join(name);
    let mut bytes = fs::read(&path).map_err(|source| ConfigError::Read { path, source })?;
    while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        bytes.pop();
    }
    Ok(bytes)
}

/// Says when the folder's content has changed. Kubernetes swaps a symbolic link, editors rename files: the content is what counts,
/// and it is a few kilobytes.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    seen: u64,
}

impl Watch {
    /// From now on.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), seen: digest(folder) }
    }

    /// Whether it changed since the last call.
    pub fn changed(&mut self) -> bool {
        let now = digest(&self.folder);
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn digest(folder: &Path) -> u64 {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files.into_iter().filter(|path| path.is_file()) {
        (path.file_name(), fs::read(&path).ok()).hash(&mut hasher);
    }
    hasher.finish()
}
