#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::json5_edit(input));
