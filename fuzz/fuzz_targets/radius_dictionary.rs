#![no_main]

#[path = "../../bng/wire/tests/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::radius_dictionary(bytes));
