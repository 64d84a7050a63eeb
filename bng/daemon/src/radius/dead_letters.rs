//! Accounting records that no server takes: a file in the state directory, one JSON line each, for people to look at.
//!
//! Two files of a bounded size: when the newer one is full it takes the place of the older, whose records are lost. Mode 0600, because they
//! hold what subscribers did.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use lastmile_session::AccountingRecord;
use serde::Serialize;
use tokio::sync::watch;
use tracing::error;

/// The file's name.
pub const FILE: &str = "accounting-dead-letters.jsonl";
/// What it becomes when it is full.
pub const OLDER: &str = "accounting-dead-letters.old.jsonl";
/// The most octets of one file: some ten thousand records.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Why a record is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Servers that live did not answer it.
    Unanswered,
    /// It is larger than a RADIUS packet.
    DoesNotFit,
    /// The gateway ended before any server had answered it.
    GatewayEnded,
}

#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    reason: Reason,
    record: &'a AccountingRecord,
}

/// The files.
#[derive(Debug)]
pub struct DeadLetters {
    folder: PathBuf,
    limit: u64,
    count: watch::Sender<u64>,
    seen: Mutex<Sizes>,
}

/// Octets of the newer and of the older file: while they stay, so does the count.
type Sizes = Option<(u64, u64)>;

impl DeadLetters {
    /// In this folder; `count` is told how many records lie there. Somebody who has dealt with them removes the files.
    pub fn open(folder: &Path, count: watch::Sender<u64>) -> Self {
        let letters = Self { folder: folder.to_owned(), limit: LIMIT, count, seen: Mutex::default() };
        letters.look();
        letters
    }

    /// Counts what lies there.
    pub fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.recount(&mut seen);
    }

    fn recount(&self, seen: &mut Sizes) {
        let sizes = Some((self.size(FILE), self.size(OLDER)));
        if *seen != sizes {
            *seen = sizes;
            self.tell(self.lines(FILE) + self.lines(OLDER));
        }
    }

    fn size(&self, name: &str) -> u64 {
        fs::metadata(self.folder.join(name)).map_or(0, |file| file.len())
    }

    fn lines(&self, name: &str) -> u64 {
        File::open(self.folder.join(name)).map_or(0, |file| BufReader::new(file).lines().count() as u64)
    }

    fn tell(&self, count: u64) {
        self.count.send_if_modified(|known| std::mem::replace(known, count) != count);
    }

    /// Puts a record there; when this returns it is on the disk.
    pub fn write(&self, record: &AccountingRecord, reason: Reason) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.recount(&mut seen);
        let path = self.folder.join(FILE);
        let mut line = serde_json::to_vec(&Line { at: Timestamp::now(), reason, record })?;
        line.push(b'\n');
        let full = self.size(FILE) + line.len() as u64 > self.limit;
        if full {
            fs::rename(&path, self.folder.join(OLDER))?;
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        file.write_all(&line)?;
        file.sync_data()?;
        error!(
            number = record.number,
            session = %record.session,
            kind = ?record.kind,
            file = %path.display(),
            "no RADIUS server takes an accounting record; it was put aside: see why the server does not answer it, then remove the file"
        );
        if full {
            self.recount(&mut seen);
        } else {
            *seen = Some((self.size(FILE), self.size(OLDER)));
            let count = *self.count.borrow() + 1;
            self.tell(count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use lastmile_session::AccountingKind;
    use lastmile_types::{Counters, SessionId};

    use super::*;

    fn record(number: u64) -> AccountingRecord {
        AccountingRecord {
            number,
            session: SessionId(uuid::Uuid::nil()),
            kind: AccountingKind::Stop,
            at: Timestamp::UNIX_EPOCH,
            subject: None,
            counters: Counters::default(),
            seconds: 0,
            ended: None,
        }
    }

    #[test]
    fn records_are_kept_up_to_a_bound_and_counted_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let count = watch::Sender::new(0);
        let letters = DeadLetters { limit: 1_000, ..DeadLetters::open(folder.path(), count.clone()) };
        for number in 1..=3 {
            letters.write(&record(number), Reason::Unanswered).unwrap();
        }
        assert_eq!(*count.borrow(), 3);
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&line["reason"], &line["record"]["number"]), (&"unanswered".into(), &1.into()));
        for number in 4..=100 {
            letters.write(&record(number), Reason::DoesNotFit).unwrap();
        }
        let size = |name| fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size(FILE) <= 1_000 && size(OLDER) <= 1_000);
        let again = watch::Sender::new(0);
        DeadLetters::open(folder.path(), again.clone());
        assert_eq!(*again.borrow(), *count.borrow());
        assert!(*again.borrow() >= 4);
    }
}
