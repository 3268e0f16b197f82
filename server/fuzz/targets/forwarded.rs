//! Fuzzes `server::fuzzing::forwarded`, which says what is checked.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| server::fuzzing::forwarded(data));
