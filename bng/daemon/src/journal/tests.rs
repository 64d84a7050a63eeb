use std::fs::OpenOptions;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn instance(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

fn event(seq: u64) -> Entry {
    let event = lastmile_types::Event::BngHealthUpdate(lastmile_types::event::BngHealth {
        cpu_cores: 0.5,
        memory_bytes: 1,
        sessions: 2,
        authorized: 3,
        uptime_seconds: 4,
    });
    let ts = "2026-01-02T03:04:05Z".parse().unwrap();
    let events = vec![RecordedEvent { seq, ts, event }];
    Entry::Record(Box::new(Record { boot_ms: seq * 10, events, ..Record::default() }))
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("log-")).collect()
}

#[test]
fn what_was_appended_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, image) = Journal::open(folder.path(), instance(1)).unwrap();
    assert_eq!(image, Image::new(instance(1)));
    for seq in 1..=5 {
        journal.append(&[event(seq)]).unwrap();
    }
    journal.append(&[Entry::Committed { seq: 3 }]).unwrap();
    drop(journal);

    let (_journal, image) = Journal::open(folder.path(), instance(2)).unwrap();
    assert_eq!(image.instance_id, instance(1), "the journal keeps its identity");
    assert_eq!((image.snapshot.last_seq, image.committed), (5, 3));
    assert_eq!(image.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn a_second_gateway_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Journal::open(folder.path(), instance(1)).unwrap();
    assert!(matches!(Journal::open(folder.path(), instance(2)), Err(JournalError::Locked(_))));
}

/// Waits for the image.
fn rotated(journal: &mut Journal) -> Result<(), JournalError> {
    loop {
        if let Some(outcome) = journal.rotated() {
            return outcome;
        }
        std::thread::yield_now();
    }
}

/// Leaves the journal as a crash does before the new image is there.
fn rotate_in_vain(journal: &mut Journal, folder: &Path, image: Image) {
    let draft = folder.join("image.draft");
    std::fs::create_dir(&draft).unwrap();
    journal.rotate(image).unwrap();
    assert!(!journal.wants_rotation(), "one at a time");
    rotated(journal).unwrap_err();
    std::fs::remove_dir(draft).unwrap();
}

#[test]
fn rotation_keeps_everything_and_one_generation() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, mut image) = Journal::open(folder.path(), instance(1)).unwrap();
    for seq in 1..=3 {
        journal.append(&[event(seq)]).unwrap();
        image.apply(event(seq));
    }
    journal.rotate(image).unwrap();
    journal.append(&[event(4)]).unwrap(); // while the image is written, or after that
    rotated(&mut journal).unwrap();
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 3, "lock, one image, one log");
    journal.append(&[event(5)]).unwrap();
    drop(journal);
    let (_journal, image) = Journal::open(folder.path(), instance(2)).unwrap();
    assert_eq!(image.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_crash_before_the_new_image_is_whole_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, mut image) = Journal::open(folder.path(), instance(1)).unwrap();
    for seq in 1..=6 {
        journal.append(&[event(seq)]).unwrap();
        image.apply(event(seq));
        if seq % 2 == 0 {
            rotate_in_vain(&mut journal, folder.path(), image.clone());
        }
    }
    drop(journal);
    let (_journal, found) = Journal::open(folder.path(), instance(2)).unwrap();
    assert_eq!(found, image);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 3, "lock, one image, one log");
}

#[test]
fn a_damaged_image_is_said_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(folder.path(), instance(1)).unwrap());
    let image = folder.path().join("image-1.json");
    std::fs::write(&image, "{").unwrap();
    assert!(matches!(Journal::open(folder.path(), instance(2)), Err(JournalError::Damaged { .. })));
    assert!(image.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Cut anywhere, or with any octet changed, the log gives back a prefix of what was written.
    #[test]
    fn any_damage_leaves_a_prefix(
        count in 1u64..20,
        rotate_at in proptest::option::of(1u64..20),
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        flip in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, mut image) = Journal::open(folder.path(), instance(1)).unwrap();
        for seq in 1..=count {
            journal.append(&[event(seq)]).unwrap();
            image.apply(event(seq));
            if rotate_at == Some(seq) {
                rotate_in_vain(&mut journal, folder.path(), image.clone());
            }
        }
        drop(journal);
        let logs = log_files(folder.path());
        let path = which.get(&logs);
        let mut bytes = std::fs::read(path).unwrap();
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Some(flip) = flip.filter(|_| !bytes.is_empty()) {
            let at = flip.index(bytes.len());
            bytes[at] ^= 0x40;
        }
        OpenOptions::new().write(true).truncate(true).open(path).unwrap().write_all(&bytes).unwrap();

        let (mut journal, image) = Journal::open(folder.path(), instance(2)).unwrap();
        let kept: Vec<u64> = image.events.iter().map(|event| event.seq).collect();
        prop_assert_eq!(&kept, &(1..=kept.len() as u64).collect::<Vec<_>>());
        // And it can be written on.
        let next = kept.len() as u64 + 1;
        journal.append(&[event(next)]).unwrap();
        drop(journal);
        let (_journal, image) = Journal::open(folder.path(), instance(3)).unwrap();
        prop_assert_eq!(image.events.len() as u64, next);
    }
}
