//! The thread that brings the log to the disk within 100 ms.

use std::{
    fs::File,
    io,
    path::Path,
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
    /// Starts the thread for this log, which is new in its folder.
    pub fn start(log: &File, folder: &Path) -> io::Result<Self> {
        let (log, folder) = (log.try_clone()?, File::open(folder)?);
        let (wake, woken) = sync_channel(1);
        thread::Builder::new().name("journal-sync".into()).spawn(move || sync_when_woken(&log, folder, &woken))?;
        Ok(Self { wake })
    }

    /// Something was appended.
    pub fn wake(&self) {
        // Full means that the thread will look anyway.
        let _ = self.wake.try_send(());
    }
}

fn sync_when_woken(log: &File, folder: File, woken: &Receiver<()>) {
    let mut folder = Some(folder);
    while woken.recv().is_ok() {
        // Its name is to be found, too.
        let named = folder.take().map_or(Ok(()), |folder| folder.sync_all());
        if let Err(error) = named.and_then(|()| log.sync_data()) {
            error!(%error, "the journal cannot be brought to the disk: check the disk below the state directory");
        }
        // One fsync for all that comes meanwhile, half of the promise each.
        thread::sleep(WITHIN / 2);
    }
}
