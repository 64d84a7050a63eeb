//! The thread that brings the log to the disk within 100 ms.

use std::{
    fs::File,
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tracing::error;

const WITHIN: Duration = Duration::from_millis(100);

/// Ends when dropped.
#[derive(Debug)]
pub struct Syncer {
    wake: SyncSender<()>,
}

impl Syncer {
    /// Starts the thread for this log.
    pub fn start(log: &File) -> io::Result<Self> {
        let log = log.try_clone()?;
        let (wake, woken) = sync_channel(1);
        thread::Builder::new().name("journal-sync".into()).spawn(move || sync_when_woken(&log, &woken))?;
        Ok(Self { wake })
    }

    /// Something was appended.
    pub fn wake(&self) {
        // Full means that the thread will look anyway.
        let _ = self.wake.try_send(());
    }
}

fn sync_when_woken(log: &File, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = log.sync_data() {
            error!(%error, "the journal cannot be brought to the disk: check the disk below the state directory");
        }
        // One fsync for all that comes meanwhile, half of the promise each.
        thread::sleep(WITHIN / 2);
    }
}
