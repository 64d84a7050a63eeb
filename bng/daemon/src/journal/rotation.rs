//! A new image beside the running log, and how a start puts together what a rotation left.

use std::{
    io,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use tracing::warn;

use super::{
    Entry, Image, JournalError,
    files::{self, Generation},
    frame::{self, Replay},
    io_error,
};

/// The thread that writes an image.
#[derive(Debug)]
pub struct Rotation {
    thread: JoinHandle<Result<u64, JournalError>>,
}

impl Rotation {
    /// Starts it. The sessions in the image are shared with the machine; it copies those that it changes meanwhile.
    pub fn start(folder: PathBuf, generation: Generation, image: Image) -> io::Result<Self> {
        let write = move || files::write_image(&folder, generation, &image);
        Ok(Self { thread: thread::Builder::new().name("journal-image".into()).spawn(write)? })
    }

    /// It waits to be joined.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// The image's length in octets.
    pub fn join(self, folder: &Path) -> Result<u64, JournalError> {
        let died = |_| Err(io_error("write an image to", folder, io::Error::other("its thread panicked")));
        self.thread.join().unwrap_or_else(died)
    }
}

/// Takes on the log of an image, and those that go on from it without a gap.
pub fn replay_logs(folder: &Path, mut generation: Generation, image: &mut Image) -> Result<Replay, JournalError> {
    let mut all = Replay { entries: 0, torn: 0 };
    let mut bytes = files::read_log(folder, generation)?;
    loop {
        let replay = frame::replay(&bytes, |entry| image.apply(entry));
        all = Replay { entries: all.entries + replay.entries, torn: replay.torn };
        generation = generation.next();
        let next = files::read_log(folder, generation)?;
        if replay.torn > 0 || frame::first(&next) != Some(Entry::Continues { octets: bytes.len() as u64 }) {
            if !next.is_empty() {
                warn!(
                    octets = next.len(),
                    "a log whose forerunner is not whole is left out. Expected after a power cut only"
                );
            }
            return Ok(all);
        }
        bytes = next;
    }
}
