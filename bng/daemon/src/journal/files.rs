//! The journal's folder: `lock`, and per generation N an `image-N.json` and a `log-N`. The highest image counts, with its log and those
//! that go on from it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use fs2::FileExt;

use super::{Image, JournalError, io_error};

const DRAFT: &str = "image.draft";
/// Before and after the number in an image's name.
const IMAGE: (&str, &str) = ("image-", ".json");
/// Before and after the number in a log's name.
const LOG: (&str, &str) = ("log-", "");
/// Octets that are written at once.
const BUFFER: usize = 1 << 20;

/// Which image and log belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after it.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    fn image(self, folder: &Path) -> PathBuf {
        folder.join(format!("image-{}.json", self.0))
    }

    fn log(self, folder: &Path) -> PathBuf {
        folder.join(format!("log-{}", self.0))
    }
}

/// Takes the folder for this process, until the file is dropped.
pub fn lock(folder: &Path) -> Result<File, JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| io_error("make", folder, source))?;
    let path = folder.join("lock");
    let file = writable(&path).map_err(|source| io_error("open", &path, source))?;
    FileExt::try_lock_exclusive(&file).map_err(|_| JournalError::Locked(folder.to_owned()))?;
    Ok(file)
}

/// The newest image, unless there is none.
pub fn read_image(folder: &Path) -> Result<Option<(Generation, Image)>, JournalError> {
    let Some(generation) = generations(folder, IMAGE)?.into_iter().max() else { return Ok(None) };
    let path = generation.image(folder);
    let bytes = fs::read(&path).map_err(|source| io_error("read", &path, source))?;
    let image = serde_json::from_slice(&bytes).map_err(|source| JournalError::Damaged { path, source })?;
    Ok(Some((generation, image)))
}

/// The octets of a generation's log; none if it was never begun.
pub fn read_log(folder: &Path, generation: Generation) -> Result<Vec<u8>, JournalError> {
    let path = generation.log(folder);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|source| io_error("read", &path, source)),
    }
}

/// The newest generation of which there is anything.
pub fn newest(folder: &Path) -> Result<Generation, JournalError> {
    let (images, logs) = (generations(folder, IMAGE)?, generations(folder, LOG)?);
    Ok(images.into_iter().chain(logs).max().unwrap_or(Generation(0)))
}

/// An empty log. It is appended to: what a failed write left behind is cut off, and the next one goes where it was.
pub fn begin_log(folder: &Path, generation: Generation) -> Result<File, JournalError> {
    let path = generation.log(folder);
    let begin = || -> io::Result<File> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        log.set_len(0)?;
        Ok(log)
    };
    begin().map_err(|source| io_error("make", &path, source))
}

/// Puts a generation's image in place, and returns its length in octets. Only once it is safely on the disk are older generations
/// deleted, so a crash at any moment leaves one that is whole.
pub fn write_image(folder: &Path, generation: Generation, image: &Image) -> Result<u64, JournalError> {
    let write = || -> io::Result<u64> {
        let draft = folder.join(DRAFT);
        let file = writable(&draft)?;
        file.set_len(0)?;
        let mut writer = io::BufWriter::with_capacity(BUFFER, &file);
        serde_json::to_writer(&mut writer, image)?;
        writer.flush()?;
        file.sync_all()?;
        fs::rename(&draft, generation.image(folder))?;
        File::open(folder)?.sync_all()?;
        Ok(file.metadata()?.len())
    };
    let octets = write().map_err(|source| io_error("write an image to", folder, source))?;
    let older = |kind| Ok(generations(folder, kind)?.into_iter().filter(|other| *other < generation));
    for old in older(IMAGE)? {
        let _ = fs::remove_file(old.image(folder));
    }
    for old in older(LOG)? {
        let _ = fs::remove_file(old.log(folder));
    }
    Ok(octets)
}

/// Every file of a journal, the ones that count last.
pub fn all(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let (mut images, mut logs) = (generations(folder, IMAGE)?, generations(folder, LOG)?);
    images.sort_unstable();
    logs.sort_unstable();
    // Without its image a log says nothing; an image without its log is a whole state.
    let logs = logs.into_iter().map(|generation| generation.log(folder));
    let images = images.into_iter().map(|generation| generation.image(folder));
    Ok([folder.join(DRAFT)].into_iter().chain(logs).chain(images).collect())
}

fn generations(folder: &Path, (prefix, suffix): (&str, &str)) -> Result<Vec<Generation>, JournalError> {
    let entries = fs::read_dir(folder).map_err(|source| io_error("list", folder, source))?;
    let number = |name: &str| name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok();
    Ok(entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?)).map(Generation).collect())
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}
