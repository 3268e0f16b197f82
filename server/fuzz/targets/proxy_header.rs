//! Fuzzes `server::fuzzing::proxy_header`, which says what is checked.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| server::fuzzing::proxy_header(data));
