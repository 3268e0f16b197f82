//! Fuzzes `server::fuzzing::public_keys`, which says what is checked.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| server::fuzzing::public_keys(data));
