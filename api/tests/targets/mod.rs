//! What is fuzzed: texts that clients put into URLs. Shared by `tests/corpus.rs` and the libFuzzer targets in `fuzz/`.
#![allow(dead_code)] // a libFuzzer target uses one function

use lastmile_api::{
    kube::{
        request::{Continue, revision},
        selector::Selector,
    },
    store::cursor,
};
use lastmile_fuzz_harness::Target;

/// Every target by its name, which is that of its corpus folder.
pub const TARGETS: &[Target] = &[("selector", selector), ("tokens", tokens)];

/// A label selector and, after a line's end, a field selector. What is refused says so with a sentence.
pub fn selector(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (labels, fields) = text.split_once('\n').unwrap_or((&text, ""));
    match Selector::parse(labels, fields) {
        Ok(selector) => drop(selector.exact("metadata.name").map(str::len)),
        Err(failure) => assert_eq!((failure.code.as_u16(), failure.reason), (400, "BadRequest")),
    }
}

/// A continue token, a cursor, a resourceVersion. A token that is read is written, and read, the same.
pub fn tokens(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = Continue::decode(&text) {
        assert_eq!(Continue::decode(&token.encode()), Ok(token));
    }
    if let Ok(key) = cursor::decode::<(String, i64)>(&text) {
        assert_eq!(cursor::decode::<(String, i64)>(&cursor::encode(&key)).ok(), Some(key));
    }
    if let Ok(Some(revision)) = revision(&text) {
        assert!(revision > 0);
    }
}
