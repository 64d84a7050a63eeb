//! Recordings: what a machine was told, line by line, and the machine told it again.
//!
//! The lines' text is JSON, one each; reading and writing it is the caller's.

use serde::{Deserialize, Serialize};

use crate::{
    effect::Effects,
    input::{Input, Settings},
    machine::Machine,
    record::Snapshot,
    time::Now,
};

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// A process started. The first line is one, and each restart adds one.
    Opened(Box<Opened>),
    /// The machine was told something.
    Told(Box<Told>),
}

/// What a machine began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// The configuration.
    pub settings: Settings,
    /// The state that the journal held.
    pub snapshot: Snapshot,
}

/// One input and its moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// When.
    pub now: Now,
    /// What.
    pub input: Input,
}

/// Why a recording cannot be replayed any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The recording's beginning is missing.
    #[error("an input before any line says what the machine began with")]
    NotOpened,
    /// The machine's own bookkeeping is wrong.
    #[error("the machine's indexes disagree: {0}")]
    Check(String),
}

/// A machine that lives through a recording.
#[derive(Debug, Default)]
pub struct Replay {
    machine: Option<Machine>,
}

impl Replay {
    /// Takes one line and checks the machine afterwards; `None` = the line was no input.
    pub fn take(&mut self, line: Line) -> Result<Option<Effects>, ReplayError> {
        let told = match line {
            Line::Opened(opened) => {
                self.machine = Some(Machine::new(opened.settings, opened.snapshot));
                return Ok(None);
            }
            Line::Told(told) => told,
        };
        let machine = self.machine.as_mut().ok_or(ReplayError::NotOpened)?;
        let mut effects = Effects::default();
        machine.handle(told.now, told.input, &mut effects);
        machine.check().map_err(ReplayError::Check)?;
        Ok(Some(effects))
    }

    /// The machine as it is now; `None` before the first line.
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }
}
