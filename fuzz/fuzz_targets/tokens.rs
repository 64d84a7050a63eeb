#![no_main]

#[path = "../../api/tests/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::tokens(bytes));
