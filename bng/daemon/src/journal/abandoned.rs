//! The journal of a gateway that has ended: read once more, then removed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use lastmile_types::InstanceId;
use uuid::Uuid;

use super::{Image, JournalError, files, io_error, rotation};

/// See the module. No gateway can have the folder meanwhile.
#[derive(Debug)]
pub struct Abandoned {
    folder: PathBuf,
    _lock: File,
}

impl Abandoned {
    /// Takes the folder, unless a gateway has it.
    pub fn lock(folder: &Path) -> Result<Self, JournalError> {
        Ok(Self { folder: folder.to_owned(), _lock: files::lock(folder)? })
    }

    /// What the gateway knew last; empty where there is no journal.
    pub fn read(&self) -> Result<Image, JournalError> {
        let Some((generation, mut image)) = files::read_image(&self.folder)? else {
            return Ok(Image::new(InstanceId(Uuid::nil())));
        };
        rotation::replay_logs(&self.folder, generation, &mut image)?;
        Ok(image)
    }

    /// Removes it. The lock's file stays, and whatever else lies there.
    pub fn remove(self) -> Result<(), JournalError> {
        for path in files::all(&self.folder)? {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &path, error)),
                _ => {}
            }
        }
        Ok(())
    }
}
