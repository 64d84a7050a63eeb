//! What the user is told while the lab comes up: one line per step, with the time since the beginning.
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Writes to `lab/run/progress.log`, which `lab up` shows as it grows.
#[derive(Debug)]
pub struct Progress {
    file: Mutex<File>,
    begin: Instant,
}

impl Progress {
    /// Begins anew.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: Mutex::new(File::create(path)?), begin: Instant::now() })
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// A finished step.
    pub fn step(&self, text: impl AsRef<str>) {
        self.raw(&format!("[{:6.1} s] {}", self.elapsed().as_secs_f32(), text.as_ref()));
    }

    /// Lines as they are.
    pub fn raw(&self, text: &str) {
        let mut file = match self.file.lock() {
            Ok(file) => file,
            Err(poisoned) => poisoned.into_inner(),
        };
        // A full disk must not end the lab.
        let _ = writeln!(file, "{text}");
    }
}
