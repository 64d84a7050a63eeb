//! Replays a fuzz corpus, and deterministic mutations of it, as a plain test.
//!
//! A coverage-guided fuzzer (`fuzz/`) finds new inputs; what it finds is committed to a crate's `tests/corpus/TARGET/` and from then
//! on replayed by that crate's `tests/corpus.rs` on stable Rust. Mutations are the cheap half of fuzzing: the same ones in every run, so
//! a failure here is a failure everywhere.

mod mutate;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

pub use mutate::Mutator;

/// A decoder under test: takes any octets, and panics when one of its own invariants does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// Mutations per target, shared by its files: a few thousand, so that all targets of a crate take less than three seconds.
/// `LASTMILE_MUTATIONS` asks for more.
const MUTATIONS: usize = 4_000;
/// Longer inputs get fewer mutations in proportion, octets.
const TYPICAL: usize = 1024;

/// Runs every target on every file of `corpus/TARGET/`, then on mutations of them.
///
/// # Panics
/// When a target does; the message ends with the input in hexadecimal, to be committed as a new file. Also when a target has no files
/// or a folder has no target.
pub fn replay(corpus: &Path, targets: &[Target]) {
    let mutations = std::env::var("LASTMILE_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTATIONS);
    let folders = names(corpus);
    let known: Vec<_> = targets.iter().map(|(name, _)| (*name).to_owned()).collect();
    let strays: Vec<_> = folders.iter().filter(|folder| !known.contains(folder)).collect();
    assert!(strays.is_empty(), "folders without a target: {strays:?}");
    for (name, target) in targets {
        let folder = corpus.join(name);
        let files: Vec<_> = names(&folder).into_iter().map(|file| (folder.join(&file), file)).collect();
        assert!(!files.is_empty(), "{} is empty: commit at least one input", folder.display());
        let inputs: Vec<_> = files.iter().map(|(path, _)| fs::read(path).expect("a corpus file is readable")).collect();
        for ((_, file), input) in files.iter().zip(&inputs) {
            run(name, *target, file, input);
            let mut mutator = Mutator::new(file, &inputs);
            let share = mutations.div_ceil(inputs.len());
            for _ in 0..share * TYPICAL / input.len().max(TYPICAL) {
                run(name, *target, file, &mutator.mutate(input));
            }
        }
    }
}

fn run(name: &str, target: fn(&[u8]), file: &str, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
        panic!("target {name} failed on an input made from {file}: {hex}");
    }
}

/// What a folder holds, sorted; nothing where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
