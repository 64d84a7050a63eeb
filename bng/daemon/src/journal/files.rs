//! The journal's folder: `lock`, and per generation N an `image-N.json` and a `log-N`. The highest image counts.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use fs2::FileExt;

use super::{Image, JournalError, io_error};

const DRAFT: &str = "image.draft";

/// Which image and log belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

impl Generation {
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
    let Some(generation) = generations(folder)?.into_iter().max() else { return Ok(None) };
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

/// Begins the next generation with this image. Only once it is safely on the disk are older ones deleted, so a crash at any
/// moment leaves one that is whole.
pub fn replace(folder: &Path, old: Generation, image: &Image) -> Result<(Generation, File), JournalError> {
    let next = Generation(old.0 + 1);
    let write = || -> io::Result<File> {
        // Appending: what a failed write left behind is cut off, and the next one goes where it was.
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(next.log(folder))?;
        log.set_len(0)?;
        let draft = folder.join(DRAFT);
        let file = writable(&draft)?;
        file.set_len(0)?;
        serde_json::to_writer(io::BufWriter::new(&file), image)?;
        file.sync_all()?;
        fs::rename(&draft, next.image(folder))?;
        File::open(folder)?.sync_all()?;
        Ok(log)
    };
    let log = write().map_err(|source| io_error("write an image to", folder, source))?;
    for generation in generations(folder)?.into_iter().filter(|generation| *generation < next) {
        let _ = fs::remove_file(generation.image(folder));
        let _ = fs::remove_file(generation.log(folder));
    }
    Ok((next, log))
}

/// Every file of a journal, the ones that count last.
pub fn all(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut generations = generations(folder)?;
    generations.sort_unstable();
    let of = generations.into_iter().flat_map(|generation| [generation.log(folder), generation.image(folder)]);
    Ok([folder.join(DRAFT)].into_iter().chain(of).collect())
}

fn generations(folder: &Path) -> Result<Vec<Generation>, JournalError> {
    let entries = fs::read_dir(folder).map_err(|source| io_error("list", folder, source))?;
    let number = |name: &str| name.strip_prefix("image-")?.strip_suffix(".json")?.parse().ok();
    Ok(entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?)).map(Generation).collect())
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}
