//! What is fuzzed: the decoder of stream entries. Shared by `tests/corpus.rs` and the libFuzzer target in `fuzz/`.
#![allow(dead_code)] // a libFuzzer target uses one function

use lastmile_fuzz_harness::Target;
use lastmile_ingestor::decode::{Entry, decode, end_of};
use lastmile_types::Event;

/// Every target by its name, which is that of its corpus folder.
pub const TARGETS: &[Target] = &[("entry", entry)];

/// A stream entry as lines of `name value`, not necessarily text. What decodes fits the database; what does not says why.
pub fn entry(bytes: &[u8]) {
    let fields = bytes.split(|octet| *octet == b'\n').filter_map(|line| {
        let space = line.iter().position(|octet| *octet == b' ')?;
        Some((line[..space].to_vec(), line[space + 1..].to_vec()))
    });
    let entry = Entry { id: "1-1".to_owned(), fields: fields.collect() };
    match decode(entry.clone()) {
        Ok(decoded) => {
            assert_eq!(decoded.entry, entry);
            assert!((1..=i64::MAX as u64).contains(&decoded.envelope.seq));
            assert!(!decoded.payload.contains('\0'));
            if let Event::SessionStop(stop) = &decoded.envelope.event {
                assert!(stop.session.ended.is_some());
                assert!(end_of(stop.session.started_at, stop.session.elapsed_ms).is_some());
            }
        }
        Err(poison) => {
            assert_eq!(poison.entry, entry);
            assert!(!poison.reason.is_empty());
        }
    }
}
