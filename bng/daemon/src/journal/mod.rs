//! The journal: an append-only log on the node's disk, from which a killed gateway goes on where it was.
//!
//! One [`Entry`] per change, handed to the kernel before anything that it leads to leaves the machine, so `kill -9` loses
//! nothing; a thread of its own has it on the disk within 100 ms, so a power cut loses no more than that. At each start, and when the
//! log has grown, an [`Image`] of everything replaces it. The folder is locked: a second gateway on the same state is refused.
//!
//! While a thread writes a new image ([`rotation`]), entries go to the next log already: until the image is whole, the old one and both
//! logs, one after the other, are the state. A log says how long the one before it was, so that nothing is taken on over a gap.

mod abandoned;
mod files;
pub mod frame;
mod rotation;
mod sync;

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use lastmile_session::{AccountingRecord, Record, RecordedEvent, Snapshot};
use lastmile_types::{InstanceId, Shared};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

pub use self::abandoned::Abandoned;
use self::{files::Generation, rotation::Rotation, sync::Syncer};

/// A log of fewer octets is not replaced; nor is one that is shorter than the image: an image costs no more than what it replaces.
pub const ROTATE_AT: u64 = 64 * 1024 * 1024;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("another gateway uses {0}: stop it, or give this one a state directory of its own")]
    Locked(PathBuf),
    /// The disk said no.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An image that no crash can have left.
    #[error("{path} is damaged: move it away to start afresh, all sessions will be new")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// A process started during this boot of the host.
    Opened {
        /// `/proc/sys/kernel/random/boot_id`.
        boot_id: String,
    },
    /// The first entry of a log that was begun while the image for it was still to be written.
    Continues {
        /// Length of the log before it, octets.
        octets: u64,
    },
    /// What one input changed.
    Record(Box<Record>),
    /// Events up to this seq are in the database.
    Committed {
        /// Inclusive.
        seq: u64,
    },
    /// The accounting record with this number was acknowledged, or given up for good.
    Accounted {
        /// Its number.
        number: u64,
    },
}

/// All that must survive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The journal's own identity.
    pub instance_id: InstanceId,
    /// The boot of the host in which it was last written.
    pub boot_id: String,
    /// The machine.
    pub snapshot: Snapshot,
    /// Events up to here are in the database.
    pub committed: u64,
    /// Later events, in order.
    pub events: VecDeque<Shared<RecordedEvent>>,
    /// Accounting that nobody acknowledged yet, in order.
    pub accounting: VecDeque<Shared<AccountingRecord>>,
}

impl Image {
    /// A gateway that has seen nothing.
    pub fn new(instance_id: InstanceId) -> Self {
        Self {
            instance_id,
            boot_id: String::new(),
            snapshot: Snapshot::default(),
            committed: 0,
            events: VecDeque::new(),
            accounting: VecDeque::new(),
        }
    }

    /// Takes one entry on.
    pub fn apply(&mut self, entry: Entry) {
        if let Entry::Record(record) = &entry {
            self.snapshot.apply(record);
        }
        self.remember(entry);
    }

    /// Takes one entry on, but for the machine's state: a running machine has that itself. Gives back what is new.
    pub fn remember(&mut self, entry: Entry) -> (Vec<Shared<RecordedEvent>>, Vec<Shared<AccountingRecord>>) {
        match entry {
            Entry::Opened { boot_id } => self.boot_id = boot_id,
            Entry::Continues { .. } => {}
            Entry::Record(record) => {
                let events: Vec<_> = record.events.into_iter().map(Shared::new).collect();
                let accounting: Vec<_> = record.accounting.into_iter().map(Shared::new).collect();
                self.events.extend(events.iter().cloned());
                self.accounting.extend(accounting.iter().cloned());
                return (events, accounting);
            }
            Entry::Committed { seq } => {
                self.committed = self.committed.max(seq);
                while self.events.front().is_some_and(|event| event.seq <= seq) {
                    self.events.pop_front();
                }
            }
            Entry::Accounted { number } => {
                // In the order of their numbers, and done in nearly the same: the search is short, and little moves.
                if let Ok(place) = self.accounting.binary_search_by_key(&number, |record| record.number) {
                    self.accounting.remove(place);
                }
            }
        }
        (Vec::new(), Vec::new())
    }
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    generation: Generation,
    log: File,
    written: u64,
    /// Length of the image, octets.
    image: u64,
    buffer: Vec<u8>,
    syncer: Syncer,
    rotation: Option<Rotation>,
    _lock: File,
}

