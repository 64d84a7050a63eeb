#![no_main]

#[path = "../../ingestor/tests/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::entry(bytes));
