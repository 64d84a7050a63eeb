//! Replays `tests/corpus/` and mutations of it: see `fuzz/README.md`.

mod targets;

use std::path::Path;

#[test]
fn corpus() {
    lastmile_fuzz_harness::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"), targets::TARGETS);
}
