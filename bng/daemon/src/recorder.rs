//! Writes down everything that the machine is told (`lastmile-bng run --record FILE`), for `bng-replay`.
//!
//! Off by default. A recording holds subscribers' data (MAC and IP addresses, circuits, names), so the file has mode 0600; it holds no
//! secrets. A thread of its own writes; the driver never waits for the disk. A recording is whole or it ends: when the file has
//! grown past [`LIMIT`], or the disk does not keep up, it stops with one WARN and the gateway runs on.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use lastmile_session::{Input, Line, Now, Opened, Settings, Snapshot, Told};
use serde::Serialize;
use tracing::{info, warn};

/// A file that has this many octets takes no more.
pub const LIMIT: u64 = 1 << 30;
/// So many lines may wait for the disk.
const WAITING: usize = 65_536;

/// An open recording, or nothing at all.
#[derive(Debug, Default)]
pub struct Recorder {
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    lines: SyncSender<Vec<u8>>,
    room: u64,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Appends to `path`, at most `limit` octets in all.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?; // it may have been there
        let room = limit.saturating_sub(file.metadata()?.len());
        let (lines, waiting) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || write(file, &waiting))?;
        info!(path = %path.display(), "recording every input: the file holds subscribers' data");
        Ok(Self { writer: Some(Writer { lines, room, thread }) })
    }

    /// A machine begins.
    pub fn opened(&mut self, settings: &Settings, snapshot: &Snapshot) {
        if self.writer.is_some() {
            let opened = Opened { settings: settings.clone(), snapshot: snapshot.clone() };
            self.line(&Line::Opened(Box::new(opened)));
        }
    }

    /// A machine is told something.
    pub fn told(&mut self, now: Now, input: &Input) {
        if self.writer.is_some() {
            self.line(&Line::Told(Box::new(Told { now, input: input.clone() })));
        }
    }

    fn line(&mut self, line: &impl Serialize) {
        let Some(writer) = &mut self.writer else { return };
        let mut text = serde_json::to_vec(line).expect("a line has string keys only and a Vec takes all");
        text.push(b'\n');
        let left = writer.room.checked_sub(text.len() as u64);
        let Some(left) = left else { return self.stop("the file is as long as it may be") };
        writer.room = left;
        if writer.lines.try_send(text).is_err() {
            self.stop("the disk takes nothing, or not fast enough");
        }
    }

    fn stop(&mut self, why: &str) {
        self.writer = None; // the thread writes what waits, and ends
        warn!(why, "the recording has ended; the gateway runs on. Move the file away and restart to record again");
    }
}

impl Drop for Recorder {
    /// Waits until everything is with the kernel.
    fn drop(&mut self) {
        if let Some(Writer { lines, thread, .. }) = self.writer.take() {
            drop(lines);
            let _ = thread.join(); // it does not panic, and there is nothing left to save
        }
    }
}

/// Ends at the first error, or when the recorder is gone; the next line then finds nobody.
fn write(file: File, lines: &Receiver<Vec<u8>>) {
    let mut file = BufWriter::new(file);
    while let Ok(line) = lines.recv() {
        let mut next = Some(line);
        while let Some(line) = next {
            if file.write_all(&line).is_err() {
                return;
            }
            next = lines.try_recv().ok(); // flushed when nothing waits
        }
        if file.flush().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lastmile_session::Load;

    use super::*;
    use crate::time::now;

    fn load() -> Input {
        Input::Health(Load { cpu_cores: 0.5, memory_bytes: 1, uptime_seconds: 2 })
    }

    #[test]
    fn lines_are_appended_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        fs::write(&path, "").unwrap();
        let at = now();
        for _ in 0..2 {
            let mut recorder = Recorder::open(&path, LIMIT).unwrap();
            recorder.told(at, &Input::Timer);
            recorder.told(at, &load());
        }
        let lines: Vec<Line> =
            fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |input| Line::Told(Box::new(Told { now: at, input }));
        assert_eq!(lines, [told(Input::Timer), told(load()), told(Input::Timer), told(load())]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn past_the_limit_it_ends_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let mut recorder = Recorder::open(&path, 500).unwrap();
        (0..100).for_each(|_| recorder.told(now(), &Input::Timer));
        assert!(recorder.writer.is_none());
        drop(recorder);
        thread::sleep(std::time::Duration::from_millis(200)); // an ended recording is not waited for
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n') && text.len() <= 500 && text.len() > 200, "{text}");
    }
}