impl Journal {
    /// Locks the folder (made with mode 0700 if need be) and reads what is there; a folder without a journal gets one with the
    /// identity `fresh`. A torn end of the log, as a power cut leaves it, is cut off and said.
    pub fn open(folder: &Path, fresh: InstanceId) -> Result<(Self, Image), JournalError> {
        let lock = files::lock(folder)?;
        let (read, mut image) = files::read_image(folder)?.unwrap_or((Generation(0), Image::new(fresh)));
        let replay = rotation::replay_logs(folder, read, &mut image)?;
        if replay.torn > 0 {
            warn!(
                octets = replay.torn,
                "the journal's last octets were never completely written; they are cut off. Expected after a power cut only"
            );
        }
        info!(instance = %image.instance_id, entries = replay.entries, sessions = image.snapshot.sessions.len(), "journal read");
        let generation = files::newest(folder)?.max(read).next();
        let log = files::begin_log(folder, generation)?;
        let octets = files::write_image(folder, generation, &image)?;
        let syncer = Syncer::start(&log, folder).map_err(|source| io_error("sync", folder, source))?;
        let journal = Self {
            folder: folder.to_owned(),
            generation,
            log,
            written: 0,
            image: octets,
            buffer: Vec::new(),
            syncer,
            rotation: None,
            _lock: lock,
        };
        Ok((journal, image))
    }

    /// Hands entries to the kernel, all or none. On an error nothing that they lead to may be done.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        self.buffer.clear();
        entries.iter().for_each(|entry| frame::encode(entry, &mut self.buffer));
        if let Err(source) = self.log.write_all(&self.buffer) {
            // Half a frame would hide every later one from a replay.
            let _ = self.log.set_len(self.written);
            return Err(io_error("append to", &self.folder, source));
        }
        self.written += self.buffer.len() as u64;
        self.syncer.wake();
        Ok(())
    }

    /// The log has grown, and no rotation is under way.
    pub fn wants_rotation(&self) -> bool {
        self.rotation.is_none() && self.written > ROTATE_AT.max(self.image)
    }

    /// Begins to replace the log by an image of everything that was appended so far; see [`Journal::rotated`].
    pub fn rotate(&mut self, image: Image) -> Result<(), JournalError> {
        let next = self.generation.next();
        let mut log = files::begin_log(&self.folder, next)?;
        self.buffer.clear();
        frame::encode(&Entry::Continues { octets: self.written }, &mut self.buffer);
        log.write_all(&self.buffer).map_err(|source| io_error("append to", &self.folder, source))?;
        let syncer = Syncer::start(&log, &self.folder).map_err(|source| io_error("sync", &self.folder, source))?;
        syncer.wake();
        let rotation = Rotation::start(self.folder.clone(), next, image);
        self.rotation = Some(rotation.map_err(|source| io_error("write an image to", &self.folder, source))?);
        (self.generation, self.log, self.written, self.syncer) = (next, log, self.buffer.len() as u64, syncer);
        Ok(())
    }

    /// What came of a rotation, once it has ended. If it failed, the logs go on growing and nothing is lost.
    pub fn rotated(&mut self) -> Option<Result<(), JournalError>> {
        let ended = self.rotation.take_if(|rotation| rotation.has_ended())?.join(&self.folder);
        Some(ended.map(|octets| self.image = octets))
    }

    /// Waits until everything is on the disk.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.log.sync_data().map_err(|source| io_error("sync", &self.folder, source))
    }
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
