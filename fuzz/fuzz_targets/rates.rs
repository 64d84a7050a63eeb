#![no_main]

#[path = "../../bng/daemon/tests/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::rates(bytes));
